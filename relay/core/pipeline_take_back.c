/* Takes back refusals that the held table does not know of yet: as if the messages had not been tried. */
#include "relay/core/pipeline_internal.h"

struct taking {
    struct pipeline *pipeline;
    const struct held_subject *only; /* NULL: all */
    uint64_t now_us;
};

static bool
is_meant(const struct taking *taking, const struct hold_note *note)
{
    return taking->only == NULL || (taking->only->value == note->subject.value &&
                                    taking->only->ordered == note->subject.ordered);
}

/* The head is not held after all. If other messages of the key are, they move back before the key opens. */
static void
free_key(struct pipeline *pipeline, struct held_entry *entry)
{
    if (entry->in_table) {
        entry->fresh = false;
        held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
    } else {
        held_remove(&pipeline->held, entry);
    }
}

/* Takes back a message that was just refused: it stays in the outbox, as if it had not been tried. */
static bool
take_back_fresh_head(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct taking *taking = context;
    struct pipeline *pipeline = taking->pipeline;
    if (!note->fresh || !holds_a_head(hold) || !is_meant(taking, note)) {
        return false;
    }
    struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (entry != NULL && entry->head_id == hold->id) {
        pipeline_give_back_floor(pipeline, entry);
        free_key(pipeline, entry);
    }
    cursor_forget(&pipeline->cursor, hold->id);
    return true;
}

/* Takes back a change of a held message: it stays as it is in the table. */
static bool
take_back_held(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct taking *taking = context;
    struct pipeline *pipeline = taking->pipeline;
    if (note->fresh || !is_meant(taking, note)) {
        return false;
    }
    struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, note->subject, hold->id, CLOCK_NEVER_US);
    } else if (entry->head_id != hold->id && entry->stage != HELD_STAGE_RELEASING) {
        return false;
    }
    pipeline_give_back_floor(pipeline, entry);
    entry->in_table = true;
    entry->head_id = hold->id;
    entry->limit_id = hold->id;
    entry->attempts = note->attempts_before;
    held_retry(&pipeline->held, entry, taking->now_us);
    return true;
}

/* Takes back a message that waits behind a head that was taken back. */
static bool
take_back_follower(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct taking *taking = context;
    struct pipeline *pipeline = taking->pipeline;
    if (!note->fresh || hold->state != HELD_WAITING || !is_meant(taking, note)) {
        return false;
    }
    const struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (entry != NULL && hold->id >= entry->limit_id) {
        return false;
    }
    cursor_forget(&pipeline->cursor, hold->id);
    return true;
}

/* Order: new heads, then the older heads that they replaced, then the messages behind them. */
static void
take_back(struct taking *taking)
{
    holding_filter(taking->pipeline, take_back_fresh_head, taking);
    holding_filter(taking->pipeline, take_back_held, taking);
    holding_filter(taking->pipeline, take_back_follower, taking);
}

void
pipeline_take_back(struct pipeline *pipeline, uint64_t now_us)
{
    struct taking taking = {.pipeline = pipeline, .now_us = now_us};
    take_back(&taking);
}

/* A message of the key has to be sent again, but a later one of the key was refused and is still in the outbox. It
 * stays there, as a held message must not have an earlier one of its key in the outbox. */
void
pipeline_take_back_behind(struct pipeline *pipeline, int64_t id, int64_t key_hash, uint64_t now_us)
{
    const struct held_subject subject = held_subject(id, key_hash, true);
    const struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry != NULL && entry->fresh && id < entry->head_id) {
        struct taking taking = {.pipeline = pipeline, .only = &subject, .now_us = now_us};
        take_back(&taking);
    }
}
