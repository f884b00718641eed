/* relay/config/reference.h - docs/CONFIGURATION.md, made from the table of keys. */
#ifndef RELAY_CONFIG_REFERENCE_H
#define RELAY_CONFIG_REFERENCE_H

#include <stdio.h>

void config_reference_print(FILE *file);

#endif
