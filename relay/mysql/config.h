/* relay/mysql/config.h - the MariaDB and MySQL part of a source's section: what a dsn (base/dsn.h) tells without
 * connecting, and the keys that no other kind has: none. See struct database_kind. Connecting by a dsn is in
 * base/mysql/connect.h. */
#ifndef RELAY_MYSQL_CONFIG_H
#define RELAY_MYSQL_CONFIG_H

#include "relay/config/config.h"
#include "relay/ports/database.h"

bool my_dsn_take(const char *text, const char *directory, char **ret_dsn,
                 struct error *reterr) MUST_CHECK;
char *my_dsn_place(const char *dsn);
char *my_dsn_server(const char *dsn);
void my_dsn_advise(const struct source_config *source, struct config_warnings *warnings,
                   struct config_warnings *advice);
bool my_dsn_has_password(const char *dsn);

extern const struct database_key my_keys[];

#endif
