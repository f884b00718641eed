/* runner_delivery.h - a copy of a message that outlives its event, in the form that the application sees. The memory is
 * reused for the next message, unless it is large. */
#ifndef CONSUMERS_RUNNER_DELIVERY_H
#define CONSUMERS_RUNNER_DELIVERY_H

#include <inbox/inbox_delivery.h>

#include "amqp/connection.h"

struct runner_delivery {
    /* inbox_delivery_header finds this member from the next one. A program may combine the function of one library with
     * a message of another, of another version; so this member stays unchanged, in front of the one that grows. */
    struct span headers;
    struct inbox_delivery shown;
    /* The message was returned before, to a queue that counts returns: x-delivery-count, x-acquired-count. */
    bool counted;
    uint64_t key_hash; /* of source and key; 0: no key */
    char *memory;
    size_t capacity;
};

void runner_delivery_done(struct runner_delivery *delivery);

/* Copies the message of a RABBIT_DELIVERED event. False: no memory, and the delivery is empty. */
bool runner_delivery_set(struct runner_delivery *delivery,
                         const struct rabbit_event *event) MUST_CHECK;

#endif
