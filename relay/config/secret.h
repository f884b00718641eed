/* relay/config/secret.h - secrets that stand in files of their own. */
#ifndef RELAY_CONFIG_SECRET_H
#define RELAY_CONFIG_SECRET_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

/* What stands in the file now, without one line feed at its end; a new string for
 * config_secret_free. NULL with *reterr if it cannot be read, is no regular file, is empty, has a
 * zero byte or is over 4096 bytes. Never waits, not even for the writer of a pipe. Any thread. */
char *config_secret_read(const char *path, struct error *reterr);

/* The same for a file that may be not given: then *ret_secret is NULL. */
bool config_secret_read_any(const char *path, char **ret_secret, struct error *reterr) MUST_CHECK;

/* Warns of a file that everybody may read; `what` names it: "the password file". */
void config_secret_warn(const char *path, const char *what, struct config_warnings *warnings);

/* Wipes before it frees. Takes NULL. */
void config_secret_free(char *secret);

#endif
