#include "relay/core/pipeline_safe.h"

#include "relay/core/pipeline_internal.h"

#define LOOK_US (50 * CLOCK_MS_US) /* between two looks at the mark */

void
safe_lost(struct pipeline *pipeline)
{
    pipeline->safe = (struct safe){0};
}

void
safe_forget(struct pipeline *pipeline)
{
    pipeline->safe.stage = SAFE_UNMARKED;
}

static bool
anything_is_left(const struct pipeline *pipeline)
{
    for (const struct held_entry *entry = pipeline->held.entries; entry != NULL;
         entry = entry->hh.next) {
        if (entry->floor_id != CURSOR_NONE) {
            return true; /* its rows are in the outbox, and in no list */
        }
    }
    return cursor_has_gap(&pipeline->cursor) ||
           (!tail_is_live(pipeline) && !tail_has_caught_up(pipeline));
}

static void
mark(struct pipeline *pipeline)
{
    struct safe *safe = &pipeline->safe;
    const log_position read = tail_covered(pipeline);
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

static bool
advance(struct pipeline *pipeline)
{
    struct safe *safe = &pipeline->safe;
    if (safe->stage != SAFE_UNMARKED && safe->forgotten != pipeline->cursor.forgotten) {
        safe_forget(pipeline);
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
    safe_forget(pipeline);
    safe->position = safe->marked;
    return true;
}

/* True if a mark could move. */
static bool
has_news(const struct pipeline *pipeline)
{
    const struct safe *safe = &pipeline->safe;
    return tail_is_followed(pipeline) &&
           (safe->stage != SAFE_UNMARKED || tail_covered(pipeline) > safe->position);
}

bool
safe_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct safe *safe = &pipeline->safe;
    if (!has_news(pipeline) || (now_us < safe->look_at_us && !pipeline->draining)) {
        return false;
    }
    safe->look_at_us = now_us + LOOK_US;
    if (!advance(pipeline)) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_TAIL_SAFE, .position = safe->position};
    return true;
}

uint64_t
safe_deadline_us(const struct pipeline *pipeline)
{
    return has_news(pipeline) ? pipeline->safe.look_at_us : CLOCK_NEVER_US;
}
