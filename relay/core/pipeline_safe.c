/* Up to which position of the log all is safe: confirmed and deleted, or held. A mark is set at a position before which
 * everything has been let into memory, and what is in memory at that moment is followed on its way out: out of the queue, then
 * confirmed or refused, then deleted or told to the held table. When the last of it is through, and nothing was dropped
 * meanwhile, the position is safe. One mark at a time, and nothing to be kept for each message. */
#include "relay/core/pipeline_internal.h"

void
safe_forget(struct safe *safe)
{
    safe->stage = SAFE_UNMARKED;
}

static bool
anything_is_left(const struct pipeline *pipeline)
{
    for (const struct held_entry *entry = pipeline->held.entries; entry != NULL;
         entry = entry->hh.next) {
        if (entry->floor_id != CURSOR_NONE) {
            return true; /* in the outbox, and in no list */
        }
    }
    return cursor_has_gap(&pipeline->cursor) ||
           (!pipeline_is_live(pipeline) && !pipeline->tail.caught_up);
}

static void
mark(struct pipeline *pipeline)
{
    struct safe *safe = &pipeline->safe;
    const uint64_t read = pipeline->tail.covered;
    if (read <= safe->position || anything_is_left(pipeline)) {
        return;
    }
    safe->stage = SAFE_QUEUED;
    safe->marked = read;
    safe->forgotten = pipeline->cursor.forgotten;
    safe->queued = pipeline->queue.pushed;
}

static void
note_statements(struct pipeline *pipeline)
{
    struct safe *safe = &pipeline->safe;
    safe->settles = settling_mark(pipeline);
    safe->holds = holding_mark(pipeline);
    safe->stage = SAFE_TOLD;
}

static bool
statements_passed(const struct pipeline *pipeline)
{
    const struct safe *safe = &pipeline->safe;
    return settling_has_passed(pipeline, safe->settles) &&
           holding_has_passed(pipeline, safe->holds);
}

/* Nothing else can be told of a log that is not read. */
static bool
is_followed(const struct pipeline *pipeline)
{
    return pipeline->tail.state == TAIL_BEHIND || pipeline->tail.state == TAIL_LIVE;
}

static bool
advance(struct pipeline *pipeline)
{
    struct safe *safe = &pipeline->safe;
    if (safe->stage != SAFE_UNMARKED && safe->forgotten != pipeline->cursor.forgotten) {
        safe_forget(safe);
    }
    if (safe->stage == SAFE_UNMARKED) {
        mark(pipeline);
    }
    if (safe->stage == SAFE_QUEUED && queue_oldest(&pipeline->queue) >= safe->queued) {
        lanes_mark(pipeline, &safe->lanes);
        safe->stage = SAFE_IN_FLIGHT;
    }
    if (safe->stage == SAFE_IN_FLIGHT && lanes_have_passed(pipeline, &safe->lanes)) {
        note_statements(pipeline);
    }
    if (safe->stage != SAFE_TOLD || !statements_passed(pipeline)) {
        return false;
    }
    safe_forget(safe);
    safe->position = safe->marked;
    return true;
}

bool
pipeline_next_safe(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct safe *safe = &pipeline->safe;
    if (!is_followed(pipeline) || (now_us < safe->look_at_us && !pipeline->draining)) {
        return false;
    }
    safe->look_at_us = now_us + SAFE_LOOK_US;
    if (!advance(pipeline)) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_TAIL_SAFE, .position = safe->position};
    return true;
}

uint64_t
pipeline_safe_deadline_us(const struct pipeline *pipeline)
{
    const struct safe *safe = &pipeline->safe;
    const bool news = safe->stage != SAFE_UNMARKED || pipeline->tail.covered > safe->position;
    return is_followed(pipeline) && news ? safe->look_at_us : CLOCK_NEVER_US;
}
