/* relay/config/secret.h - secrets that are kept in separate files. */
#ifndef RELAY_CONFIG_SECRET_H
#define RELAY_CONFIG_SECRET_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

/* The present content of the file, without one line feed at its end; a new string for config_secret_free. NULL with
 * *reterr if it cannot be read, is no regular file, is empty, has a zero byte or is over 4096 bytes. Never blocks, not
 * even on a pipe without a writer. Any thread. */
char *config_secret_read(const char *path, struct error *reterr);

/* The same, but `path` may be NULL: then *ret_secret is NULL. */
bool config_secret_read_any(const char *path, char **ret_secret, struct error *reterr) MUST_CHECK;

/* Warns of a file that everybody may read; `what` names it: "the password file". */
void config_secret_warn(const char *path, const char *what, struct config_warnings *warnings);

/* Wipes before it frees. Takes NULL. */
void config_secret_free(char *secret);

#endif
