#include "relay/core/pipeline_wake.h"

#include <assert.h>

#include "relay/core/pipeline_internal.h"

void
waking_owned(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->waking.due_us = now_us;
    pipeline->waking.last_us = 0;
}

void
waking_lost(struct pipeline *pipeline)
{
    pipeline->waking.out = false;
}

void
waking_look_at_once(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->waking.due_us = now_us;
}

static uint64_t
look_deadline_us(const struct pipeline *pipeline)
{
    const uint64_t last_us = pipeline->waking.last_us;
    const struct pipeline_options *options = &pipeline->options;
    const bool rests = pipeline_is_quiet(pipeline, options->rest_after_us, last_us) &&
                       options->look_interval_idle_us > options->look_interval_us;
    return rests ? clock_on_beat_us(last_us, options->look_interval_idle_us, options->phase_us)
                 : last_us + options->look_interval_us;
}

uint64_t
waking_deadline_us(const struct pipeline *pipeline)
{
    const struct waking *waking = &pipeline->waking;
    if (!pipeline->owned || pipeline->draining || waking->out || !heads_are_known(pipeline)) {
        return CLOCK_NEVER_US;
    }
    const uint64_t least_us = waking->last_us + pipeline->options.wake_interval_us;
    const uint64_t due_us = clock_earlier_us(waking->due_us, look_deadline_us(pipeline));
    return due_us > least_us ? due_us : least_us;
}

bool
waking_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us < waking_deadline_us(pipeline)) {
        return false;
    }
    pipeline->waking.out = true;
    pipeline->waking.last_us = now_us;
    *ret_action =
        (struct pipeline_action){.type = PIPELINE_WAKE, .count = pipeline->options.batch_rows};
    return true;
}

void
pipeline_woken(struct pipeline *pipeline, const struct source_woken *woken, uint64_t now_us)
{
    struct waking *waking = &pipeline->waking;
    assert(waking->out);
    waking->out = false;
    waking->due_us =
        woken->next_in_us == CLOCK_NEVER_US ? CLOCK_NEVER_US : now_us + woken->next_in_us;
    if (woken->acts || woken->count > 0) {
        pipeline_note_activity(pipeline, now_us);
    }
    if (woken->acts) {
        heads_ask_at_once(pipeline, now_us);
    }
    if (woken->count > 0) {
        fetching_look_at_once(pipeline);
    }
}
