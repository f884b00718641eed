/* relay/rabbit/fence.h - the fence of a connection that publishes: an exclusive queue, which only one connection to a virtual host
 * can have, and which ends with it. Who works an outbox declares it before it publishes, so that a former owner's connection, which
 * may bring messages for a while longer, comes to its end first. It never holds anything up for longer than FENCE_WAIT_US: the
 * ownership is decided in the database, and this narrows only the time in which two could publish.
 *
 * It is declared on a channel of its own, as a refusal closes the channel. It is given up on the channel that publishes, behind the
 * messages that are under way there: the broker handles them first. One thread. */
#ifndef RELAY_RABBIT_FENCE_H
#define RELAY_RABBIT_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/connection.h"
#include "base/clock.h"

/* How long a connection waits for its fence. One that ended properly, or whose socket was reset, has lost it by then. One that was
 * cut off keeps it until the broker misses its heartbeats, for which no message waits. */
#define FENCE_WAIT_US CLOCK_S_US

/* The names of these queues begin so. */
#define FENCE_PREFIX "outbox-relay."
/* The longest name of a queue, with the zero byte. */
#define FENCE_QUEUE_BYTES 256

/* The broker's code for one that another connection has. */
#define FENCE_TAKEN 405

/* The channels of the connection. */
enum { FENCE_CHANNEL_PUBLISH = 1, FENCE_CHANNEL_DECLARE };

enum fence_state { FENCE_NONE, FENCE_OPENING, FENCE_DECLARING, FENCE_HELD, FENCE_DELETING };

enum fence_trouble {
    FENCE_FINE,
    FENCE_LATE,    /* another connection has it, or the broker does not answer */
    FENCE_REFUSED, /* the broker allows none */
};

/* All zero: none is wanted, and there is no connection. */
struct fence {
    char wanted[FENCE_QUEUE_BYTES]; /* the queue; "": none */
    char queue[FENCE_QUEUE_BYTES];  /* that was declared last */
    enum fence_state state;
    uint16_t asked;  /* the channel on which an answer is awaited; 0: none */
    bool publishing; /* that channel is open */
    bool declaring;  /* likewise */
    bool begun;      /* the wanted one was asked for on this connection */
    bool waits;      /* nothing may be published yet */
    bool never;      /* the connection did not survive the second channel */
    uint64_t until_us;
    uint64_t retry_us;
    uint64_t pause_us; /* after the next refusal */
    enum fence_trouble trouble;
    char text[440];
};

/* From now on it is wanted: fence number `number` of this outbox (SOURCE_OUTBOX_BYTES of relay/ports/source.h). rabbit may be NULL:
 * not connected. */
void fence_want(struct fence *fence, const char *outbox, uint32_t number, struct rabbit *rabbit,
                uint64_t now_us);
/* No longer: it is given up behind what was published before. */
void fence_drop(struct fence *fence, struct rabbit *rabbit, uint64_t now_us);

/* The connection is open, and its channel was asked for. */
void fence_begin(struct fence *fence, struct rabbit *rabbit, uint64_t now_us);
/* The connection is gone, or another one is begun. */
void fence_reset(struct fence *fence);

/* Sees every event of the connection; true if it was about the fence alone. rabbit is NULL after RABBIT_CLOSED. */
bool fence_take(struct fence *fence, struct rabbit *rabbit, const struct rabbit_event *event,
                uint64_t now_us);

/* The time passes; rabbit may be NULL. When it has something to do next: CLOCK_NEVER_US if never. */
void fence_tick(struct fence *fence, struct rabbit *rabbit, uint64_t now_us);
uint64_t fence_deadline_us(const struct fence *fence);

/* Why the connection goes on without it, once: then it is FENCE_FINE again. *ret_text is valid until the next call of another
 * function. */
enum fence_trouble fence_tell(struct fence *fence, const char **ret_text);

#endif
