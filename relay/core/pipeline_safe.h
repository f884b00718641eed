/* relay/core/pipeline_safe.h - up to which position of the log every message is safe: confirmed and deleted, or held. A
 * mark is set at a position up to which everything was taken into memory. Then the messages in memory at that moment
 * are followed: out of the queue, then confirmed or refused, then deleted or written to the held table. When the last
 * of them is done and nothing was dropped meanwhile, the position is safe. There is one mark at a time, and no state
 * for single messages. */
#ifndef RELAY_CORE_PIPELINE_SAFE_H
#define RELAY_CORE_PIPELINE_SAFE_H

#include "relay/core/pipeline_lane.h"

enum safe_stage { SAFE_UNMARKED, SAFE_QUEUED, SAFE_IN_FLIGHT, SAFE_TOLD };

struct safe {
    log_position position; /* everything committed before it is safe */
    uint64_t look_at_us;
    enum safe_stage stage;
    log_position marked; /* the position that becomes safe next */
    uint64_t forgotten;  /* value of cursor.forgotten when it was marked */
    uint64_t queued;     /* value of queue.pushed when it was marked */
    struct lanes_mark lanes;
    uint64_t settles; /* settling_mark */
    uint64_t holds;   /* holding_mark */
};

void safe_lost(struct pipeline *pipeline);
/* A message was left in the outbox, or dropped: the current mark is not valid any more. */
void safe_forget(struct pipeline *pipeline);

bool safe_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t safe_deadline_us(const struct pipeline *pipeline);

#endif
