/* relay/core/pipeline_watermark.h - up to where all that will ever be committed is visible, and where the log ended then:
 * when the source is asked for it. */
#ifndef RELAY_CORE_PIPELINE_WATERMARK_H
#define RELAY_CORE_PIPELINE_WATERMARK_H

#include "relay/core/pipeline.h"

struct watermark {
    bool out; /* it was asked for */
    uint64_t at_us;
};

void watermark_owned(struct pipeline *pipeline, uint64_t now_us);
void watermark_lost(struct pipeline *pipeline);
/* Somebody waits for it. */
void watermark_hurry(struct pipeline *pipeline, uint64_t now_us);

bool watermark_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t watermark_deadline_us(const struct pipeline *pipeline);

#endif
