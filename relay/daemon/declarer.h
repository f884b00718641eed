/* relay/daemon/declarer.h - declares what the configuration wants on one broker (relay/rabbit/topology.h), when the
 * relay starts or reads its configuration again, in a separate thread. What it cannot declare it logs and tries again once a minute; running sources do
 * not wait for that. */
#ifndef RELAY_DAEMON_DECLARER_H
#define RELAY_DAEMON_DECLARER_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

struct declarer;

/* All signals must be blocked already. broker: of `config`, of which a reference is kept. wake_fd: an eventfd that is
 * raised when one of the next two becomes true; it outlives the declarer. NULL with *reterr if it cannot. */
struct declarer *declarer_start(struct config *config, const struct broker_config *broker,
                                int wake_fd, struct error *reterr);

/* True once everything was tried, with or without success. */
bool declarer_tried(const struct declarer *declarer);
bool declarer_finished(const struct declarer *declarer);

/* Tells the thread to end, in any state. It may take a while: looking up a host's name cannot be interrupted. */
void declarer_stop(struct declarer *declarer);

/* Waits for the end of the thread, and frees everything. */
void declarer_join(struct declarer *declarer);

#endif
