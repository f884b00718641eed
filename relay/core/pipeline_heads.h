/* relay/core/pipeline_heads.h - reads the heads of keys from the held table: when the ownership begins, after acts of
 * operators, and from time to time. */
#ifndef RELAY_CORE_PIPELINE_HEADS_H
#define RELAY_CORE_PIPELINE_HEADS_H

#include "relay/core/held.h"
#include "relay/core/pipeline.h"

struct heads {
    bool known;           /* read at least once in this ownership */
    bool out;             /* a request is out */
    uint64_t due_us;      /* time of the next request */
    uint64_t sent_change; /* value of held.changes when the request was sent */
    uint64_t load;        /* answers so far */
};

void heads_owned(struct pipeline *pipeline, uint64_t now_us);
void heads_lost(struct pipeline *pipeline);

/* No row is fetched before the heads are known. */
bool heads_are_known(const struct pipeline *pipeline);
void heads_ask_at_once(struct pipeline *pipeline, uint64_t now_us);
/* The entry's head has left the held table. */
void heads_gone(struct pipeline *pipeline, struct held_entry *entry);

bool heads_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t heads_deadline_us(const struct pipeline *pipeline);

#endif
