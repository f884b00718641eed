/* relay/rabbit/check.h - the part of `check` that is about a broker. */
#ifndef RELAY_RABBIT_CHECK_H
#define RELAY_RABBIT_CHECK_H

#include "relay/config/config.h"
#include "relay/ports/check.h"

/* The broker, and the default exchange of each source that uses it. */
void check_broker(struct check *check, const struct config *config,
                  const struct broker_config *broker);

#endif
