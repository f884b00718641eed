/* relay/daemon/discovering.h - the tenants of all templates of a configuration, as far as they are known: from one answer to
 * the next, and from one configuration to the next. An answer that does not come changes nothing. Main thread only. */
#ifndef RELAY_DAEMON_DISCOVERING_H
#define RELAY_DAEMON_DISCOVERING_H

#include <stdbool.h>

#include "relay/config/config.h"
#include "relay/daemon/board.h"

struct discovering;

/* wake_fd: an eventfd that is raised when discovering_work has something to do. The board shows what is known of each
 * template. Both outlive this. */
struct discovering *discovering_new(int wake_fd, struct board *board);

/* From now on the templates of `loaded`, of which a reference is kept. A template that was there before keeps its tenants
 * until its query has answered anew, which it is asked at once. */
void discovering_follow(struct discovering *discovering, struct config *loaded);

/* Takes the answers that have come. True if there are other tenants now: then discovering_config is due. */
bool discovering_work(struct discovering *discovering) MUST_CHECK;

/* The configuration with a source for each tenant; tells once of each that can have none. For config_free. */
struct config *discovering_config(struct discovering *discovering);

/* True if each template was asked since discovering_follow, also in vain. */
bool discovering_is_settled(const struct discovering *discovering);

/* Asks no more. */
void discovering_stop(struct discovering *discovering);

/* Ends, and frees everything; waits for the threads, but not for long. False: one of them waits for a server that hangs, and
 * goes on using its configuration and the eventfd. Takes NULL. */
bool discovering_free(struct discovering *discovering) MUST_CHECK;

#endif
