/* relay/daemon/supervisor.h - the main thread of a running relay: starts a worker for each source, then
 * waits for signals. */
#ifndef RELAY_DAEMON_SUPERVISOR_H
#define RELAY_DAEMON_SUPERVISOR_H

#include <stdbool.h>

#include "relay/config/config.h"
#include "relay/daemon/board.h"

/* Returns when every worker has ended: true if all of them drained clean. The workers show their state on the board.
 * Other threads of the process must have all signals blocked. SIGTERM and SIGINT drain; the second one, or the end of shutdown_timeout, ends the
 * process at once with exit status 1. */
bool supervisor_run(const struct config *config, struct board *board) MUST_CHECK;

#endif
