/* relay/ports/broker.h - what the configuration asks about a broker: the room of the broker answers (relay/rabbit/kind.h). It
 * connects to nothing. */
#ifndef RELAY_PORTS_BROKER_H
#define RELAY_PORTS_BROKER_H

#include <stdbool.h>

#include "base/error.h"

struct broker_config;
struct broker_endpoint; /* what a URI says; the broker's own */
struct config_warnings;

struct broker_kind {
    /* Reads a URI; names of files in it are as seen from `directory`, and the files are looked at. Nothing that is said of it
     * shows a password. */
    bool (*endpoint_new)(const char *uri, const char *directory,
                         struct broker_endpoint **ret_endpoint, struct error *reterr);
    void (*endpoint_free)(struct broker_endpoint *endpoint); /* takes NULL */

    /* What of broker->endpoint is not as safe as it could be. */
    void (*advise)(const struct broker_config *broker, struct config_warnings *warnings,
                   struct config_warnings *advice);
    bool (*has_password)(const struct broker_endpoint *endpoint);
};

#endif
