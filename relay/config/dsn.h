/* relay/config/dsn.h - what is the same for all kinds of database whose dsn has libpq's grammar (base/dsn.h). */
#ifndef RELAY_CONFIG_DSN_H
#define RELAY_CONFIG_DSN_H

#include "base/dsn.h"

/* `text`, whose parsed form is `dsn`, with relative file names of its TLS options resolved against `directory`. A new
 * string for config_secret_free. */
char *config_dsn_anchor(const char *text, const struct dsn *dsn, const char *directory);

/* Where the query of a template runs whose dsn is `text`: there; or, if each tenant has a database of its own, in
 * `database`. NULL when memory is out; else for config_secret_free. */
char *config_dsn_discover(const char *text, const struct dsn *dsn, const char *database);

#endif
