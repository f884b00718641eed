/* runner_delivery.h - a message that outlives the event that brought it, in the form that the
 * application sees. The memory is kept from message to message, unless a large one needed much. */
#ifndef CONSUMERS_RUNNER_DELIVERY_H
#define CONSUMERS_RUNNER_DELIVERY_H

#include <inbox/inbox_runner.h>

#include "amqp/connection.h"

struct runner_delivery {
    struct inbox_delivery shown; /* first: inbox_delivery_header gets back from it to the whole */
    struct span headers;
    bool
        counted; /* returned before, to a queue that counts it: x-delivery-count, x-acquired-count */
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
