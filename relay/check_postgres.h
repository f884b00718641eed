/* relay/check_postgres.h - the parts of `check` that are about a database's log, and about a pool before it. */
#ifndef RELAY_CHECK_POSTGRES_H
#define RELAY_CHECK_POSTGRES_H

#include <libpq-fe.h>

#include "relay/check.h"

/* There must be an outbox. With mode "tail" what is lacking is a problem, with "auto" it is advice; with "poll" a slot that
 * was left behind is one. */
void check_postgres_tail(struct check *check, const struct source_config *source,
                         PGconn *connection);

/* There must be a pool. Asks by this connection and by another one which session of the server each has, for at most some
 * 5 s. */
void check_postgres_pool(struct check *check, const struct source_config *source,
                         PGconn *connection);

#endif
