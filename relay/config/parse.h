/* relay/config/parse.h - runs libconfuse on a text that config_scan_text has prepared. Main thread only. */
#ifndef RELAY_CONFIG_PARSE_H
#define RELAY_CONFIG_PARSE_H

#include <stdbool.h>

#include "relay/config/keys.h"
#include "relay/config/problem.h"

/* One "key = value" of the file, in its order. Everything is borrowed; title is NULL in the global
 * scope. */
typedef void (*config_value_fn)(void *context, const struct config_key *key, const char *title,
                                unsigned line, const char *value);

/* Calls `take` for each value. False if the library stopped before the end; the reason is in `problems`. */
bool config_parse_text(const char *text, struct config_problems *problems, config_value_fn take,
                       void *context);

#endif
