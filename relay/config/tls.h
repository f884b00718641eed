/* relay/config/tls.h - warns if a section's connection is less safe than it could be, or if others may read its
 * secrets. */
#ifndef RELAY_CONFIG_TLS_H
#define RELAY_CONFIG_TLS_H

#include <stddef.h>

#include "relay/config/load.h"

/* Adds warnings and advice. The section's valid values must be set. */
void config_tls_check_broker(struct config_load *load, size_t section);
void config_tls_check_source(struct config_load *load, size_t section);

#endif
