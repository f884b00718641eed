/* relay/check_postgres.h - the part of `check` that is about a database's log. */
#ifndef RELAY_CHECK_POSTGRES_H
#define RELAY_CHECK_POSTGRES_H

#include <libpq-fe.h>

#include "relay/check.h"

/* There must be an outbox. With mode "tail" what is lacking is a problem, with "auto" it is advice; with "poll" a slot that
 * was left behind is one. */
void check_postgres_tail(struct check *check, const struct source_config *source,
                         PGconn *connection);

#endif
