/* relay/check_broker.h - the part of `check` that is about a broker. */
#ifndef RELAY_CHECK_BROKER_H
#define RELAY_CHECK_BROKER_H

#include "relay/config.h"
#include "relay/ports/check.h"

/* The broker, and the default exchange of each source that uses it. */
void check_broker(struct check *check, const struct config *config,
                  const struct broker_config *broker);

#endif
