/* relay/core/pipeline_watermark.h - when the source is asked for the watermark: the id up to which every row that will
 * ever be committed is visible, and the end of the log at that moment. */
#ifndef RELAY_CORE_PIPELINE_WATERMARK_H
#define RELAY_CORE_PIPELINE_WATERMARK_H

#include "relay/core/pipeline.h"

struct watermark {
    bool out; /* a request is out */
    uint64_t at_us;
};

void watermark_owned(struct pipeline *pipeline, uint64_t now_us);
void watermark_lost(struct pipeline *pipeline);
/* Another part waits for the answer: ask at once. */
void watermark_hurry(struct pipeline *pipeline, uint64_t now_us);

bool watermark_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t watermark_deadline_us(const struct pipeline *pipeline);

#endif
