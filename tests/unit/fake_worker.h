/* tests/unit/fake_worker.h - workers with a given behaviour, in place of relay/daemon/worker.c, and configurations for
 * them. */
#ifndef TESTS_UNIT_FAKE_WORKER_H
#define TESTS_UNIT_FAKE_WORKER_H

#include <stdint.h>

#include "relay/config/config.h"

enum fake_behaviour {
    FAKE_DRAINS,         /* ends when it must drain */
    FAKE_DRAINS_DIRTY,   /* the same, but reports that messages were left */
    FAKE_NEVER_ENDS,     /* never finishes draining */
    FAKE_ENDS_WHEN_LEFT, /* only when the drain is cut short */
    FAKE_ENDS_AT_ONCE,   /* ends by itself at once */
    FAKE_CANNOT_START,
    FAKE_STUCK, /* its loop does not turn */
};

/* By the letter of the source. */
extern enum fake_behaviour fake_behaviours[128];

/* What was done, in its order: "+a" a was started, "?a" could not be, "-a" must drain, "!a" must leave, "_a" was joined;
 * the letter as in the configuration, with a blank after each. */
extern char fake_acts[4000];

/* Eventfds, raised when a worker starts and when one must drain; -1: none. */
extern int fake_started_fd;
extern int fake_draining_fd;

/* A configuration with a source for each letter; a letter in upper case has other settings than the one in lower case,
 * and the same name. 'b' to 'm' belong to the broker "main", others to the broker "other". */
struct config *fake_config(const char *letters, uint64_t shutdown_timeout_us);

#endif
