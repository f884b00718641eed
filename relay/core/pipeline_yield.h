/* relay/core/pipeline_yield.h - an owner that has not reached its broker for some time leaves the outbox to a relay that
 * does reach its broker and stands by. */
#ifndef RELAY_CORE_PIPELINE_YIELD_H
#define RELAY_CORE_PIPELINE_YIELD_H

#include "relay/core/pipeline.h"

struct yielding {
    /* When to ask for another relay; CLOCK_NEVER_US: the broker is reached, or not missed yet. */
    uint64_t ask_us;
    bool out;   /* it was asked */
    bool rival; /* there is one */
};

void yielding_lost(struct pipeline *pipeline);

bool yielding_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t yielding_deadline_us(const struct pipeline *pipeline);

#endif
