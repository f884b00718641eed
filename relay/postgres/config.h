/* relay/postgres/config.h - what can be said of a libpq connection string without connecting. */
#ifndef RELAY_POSTGRES_CONFIG_H
#define RELAY_POSTGRES_CONFIG_H

#include "base/error.h"

/* False with *reterr if libpq does not understand it. Shows nothing of it but names of options. */
bool postgres_dsn_check(const char *dsn, struct error *reterr) MUST_CHECK;

/* `dsn`, which must be good, with the files of its TLS options as seen from `directory` where they are relative; a new
 * string for config_secret_free. */
char *postgres_dsn_anchor(const char *dsn, const char *directory);

/* Are those files there, and do they hold what they should? Never waits. False with *reterr. */
bool postgres_files_check(const char *dsn, struct error *reterr) MUST_CHECK;

/* Which outbox it leads to: host, port, database and options in one line, without user and
 * password, so that two strings for the same place give the same. A new string; NULL if it is no
 * connection string. */
char *postgres_dsn_place(const char *dsn);

#endif
