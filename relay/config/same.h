/* relay/config/same.h - whether two configurations mean the same for a source, by the table of keys. */
#ifndef RELAY_CONFIG_SAME_H
#define RELAY_CONFIG_SAME_H

#include <stdbool.h>

#include "relay/config/config.h"

/* True if a source that was started with one need not know of the other: name, all settings, and those of its broker
 * are equal. The content of files that are read at each connection, such as passwords, is no setting. */
bool config_same_source(const struct source_config *a, const struct source_config *b);

/* True if the sections `http` are equal, or both are not there. */
bool config_same_http(const struct config *a, const struct config *b);

#endif
