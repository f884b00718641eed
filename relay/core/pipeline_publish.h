/* relay/core/pipeline_publish.h - rows that leave the queue: published, each on its lane, or given back. */
#ifndef RELAY_CORE_PIPELINE_PUBLISH_H
#define RELAY_CORE_PIPELINE_PUBLISH_H

#include "relay/core/bucket.h"
#include "relay/core/pipeline.h"

struct publishing {
    /* The PIPELINE_PUBLISH that waits for its answer. */
    const struct row *row; /* NULL: no publish is out */
    uint32_t lane;
    bool probe;
    uint64_t at_us;
    /* State of the current pass over the queue. */
    bool full; /* only probes leave the queue */
    bool passed_over
        [PIPELINE_LANES_MAX]; /* A row for this lane had to stay, so later rows for it stay too. */
    int64_t highest_id;       /* of all messages published */
    struct bucket bucket;     /* rate_max: what is handed to a lane is taken from it */
    /* A row waits for the bucket, since the last look; then the time until the next look counts as limited. */
    bool limited;
    uint64_t looked_us;
    char limited_reason[80];
};

void publishing_init(struct pipeline *pipeline, uint64_t now_us);
/* A publish waits for its answer. */
bool publishing_is_out(const struct pipeline *pipeline);
int64_t publishing_highest_id(const struct pipeline *pipeline);
/* When a row may go that waits for rate_max; CLOCK_NEVER_US if none does. */
uint64_t publishing_deadline_us(const struct pipeline *pipeline);
/* Why rows wait although they could go, or NULL: rate_max is reached. */
const char *publishing_limited_reason(const struct pipeline *pipeline);

bool publishing_next_drop(struct pipeline *pipeline, uint64_t now_us,
                          struct pipeline_action *ret_action);
bool publishing_next(struct pipeline *pipeline, uint64_t now_us,
                     struct pipeline_action *ret_action);

#endif
