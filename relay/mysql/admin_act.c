/* Acts of an operator on held messages, and the messages that wait behind them. There may be a million of these, and
 * the size of a statement is limited (max_allowed_packet), so several statements take a part each; an act is still one
 * transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"

#include "mysql_act_choose_sql.h"
#include "mysql_act_discard_sql.h"
#include "mysql_act_freed_sql.h"
#include "mysql_act_retry_sql.h"
#include "mysql_act_tell_sql.h"
#include "mysql_held_heads_of_sql.h"

#define PART 10000 /* ids in a statement: about 200 KB */

static size_t
part_at(size_t at, size_t count)
{
    return count - at < PART ? count - at : PART;
}

/* ---- acts ----------------------------------------------------------------------------------------------- */

struct act {
    const struct admin_filter *filter;
    const char *who;
    const char *what;
    const char *sql;
    bool discards;
    int64_t *key_hashes; /* hashes of the keys that discarded messages held back; room for all */
    size_t key_count;
    struct admin_done done;
};

/* The columns of act_choose.sql. */
enum column { COLUMN_ID, COLUMN_STATE, COLUMN_KEY_HASH, COLUMN_SKIPPED };

/* True if messages of the same key must wait behind it. */
static bool
keeps_key(const MYSQL_ROW row)
{
    const bool leads =
        strcmp(row[COLUMN_STATE], "retrying") == 0 || strcmp(row[COLUMN_STATE], "dead") == 0;
    return leads && !my_value_bool(row[COLUMN_SKIPPED]) && my_value_int(row[COLUMN_KEY_HASH]) != 0;
}

/* Locks and counts the messages of one part that the filter matches. *ret_chosen: a new array for memory_free, also if
 * none matches. */
static bool
choose(struct my_session *session, struct act *act, size_t at, int64_t **ret_chosen,
       size_t *ret_count)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_admin_filter(&parameters, act->filter);
    my_parameters_int(&parameters, "waiting", act->discards ? 1 : 0);
    my_parameters_ints(&parameters, "ids", act->filter->ids->items + at,
                       part_at(at, act->filter->ids->count));
    if (!my_session_ask(session, sql_act_choose, &parameters, &rows)) {
        return false;
    }
    *ret_count = mysql_num_rows(rows);
    *ret_chosen = memory_array(*ret_count, sizeof(**ret_chosen));
    for (size_t i = 0; i < *ret_count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        (*ret_chosen)[i] = my_value_int(row[COLUMN_ID]);
        my_admin_count(&act->done.counts, row[COLUMN_STATE]);
        if (act->discards && keeps_key(row)) {
            act->key_hashes[act->key_count++] = my_value_int(row[COLUMN_KEY_HASH]);
        }
    }
    mysql_free_result(rows);
    return true;
}

static bool
tell_and_do(struct my_session *session, const struct act *act, const int64_t *chosen, size_t count)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_ints(&parameters, "ids", chosen, count);
    my_parameters_text(&parameters, "who", act->who);
    my_parameters_text(&parameters, "what", act->what);
    return my_session_run(session, sql_act_tell, &parameters, NULL) &&
           my_session_run(session, act->sql, &parameters, NULL);
}

static bool
do_part(struct my_session *session, struct act *act, size_t at)
{
    int64_t *chosen;
    size_t count;
    if (!choose(session, act, at, &chosen, &count)) {
        return false;
    }
    const bool good = count == 0 || tell_and_do(session, act, chosen, count);
    memory_free(chosen);
    return good;
}

static int
compare(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left;
    const int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b ? 1 : 0;
}

/* Sorts the numbers and removes repeated ones. Returns how many are left. */
static size_t
sort_out(int64_t *numbers, size_t count)
{
    size_t left = 0;
    qsort(numbers, count, sizeof(*numbers), compare);
    for (size_t i = 0; i < count; i++) {
        if (left == 0 || numbers[i] != numbers[left - 1]) {
            numbers[left++] = numbers[i];
        }
    }
    return left;
}

static bool
count_freed(struct my_session *session, struct act *act)
{
    act->key_count = sort_out(act->key_hashes, act->key_count);
    for (size_t at = 0; at < act->key_count; at += PART) {
        struct my_parameters parameters = {.count = 0};
        int64_t freed;
        my_parameters_ints(&parameters, "key_hashes", act->key_hashes + at,
                           part_at(at, act->key_count));
        if (!my_session_int(session, sql_act_freed, &parameters, 0, &freed)) {
            return false;
        }
        act->done.freed += (uint64_t)freed;
    }
    return true;
}

/* The body of the transaction. It may run again after a deadlock, so it begins by clearing its results. */
static bool
do_all(struct my_session *session, void *context)
{
    struct act *const act = context;
    bool good = true;
    act->done = (struct admin_done){0};
    act->key_count = 0;
    for (size_t at = 0; good && at < act->filter->ids->count; at += PART) {
        good = do_part(session, act, at);
    }
    return good && count_freed(session, act);
}

static bool
carry_out(struct admin *admin, struct act *act, struct admin_done *ret_done, struct error *reterr)
{
    struct my_session *const session = my_admin_session(admin);
    act->key_hashes = memory_array(act->filter->ids->count, sizeof(*act->key_hashes));
    const bool good = my_session_transaction(session, do_all, act);
    memory_free(act->key_hashes);
    *ret_done = act->done;
    return good || my_admin_fail(admin, reterr);
}

bool
my_admin_held_retry(struct admin *admin, const struct admin_filter *filter, const char *who,
                    struct admin_done *ret_done, struct error *reterr)
{
    struct act act = {.filter = filter, .who = who, .what = "retry", .sql = sql_act_retry};
    return carry_out(admin, &act, ret_done, reterr);
}

bool
my_admin_held_discard(struct admin *admin, const struct admin_filter *filter, const char *who,
                      struct admin_done *ret_done, struct error *reterr)
{
    struct act act = {
        .filter = filter, .who = who, .what = "discard", .sql = sql_act_discard, .discards = true};
    return carry_out(admin, &act, ret_done, reterr);
}

/* ---- what waits behind which ---------------------------------------------------------------------------- */

/* The rows of all parts; the texts of the heads point into them. */
struct parts {
    MYSQL_RES **rows;
    size_t count;
};

static void
free_parts(void *owner)
{
    struct parts *const parts = owner;
    for (size_t i = 0; i < parts->count; i++) {
        mysql_free_result(parts->rows[i]);
    }
    memory_free(parts->rows);
    memory_free(parts);
}

static void
add_heads(struct admin_heads *heads, MYSQL_RES *rows)
{
    const size_t count = mysql_num_rows(rows);
    struct admin_head *const longer = memory_array(heads->count + count, sizeof(*longer));
    if (heads->count > 0) {
        memcpy(longer, heads->heads, heads->count * sizeof(*longer));
    }
    memory_free(heads->heads);
    heads->heads = longer;
    for (size_t i = 0; i < count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        heads->heads[heads->count++] = (struct admin_head){
            .id = my_admin_int(row[0], 0),
            .message_id = row[1],
            .state = row[2],
            .waiting = (uint64_t)my_value_int(row[3]),
        };
    }
}

/* In the order of ids; the entry for messages without a head is last. */
static int
compare_heads(const void *left, const void *right)
{
    const struct admin_head *const a = left;
    const struct admin_head *const b = right;
    if ((a->message_id == NULL) != (b->message_id == NULL)) {
        return a->message_id == NULL ? 1 : -1;
    }
    return compare(&a->id, &b->id);
}

/* The messages that wait behind one head may have been in several parts. */
static void
merge_heads(struct admin_heads *heads)
{
    size_t left = 0;
    qsort(heads->heads, heads->count, sizeof(*heads->heads), compare_heads);
    for (size_t i = 0; i < heads->count; i++) {
        if (left > 0 && compare_heads(&heads->heads[i], &heads->heads[left - 1]) == 0) {
            heads->heads[left - 1].waiting += heads->heads[i].waiting;
        } else {
            heads->heads[left++] = heads->heads[i];
        }
    }
    heads->count = left;
}

static bool
find_heads(struct admin *admin, const struct admin_ids *ids, struct parts *parts,
           struct admin_heads *heads, struct error *reterr)
{
    for (size_t at = 0; at < ids->count; at += PART) {
        struct my_parameters parameters = {.count = 0};
        my_parameters_ints(&parameters, "ids", ids->items + at, part_at(at, ids->count));
        if (!my_admin_ask(admin, sql_held_heads_of, &parameters, &parts->rows[parts->count],
                          reterr)) {
            return false;
        }
        add_heads(heads, parts->rows[parts->count++]);
    }
    merge_heads(heads);
    return true;
}

bool
my_admin_held_heads_of(struct admin *admin, const struct admin_ids *ids,
                       struct admin_heads *ret_heads, struct error *reterr)
{
    struct parts *const parts = memory_array(1, sizeof(*parts));
    parts->rows = memory_array(ids->count / PART + 1, sizeof(MYSQL_RES *));
    struct admin_heads heads = {
        .heads = memory_array(1, sizeof(*heads.heads)),
        .rows = {.owner = parts, .free_owner = free_parts},
    };
    if (!find_heads(admin, ids, parts, &heads, reterr)) {
        admin_heads_free(&heads);
        return false;
    }
    *ret_heads = heads;
    return true;
}
