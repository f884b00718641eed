/* relay/postgres/source.h - the outbox in a PostgreSQL database (14.1 or newer), read by
 * polling: the source_ops of mode `poll`. One connection does everything, so that losing it
 * means losing the ownership as well. See relay/ports/source.h. */
#ifndef RELAY_POSTGRES_SOURCE_H
#define RELAY_POSTGRES_SOURCE_H

#include "relay/config/config.h"
#include "relay/ports/source.h"

/* Keeps `config` by reference. Connects with the first source_ops.process. False if the dsn
 * cannot be read. */
bool source_postgres_new(const struct source_config *config, struct source **ret_source,
                         struct error *reterr) MUST_CHECK;

#endif
