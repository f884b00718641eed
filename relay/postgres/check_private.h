/* relay/postgres/check_private.h - the parts of `check` that are about a database's log, a pool before it, and the link
 * to it. */
#ifndef RELAY_POSTGRES_CHECK_PRIVATE_H
#define RELAY_POSTGRES_CHECK_PRIVATE_H

#include <libpq-fe.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. With mode "tail" what is lacking is a problem, with "auto" it is advice; with "poll" a slot that
 * was left behind is one. */
void check_postgres_tail(struct report *report, const struct source_config *source,
                         PGconn *connection);

/* There must be a pool. Asks by this connection and by another one which session of the server each has, for at most some
 * 5 s. */
void check_postgres_pool(struct report *report, const struct source_config *source,
                         PGconn *connection);

/* How fast the link is: advice where a whole batch would take more than half of the lease, and nothing else. Takes at most
 * some 3 s, after which the connection is only good for PQfinish: over a slow link an answer is still on its way. */
void check_postgres_link(struct report *report, const struct source_config *source,
                         PGconn *connection);

#endif
