/* relay/rabbit/check.h - `check` for a broker. */
#ifndef RELAY_RABBIT_CHECK_H
#define RELAY_RABBIT_CHECK_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* Checks the broker, and the default exchange of each source that uses it. */
void check_broker(struct report *report, const struct config *config,
                  const struct broker_config *broker);

#endif
