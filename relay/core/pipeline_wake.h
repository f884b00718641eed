/* relay/core/pipeline_wake.h - scheduled messages whose time has come move to the outbox. */
#ifndef RELAY_CORE_PIPELINE_WAKE_H
#define RELAY_CORE_PIPELINE_WAKE_H

#include "relay/core/pipeline.h"

struct waking {
    bool out;
    uint64_t last_us; /* time of the last request */
    uint64_t due_us;  /* CLOCK_NEVER_US: nothing is scheduled */
};

void waking_owned(struct pipeline *pipeline, uint64_t now_us);
void waking_lost(struct pipeline *pipeline);
/* A message was scheduled: ask at once, as the answer tells when the next one is due. */
void waking_look_at_once(struct pipeline *pipeline, uint64_t now_us);

bool waking_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t waking_deadline_us(const struct pipeline *pipeline);

#endif
