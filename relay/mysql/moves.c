#include "relay/mysql/moves.h"

#include <string.h>

#include "base/memory.h"
#include "relay/mysql/ids.h"

#include "mysql_acts_seen_sql.h"
#include "mysql_acts_sql.h"
#include "mysql_heads_sql.h"
#include "mysql_settle_held_keep_sql.h"
#include "mysql_settle_held_sql.h"

static const struct my_parameters none = {.count = 0};

static bool
settle_held(struct my_session *session, void *context)
{
    const struct my_ids *const ids = context;
    return my_ids_run(session, sql_settle_held, ids->items, ids->count);
}

/* The lock that the delete takes comes first, as in source_settle.c. */
static bool
record_held(struct my_session *session, void *context)
{
    const struct my_ids *const ids = context;
    return my_ids_run(session, sql_settle_held, ids->items, 0) &&
           my_ids_run(session, sql_settle_held_keep, ids->items, ids->count);
}

bool
my_moves_settle_held(struct my_session *session, const int64_t *ids, size_t count)
{
    struct my_ids sorted = my_ids_with_room(count);
    if (count > 0) {
        memcpy(sorted.items, ids, count * sizeof(*ids));
    }
    sorted.count = count;
    my_ids_sort(&sorted);
    const bool good = my_sent_remove(session, record_held, settle_held, &sorted);
    my_ids_done(&sorted);
    return good;
}

bool
my_moves_acts(struct my_session *session, bool *ret_acts)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(session, sql_acts, &none, &rows)) {
        return false;
    }
    struct my_ids ids = my_ids_with_room((size_t)mysql_num_rows(rows));
    while ((row = mysql_fetch_row(rows)) != NULL) {
        ids.items[ids.count++] = my_value_int(row[0]);
    }
    mysql_free_result(rows);
    *ret_acts = ids.count > 0;
    const bool good = ids.count == 0 || my_ids_run(session, sql_acts_seen, ids.items, ids.count);
    my_ids_done(&ids);
    return good;
}

static struct head
head_of(const MYSQL_ROW row)
{
    return (struct head){
        .id = my_value_int(row[0]),
        .key_hash = my_value_int(row[1]),
        .ordered = my_value_bool(row[2]),
        .dead = my_value_bool(row[3]),
        .orphans = my_value_bool(row[4]),
        .attempts = (uint32_t)my_value_int(row[5]),
        .retry_in_us = (uint64_t)my_value_int(row[6]),
    };
}

bool
my_moves_heads(struct my_session *session, struct source_heads *ret_heads)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(session, sql_heads, &none, &rows)) {
        return false;
    }
    const size_t room = (size_t)mysql_num_rows(rows);
    struct source_heads heads = {.items =
                                     room > 0 ? memory_array(room, sizeof(*heads.items)) : NULL};
    while ((row = mysql_fetch_row(rows)) != NULL) {
        heads.items[heads.count++] = head_of(row);
    }
    mysql_free_result(rows);
    *ret_heads = heads;
    return true;
}
