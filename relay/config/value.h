/* relay/config/value.h - one value of the configuration: from the text in the file to the member of
 * a struct. */
#ifndef RELAY_CONFIG_VALUE_H
#define RELAY_CONFIG_VALUE_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/config/keys.h"

/* Replaces the marks that config_scan_text left by values of the environment. A new string; NULL with *reterr if a
 * variable is not set and the text gives no default. */
bool config_is_expanded(const char *text); /* are there any? */
char *config_expand(const char *text, struct error *reterr) MUST_CHECK;

/* What a value depends on in addition to its key. */
struct config_context {
    const struct database_kind *const *kinds; /* all kinds; ends with NULL */
    const struct broker_kind *broker;
    char *directory; /* base of relative file names: that of the file in which the value stands */
    struct config_warnings *warnings;
};

/* Reads `text` by the key's type and limits into its member of `target`, the scope's struct. On failure *reterr says
 * what was expected or what is wrong, without the value, and the member is unchanged. CONFIG_BROKER_NAME keys are not
 * set here, as they need all brokers. */
bool config_value_set(const struct config_context *context, const struct config_key *key,
                      const char *text, void *target, struct error *reterr) MUST_CHECK;

/* True if the key's value is the same in both. CONFIG_BROKER_NAME keys, which have none here, are. */
bool config_value_same(const struct config_key *key, const void *a, const void *b);

/* Copies the key's value, with memory of its own, to a struct that has none yet. Not for CONFIG_URI. */
void config_value_copy(const struct config_key *key, const void *from, void *to);

/* Frees the key's value in `target`, if it has memory of its own. */
void config_value_free(const struct config_key *key, void *target);

/* The same for all keys of the scope. */
void config_values_free(enum config_scope scope, void *target);

/* "1 to 10000", "\"logfmt\" or \"json\"": what a value may be; "" for free text. Also for the
 * reference. */
void config_value_range(const struct database_kind *const *kinds, const struct config_key *key,
                        char *ret_text, size_t size);

/* For a key that only some kinds of database have: which ones, in the same form; "" for any other key. */
void config_value_owners(const struct database_kind *const *kinds, const struct config_key *key,
                         char *ret_text, size_t size);

/* `path`, resolved against `directory` (that of the configuration file) if it is relative. A new string. */
char *config_path(const char *path, const char *directory);

void config_warn(struct config_warnings *warnings, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
