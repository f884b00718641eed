/* relay/postgres/check_private.h - the parts of `check` for the database's log, for a connection pool in front of it,
 * and for the link to it. */
#ifndef RELAY_POSTGRES_CHECK_PRIVATE_H
#define RELAY_POSTGRES_CHECK_PRIVATE_H

#include <libpq-fe.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. What is missing for tailing is a problem with mode "tail", and advice with "auto"; with
 * "poll" a leftover slot that nobody reads is a problem. */
void check_postgres_tail(struct report *report, const struct source_config *source,
                         PGconn *connection);

/* There must be a pool. Asks over this connection and a second one which server session each has, for at most about 5
 * s. */
void check_postgres_pool(struct report *report, const struct source_config *source,
                         PGconn *connection);

/* Measures the link: advice if a whole batch would take more than half of the lease, else nothing. Takes at most about
 * 3 s. After that the connection can only be closed: over a slow link an answer is still on its way. */
void check_postgres_link(struct report *report, const struct source_config *source,
                         PGconn *connection);

#endif
