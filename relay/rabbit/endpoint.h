/* relay/rabbit/endpoint.h - the parsed URI of a broker's section. */
#ifndef RELAY_RABBIT_ENDPOINT_H
#define RELAY_RABBIT_ENDPOINT_H

#include "amqp/uri.h"

struct broker_endpoint {
    char *uri; /* as it was given, for comparison alone: a secret */
    struct amqp_endpoint amqp;
};

#endif
