/* relay/daemon/discoverer.h - asks for the tenants of one template, again and again, in a thread of its own: a server that
 * hangs keeps nobody else waiting. */
#ifndef RELAY_DAEMON_DISCOVERER_H
#define RELAY_DAEMON_DISCOVERER_H

#include <stdbool.h>

#include "base/error.h"
#include "relay/config/config.h"

struct discoverer;

/* Starts the thread, which asks at once; all signals must be blocked already. template: one of `config`, of which a
 * reference is kept. wake_fd: an eventfd that is raised when there is an answer or the thread has ended; it outlives the
 * discoverer. NULL with *reterr if it cannot. */
struct discoverer *discoverer_start(struct config *config, const struct source_template *template,
                                    int wake_fd, struct error *reterr);

/* True if there is a new answer since the last call. Either *ret_good, and the names are for database_names_done; or there
 * are none, and *ret_error says why. */
bool discoverer_take(struct discoverer *discoverer, bool *ret_good,
                     struct database_names *ret_names, struct error *ret_error) MUST_CHECK;

/* It ends as soon as it waits for no server. */
void discoverer_stop(struct discoverer *discoverer);
bool discoverer_finished(const struct discoverer *discoverer);

/* Waits for the thread and frees everything. */
void discoverer_join(struct discoverer *discoverer);

#endif
