/* relay/config/dsn.h - what kinds of database that read a dsn in libpq's grammar (base/dsn.h) do alike. */
#ifndef RELAY_CONFIG_DSN_H
#define RELAY_CONFIG_DSN_H

#include "base/dsn.h"

/* `text`, of which `dsn` is what it says, with the files of its TLS options as seen from `directory` where they are relative; a
 * new string for config_secret_free. */
char *config_dsn_anchor(const char *text, const struct dsn *dsn, const char *directory);

#endif
