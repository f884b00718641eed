/* relay/config_secret.h - secrets that stand in files of their own. */
#ifndef RELAY_CONFIG_SECRET_H
#define RELAY_CONFIG_SECRET_H

#include "base/error.h"
#include "relay/config.h"

/* What stands in the file `path` (from `directory` if relative), without one line feed at its end;
 * a new string for config_secret_free. NULL with *reterr if it cannot be read, is no regular file,
 * is empty, has a zero byte or is over 4096 bytes. A file that everybody may read is a warning. */
char *config_secret_read(const char *path, const char *directory, struct config_warnings *warnings,
                         struct error *reterr);

/* Wipes before it frees. Takes NULL. */
void config_secret_free(char *secret);

#endif
