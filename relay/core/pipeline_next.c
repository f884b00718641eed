#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

typedef bool (*step)(struct pipeline *pipeline, uint64_t now_us,
                     struct pipeline_action *ret_action);

static bool
next_report(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    struct pipeline_report report;
    if (!reports_take(&pipeline->reports, &report)) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_REPORT, .report = report};
    return true;
}

static bool
next_drained(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (!pipeline->draining || pipeline->drained) {
        return false;
    }
    if (pipeline->queue.live > 0) {
        pipeline_drop_queue(pipeline, now_us);
    }
    if (tail_next(pipeline, now_us, ret_action) ||
        publishing_next_drop(pipeline, now_us, ret_action)) {
        return true;
    }
    holding_drop_stuck(pipeline);
    if (lanes_in_flight(pipeline) > 0 || settling_count(pipeline) > 0 ||
        !fetching_is_idle(pipeline) || !holding_is_idle(pipeline) || releasing_is_owed(pipeline)) {
        return false;
    }
    if (safe_next(pipeline, now_us, ret_action)) {
        return true;
    }
    pipeline->drained = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_DRAINED};
    return true;
}

bool
pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    static const step steps[] = {
        next_report,    lanes_next,      next_drained,   settling_next, holding_next,
        releasing_next, heads_next,      waking_next,    tail_next,     publishing_next_drop,
        fetching_next,  publishing_next, watermark_next, safe_next,     yielding_next};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](pipeline, now_us, ret_action)) {
            return true;
        }
    }
    /* A step may have put a report, or finished what the drain waits for. */
    return next_report(pipeline, now_us, ret_action) || next_drained(pipeline, now_us, ret_action);
}

static uint64_t
source_deadline_us(const struct pipeline *pipeline)
{
    uint64_t deadline_us =
        clock_earlier_us(holding_deadline_us(pipeline), waking_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, settling_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, heads_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, releasing_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, fetching_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, tail_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, safe_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, yielding_deadline_us(pipeline));
    deadline_us = clock_earlier_us(deadline_us, publishing_deadline_us(pipeline));
    return clock_earlier_us(deadline_us, watermark_deadline_us(pipeline));
}

uint64_t
pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us)
{
    uint64_t deadline_us = lanes_deadline_us(pipeline);
    if (pipeline->owned) {
        deadline_us = clock_earlier_us(deadline_us, source_deadline_us(pipeline));
    }
    return deadline_us > now_us ? deadline_us : now_us;
}
