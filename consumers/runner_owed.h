/* runner_owed.h - ids that are in the inbox although their messages were not applied: an apply function committed the
 * transaction in which they were claimed. The runner owes them: it applies them although the inbox knows them. They are kept by id, since
 * the messages may come again by another connection. One thread at a time. */
#ifndef CONSUMERS_RUNNER_OWED_H
#define CONSUMERS_RUNNER_OWED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* All zeroes: none. */
struct runner_owed {
    char **ids;
    size_t count;
};

/* False: no memory. One that is there already is not taken twice. */
bool runner_owed_add(struct runner_owed *owed, const char *id) MUST_CHECK;
bool runner_owed_has(const struct runner_owed *owed, const char *id);
void runner_owed_remove(struct runner_owed *owed, const char *id); /* if it is there */
void runner_owed_done(struct runner_owed *owed);

#endif
