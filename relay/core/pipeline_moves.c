#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "relay/core/pipeline_internal.h"

/* ---- what was not told yet is taken back ---------------------------------------------------------- */

static bool
is_head_state(const struct hold *hold)
{
    return hold->state == HELD_RETRYING || hold->state == HELD_DEAD;
}

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

/* Its head is not held after all. If others of the key are, they move back before it goes on. */
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

/* A message that was just refused: it stays in the outbox, as if it had not been tried. */
static bool
take_back_fresh_head(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct taking *taking = context;
    struct pipeline *pipeline = taking->pipeline;
    if (!note->fresh || !is_head_state(hold) || !is_meant(taking, note)) {
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

/* One that is held already: it stays as the table has it. */
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

/* One behind a head that was taken back. */
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

/* Heads first, then those they were set before, then those behind them. */
static void
take_back(struct taking *taking)
{
    struct holds *ready = &taking->pipeline->hold_ready;
    holds_filter(ready, take_back_fresh_head, taking);
    holds_filter(ready, take_back_held, taking);
    holds_filter(ready, take_back_follower, taking);
}

void
pipeline_take_back(struct pipeline *pipeline, uint64_t now_us)
{
    struct taking taking = {.pipeline = pipeline, .now_us = now_us};
    if (pipeline->hold_ready.count > 0) {
        take_back(&taking);
    }
}

/* A message of the key has to be sent again. One behind it was refused, and is in the outbox still: it stays there, for a
 * held message must not have an earlier one of its key in the outbox. */
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

/* ---- what is told --------------------------------------------------------------------------------- */

/* A message moves aside only when those of its key that went before it are confirmed and deleted: then the
 * table never has a held message with an earlier one of its key in the outbox, whatever crashes when, and whoever works
 * the outbox next may try it at once. */
static bool
is_ready(struct pipeline *pipeline, const struct hold_note *note, uint64_t now_us)
{
    if (note->not_before_us > now_us) {
        return false;
    }
    struct held_entry *entry =
        note->fresh && note->subject.ordered ? held_find(&pipeline->held, note->subject) : NULL;
    if (entry == NULL || !entry->fresh) {
        return true;
    }
    if (busy_has(&pipeline->busy, note->subject.value)) {
        return false;
    }
    if (entry->settle_mark == 0) {
        entry->settle_mark = settling_mark(pipeline) + 1; /* 0 means something else */
    }
    return settling_has_passed(pipeline, entry->settle_mark - 1);
}

static bool
sends(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct taking *taking = context;
    struct pipeline *pipeline = taking->pipeline;
    if (pipeline->hold_out.count >= HOLDS_MAX || !is_ready(pipeline, note, taking->now_us)) {
        return false;
    }
    holds_add(&pipeline->hold_out, hold, note);
    return true;
}

static void
report_hold(struct pipeline *pipeline, const struct hold *hold, uint64_t now_us)
{
    if (!is_head_state(hold)) {
        return;
    }
    struct pipeline_report report = {
        .type = hold->state == HELD_DEAD ? REPORT_DEAD : REPORT_REFUSED,
        .id = hold->id,
        .attempts = hold->attempts,
        .retry_at_us = now_us + hold->retry_after_us,
    };
    (void)snprintf(report.reason, sizeof(report.reason), "%s",
                   hold->reason == NULL ? "" : hold->reason); /* cut is fine */
    reports_put(&pipeline->reports, &report);
}

/* When to look again at what could not be sent. */
static uint64_t
hold_again_us(const struct pipeline *pipeline, uint64_t now_us)
{
    uint64_t again_us = CLOCK_NEVER_US;
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        const uint64_t not_before_us = pipeline->hold_ready.notes[i].not_before_us;
        again_us = clock_earlier_us(again_us, not_before_us > now_us ? not_before_us
                                                                     : now_us + HOLD_AGAIN_US);
    }
    return again_us;
}

/* Moves what may go now to hold_out. */
static void
send_holds(struct pipeline *pipeline, uint64_t now_us)
{
    struct taking sending = {.pipeline = pipeline, .now_us = now_us};
    holds_filter(&pipeline->hold_ready, sends, &sending);
    for (size_t i = 0; i < pipeline->hold_out.count; i++) {
        struct held_entry *entry = held_find(&pipeline->held, pipeline->hold_out.notes[i].subject);
        report_hold(pipeline, &pipeline->hold_out.items[i], now_us);
        if (entry == NULL) {
            continue;
        }
        entry->in_table = true;
        if (entry->head_id == pipeline->hold_out.items[i].id) {
            entry->fresh = false;
            if (entry->stage != HELD_STAGE_RELEASING) {
                pipeline_give_back_floor(pipeline, entry);
            }
        }
    }
    pipeline->hold_tried = true;
    pipeline->hold_at_us = hold_again_us(pipeline, now_us);
}

static bool
is_stuck(void *context, const struct hold *hold, const struct hold_note *note)
{
    (void)context; /* has the shape of a filter */
    (void)hold;
    return note->not_before_us > 0;
}

void
pipeline_drop_stuck(struct pipeline *pipeline)
{
    holds_filter(&pipeline->hold_ready, is_stuck, NULL);
}

/* Keys of which something is not told yet: the table does not know it. */
static void
mark_unsent(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        struct held_entry *entry =
            held_find(&pipeline->held, pipeline->hold_ready.notes[i].subject);
        if (entry != NULL) {
            entry->change = ++pipeline->held.changes;
        }
    }
}

static bool
hold_is_due(const struct pipeline *pipeline, uint64_t now_us)
{
    const struct holds *ready = &pipeline->hold_ready;
    if (!pipeline->owned || ready->count == 0 || pipeline->hold_out_asked ||
        pipeline->route.state == ROUTE_TRYING) {
        return false;
    }
    return pipeline->route.state == ROUTE_RESTING || pipeline->draining ||
           (ready->count >= HOLDS_MAX && !pipeline->hold_tried) || now_us >= pipeline->hold_at_us;
}

bool
pipeline_next_hold(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    route_judge(pipeline, now_us);
    if (pipeline->route.state == ROUTE_RESTING) {
        pipeline_take_back(pipeline, now_us);
    }
    if (!hold_is_due(pipeline, now_us)) {
        return false;
    }
    send_holds(pipeline, now_us);
    if (pipeline->hold_out.count == 0) {
        return false;
    }
    pipeline->hold_out_asked = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_HOLD,
                                           .holds = pipeline->hold_out.items,
                                           .count = pipeline->hold_out.count};
    return true;
}

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
    mark_unsent(pipeline);
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
    mark_unsent(pipeline); /* the answer will not know of it */
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

uint64_t
pipeline_hold_deadline_us(const struct pipeline *pipeline)
{
    if (pipeline->hold_ready.count == 0 || pipeline->hold_out_asked ||
        pipeline->route.state == ROUTE_TRYING) {
        return CLOCK_NEVER_US;
    }
    return pipeline->hold_at_us;
}
