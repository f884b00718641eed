/* relay/rabbit/kind.h - what the configuration asks about RabbitMQ. */
#ifndef RELAY_RABBIT_KIND_H
#define RELAY_RABBIT_KIND_H

#include "relay/ports/broker.h"

extern const struct broker_kind broker_rabbit;

#endif
