/* relay/postgres/init_private.h - the part of `init` that is about the server's log.
 *
 * It does not create the replication slot. Whoever may read a slot may create it, so the relay does, and it must be able to
 * in any case, for slots get lost. What a slot that nobody reads keeps of the log, only a relay that runs can bound
 * (wal_retain_max). */
#ifndef RELAY_POSTGRES_INIT_PRIVATE_H
#define RELAY_POSTGRES_INIT_PRIVATE_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. Makes the publication, and says what is lacking for the log to be read: with mode "tail" that is
 * a problem, with "auto" it is advice. */
void init_postgres_tail(struct report *report, const struct source_config *source);

#endif
