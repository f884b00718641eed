#include <string.h>

#include "relay/core/pipeline_internal.h"

uint64_t
pipeline_wake_deadline_us(const struct pipeline *pipeline)
{
    const struct pipeline_options *options = &pipeline->options;
    if (!pipeline->owned || pipeline->draining || pipeline->wake_out ||
        !heads_are_known(pipeline)) {
        return CLOCK_NEVER_US;
    }
    const uint64_t look_us = pipeline->wake_last_us + options->look_interval_us;
    const uint64_t least_us = pipeline->wake_last_us + options->wake_interval_us;
    const uint64_t due_us = clock_earlier_us(pipeline->wake_due_us, look_us);
    return due_us > least_us ? due_us : least_us;
}

bool
pipeline_next_wake(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us < pipeline_wake_deadline_us(pipeline)) {
        return false;
    }
    pipeline->wake_out = true;
    pipeline->wake_last_us = now_us;
    *ret_action =
        (struct pipeline_action){.type = PIPELINE_WAKE, .count = pipeline->options.batch_rows};
    return true;
}
