/* relay/daemon/worker.h - one pipeline: its thread, its source, its publishing connections. Nothing is shared with the
 * others but the configuration, which outlives it. */
#ifndef RELAY_DAEMON_WORKER_H
#define RELAY_DAEMON_WORKER_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

struct worker;

/* Starts the thread; all signals must be blocked already. NULL with *reterr if it cannot. An outage is no failure. */
struct worker *worker_start(const struct source_config *config, const struct config *global,
                            struct error *reterr);

/* Begins the drain: fetches no more, waits for what is in flight, settles it, gives up the ownership. Any thread. */
void worker_drain(struct worker *worker);

/* Any thread. */
bool worker_finished(const struct worker *worker);

/* An eventfd, readable once the worker has finished: for poll(2). */
int worker_fd(const struct worker *worker);

/* Waits for the thread and frees everything. True if it drained clean. */
bool worker_join(struct worker *worker);

#endif
