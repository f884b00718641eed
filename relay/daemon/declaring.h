/* relay/daemon/declaring.h - the declarers of all brokers (declarer.h), and how they follow from one configuration to the
 * next. Main thread only. */
#ifndef RELAY_DAEMON_DECLARING_H
#define RELAY_DAEMON_DECLARING_H

#include <stdbool.h>

#include "relay/config/config.h"

struct declaring;

/* wake_fd: an eventfd that is raised when declaring_work or declaring_next has something to do; it outlives this. */
struct declaring *declaring_new(int wake_fd);

/* Declares what `config` wants, also what was declared before: somebody may have deleted it. What an earlier
 * configuration wanted and could not get is not tried any more. */
void declaring_follow(struct declaring *declaring, struct config *config);

/* The next broker on which everything was tried, or nothing is to be declared; each is told once after
 * declaring_follow. NULL: none at the moment. Valid until the next declaring_follow. */
const char *declaring_next(struct declaring *declaring);

/* True if declaring_next has told all brokers. */
bool declaring_is_settled(const struct declaring *declaring);

/* True if declaring_next has told this broker. */
bool declaring_has_told(const struct declaring *declaring, const char *broker);

/* Frees what has ended. */
void declaring_work(struct declaring *declaring);

/* Ends all, waits for that, and frees everything. Takes NULL. */
void declaring_free(struct declaring *declaring);

#endif
