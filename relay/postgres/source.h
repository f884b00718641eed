/* relay/postgres/source.h - the outbox in a PostgreSQL database (14.1 or newer): its source_ops. One connection does
 * everything but reading the log, so that losing it means losing the ownership as well. See relay/ports/source.h. */
#ifndef RELAY_POSTGRES_SOURCE_H
#define RELAY_POSTGRES_SOURCE_H

#include "relay/config/config.h"
#include "relay/ports/source.h"

/* Keeps `config` by reference. Connects in the first call of source_ops.process. False if the dsn cannot be parsed. */
bool source_postgres_new(const struct source_config *config, struct source **ret_source,
                         struct error *reterr) MUST_CHECK;

#endif
