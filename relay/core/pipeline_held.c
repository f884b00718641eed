#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

static void
hold_waiting(struct pipeline *pipeline, struct held_subject subject, int64_t id, uint64_t now_us)
{
    const struct hold hold = {.id = id, .state = HELD_WAITING};
    const struct hold_note note = {.subject = subject, .fresh = true};
    holding_add(pipeline, &hold, &note, now_us);
}

/* Rows that were left in the outbox because of this entry are read again. */
void
pipeline_give_back_floor(struct pipeline *pipeline, struct held_entry *entry)
{
    if (entry->floor_id != CURSOR_NONE) {
        cursor_forget(&pipeline->cursor, entry->floor_id);
        entry->floor_id = CURSOR_NONE;
        fetching_look_at_once(pipeline);
    }
}

static void
drop_followers(struct pipeline *pipeline, const struct held_entry *entry, uint64_t now_us)
{
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        struct queued *queued = queue_at(&pipeline->queue, i);
        const struct row *row = queued->row;
        if (!queue_is_live(queued) || queued->probe || !row->ordered ||
            row->key_hash != entry->subject.value || row->id <= entry->head_id) {
            continue;
        }
        queue_drop(&pipeline->queue, queued);
        hold_waiting(pipeline, entry->subject, row->id, now_us);
    }
}

/* An earlier message of the key becomes its head; the former head waits behind it. */
static void
demote(struct pipeline *pipeline, struct held_entry *entry, uint64_t now_us)
{
    if (entry->stage == HELD_STAGE_RELEASING) {
        pipeline_give_back_floor(pipeline, entry);
        return;
    }
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && queued->probe && queued->row->id == entry->head_id) {
            queue_drop(&pipeline->queue, queued);
        }
    }
    const struct hold hold = {.id = entry->head_id, .state = HELD_WAITING};
    const struct hold_note note = {.subject = entry->subject, .attempts_before = entry->attempts};
    holding_add_head(pipeline, &hold, &note, now_us);
}

/* The wait doubles from retry_initial up to retry_max, less up to a quarter of jitter, so that many keys that failed
 * together do not all come back at once. */
static uint64_t
retry_wait_us(struct pipeline *pipeline, uint32_t tries)
{
    const uint64_t max_us = pipeline->options.retry_max_us;
    uint64_t wait_us = pipeline->options.retry_initial_us;
    for (uint32_t i = 1; i < tries && wait_us < max_us; i++) {
        wait_us *= 2;
    }
    wait_us = wait_us < max_us ? wait_us : max_us;
    return wait_us - random_between(&pipeline->random, 0, wait_us / 4);
}

void
pipeline_bury(struct pipeline *pipeline, struct held_entry *entry, struct hold *hold)
{
    hold->state = HELD_DEAD;
    hold->skipped = pipeline->options.skip_dead;
    held_stage(&pipeline->held, entry,
               pipeline->options.skip_dead ? HELD_STAGE_RELEASING : HELD_STAGE_DEAD);
}

/* The head was refused: it waits for its next attempt, or is dead. */
static void
set_head_aside(struct pipeline *pipeline, struct held_entry *entry, const struct refusal *refusal,
               const struct hold_note *note, uint64_t now_us)
{
    entry->attempts += !refusal->blameless;
    entry->tries++;
    entry->refused_us = now_us;
    struct hold hold = {.id = entry->head_id,
                        .state = HELD_RETRYING,
                        .attempts = entry->attempts,
                        .reason = refusal->reason};
    const uint32_t max = pipeline->options.max_attempts;
    if (!refusal->blameless && max > 0 && entry->attempts >= max) {
        pipeline_bury(pipeline, entry, &hold);
    } else {
        const uint64_t retry_at_us = refusal->retry_at_us > 0
                                         ? refusal->retry_at_us
                                         : now_us + retry_wait_us(pipeline, entry->tries);
        held_retry(&pipeline->held, entry, retry_at_us);
        entry->apart = true;
        hold.retry_after_us = retry_at_us - now_us;
    }
    holding_add_head(pipeline, &hold, note, now_us);
}

static void
lead_with(struct pipeline *pipeline, struct held_entry *entry, const struct window_entry *refused,
          const struct refusal *refusal, uint64_t now_us)
{
    entry->head_id = refused->id;
    entry->limit_id = refused->id;
    entry->attempts = 0;
    entry->tries = 0;
    entry->fresh = true;
    entry->settle_mark = 0;
    const struct hold_note note = {.subject = entry->subject, .fresh = true};
    set_head_aside(pipeline, entry, refusal, &note, now_us);
    if (entry->subject.ordered) {
        drop_followers(pipeline, entry, now_us);
    }
}

static void
refuse_again(struct pipeline *pipeline, struct held_entry *entry, const struct refusal *refusal,
             uint64_t now_us)
{
    const struct hold_note note = {.subject = entry->subject, .attempts_before = entry->attempts};
    set_head_aside(pipeline, entry, refusal, &note, now_us);
}

static void
hold_refused(struct pipeline *pipeline, const struct window_entry *refused,
             const struct refusal *refusal, uint64_t now_us)
{
    const struct held_subject subject =
        held_subject(refused->id, refused->key_hash, refused->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, subject, refused->id, CLOCK_NEVER_US);
        lead_with(pipeline, entry, refused, refusal, now_us);
    } else if (probing_is_head(entry, refused)) {
        refuse_again(pipeline, entry, refusal, now_us);
    } else if (refused->probe) {
        /* An earlier message became the head meanwhile; this one waits already. */
    } else if (refused->id < entry->limit_id) {
        demote(pipeline, entry, now_us);
        lead_with(pipeline, entry, refused, refusal, now_us);
    } else {
        /* It was in flight behind the head. */
        hold_waiting(pipeline, subject, refused->id, now_us);
        entry->more = true;
    }
}

/* The message was in flight when the route was found to be bad. */
static void
leave(struct pipeline *pipeline, const struct window_entry *refused, uint64_t now_us)
{
    if (refused->probe) {
        probing_failed(pipeline, refused->id, refused->key_hash, refused->ordered, now_us);
    } else {
        pipeline_forget(pipeline, refused->id, refused->key_hash, refused->ordered, now_us);
    }
}

/* A held message is not to blame if many others were refused for the same reason, and the broker took no message that
 * was published after this one's last refusal. */
static bool
is_blameless(const struct pipeline *pipeline, const struct window_entry *refused)
{
    const struct held_entry *entry =
        held_find(&pipeline->held, held_subject(refused->id, refused->key_hash, refused->ordered));
    return refused->probe && entry != NULL && route_taken_us(pipeline) <= entry->refused_us;
}

static void
count(struct pipeline_counts *counts, enum refusal_kind kind)
{
    counts->refused++;
    switch (kind) {
    case REFUSED_RETURNED:
        counts->refused_returned++;
        break;
    case REFUSED_NACKED:
        counts->refused_nacked++;
        break;
    case REFUSED_CLOSED:
        counts->refused_closed++;
        break;
    case REFUSED_CUT:
        counts->refused_cut++;
        break;
    case REFUSED_UNPUBLISHABLE:
        counts->refused_unpublishable++;
        break;
    }
}

void
pipeline_refuse(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
                const struct refusal *refusal, uint64_t now_us)
{
    const bool many = route_refused(pipeline, lane, refused, refusal);
    struct refusal fair = *refusal;
    fair.blameless |= refusal->kind == REFUSED_NACKED || (many && is_blameless(pipeline, refused));
    count(&pipeline->counts, refusal->kind);
    if (route_is_resting(pipeline)) {
        leave(pipeline, refused, now_us);
    } else {
        hold_refused(pipeline, refused, &fair, now_us);
    }
}

/* A row that is not to be published: it is scheduled, or its key is held back. A scheduled row whose time has already
 * come goes the same way: only so does it get its place behind the messages written before that time. */
bool
pipeline_set_aside(struct pipeline *pipeline, const struct row *row, uint64_t now_us)
{
    const struct held_subject subject = held_subject(row->id, row->key_hash, row->ordered);
    if (row->scheduled) {
        const struct hold hold = {.id = row->id, .state = HELD_SCHEDULED};
        const struct hold_note note = {.subject = subject, .fresh = true};
        holding_add(pipeline, &hold, &note, now_us);
        return true;
    }
    struct held_entry *entry = row->ordered ? held_find(&pipeline->held, subject) : NULL;
    if (entry == NULL || row->id < entry->limit_id) {
        return false;
    }
    if (entry->stage != HELD_STAGE_RELEASING && !entry->fresh) {
        hold_waiting(pipeline, subject, row->id, now_us);
    } else if (row->id <= entry->floor_id) {
        /* Moving it now would put it behind a release that is under way, or into the held table before its head. It
         * stays in the outbox until the key is open, or the head is in the held table. */
        entry->floor_id = row->id;
    }
    if (entry->floor_id != CURSOR_NONE) {
        safe_forget(pipeline);
    }
    return true;
}
