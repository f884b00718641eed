/* runner_pump.h - keeps a session alive while its owner is busy: a helper thread reads and writes bytes and watches the
 * time, so that heartbeats go out while the application applies messages. It takes no event and makes no call: what
 * arrives waits inside the session, limited by the prefetch. Only one thread uses the session at a time:
 * runner_pump_lend hands it over, and runner_pump_take_back returns when it is the caller's again. */
#ifndef CONSUMERS_RUNNER_PUMP_H
#define CONSUMERS_RUNNER_PUMP_H

#include "amqp/session.h"

struct runner_pump;

/* What else the thread watches while the session is lent: when `stop` becomes readable, it asks for the deadline of the
 * stop, and calls `cut` at that time, once. Both functions are called on the pump's thread. */
struct runner_pump_stop {
    int stop; /* -1: nothing to watch */
    uint64_t (*deadline_us)(void *context);
    void (*cut)(void *context);
    void *context;
};

/* Starts the thread, with all signals blocked. NULL: no memory, descriptor or thread. The session is borrowed. */
struct runner_pump *runner_pump_new(struct session *session, const struct runner_pump_stop *stop);
/* Ends the thread. The session must not be lent. Takes NULL. */
void runner_pump_free(struct runner_pump *pump);

void runner_pump_lend(struct runner_pump *pump);
void runner_pump_take_back(struct runner_pump *pump);

#endif
