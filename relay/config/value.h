/* relay/config/value.h - one value of the configuration: from the text in the file to the member of
 * a struct. */
#ifndef RELAY_CONFIG_VALUE_H
#define RELAY_CONFIG_VALUE_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/config/keys.h"

/* Puts the environment in place of the marks that config_scan_text left. A new string; NULL with
 * *reterr if a variable is not set and the text gives no default. */
bool config_is_expanded(const char *text); /* are there any? */
char *config_expand(const char *text, struct error *reterr) MUST_CHECK;

/* What a value may depend on beside its key. */
struct config_context {
    const struct database_kind *const *kinds; /* that there are; ends with NULL */
    const struct broker_kind *broker;
    char *directory; /* where relative file names start: that of the file */
    struct config_warnings *warnings;
};

/* Reads `text` by the key's type and limits into its member of `target`, the scope's struct. On failure *reterr says what was expected or what
 * is wrong, without the value; the member is untouched. CONFIG_BROKER_NAME keys are not set here:
 * they need all brokers. */
bool config_value_set(const struct config_context *context, const struct config_key *key,
                      const char *text, void *target, struct error *reterr) MUST_CHECK;

/* "1 to 10000", "\"logfmt\" or \"json\"": what a value may be; "" for free text. Also for the
 * reference. */
void config_value_range(const struct database_kind *const *kinds, const struct config_key *key,
                        char *ret_text, size_t size);

/* Of a key that some kinds of database alone have, which ones, in the same form; "" for any other. */
void config_value_owners(const struct database_kind *const *kinds, const struct config_key *key,
                         char *ret_text, size_t size);

/* The file that `path` means: from `directory`, that of the configuration file, if it is relative. A new string. */
char *config_path(const char *path, const char *directory);

void config_warn(struct config_warnings *warnings, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
