#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "relay/mysql/extra.h"
#include "relay/mysql/ids.h"
#include "relay/mysql/moves.h"

#include "mysql_hold_change_sql.h"
#include "mysql_hold_find_sql.h"
#include "mysql_hold_insert_sql.h"
#include "mysql_hold_lock_scheduled_sql.h"
#include "mysql_hold_lock_sql.h"
#include "mysql_moved_sql.h"

/* A statement has at most 2000 holds with reasons of a few hundred bytes each. */
#define TEXT_KEEP ((size_t)64 << 10)
#define TEXT_MAX ((size_t)64 << 20)
/* A hundred years: a DATETIME ends with the year 9999. */
#define SPAN_MAX_US ((uint64_t)100 * 365 * 24 * 3600 * CLOCK_S_US)

struct holding {
    struct hold *holds; /* in the order of ids */
    size_t count;
    struct my_ids moving; /* in the outbox, and locked; in the order of ids */
    struct my_ids missing;
    struct buffer asked;
    struct buffer extra;
};

static int
compare_holds(const void *a, const void *b)
{
    const int64_t left = ((const struct hold *)a)->id;
    const int64_t right = ((const struct hold *)b)->id;
    return (left > right) - (left < right);
}

static const char *
name_of(enum held_state state)
{
    switch (state) {
    case HELD_SCHEDULED:
        return "scheduled";
    case HELD_RETRYING:
        return "retrying";
    case HELD_WAITING:
        return "waiting";
    case HELD_DEAD:
        break;
    }
    return "dead";
}

static void
put(struct buffer *buffer, const char *text, size_t size)
{
    if (!buffer_append(buffer, text, size)) {
        memory_exhausted();
    }
}

/* Writes the reason in hex, so that no character in it can end the string or be misread. */
static void
put_reason(struct buffer *buffer, const char *reason)
{
    const size_t size = strlen(reason);
    const bool clean = utf8_is_text(reason, size);
    char hex[4];
    put(buffer, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        const char byte = (char)(clean || (reason[i] & 0x80) == 0 ? reason[i] : '?');
        (void)snprintf(hex, sizeof(hex), "%02x", (unsigned char)byte); /* fits */
        put(buffer, hex, 2);
    }
    put(buffer, "\"", 1);
}

/* Adds one element of the list for hold_insert.sql and hold_change.sql. */
static void
put_hold(struct buffer *buffer, const struct hold *hold, bool at_once)
{
    char text[160];
    const bool refused = hold->state == HELD_RETRYING || hold->state == HELD_DEAD;
    const uint32_t attempts = hold->attempts < INT32_MAX ? hold->attempts : INT32_MAX;
    const uint64_t after_us =
        hold->retry_after_us < SPAN_MAX_US ? hold->retry_after_us : SPAN_MAX_US;
    const int size =
        snprintf(text, sizeof(text), "%s[%" PRId64 ",\"%s\",%d,%" PRIu32 ",%" PRIu64 ",",
                 buffer_size(buffer) > 1 ? "," : "", hold->id, name_of(hold->state),
                 hold->skipped ? 1 : 0, refused ? attempts : 0, at_once ? 0 : after_us); /* fits */
    put(buffer, text, (size_t)size);
    if (refused && hold->reason != NULL) {
        put_reason(buffer, hold->reason);
    } else {
        put(buffer, "null", strlen("null"));
    }
    put(buffer, "]", 1);
}

static void
begin_asked(struct holding *holding)
{
    buffer_clear(&holding->asked);
    put(&holding->asked, "[", 1);
}

static const char *
end_asked(struct holding *holding)
{
    put(&holding->asked, "]", sizeof("]"));
    return (const char *)buffer_front(&holding->asked);
}

static bool
lock_some(struct my_session *session, struct holding *holding, bool scheduled)
{
    struct my_ids asked = my_ids_with_room(holding->count);
    for (size_t i = 0; i < holding->count; i++) {
        if ((holding->holds[i].state == HELD_SCHEDULED) == scheduled) {
            asked.items[asked.count++] = holding->holds[i].id;
        }
    }
    const bool good = (scheduled && asked.count == 0) ||
                      my_ids_ask(session, scheduled ? sql_hold_lock_scheduled : sql_hold_lock,
                                 &asked, &holding->moving);
    my_ids_done(&asked);
    return good;
}

static bool
insert_held(struct my_session *session, struct holding *holding)
{
    struct my_parameters parameters = {.count = 0};
    struct my_extra extra;
    if (!my_extra_look(session, &extra)) {
        return false;
    }
    begin_asked(holding);
    for (size_t i = 0; i < holding->count; i++) {
        if (my_ids_have(&holding->moving, holding->holds[i].id)) {
            put_hold(&holding->asked, &holding->holds[i], false);
        }
    }
    my_parameters_plain(&parameters, "asked", end_asked(holding));
    my_parameters_sql(&parameters, "extra_name", extra.count > 0 ? ", extra" : "");
    my_parameters_sql(&parameters, "extra", my_extra_values(&extra, &holding->extra));
    my_extra_done(&extra);
    return my_session_run(session, sql_hold_insert, &parameters, NULL) &&
           my_ids_run(session, sql_moved, holding->moving.items, holding->moving.count);
}

/* Those that are held already will be changed; the others are missing. */
static void
sort_out_held(struct holding *holding, const struct my_ids *rest, MYSQL_RES *rows)
{
    MYSQL_ROW row = mysql_fetch_row(rows);
    size_t at = 0;
    begin_asked(holding);
    for (size_t i = 0; i < rest->count; i++) { /* both in the order of ids */
        if (row == NULL || my_value_int(row[0]) != rest->items[i]) {
            holding->missing.items[holding->missing.count++] = rest->items[i];
            continue;
        }
        while (holding->holds[at].id != rest->items[i]) {
            at++;
        }
        put_hold(&holding->asked, &holding->holds[at], my_value_bool(row[1]));
        row = mysql_fetch_row(rows);
    }
}

static bool
change_held(struct my_session *session, struct holding *holding, const struct my_ids *rest)
{
    struct my_parameters find = {.count = 0};
    struct my_parameters change = {.count = 0};
    MYSQL_RES *rows;
    my_parameters_ids(&find, "ids", rest->items, rest->count);
    if (!my_session_ask(session, sql_hold_find, &find, &rows)) {
        return false;
    }
    sort_out_held(holding, rest, rows);
    mysql_free_result(rows);
    my_parameters_plain(&change, "asked", end_asked(holding));
    return my_session_run(session, sql_hold_change, &change, NULL);
}

static bool
change_rest(struct my_session *session, struct holding *holding)
{
    struct my_ids rest = my_ids_with_room(holding->count);
    for (size_t i = 0; i < holding->count; i++) {
        if (!my_ids_have(&holding->moving, holding->holds[i].id)) {
            rest.items[rest.count++] = holding->holds[i].id;
        }
    }
    const bool good = rest.count == 0 || change_held(session, holding, &rest);
    my_ids_done(&rest);
    return good;
}

static bool
hold(struct my_session *session, void *context)
{
    struct holding *const holding = context;
    holding->moving.count = 0;
    holding->missing.count = 0;
    if (!lock_some(session, holding, false) || !lock_some(session, holding, true)) {
        return false;
    }
    my_ids_sort(&holding->moving);
    return insert_held(session, holding) && change_rest(session, holding);
}

bool
my_moves_hold(struct my_session *session, const struct hold *holds, size_t count,
              int64_t *ret_missing, size_t *ret_missing_count)
{
    struct holding holding = {.holds = memory_array(count + 1, sizeof(*holds)), .count = count};
    if (count > 0) {
        memcpy(holding.holds, holds, count * sizeof(*holds));
    }
    qsort(holding.holds, count, sizeof(*holds), compare_holds);
    holding.moving = my_ids_with_room(count);
    holding.missing = my_ids_with_room(count);
    buffer_init(&holding.asked, TEXT_KEEP, TEXT_MAX);
    buffer_init(&holding.extra, TEXT_KEEP, TEXT_MAX);
    const bool good = my_session_transaction(session, hold, &holding);
    if (good && holding.missing.count > 0) {
        memcpy(ret_missing, holding.missing.items, holding.missing.count * sizeof(*ret_missing));
    }
    if (good) {
        *ret_missing_count = holding.missing.count;
    }
    buffer_done(&holding.extra);
    buffer_done(&holding.asked);
    my_ids_done(&holding.missing);
    my_ids_done(&holding.moving);
    memory_free(holding.holds);
    return good;
}
