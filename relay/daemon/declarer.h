/* relay/daemon/declarer.h - declares what the configuration wants on one broker (relay/rabbit/topology.h) while the
 * relay starts, in a separate thread. What it cannot declare it logs and tries again once a minute; running sources do
 * not wait for that. */
#ifndef RELAY_DAEMON_DECLARER_H
#define RELAY_DAEMON_DECLARER_H

#include "base/error.h"
#include "relay/config/config.h"

struct declarer;

/* All signals must be blocked already. NULL with *reterr if it cannot. The configuration outlives it. */
struct declarer *declarer_start(const struct config *config, const struct broker_config *broker,
                                struct error *reterr);

/* An eventfd for poll(2), readable once everything was tried, with or without success. */
int declarer_fd(const struct declarer *declarer);

/* Stops the thread in any state, and frees everything. */
void declarer_stop(struct declarer *declarer);

#endif
