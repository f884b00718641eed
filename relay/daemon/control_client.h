/* relay/daemon/control_client.h - the other side of control.h: asks a running relay to read its configuration again. */
#ifndef RELAY_DAEMON_CONTROL_CLIENT_H
#define RELAY_DAEMON_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum control_answer {
    CONTROL_ANSWER_IN_FORCE,
    CONTROL_ANSWER_FAILED,
    CONTROL_ANSWER_REFUSED,
    CONTROL_ANSWER_STOPPING,
    CONTROL_ANSWER_SUPERSEDED,
    CONTROL_ANSWER_LATE, /* it was asked, and has not answered in time */
};

/* Waits for the answer, at most timeout_us. `take` gets the lines of problems and, at last, the words of the answer,
 * which may be empty. False with *reterr if no relay can be asked at this socket, or it went away. */
bool control_ask(const char *path, uint64_t timeout_us,
                 void (*take)(void *context, bool problem, const char *text), void *context,
                 enum control_answer *ret_answer, struct error *reterr) MUST_CHECK;

#endif
