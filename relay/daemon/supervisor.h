/* relay/daemon/supervisor.h - the main thread of a running relay: runs a worker for each source, follows a changed
 * configuration, and waits for signals. */
#ifndef RELAY_DAEMON_SUPERVISOR_H
#define RELAY_DAEMON_SUPERVISOR_H

#include <stdbool.h>

#include "relay/config/config.h"
#include "relay/daemon/board.h"

/* Reads the configuration again, as config_load does: NULL after the problems were reported. */
typedef struct config *supervisor_load(void *context,
                                       void (*report)(void *context, const char *problem),
                                       void *report_context);

/* Returns when every worker has ended after a signal: true if all of them drained clean. Other threads
 * of the process must have all signals blocked. SIGTERM and SIGINT drain; the second one, or the end of shutdown_timeout, ends
 * the process at once with exit status 1. At SIGHUP, or when the socket `control` is asked, the configuration is loaded
 * anew and followed; one that is bad is refused whole. `config` remains the caller's. Workers show their state on the
 * board, which always has the configuration that is followed. */
bool supervisor_run(struct config *config, struct board *board, supervisor_load *load,
                    void *context) MUST_CHECK;

#endif
