/* relay/postgres/config.h - the PostgreSQL part of a source's section: what a libpq connection string tells without
 * connecting, and the keys that no other kind has. See struct database_kind. */
#ifndef RELAY_POSTGRES_CONFIG_H
#define RELAY_POSTGRES_CONFIG_H

#include "relay/config/config.h"
#include "relay/ports/database.h"

bool postgres_dsn_take(const char *text, const char *directory, char **ret_dsn,
                       struct error *reterr) MUST_CHECK;
char *postgres_dsn_place(const char *dsn);
char *postgres_dsn_server(const char *dsn);
void postgres_dsn_advise(const struct source_config *source, struct config_warnings *warnings,
                         struct config_warnings *advice);
bool postgres_dsn_has_password(const char *dsn);

extern const struct database_key postgres_keys[];
bool postgres_keys_check(const struct source_config *source, const char **ret_key,
                         struct error *reterr) MUST_CHECK;

#endif
