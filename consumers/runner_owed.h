/* runner_owed.h - ids that are in the inbox although their messages were not applied, because an apply function
 * committed the transaction in which they were claimed. The runner owes these messages: it applies them although the
 * inbox knows them. It keeps them by id, because the messages may come again over another connection. One thread at a
 * time. */
#ifndef CONSUMERS_RUNNER_OWED_H
#define CONSUMERS_RUNNER_OWED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* All zero: none. */
struct runner_owed {
    char **ids;
    size_t count;
};

/* False: no memory. Adding an id twice has no effect. */
bool runner_owed_add(struct runner_owed *owed, const char *id) MUST_CHECK;
bool runner_owed_has(const struct runner_owed *owed, const char *id);
void runner_owed_remove(struct runner_owed *owed, const char *id); /* also if it is not there */
void runner_owed_done(struct runner_owed *owed);

#endif
