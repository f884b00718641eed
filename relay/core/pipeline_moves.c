#include <string.h>

#include "relay/core/pipeline_internal.h"

/* Those waiting follow their head at the speed at which they can be read and sent, so that not all of them move back, and
 * aside again when the next of the key is refused as well. */
static bool
may_release_keys(const struct pipeline *pipeline)
{
    return pipeline->cursor.floor == CURSOR_NONE &&
           pipeline->queue.live <= pipeline->options.batch_rows && !pipeline->draining;
}

/* Not those of which something is still to be told: it would come to wait behind nothing. */
static void
collect_releasing(struct pipeline *pipeline, struct release *release)
{
    const uint64_t told = pipeline->held.changes;
    holding_mark_untold(pipeline);
    release->keys = pipeline->release_keys;
    for (struct held_entry *entry = pipeline->held.entries;
         entry != NULL && pipeline->release_subjects_count < RETRY_IDS_MAX;
         entry = entry->hh.next) {
        if (entry->stage != HELD_STAGE_RELEASING || entry->change > told) {
            continue;
        }
        entry->more = false;
        pipeline->release_subjects[pipeline->release_subjects_count++] = entry->subject;
        if (entry->subject.ordered) {
            pipeline->release_keys[release->key_count++] = entry->subject.value;
        }
    }
}

static void
collect_confirmed(struct pipeline *pipeline, struct release *release)
{
    const size_t count = pipeline->confirmed_heads_count;
    pipeline_reserve(&pipeline->release_ids, &pipeline->release_ids_capacity, count);
    if (count > 0) {
        memcpy(pipeline->release_ids, pipeline->confirmed_heads, count * sizeof(int64_t));
    }
    pipeline->confirmed_heads_count = 0;
    release->ids = pipeline->release_ids;
    release->id_count = count;
}

uint64_t
pipeline_release_deadline_us(const struct pipeline *pipeline)
{
    if (!pipeline->owned || pipeline->release_state != RELEASE_IDLE) {
        return CLOCK_NEVER_US;
    }
    if (pipeline->confirmed_heads_count > 0) {
        return 0;
    }
    return pipeline->held.releasing_count > 0 && may_release_keys(pipeline)
               ? pipeline->release_at_us
               : CLOCK_NEVER_US;
}

bool
pipeline_next_release(struct pipeline *pipeline, uint64_t now_us,
                      struct pipeline_action *ret_action)
{
    if (now_us < pipeline_release_deadline_us(pipeline)) {
        return false;
    }
    struct release release = {.rows_max = pipeline->options.batch_rows};
    pipeline->release_subjects_count = 0;
    if (pipeline->held.releasing_count > 0 && now_us >= pipeline->release_at_us &&
        may_release_keys(pipeline)) {
        collect_releasing(pipeline, &release);
    }
    collect_confirmed(pipeline, &release);
    if (pipeline->release_subjects_count == 0) {
        pipeline->release_at_us =
            now_us + HOLD_AGAIN_US; /* a walk over all keys, not at each call */
    }
    if (release.id_count == 0 && pipeline->release_subjects_count == 0) {
        return false;
    }
    pipeline->release_sent_change = pipeline->held.changes;
    pipeline->release_state = RELEASE_OUT;
    *ret_action = (struct pipeline_action){.type = PIPELINE_RELEASE, .release = release};
    return true;
}

uint64_t
pipeline_ask_deadline_us(const struct pipeline *pipeline)
{
    return pipeline->owned && !pipeline->heads_out && !pipeline->draining ? pipeline->heads_due_us
                                                                          : CLOCK_NEVER_US;
}

bool
pipeline_next_heads(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us < pipeline_ask_deadline_us(pipeline)) {
        return false;
    }
    pipeline->heads_due_us = now_us + pipeline->options.sweep_interval_us;
    pipeline->heads_out = true;
    pipeline->heads_sent_change = pipeline->held.changes;
    holding_mark_untold(pipeline); /* the answer will not know of it */
    *ret_action = (struct pipeline_action){.type = PIPELINE_HEADS};
    return true;
}

uint64_t
pipeline_wake_deadline_us(const struct pipeline *pipeline)
{
    const struct pipeline_options *options = &pipeline->options;
    if (!pipeline->owned || pipeline->draining || pipeline->wake_out || !pipeline->heads_known) {
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
