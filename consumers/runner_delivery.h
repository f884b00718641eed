/* runner_delivery.h - a message that outlives the event that brought it, in the form that the
 * application sees. The memory is kept from message to message, unless a large one needed much. */
#ifndef CONSUMERS_RUNNER_DELIVERY_H
#define CONSUMERS_RUNNER_DELIVERY_H

#include <inbox/inbox_delivery.h>

#include "amqp/connection.h"

struct runner_delivery {
    /* inbox_delivery_header gets back from the one to the other. A program may have the function of one library and a message of another,
     * of another version: so it is in front of what grows, and stays what it is. */
    struct span headers;
    struct inbox_delivery shown;
    /* Returned before, to a queue that counts it: x-delivery-count, x-acquired-count. */
    bool counted;
    uint64_t key_hash; /* of source and key; 0: no key */
    char *memory;
    size_t capacity;
};

void runner_delivery_done(struct runner_delivery *delivery);

/* Takes over a copy of the message of a RABBIT_DELIVERED event. False: no memory, and the delivery
 * is empty. */
bool runner_delivery_set(struct runner_delivery *delivery,
                         const struct rabbit_event *event) MUST_CHECK;

#endif
