/* relay/rabbit/init.h - the part of `init` that is about a broker. */
#ifndef RELAY_RABBIT_INIT_H
#define RELAY_RABBIT_INIT_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

/* The exchanges, queues and bindings of one broker, `tell` for each. False if one of them is not as configured. */
bool init_broker(const struct config *config, const struct broker_config *broker,
                 void (*tell)(void *context, bool good, const char *words),
                 void *context) MUST_CHECK;

#endif
