#include "relay/core/pipeline_hold.h"

#include <assert.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

#define HOLDS_MAX 2000 /* in one statement */

void
holding_done(struct pipeline *pipeline)
{
    holds_done(&pipeline->holding.untold);
    holds_done(&pipeline->holding.out);
}

void
holding_lost(struct pipeline *pipeline)
{
    holds_clear(&pipeline->holding.untold);
    holds_clear(&pipeline->holding.out);
    pipeline->holding.asked = false;
}

static void
add(struct holding *holding, const struct hold *hold, const struct hold_note *note)
{
    struct hold_note numbered = *note;
    numbered.number = ++holding->numbered;
    holds_add(&holding->untold, hold, &numbered);
}

void
holding_add(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
            uint64_t now_us)
{
    struct holding *holding = &pipeline->holding;
    const uint64_t at_us = now_us + pipeline->options.hold_delay_us;
    if (holding->untold.count == 0 || holding->at_us > at_us) {
        holding->at_us = at_us;
        holding->tried = false;
    }
    add(holding, hold, note);
}

void
holding_add_head(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
                 uint64_t now_us)
{
    struct holds *untold = &pipeline->holding.untold;
    for (size_t i = 0; i < untold->count; i++) {
        if (untold->items[i].id == hold->id) {
            holds_replace(untold, i, hold);
            return;
        }
    }
    holding_add(pipeline, hold, note, now_us);
}

void
holding_filter(struct pipeline *pipeline,
               bool (*takes)(void *context, const struct hold *hold, const struct hold_note *note),
               void *context)
{
    holds_filter(&pipeline->holding.untold, takes, context);
}

static bool
is_stuck(void *context, const struct hold *hold, const struct hold_note *note)
{
    (void)context; /* has the shape of a filter */
    (void)hold;
    return note->not_before_us > 0;
}

void
holding_drop_stuck(struct pipeline *pipeline)
{
    holding_filter(pipeline, is_stuck, NULL);
}

bool
holding_is_idle(const struct pipeline *pipeline)
{
    return pipeline->holding.untold.count == 0 && !pipeline->holding.asked;
}

bool
holding_is_crowded(const struct pipeline *pipeline)
{
    return pipeline->holding.untold.count >= (size_t)pipeline->options.held_max + HOLDS_MAX;
}

void
holding_mark_untold(struct pipeline *pipeline)
{
    const struct holds *untold = &pipeline->holding.untold;
    for (size_t i = 0; i < untold->count; i++) {
        struct held_entry *entry = held_find(&pipeline->held, untold->notes[i].subject);
        if (entry != NULL) {
            entry->change = ++pipeline->held.changes;
        }
    }
}

uint64_t
holding_mark(const struct pipeline *pipeline)
{
    return pipeline->holding.numbered;
}

static bool
has_passed(const struct holds *holds, uint64_t mark)
{
    return holds->count == 0 || holds->notes[0].number > mark;
}

bool
holding_has_passed(const struct pipeline *pipeline, uint64_t mark)
{
    return has_passed(&pipeline->holding.untold, mark) && has_passed(&pipeline->holding.out, mark);
}

static void
each(const struct holds *holds, void (*visit)(void *context, int64_t id), void *context)
{
    for (size_t i = 0; i < holds->count; i++) {
        visit(context, holds->items[i].id);
    }
}

void
holding_each_untold(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                    void *context)
{
    each(&pipeline->holding.untold, visit, context);
}

void
holding_each_out(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                 void *context)
{
    each(&pipeline->holding.out, visit, context);
}

size_t
holding_count(const struct pipeline *pipeline)
{
    return pipeline->holding.untold.count + pipeline->holding.out.count;
}

/* ---- telling --------------------------------------------------------------------------------------- */

/* A message moves aside only when the earlier messages of its key are confirmed and deleted. So whatever crashes and
 * when, the held table never has a message with an earlier one of its key in the outbox, and the next owner may try it
 * at once. */
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

struct sending {
    struct pipeline *pipeline;
    uint64_t now_us;
};

static bool
sends(void *context, const struct hold *hold, const struct hold_note *note)
{
    const struct sending *sending = context;
    struct pipeline *pipeline = sending->pipeline;
    if (pipeline->holding.out.count >= HOLDS_MAX || !is_ready(pipeline, note, sending->now_us)) {
        return false;
    }
    holds_add(&pipeline->holding.out, hold, note);
    return true;
}

static void
report_hold(struct pipeline *pipeline, const struct hold *hold, uint64_t now_us)
{
    if (!holds_a_head(hold)) {
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

/* The statement that writes it to the held table is being sent. */
static void
is_sent(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note)
{
    struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (entry == NULL) {
        return;
    }
    entry->in_table = true;
    if (entry->head_id == hold->id) {
        entry->fresh = false;
        if (entry->stage != HELD_STAGE_RELEASING) {
            pipeline_give_back_floor(pipeline, entry);
        }
    }
}

/* When to try again to send the remaining changes. */
static uint64_t
again_us(const struct holds *untold, uint64_t now_us)
{
    uint64_t at_us = CLOCK_NEVER_US;
    for (size_t i = 0; i < untold->count; i++) {
        const uint64_t not_before_us = untold->notes[i].not_before_us;
        at_us = clock_earlier_us(at_us,
                                 not_before_us > now_us ? not_before_us : now_us + HOLD_AGAIN_US);
    }
    return at_us;
}

/* Puts all changes that may be sent now into the statement. */
static void
send(struct pipeline *pipeline, uint64_t now_us)
{
    struct holding *holding = &pipeline->holding;
    struct sending sending = {.pipeline = pipeline, .now_us = now_us};
    holding_filter(pipeline, sends, &sending);
    for (size_t i = 0; i < holding->out.count; i++) {
        report_hold(pipeline, &holding->out.items[i], now_us);
        is_sent(pipeline, &holding->out.items[i], &holding->out.notes[i]);
    }
    holding->tried = true;
    holding->at_us = again_us(&holding->untold, now_us);
}

static bool
is_due(const struct pipeline *pipeline, uint64_t now_us)
{
    const struct holding *holding = &pipeline->holding;
    if (!pipeline->owned || holding->untold.count == 0 || holding->asked ||
        route_is_trying(pipeline)) {
        return false;
    }
    return route_is_resting(pipeline) || pipeline->draining ||
           (holding->untold.count >= HOLDS_MAX && !holding->tried) || now_us >= holding->at_us;
}

bool
holding_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct holding *holding = &pipeline->holding;
    route_judge(pipeline, now_us);
    if (route_is_resting(pipeline)) {
        pipeline_take_back(pipeline, now_us);
    }
    if (!is_due(pipeline, now_us)) {
        return false;
    }
    send(pipeline, now_us);
    if (holding->out.count == 0) {
        return false;
    }
    holding->asked = true;
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_HOLD, .holds = holding->out.items, .count = holding->out.count};
    return true;
}

uint64_t
holding_deadline_us(const struct pipeline *pipeline)
{
    const struct holding *holding = &pipeline->holding;
    if (holding->untold.count == 0 || holding->asked || route_is_trying(pipeline)) {
        return CLOCK_NEVER_US;
    }
    return holding->at_us;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

/* A message that waits behind a head can stay in the outbox: it waits there as well, and is read again when its key
 * opens. */
static bool
leave_in_outbox(struct pipeline *pipeline, struct held_entry *entry, const struct hold *hold,
                const struct hold_note *note)
{
    if (hold->state != HELD_WAITING || !note->fresh || entry == NULL) {
        return false;
    }
    if (hold->id < entry->floor_id) {
        entry->floor_id = hold->id;
    }
    safe_forget(pipeline);
    return true;
}

/* True if a newer change of the message was added while the statement was out: that one counts. */
static bool
is_untold(const struct holds *untold, int64_t id)
{
    for (size_t i = 0; i < untold->count; i++) {
        if (untold->items[i].id == id) {
            return true;
        }
    }
    return false;
}

/* The change is sent again later; until then the key waits, if the message is its head. */
static void
tell_later(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
           uint64_t now_us)
{
    struct holding *holding = &pipeline->holding;
    struct hold_note again = *note;
    again.not_before_us = now_us + STUCK_AGAIN_US;
    struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (pipeline->draining || is_untold(&holding->untold, hold->id) ||
        leave_in_outbox(pipeline, entry, hold, note)) {
        return;
    }
    if (entry != NULL && entry->head_id == hold->id) {
        entry->fresh = note->fresh;
        entry->in_table &= !note->fresh || note->subject.ordered;
        entry->change = ++pipeline->held.changes;
        if (entry->stage == HELD_STAGE_RETRYING) {
            held_retry(&pipeline->held, entry, again.not_before_us);
            entry->apart = true;
        }
    }
    if (holding->untold.count == 0) {
        holding->at_us = again.not_before_us;
    }
    add(holding, hold, &again);
}

static bool
has_failed(const struct source_failures *failures, int64_t id)
{
    for (size_t i = 0; i < failures->count; i++) {
        if (failures->items[i].id == id) {
            return true;
        }
    }
    return false;
}

static void
tell_failed_later(struct pipeline *pipeline, const struct source_failures *failures,
                  uint64_t now_us)
{
    struct holds *out = &pipeline->holding.out;
    if (failures->count == 0) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (has_failed(failures, out->items[i].id)) {
            tell_later(pipeline, &out->items[i], &out->notes[i], now_us);
            memory_free(out->notes[i].reason);
            continue;
        }
        out->items[kept] = out->items[i];
        out->notes[kept++] = out->notes[i];
    }
    out->count = kept;
    reports_put_failures(&pipeline->reports, REPORT_UNMOVED, failures);
}

static void
is_missing(struct pipeline *pipeline, int64_t id)
{
    const struct holds *out = &pipeline->holding.out;
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].id != id) {
            continue;
        }
        if (out->items[i].state == HELD_SCHEDULED) {
            /* Someone may be cancelling the message, and may roll back. */
            cursor_forget(&pipeline->cursor, id);
        }
        struct held_entry *entry = held_find(&pipeline->held, out->notes[i].subject);
        if (entry != NULL && entry->head_id == id && held_leads(entry)) {
            heads_gone(pipeline, entry);
        }
    }
}

/* The table counts the time to the next attempt from when the statement ran, which is later than the decision. */
static void
is_held(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
        uint64_t now_us)
{
    if (hold->state == HELD_SCHEDULED) {
        waking_look_at_once(pipeline, now_us);
    }
    if (hold->state != HELD_RETRYING) {
        return;
    }
    struct held_entry *entry = held_find(&pipeline->held, note->subject);
    if (entry != NULL && entry->stage == HELD_STAGE_RETRYING && entry->head_id == hold->id &&
        entry->apart) {
        entry->retry_at_us = now_us + hold->retry_after_us;
        entry->apart = false;
    }
}

void
pipeline_held(struct pipeline *pipeline, const struct source_held *held, uint64_t now_us)
{
    struct holding *holding = &pipeline->holding;
    assert(holding->asked);
    holding->asked = false;
    tell_failed_later(pipeline, &held->failures, now_us);
    for (size_t i = 0; i < held->missing_count; i++) {
        is_missing(pipeline, held->missing[i]);
    }
    for (size_t i = 0; i < holding->out.count; i++) {
        is_held(pipeline, &holding->out.items[i], &holding->out.notes[i], now_us);
    }
    holds_clear(&holding->out);
}
