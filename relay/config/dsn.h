/* relay/config/dsn.h - what is the same for all kinds of database whose dsn has libpq's grammar (base/dsn.h). */
#ifndef RELAY_CONFIG_DSN_H
#define RELAY_CONFIG_DSN_H

#include "base/dsn.h"
#include "relay/config/config.h"

/* `text`, whose parsed form is `dsn`, with relative file names of its TLS options resolved against `directory`. A new
 * string for config_secret_free. */
char *config_dsn_anchor(const char *text, const struct dsn *dsn, const char *directory);

/* Where the query of a template runs, as parse reads dsns: at its discover_dsn; or where its dsn leads to; or, if each tenant has a
 * database of its own, in `database` there. NULL with *reterr; else for config_secret_free. */
char *config_dsn_discover(const struct source_config *template,
                          bool (*parse)(const char *text, struct dsn *ret_dsn,
                                        struct error *reterr),
                          const char *database, struct error *reterr);

#endif
