/* relay/mysql/ids.h - a list of ids, and statements that take one as @ids. On the session's thread. */
#ifndef RELAY_MYSQL_IDS_H
#define RELAY_MYSQL_IDS_H

#include "relay/mysql/session.h"

struct my_ids {
    int64_t *items; /* the caller ensures that there is room */
    size_t count;
};

/* An empty list with room for `count` ids, for my_ids_done. */
struct my_ids my_ids_with_room(size_t count);
void my_ids_done(struct my_ids *ids);

/* Sorts in ascending order. Rows are locked in the order of the list, and one order for all transactions prevents
 * deadlocks. */
void my_ids_sort(struct my_ids *ids);
/* The list must be sorted. */
bool my_ids_have(const struct my_ids *ids, int64_t id) MUST_CHECK;

/* Runs a statement with the ids `asked` and adds the first column of its rows to `ret_ids`, which must have room.
 * False: see the session. */
bool my_ids_ask(struct my_session *session, const char *sql, const struct my_ids *asked,
                struct my_ids *ret_ids) MUST_CHECK;
bool my_ids_run(struct my_session *session, const char *sql, const int64_t *ids,
                size_t count) MUST_CHECK;

#endif
