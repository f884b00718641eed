/* relay/ports/broker.h - what the configuration asks about a broker. relay/rabbit/kind.h answers; nothing connects. */
#ifndef RELAY_PORTS_BROKER_H
#define RELAY_PORTS_BROKER_H

#include <stdbool.h>

#include "base/error.h"

struct broker_config;
struct broker_endpoint; /* a parsed URI; only relay/rabbit knows its fields */
struct config_warnings;

struct broker_kind {
    /* Parses a URI. Names of files in it are relative to `directory`, and the files are checked. The error text never
     * shows a password. */
    bool (*endpoint_new)(const char *uri, const char *directory,
                         struct broker_endpoint **ret_endpoint, struct error *reterr);
    void (*endpoint_free)(struct broker_endpoint *endpoint); /* takes NULL */
    /* True if both are of the same URI, and the same files. Takes NULL. */
    bool (*endpoint_same)(const struct broker_endpoint *a, const struct broker_endpoint *b);

    /* Warns of what in broker->endpoint is less safe than it could be. */
    void (*advise)(const struct broker_config *broker, struct config_warnings *warnings,
                   struct config_warnings *advice);
    bool (*has_password)(const struct broker_endpoint *endpoint);
};

#endif
