/* relay/mysql/source.h - the outbox in a MariaDB (10.11 or newer) or MySQL (8.0.22 or newer) database: the source_ops
 * of kind `mysql`. One session does everything but reading the log, so that losing it means losing the ownership as
 * well. See relay/ports/source.h. */
#ifndef RELAY_MYSQL_SOURCE_H
#define RELAY_MYSQL_SOURCE_H

#include "relay/config/config.h"
#include "relay/ports/source.h"

/* Keeps `config` by reference. Connects in the first call of source_ops.process. Always succeeds: the dsn was checked
 * with the configuration. */
bool source_mysql_new(const struct source_config *config, struct source **ret_source,
                      struct error *reterr) MUST_CHECK;

#endif
