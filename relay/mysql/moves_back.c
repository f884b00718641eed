#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/extra.h"
#include "relay/mysql/ids.h"
#include "relay/mysql/moves.h"

#include "mysql_put_back_marks_sql.h"
#include "mysql_release_choose_sql.h"
#include "mysql_release_lock_sql.h"
#include "mysql_release_sql.h"
#include "mysql_settle_held_sql.h"
#include "mysql_wake_due_sql.h"
#include "mysql_wake_next_sql.h"
#include "mysql_wake_sql.h"
#include "mysql_wake_stuck_sql.h"

/* For parts of statements: names and values of columns that others have added. */
#define TEXT_KEEP ((size_t)16 << 10)
#define TEXT_MAX ((size_t)64 << 20)
/* The year 1000, the lowest of a DATETIME. */
#define TIME_MIN_US INT64_C(-30610224000000000)

/* ---- back to the outbox --------------------------------------------------------------------------------- */

struct putting_back {
    const char *sql;   /* release.sql or wake.sql */
    struct my_ids ids; /* in the order in which they move */
    bool laden;        /* some have values for columns that others have added */
    struct buffer names;
    struct buffer values;
};

/* Moves `count` messages from `at` on, which have values for the same columns. */
static bool
put_back_alike(struct my_session *session, struct putting_back *back, const struct my_extra *extra,
               const char *marks, size_t at, size_t count)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_ids(&parameters, "ids", back->ids.items + at, count);
    my_parameters_sql(&parameters, "names", my_extra_names(extra, marks, &back->names));
    my_parameters_sql(&parameters, "extras", my_extra_restored(extra, marks, &back->values));
    return my_session_run(session, back->sql, &parameters, NULL);
}

/* `rows` has the marks of each message (my_extra_marks). A column that the INSERT does not name gets its default. */
static bool
put_back_runs(struct my_session *session, struct putting_back *back, const struct my_extra *extra,
              MYSQL_RES *rows)
{
    bool good = true;
    MYSQL_ROW row = mysql_fetch_row(rows);
    for (size_t at = 0, count = 0; good && row != NULL; at += count) {
        const char *const marks = row[0]; /* all rows are in memory */
        for (count = 0; row != NULL && strcmp(row[0], marks) == 0; count++) {
            row = mysql_fetch_row(rows);
        }
        good = put_back_alike(session, back, extra, marks, at, count);
    }
    return good;
}

static bool
put_back_laden(struct my_session *session, struct putting_back *back)
{
    struct my_parameters parameters = {.count = 0};
    struct my_extra extra;
    MYSQL_RES *rows;
    if (!my_extra_look(session, &extra)) {
        return false;
    }
    my_parameters_ids(&parameters, "ids", back->ids.items, back->ids.count);
    my_parameters_sql(&parameters, "marks", my_extra_marks(&extra, &back->values));
    bool good = my_session_ask(session, sql_put_back_marks, &parameters, &rows);
    if (good) {
        good = put_back_runs(session, back, &extra, rows);
        mysql_free_result(rows);
    }
    my_extra_done(&extra);
    return good;
}

/* The rows must be locked. */
static bool
put_back(struct my_session *session, struct putting_back *back)
{
    const struct my_extra extra = {.count = 0};
    const bool good = back->laden ? put_back_laden(session, back)
                                  : put_back_alike(session, back, &extra, "", 0, back->ids.count);
    return good && my_ids_run(session, sql_settle_held, back->ids.items, back->ids.count);
}

static void
putting_back_init(struct putting_back *back, const char *sql, size_t room)
{
    *back = (struct putting_back){.sql = sql, .ids = my_ids_with_room(room)};
    buffer_init(&back->names, TEXT_KEEP, TEXT_MAX);
    buffer_init(&back->values, TEXT_KEEP, TEXT_MAX);
}

static void
putting_back_done(struct putting_back *back)
{
    buffer_done(&back->values);
    buffer_done(&back->names);
    my_ids_done(&back->ids);
}

/* ---- release -------------------------------------------------------------------------------------------- */

struct waiting {
    int64_t id;
    int64_t key_hash;
    bool laden;
};

struct releasing {
    const int64_t *keys;
    size_t key_count;
    size_t rows_max;
    struct waiting *chosen; /* in the order of ids */
    size_t chosen_count;
    struct putting_back back;
};

static int
compare_waiting(const void *a, const void *b)
{
    const int64_t left = ((const struct waiting *)a)->id;
    const int64_t right = ((const struct waiting *)b)->id;
    return (left > right) - (left < right);
}

static bool
is_repeated(const struct releasing *releasing, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (releasing->keys[i] == releasing->keys[index]) {
            return true;
        }
    }
    return false;
}

/* Keeps the lowest rows_max of the earlier ones and these. */
static void
choose_from(struct releasing *releasing, int64_t key_hash, MYSQL_RES *rows)
{
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        releasing->chosen[releasing->chosen_count++] = (struct waiting){
            .id = my_value_int(row[0]), .key_hash = key_hash, .laden = my_value_bool(row[1])};
    }
    qsort(releasing->chosen, releasing->chosen_count, sizeof(*releasing->chosen), compare_waiting);
    if (releasing->chosen_count > releasing->rows_max) {
        releasing->chosen_count = releasing->rows_max;
    }
}

/* One statement for each key, which reads only its part of the index. A single statement for all keys would read
 * everything that waits for them. */
static bool
choose(struct my_session *session, struct releasing *releasing)
{
    releasing->chosen_count = 0;
    for (size_t i = 0; i < releasing->key_count; i++) {
        struct my_parameters parameters = {.count = 0};
        MYSQL_RES *rows;
        if (is_repeated(releasing, i)) {
            continue;
        }
        my_parameters_int(&parameters, "key_hash", releasing->keys[i]);
        my_parameters_int(&parameters, "rows", (int64_t)releasing->rows_max);
        if (!my_session_ask(session, sql_release_choose, &parameters, &rows)) {
            return false;
        }
        choose_from(releasing, releasing->keys[i], rows);
        mysql_free_result(rows);
    }
    return true;
}

static bool
lock_waiting(struct my_session *session, struct releasing *releasing)
{
    struct my_ids asked = my_ids_with_room(releasing->chosen_count);
    releasing->back.laden = false;
    for (size_t i = 0; i < releasing->chosen_count; i++) {
        asked.items[asked.count++] = releasing->chosen[i].id;
        releasing->back.laden |= releasing->chosen[i].laden;
    }
    releasing->back.ids.count = 0;
    const bool good = my_ids_ask(session, sql_release_lock, &asked, &releasing->back.ids);
    my_ids_done(&asked);
    return good;
}

static bool
release(struct my_session *session, void *context)
{
    struct releasing *const releasing = context;
    return choose(session, releasing) && lock_waiting(session, releasing) &&
           put_back(session, &releasing->back);
}

static void
releasing_init(struct releasing *releasing, const int64_t *keys, size_t key_count, size_t rows_max)
{
    *releasing = (struct releasing){.keys = keys, .key_count = key_count, .rows_max = rows_max};
    releasing->chosen = memory_array(2 * rows_max + 1, sizeof(*releasing->chosen));
    putting_back_init(&releasing->back, sql_release, rows_max);
}

static void
releasing_done(struct releasing *releasing)
{
    putting_back_done(&releasing->back);
    memory_free(releasing->chosen);
}

bool
my_moves_release(struct my_session *session, const int64_t *keys, size_t key_count, size_t rows_max,
                 struct my_released *ret_released)
{
    struct releasing releasing;
    releasing_init(&releasing, keys, key_count, rows_max);
    const bool good = my_session_transaction(session, release, &releasing);
    const size_t count = releasing.chosen_count;
    if (good) {
        *ret_released = (struct my_released){
            .count = count,
            .first_id = count > 0 ? releasing.chosen[0].id : 0,
            .last_id = count > 0 ? releasing.chosen[count - 1].id : 0,
        };
    }
    releasing_done(&releasing);
    return good;
}

bool
my_moves_first_waiting(struct my_session *session, const int64_t *keys, size_t key_count,
                       bool *ret_any, int64_t *ret_id, int64_t *ret_key_hash)
{
    struct releasing releasing;
    releasing_init(&releasing, keys, key_count, 1);
    const bool good = choose(session, &releasing);
    *ret_any = good && releasing.chosen_count > 0;
    if (*ret_any) {
        *ret_id = releasing.chosen[0].id;
        *ret_key_hash = releasing.chosen[0].key_hash;
    }
    releasing_done(&releasing);
    return good;
}

/* ---- wake ----------------------------------------------------------------------------------------------- */

struct waking {
    int64_t from_us;
    int64_t now_us;
    size_t rows_max;
    struct my_woken *woken;
    struct putting_back back;
};

/* *ret_next_us: the next time at or after from_us; INT64_MAX if none is scheduled. */
static bool
ask_next(struct my_session *session, int64_t from_us, int64_t *ret_now_us, int64_t *ret_next_us)
{
    struct my_parameters parameters = {.count = 0};
    MYSQL_RES *rows;
    my_parameters_int(&parameters, "from_us", from_us);
    if (!my_session_ask(session, sql_wake_next, &parameters, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const bool any = row != NULL && row[1] != NULL;
    *ret_now_us = row != NULL ? my_value_int(row[0]) : 0;
    *ret_next_us = any ? my_value_int(row[1]) : INT64_MAX;
    mysql_free_result(rows);
    return true;
}

static void
learn_due(struct waking *waking, MYSQL_RES *rows)
{
    struct my_woken *const woken = waking->woken;
    struct my_ids *const ids = &waking->back.ids;
    MYSQL_ROW row;
    int64_t last_us = waking->now_us;
    ids->count = 0;
    waking->back.laden = false;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        ids->items[ids->count++] = my_value_int(row[0]);
        last_us = my_value_int(row[1]);
        waking->back.laden |= my_value_bool(row[2]);
    }
    woken->count = ids->count;
    woken->any_due = ids->count > 0;
    woken->first_id = ids->items[0];
    woken->up_to_us = ids->count < waking->rows_max ? waking->now_us : last_us;
}

static bool
wake(struct my_session *session, void *context)
{
    struct waking *const waking = context;
    struct my_parameters parameters = {.count = 0};
    MYSQL_RES *rows;
    my_parameters_int(&parameters, "from_us", waking->from_us);
    my_parameters_int(&parameters, "now_us", waking->now_us);
    my_parameters_int(&parameters, "rows", (int64_t)waking->rows_max);
    if (!my_session_ask(session, sql_wake_due, &parameters, &rows)) {
        return false;
    }
    learn_due(waking, rows);
    mysql_free_result(rows);
    return put_back(session, &waking->back);
}

/* Most of the time nothing is due; then it is one query, without a transaction. */
bool
my_moves_wake(struct my_session *session, int64_t from_us, size_t rows_max,
              struct my_woken *ret_woken)
{
    struct waking waking = {.rows_max = rows_max, .woken = ret_woken};
    int64_t next_us = INT64_MAX;
    bool good = true;
    waking.from_us = from_us > TIME_MIN_US ? from_us : TIME_MIN_US;
    if (!ask_next(session, waking.from_us, &waking.now_us, &next_us)) {
        return false;
    }
    *ret_woken = (struct my_woken){.up_to_us = waking.now_us};
    if (next_us <= waking.now_us) {
        putting_back_init(&waking.back, sql_wake, rows_max);
        good = my_session_transaction(session, wake, &waking) &&
               ask_next(session, ret_woken->up_to_us, &waking.now_us, &next_us);
        putting_back_done(&waking.back);
    }
    ret_woken->next_in_us = next_us == INT64_MAX       ? CLOCK_NEVER_US
                            : next_us <= waking.now_us ? 0
                                                       : (uint64_t)(next_us - waking.now_us);
    return good;
}

bool
my_moves_wake_stuck(struct my_session *session, int64_t id, const char *reason)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "id", id);
    my_parameters_text(&parameters, "error", reason);
    return my_session_run(session, sql_wake_stuck, &parameters, NULL);
}
