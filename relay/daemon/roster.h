/* relay/daemon/roster.h - the workers of all sources, and how they follow from one configuration to the next. A source
 * whose settings stay runs on untouched, with the configuration that it was started with. One that cannot be started, or
 * that ended by itself, is tried again at growing intervals, and concerns no other. Main thread only. */
#ifndef RELAY_DAEMON_ROSTER_H
#define RELAY_DAEMON_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/config/config.h"
#include "relay/daemon/board.h"

struct roster;

/* wake_fd: an eventfd that the workers raise when roster_work has something to do. Sources that cannot run are on the board
 * too. Both outlive the roster. */
struct roster *roster_new(int wake_fd, struct board *board);

/* No worker may be left. Takes NULL. */
void roster_free(struct roster *roster);

/* How many sources are new, run with other settings, end, and stay as they are. */
struct roster_change {
    size_t added;
    size_t changed;
    size_t removed;
    size_t kept;
};

/* From now on the sources of `config`, of which references are kept, are to run: those that are not in it are drained,
 * those that are there with other settings are drained and started anew. What starts waits for roster_release of its
 * broker, but not longer than until start_by_us. A drain that lasts longer than shutdown_timeout of `config` is cut
 * short. */
void roster_follow(struct roster *roster, struct config *config, uint64_t now_us,
                   uint64_t start_by_us, struct roster_change *ret_change);

/* The sources of this broker need not wait any more. */
void roster_release(struct roster *roster, const char *broker);

/* Drains all; nothing is started any more. */
void roster_drain(struct roster *roster);

/* Joins the workers that have ended, and starts what is due. */
void roster_work(struct roster *roster, uint64_t now_us);

/* When roster_work is due without a wake-up; CLOCK_NEVER_US: not at all. */
uint64_t roster_deadline_us(const struct roster *roster);

/* The number of workers that are not joined. */
size_t roster_running(const struct roster *roster);

/* The number of those that have not finished either. */
size_t roster_unfinished(const struct roster *roster);

/* True if each source runs with its present settings, or was tried and failed, and none is left that is to end. */
bool roster_is_settled(const struct roster *roster);

/* False if a worker that ended after roster_drain has left something in flight. */
bool roster_is_clean(const struct roster *roster);

/* Calls `visit` for each source whose worker has not finished; for each that cannot run, with the reason. */
void roster_each_running(const struct roster *roster,
                         void (*visit)(void *context, const char *source), void *context);
void roster_each_failing(const struct roster *roster,
                         void (*visit)(void *context, const char *source, const char *why),
                         void *context);

#endif
