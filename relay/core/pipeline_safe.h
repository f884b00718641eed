/* relay/core/pipeline_safe.h - up to which position of the log all is safe: confirmed and deleted, or held. A mark is set at
 * a position before which everything has been let into memory, and what is in memory at that moment is followed on its way
 * out: out of the queue, then confirmed or refused, then deleted or told to the held table. When the last of it is through,
 * and nothing was dropped meanwhile, the position is safe. One mark at a time, and nothing to be kept for each message. */
#ifndef RELAY_CORE_PIPELINE_SAFE_H
#define RELAY_CORE_PIPELINE_SAFE_H

#include "relay/core/pipeline_lane.h"

enum safe_stage { SAFE_UNMARKED, SAFE_QUEUED, SAFE_IN_FLIGHT, SAFE_TOLD };

struct safe {
    log_position position; /* all that was committed before is safe */
    uint64_t look_at_us;
    enum safe_stage stage;
    log_position marked; /* safe next */
    uint64_t forgotten;  /* cursor.forgotten, when it was marked */
    uint64_t queued;     /* queue.pushed, then */
    struct lanes_mark lanes;
    uint64_t settles; /* settling_mark */
    uint64_t holds;   /* holding_mark */
};

void safe_lost(struct pipeline *pipeline);
/* Something was left in the outbox, or dropped: what is followed says nothing any more. */
void safe_forget(struct pipeline *pipeline);

bool safe_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t safe_deadline_us(const struct pipeline *pipeline);

#endif
