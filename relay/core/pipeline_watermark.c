#include "relay/core/pipeline_watermark.h"

#include "relay/core/pipeline_internal.h"

/* Interval while the log is live: then it is asked for only when another part waits for it. */
#define LIVE_INTERVAL_US (2 * CLOCK_MS_US)

void
watermark_owned(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->watermark.at_us = now_us;
}

void
watermark_lost(struct pipeline *pipeline)
{
    pipeline->watermark.out = false;
}

void
watermark_hurry(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->watermark.at_us = now_us;
}

void
pipeline_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us)
{
    pipeline->watermark.out = false;
    pipeline->watermark.at_us =
        now_us +
        (tail_is_live(pipeline) ? LIVE_INTERVAL_US : pipeline->options.watermark_interval_us);
    cursor_final(&pipeline->cursor, final->id, final->position);
    tail_final(pipeline, final, now_us);
}

/* Polling: only while late rows are possible; an idle table is left alone. */
static bool
is_wanted(const struct pipeline *pipeline)
{
    const struct cursor *cursor = &pipeline->cursor;
    const bool late = cursor->high > cursor->final_known || cursor->final_known == CURSOR_START;
    return pipeline->owned && !pipeline->draining && !pipeline->watermark.out &&
           lanes_any_ready(pipeline) && !lanes_any_blocked(pipeline) &&
           ((late && !tail_is_live(pipeline)) || tail_wants_watermark(pipeline));
}

uint64_t
watermark_deadline_us(const struct pipeline *pipeline)
{
    return is_wanted(pipeline) ? pipeline->watermark.at_us : CLOCK_NEVER_US;
}

bool
watermark_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us < watermark_deadline_us(pipeline)) {
        return false;
    }
    pipeline->watermark.out = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_WATERMARK};
    return true;
}
