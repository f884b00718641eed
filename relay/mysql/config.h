/* relay/mysql/config.h - what can be said of a dsn of MariaDB or MySQL (base/dsn.h) without connecting, and the keys of a
 * source's section that no other kind has: none. As struct database_kind says it. Who connects reads the dsn by
 * dsn_mysql_parse (base/mysql/connect.h). */
#ifndef RELAY_MYSQL_CONFIG_H
#define RELAY_MYSQL_CONFIG_H

#include "relay/config/config.h"
#include "relay/ports/database.h"

bool my_dsn_take(const char *text, const char *directory, char **ret_dsn,
                 struct error *reterr) MUST_CHECK;
char *my_dsn_place(const char *dsn);
void my_dsn_advise(const struct source_config *source, struct config_warnings *warnings,
                   struct config_warnings *advice);
bool my_dsn_has_password(const char *dsn);

extern const struct database_key my_keys[];

#endif
