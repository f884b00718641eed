/* relay/daemon/worker.h - one pipeline: its thread, its source, its publishing connections. Workers share only the
 * configuration and the board, which outlive them. */
#ifndef RELAY_DAEMON_WORKER_H
#define RELAY_DAEMON_WORKER_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/daemon/board.h"

struct worker;

/* Starts the thread, which shows its state on the board until its end; all signals must be blocked already. NULL with
 * *reterr if it cannot. A server that is down is no failure. */
struct worker *worker_start(const struct source_config *config, struct board *board,
                            struct error *reterr);

/* Begins the drain: stops fetching, waits for messages in flight, settles them, gives up the ownership. Any thread. */
void worker_drain(struct worker *worker);

/* Any thread. */
bool worker_finished(const struct worker *worker);

/* An eventfd, readable once the worker has finished: for poll(2). */
int worker_fd(const struct worker *worker);

/* Waits for the thread and frees everything. True if it drained clean. */
bool worker_join(struct worker *worker);

#endif
