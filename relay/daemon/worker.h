/* relay/daemon/worker.h - one pipeline: its thread, its source, its publishing connections. Workers share only the board,
 * which outlives them; each holds the configuration that it was started with. */
#ifndef RELAY_DAEMON_WORKER_H
#define RELAY_DAEMON_WORKER_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/daemon/board.h"

struct worker;

/* Starts the thread, which shows its state on the board until its end; all signals must be blocked already. config: one of
 * the sources of `global`, of which a reference is kept. wake_fd: an eventfd that is raised when the worker has finished;
 * it outlives the worker. NULL with *reterr if it cannot. A server that is down is no failure. */
struct worker *worker_start(const struct source_config *config, struct config *global,
                            struct board *board, int wake_fd, struct error *reterr);

/* Begins the drain: stops fetching, waits for messages in flight, settles them, gives up the ownership. Any thread. */
void worker_drain(struct worker *worker);

/* Ends a drain that lasts too long: gives up the ownership as it is. What is not confirmed stays in the outbox, and is
 * sent again. Any thread. */
void worker_leave(struct worker *worker);

/* Any thread. */
bool worker_finished(const struct worker *worker);

/* Waits for the thread and frees everything. True if it drained clean. */
bool worker_join(struct worker *worker);

#endif
