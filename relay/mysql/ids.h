/* relay/mysql/ids.h - a list of ids, and statements that are about one, as @ids. */
#ifndef RELAY_MYSQL_IDS_H
#define RELAY_MYSQL_IDS_H

#include "relay/mysql/session.h"

struct my_ids {
    int64_t *items; /* who fills it in sees that there is room */
    size_t count;
};

/* None yet. For my_ids_done. */
struct my_ids my_ids_with_room(size_t count);
void my_ids_done(struct my_ids *ids);

/* In ascending order: rows are locked in the order in which they are asked for. */
void my_ids_sort(struct my_ids *ids);
/* Of sorted ones. */
bool my_ids_have(const struct my_ids *ids, int64_t id) MUST_CHECK;

/* Adds the first column of what the statement says of `asked` to `ret_ids`. False: see the session. */
bool my_ids_ask(struct my_session *session, const char *sql, const struct my_ids *asked,
                struct my_ids *ret_ids) MUST_CHECK;
bool my_ids_run(struct my_session *session, const char *sql, const int64_t *ids,
                size_t count) MUST_CHECK;

#endif
