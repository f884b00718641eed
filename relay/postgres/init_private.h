/* relay/postgres/init_private.h - the part of `init` for the server's log.
 *
 * It does not create the replication slot. A role that may read a slot may also create it, so the relay does that; it
 * must be able to in any case, because slots get lost. And only a running relay can limit how much log an unread slot
 * keeps (wal_retain_max). */
#ifndef RELAY_POSTGRES_INIT_PRIVATE_H
#define RELAY_POSTGRES_INIT_PRIVATE_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. Creates the publication, and says what is missing for reading the log: a problem with mode
 * "tail", advice with "auto". */
void init_postgres_tail(struct report *report, const struct source_config *source);

#endif
