/* relay/config/tls.h - what of a section's connection is not as safe as it could be, and who else may read its secrets. */
#ifndef RELAY_CONFIG_TLS_H
#define RELAY_CONFIG_TLS_H

#include <stddef.h>

#include "relay/config/load.h"

/* Adds warnings and advice. The section's values must be set as far as they are good. */
void config_tls_check_broker(struct config_load *load, size_t section);
void config_tls_check_source(struct config_load *load, size_t section);

#endif
