/* relay/rabbit/init.h - `init` for a broker. */
#ifndef RELAY_RABBIT_INIT_H
#define RELAY_RABBIT_INIT_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* Declares the exchanges, queues and bindings of one broker: a line for each, a problem if one is not as configured. */
void init_broker(struct report *report, const struct config *config,
                 const struct broker_config *broker);

#endif
