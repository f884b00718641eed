/* relay/config/reference.h - docs/CONFIGURATION.md, made from the table of keys. */
#ifndef RELAY_CONFIG_REFERENCE_H
#define RELAY_CONFIG_REFERENCE_H

#include <stdio.h>

#include "relay/ports/database.h"

/* `kinds`: as for config_load. */
void config_reference_print(FILE *file, const struct database_kind *const *kinds);

#endif
