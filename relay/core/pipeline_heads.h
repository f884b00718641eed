/* relay/core/pipeline_heads.h - what the held table knows of the heads of keys: asked for when the ownership begins, when
 * operators did something, and now and then. */
#ifndef RELAY_CORE_PIPELINE_HEADS_H
#define RELAY_CORE_PIPELINE_HEADS_H

#include "relay/core/held.h"
#include "relay/core/pipeline.h"

struct heads {
    bool known;           /* since the ownership began */
    bool out;             /* they were asked for */
    uint64_t due_us;      /* when they are asked for next */
    uint64_t sent_change; /* held.changes when they were asked for */
    uint64_t load;        /* answers so far */
};

void heads_owned(struct pipeline *pipeline, uint64_t now_us);
void heads_lost(struct pipeline *pipeline);

/* Nothing is read before. */
bool heads_are_known(const struct pipeline *pipeline);
void heads_ask_at_once(struct pipeline *pipeline, uint64_t now_us);
/* Its head is in the held table no more. */
void heads_gone(struct pipeline *pipeline, struct held_entry *entry);

bool heads_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t heads_deadline_us(const struct pipeline *pipeline);

#endif
