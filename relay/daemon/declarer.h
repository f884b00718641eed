/* relay/daemon/declarer.h - makes what the configuration wants on one broker (relay/rabbit/topology.h) while the relay
 * starts, in a thread of its own. What it cannot make it says, and tries again once a minute: no source waits for it. */
#ifndef RELAY_DAEMON_DECLARER_H
#define RELAY_DAEMON_DECLARER_H

#include "base/error.h"
#include "relay/config/config.h"

struct declarer;

/* All signals must be blocked already. NULL with *reterr if it cannot. The configuration outlives it. */
struct declarer *declarer_start(const struct config *config, const struct broker_config *broker,
                                struct error *reterr);

/* An eventfd, readable once all was tried, whether it went well or not: for poll(2). */
int declarer_fd(const struct declarer *declarer);

/* Ends it, wherever it is, and frees everything. */
void declarer_stop(struct declarer *declarer);

#endif
