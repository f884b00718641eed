/* relay/config/secret.h - secrets that are kept in separate files. */
#ifndef RELAY_CONFIG_SECRET_H
#define RELAY_CONFIG_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/config/config.h"

#define CONFIG_SECRET_MAX_BYTES 4096

/* The present content of the file, without one line feed at its end; a new string for config_secret_free. NULL with
 * *reterr if it cannot be read, is no regular file, is empty, has a zero byte or is over 4096 bytes. Never blocks, not
 * even on a pipe without a writer. Any thread. */
char *config_secret_read(const char *path, struct error *reterr);

/* Cuts one line end from the `length` bytes of a secret, and puts a zero byte behind the rest; there is room for it. False
 * with *reterr if it has a zero byte, or is empty: then the error is `if_empty`. */
bool config_secret_trim(char *secret, size_t length, const char *if_empty,
                        struct error *reterr) MUST_CHECK;

/* Warns of a file that everybody may read; `what` names it: "the password file". */
void config_secret_warn(const char *path, const char *what, struct config_warnings *warnings);

/* Wipes before it frees. Takes NULL. */
void config_secret_free(char *secret);

#endif
