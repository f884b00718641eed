#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "relay/memory.h"
#include "relay/pipeline_internal.h"

static void
put_hold(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
         uint64_t now_us)
{
    if (pipeline->hold_ready.count == 0) {
        pipeline->hold_at_us = now_us + pipeline->options.hold_delay_us;
    }
    holds_add(&pipeline->hold_ready, hold, note);
}

static void
hold_waiting(struct pipeline *pipeline, struct held_subject subject, int64_t id, uint64_t now_us)
{
    const struct hold hold = {.id = id, .state = HELD_WAITING};
    const struct hold_note note = {.subject = subject, .fresh = true};
    put_hold(pipeline, &hold, &note, now_us);
}

/* A head is told once in a statement: what it was to become before counts no more. */
static void
hold_head(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
          uint64_t now_us)
{
    struct holds *ready = &pipeline->hold_ready;
    for (size_t i = 0; i < ready->count; i++) {
        if (ready->items[i].id == hold->id) {
            holds_replace(ready, i, hold);
            return;
        }
    }
    put_hold(pipeline, hold, note, now_us);
}

/* What was left in the outbox behind a key that was being released is read again. */
static void
give_back_floor(struct pipeline *pipeline, struct held_entry *entry)
{
    if (entry->floor_id != CURSOR_NONE) {
        cursor_forget(&pipeline->cursor, entry->floor_id);
        entry->floor_id = CURSOR_NONE;
        pipeline_look_at_once(pipeline);
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

/* An earlier message of the key leads now; the one that did waits behind it. */
static void
demote(struct pipeline *pipeline, struct held_entry *entry, uint64_t now_us)
{
    if (entry->stage == HELD_STAGE_RELEASING) {
        give_back_floor(pipeline, entry);
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
    hold_head(pipeline, &hold, &note, now_us);
}

/* Doubling from retry_initial, up to retry_max, with a quarter of jitter so that many keys that
 * failed together do not all come back at once. */
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

static void
report_head(struct pipeline *pipeline, enum pipeline_report_type type,
            const struct held_entry *entry, const char *reason)
{
    struct pipeline_report report = {
        .type = type,
        .id = entry->head_id,
        .attempts = entry->attempts,
        .retry_at_us = entry->retry_at_us,
    };
    (void)snprintf(report.reason, sizeof(report.reason), "%s", reason); /* cut is fine */
    pipeline_report(pipeline, &report);
}

static void
bury(struct pipeline *pipeline, struct held_entry *entry, struct hold *hold)
{
    hold->state = HELD_DEAD;
    hold->skipped = pipeline->options.skip_dead;
    held_stage(&pipeline->held, entry,
               pipeline->options.skip_dead ? HELD_STAGE_RELEASING : HELD_STAGE_DEAD);
}

/* The head was refused once more: it waits for its next try, or is dead. */
static void
set_head_aside(struct pipeline *pipeline, struct held_entry *entry, const struct refusal *refusal,
               const struct hold_note *note, uint64_t now_us)
{
    entry->attempts += !refusal->blameless;
    entry->tries++;
    struct hold hold = {.id = entry->head_id,
                        .state = HELD_RETRYING,
                        .attempts = entry->attempts,
                        .reason = refusal->reason};
    const uint32_t max = pipeline->options.max_attempts;
    if (!refusal->blameless && max > 0 && entry->attempts >= max) {
        bury(pipeline, entry, &hold);
        report_head(pipeline, REPORT_DEAD, entry, refusal->reason);
    } else {
        const uint64_t retry_at_us = refusal->retry_at_us > 0
                                         ? refusal->retry_at_us
                                         : now_us + retry_wait_us(pipeline, entry->tries);
        held_retry(&pipeline->held, entry, retry_at_us);
        entry->apart = true;
        hold.retry_after_us = retry_at_us - now_us;
        report_head(pipeline, REPORT_REFUSED, entry, refusal->reason);
    }
    hold_head(pipeline, &hold, note, now_us);
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

static bool
is_head(const struct held_entry *entry, const struct window_entry *refused)
{
    return refused->probe && entry->stage == HELD_STAGE_PROBING && refused->id == entry->head_id;
}

static void
hold_refused(struct pipeline *pipeline, const struct window_entry *refused,
             const struct refusal *refusal, uint64_t now_us)
{
    const struct held_subject subject =
        held_subject(refused->id, refused->key_hash, refused->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, subject, refused->id, now_us);
        lead_with(pipeline, entry, refused, refusal, now_us);
    } else if (is_head(entry, refused)) {
        refuse_again(pipeline, entry, refusal, now_us);
    } else if (refused->probe) {
        /* An earlier message has taken its place: it is waiting already. */
    } else if (refused->id < entry->limit_id) {
        demote(pipeline, entry, now_us);
        lead_with(pipeline, entry, refused, refusal, now_us);
    } else {
        /* It was in flight behind the head. */
        hold_waiting(pipeline, subject, refused->id, now_us);
        entry->more = true;
    }
}

/* It was on its way when the route turned out to be bad. */
static void
leave(struct pipeline *pipeline, const struct window_entry *refused, uint64_t now_us)
{
    if (refused->probe) {
        pipeline_probe_failed(pipeline, refused->id, refused->key_hash, refused->ordered, now_us);
    } else {
        pipeline_forget(pipeline, refused->id, refused->key_hash, refused->ordered, now_us);
    }
}

/* When nearly everything is refused for the same reason the message is not to blame: a held one that is tried again loses
 * no attempt, and if it was one of the stream, the stream pauses. */
void
pipeline_refuse(struct pipeline *pipeline, const struct window_entry *refused,
                const struct refusal *refusal, uint64_t now_us)
{
    const bool nearly_all = route_refused(pipeline, refused, refusal);
    struct refusal fair = *refusal;
    fair.blameless |= nearly_all || refusal->kind == REFUSED_NACKED;
    pipeline->counts.refused++;
    if (pipeline->route.state == ROUTE_RESTING) {
        leave(pipeline, refused, now_us);
        return;
    }
    hold_refused(pipeline, refused, &fair, now_us);
    if (nearly_all && !refused->probe && !route_is_bad(pipeline)) {
        route_degrade(pipeline, refused, refusal, now_us);
    }
}

/* A row of the outbox that is not to be published: it is not due, or its key is held back. */
bool
pipeline_set_aside(struct pipeline *pipeline, const struct row *row, uint64_t now_us)
{
    const struct held_subject subject = held_subject(row->id, row->key_hash, row->ordered);
    if (row->due_in_us > 0) {
        const struct hold hold = {.id = row->id, .state = HELD_SCHEDULED};
        const struct hold_note note = {.subject = subject, .fresh = true};
        put_hold(pipeline, &hold, &note, now_us);
        return true;
    }
    struct held_entry *entry = row->ordered ? held_find(&pipeline->held, subject) : NULL;
    if (entry == NULL || row->id < entry->limit_id) {
        return false;
    }
    if (entry->stage != HELD_STAGE_RELEASING) {
        hold_waiting(pipeline, subject, row->id, now_us);
    } else if (row->id <= entry->floor_id) {
        /* To move it now would put it behind a release that is under way: it stays in the outbox until the
         * key is open. */
        entry->floor_id = row->id;
    }
    return true;
}

/* ---- what was not sent yet is taken back ---------------------------------------------------------- */

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
        give_back_floor(pipeline, entry);
        held_remove(&pipeline->held, entry);
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
        entry = held_add(&pipeline->held, note->subject, hold->id, taking->now_us);
    } else if (entry->head_id != hold->id) {
        return false;
    }
    give_back_floor(pipeline, entry);
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

/* ---- what is sent --------------------------------------------------------------------------------- */

/* A message moves aside only when those of its key that went before it are confirmed, and asked to be deleted: then the
 * table never has a held message with an earlier one of its key in the outbox, whatever crashes when, and whoever works
 * the outbox next may try it at once. */
static bool
is_ready(struct pipeline *pipeline, const struct hold_note *note)
{
    struct held_entry *entry =
        note->fresh && note->subject.ordered ? held_find(&pipeline->held, note->subject) : NULL;
    if (entry == NULL || !entry->fresh) {
        return true;
    }
    if (busy_has(&pipeline->busy, note->subject.value)) {
        return false;
    }
    if (entry->settle_mark == 0) {
        entry->settle_mark = pipeline->settle_asked + 1; /* 0 means something else */
    }
    return pipeline->settle_sent + 1 >= entry->settle_mark;
}

static bool
sends(void *context, const struct hold *hold, const struct hold_note *note)
{
    struct pipeline *pipeline = context;
    if (pipeline->hold_out.count >= HOLDS_MAX || !is_ready(pipeline, note)) {
        return false;
    }
    holds_add(&pipeline->hold_out, hold, note);
    return true;
}

/* Moves what may go now to hold_out. */
void
pipeline_send_holds(struct pipeline *pipeline, uint64_t now_us)
{
    holds_filter(&pipeline->hold_ready, sends, pipeline);
    for (size_t i = 0; i < pipeline->hold_out.count; i++) {
        struct held_entry *entry = held_find(&pipeline->held, pipeline->hold_out.notes[i].subject);
        if (entry != NULL && entry->head_id == pipeline->hold_out.items[i].id) {
            entry->fresh = false;
        }
    }
    pipeline->hold_at_us = now_us + HOLD_AGAIN_US;
}

/* Keys of which something is not told yet: the table does not know it. */
void
pipeline_mark_unsent(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        struct held_entry *entry =
            held_find(&pipeline->held, pipeline->hold_ready.notes[i].subject);
        if (entry != NULL) {
            entry->change = ++pipeline->held.changes;
        }
    }
}

/* ---- what the table answers ----------------------------------------------------------------------- */

static void
head_is_gone(struct pipeline *pipeline, struct held_entry *entry)
{
    pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_GONE, .id = entry->head_id});
    held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
}

static bool
leads_in_table(const struct held_entry *entry)
{
    return entry->stage == HELD_STAGE_RETRYING || entry->stage == HELD_STAGE_DEAD;
}

static void
is_missing(struct pipeline *pipeline, int64_t id)
{
    for (size_t i = 0; i < pipeline->hold_out.count; i++) {
        if (pipeline->hold_out.items[i].id != id) {
            continue;
        }
        struct held_entry *entry = held_find(&pipeline->held, pipeline->hold_out.notes[i].subject);
        if (entry != NULL && entry->head_id == id && leads_in_table(entry)) {
            head_is_gone(pipeline, entry);
        }
    }
}

/* The table counts the time to the next try from when it was told, which is later than when it was decided. */
static void
is_held(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
        uint64_t now_us)
{
    if (hold->state == HELD_SCHEDULED) {
        pipeline->wake_due_us = now_us; /* it tells when the next one is due */
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
pipeline_held(struct pipeline *pipeline, const int64_t *missing, size_t count, uint64_t now_us)
{
    assert(pipeline->hold_out.count > 0);
    for (size_t i = 0; i < count; i++) {
        is_missing(pipeline, missing[i]);
    }
    for (size_t i = 0; i < pipeline->hold_out.count; i++) {
        is_held(pipeline, &pipeline->hold_out.items[i], &pipeline->hold_out.notes[i], now_us);
    }
    holds_clear(&pipeline->hold_out);
}

static void
open_key(struct pipeline *pipeline, struct held_entry *entry)
{
    give_back_floor(pipeline, entry);
    held_remove(&pipeline->held, entry);
    pipeline->full_reported = false;
    pipeline_look_at_once(pipeline);
}

/* Nothing of the key up to there is waiting any more. What was read and left in the outbox below it is read again, before
 * something behind it is. */
static void
raise_limit(struct pipeline *pipeline, struct held_entry *entry, int64_t limit_id)
{
    entry->limit_id = limit_id;
    if (entry->floor_id < limit_id) {
        give_back_floor(pipeline, entry);
    }
}

/* A fetch that is out may have been carried out before the messages moved back, or on both sides of
 * it, and must be judged by what was known when it was sent: only once it has come the key is open. */
void
pipeline_apply_release(struct pipeline *pipeline)
{
    if (pipeline->release_state != RELEASE_ANSWERED || pipeline->fetch_state != FETCH_IDLE) {
        return;
    }
    pipeline->release_state = RELEASE_IDLE;
    const bool complete = pipeline->released_count < pipeline->release_rows_max;
    if (pipeline->released_count > 0) {
        cursor_forget(&pipeline->cursor, pipeline->released_first);
        pipeline_look_at_once(pipeline);
    }
    for (size_t i = 0; i < pipeline->release_subjects_count; i++) {
        struct held_entry *entry = held_find(&pipeline->held, pipeline->release_subjects[i]);
        if (entry == NULL || entry->stage != HELD_STAGE_RELEASING ||
            entry->change > pipeline->release_sent_change) {
            continue; /* another of the key was refused meanwhile */
        }
        if (!entry->subject.ordered || (complete && !entry->more)) {
            open_key(pipeline, entry);
        } else if (!complete && pipeline->released_last >= entry->limit_id) {
            raise_limit(pipeline, entry, pipeline->released_last + 1);
        }
    }
}

void
pipeline_released(struct pipeline *pipeline, size_t count, int64_t first_id, int64_t last_id,
                  uint64_t now_us)
{
    (void)now_us; /* as the other events */
    assert(pipeline->release_state == RELEASE_OUT);
    pipeline->release_state = RELEASE_ANSWERED;
    pipeline->released_count = count;
    pipeline->released_first = first_id;
    pipeline->released_last = last_id;
    pipeline_apply_release(pipeline);
}

static void
take_dead(struct pipeline *pipeline, struct held_entry *entry, uint64_t now_us)
{
    if (!pipeline->options.skip_dead) {
        held_stage(&pipeline->held, entry, HELD_STAGE_DEAD);
        return;
    }
    struct hold hold = {.id = entry->head_id, .attempts = entry->attempts};
    const struct hold_note note = {.subject = entry->subject, .attempts_before = entry->attempts};
    bury(pipeline, entry, &hold);
    hold_head(pipeline, &hold, &note, now_us);
}

static void
take_head(struct pipeline *pipeline, struct held_entry *entry, const struct head *head,
          uint64_t now_us)
{
    entry->head_id = head->id;
    entry->limit_id = head->id;
    entry->attempts = head->attempts;
    if (head->orphans) {
        held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
    } else if (head->dead) {
        take_dead(pipeline, entry, now_us);
    } else {
        held_retry(&pipeline->held, entry, now_us + head->retry_in_us);
    }
}

/* Two heads of a key: the second waits behind the first. */
static void
take_second_head(struct pipeline *pipeline, const struct held_entry *entry, const struct head *head,
                 uint64_t now_us)
{
    const struct hold hold = {.id = head->id, .state = HELD_WAITING};
    const struct hold_note note = {.subject = entry->subject, .attempts_before = head->attempts};
    hold_head(pipeline, &hold, &note, now_us);
}

static void
learn_head(struct pipeline *pipeline, const struct head *head, uint64_t now_us)
{
    const struct held_subject subject = held_subject(head->id, head->key_hash, head->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, subject, head->id, now_us);
        entry->tries = head->attempts;
        take_head(pipeline, entry, head, now_us);
    } else if (entry->load == pipeline->heads_load) {
        take_second_head(pipeline, entry, head, now_us);
    } else if (entry->change <= pipeline->heads_sent_change && leads_in_table(entry)) {
        if (head->orphans) {
            head_is_gone(pipeline, entry);
        } else if (entry->stage == HELD_STAGE_DEAD && !head->dead) {
            entry->tries = head->attempts; /* an operator brought it back */
        }
        take_head(pipeline, entry, head, now_us);
    }
    entry->load = pipeline->heads_load;
}

/* The table is the truth, but for what was decided since it was asked. */
void
pipeline_heads(struct pipeline *pipeline, const struct head *heads, size_t count, uint64_t now_us)
{
    assert(pipeline->heads_out);
    pipeline->heads_out = false;
    pipeline->heads_known = true;
    pipeline->heads_load++;
    for (size_t i = 0; i < count; i++) {
        learn_head(pipeline, &heads[i], now_us);
    }
    for (struct held_entry *entry = pipeline->held.entries; entry != NULL; entry = entry->hh.next) {
        if (entry->load != pipeline->heads_load && leads_in_table(entry) &&
            entry->change <= pipeline->heads_sent_change) {
            head_is_gone(pipeline, entry);
        }
    }
}

void
pipeline_woken(struct pipeline *pipeline, size_t count, uint64_t next_in_us, bool acts,
               uint64_t now_us)
{
    assert(pipeline->wake_out);
    pipeline->wake_out = false;
    pipeline->wake_due_us = next_in_us == CLOCK_NEVER_US ? CLOCK_NEVER_US : now_us + next_in_us;
    pipeline->heads_wanted |= acts;
    if (count > 0) {
        pipeline_look_at_once(pipeline);
    }
}

/* ---- probes --------------------------------------------------------------------------------------- */

void
pipeline_probe_confirmed(struct pipeline *pipeline, const struct window_entry *probe)
{
    pipeline_reserve(&pipeline->confirmed_heads, &pipeline->confirmed_heads_capacity,
                     pipeline->confirmed_heads_count + 1);
    pipeline->confirmed_heads[pipeline->confirmed_heads_count++] = probe->id;
    struct held_entry *entry =
        held_find(&pipeline->held, held_subject(probe->id, probe->key_hash, probe->ordered));
    if (entry != NULL && is_head(entry, probe)) {
        report_head(pipeline, REPORT_SENT, entry, "");
        held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
    }
}

/* A probe came to nothing through no fault of its message: it is due again at once. */
void
pipeline_probe_failed(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                      uint64_t now_us)
{
    struct held_entry *entry = held_find(&pipeline->held, held_subject(id, key_hash, ordered));
    if (entry != NULL && entry->stage == HELD_STAGE_PROBING && entry->head_id == id) {
        held_retry(&pipeline->held, entry, now_us);
    }
}

/* Whether a message of its key is still on its way. A probe has a lane of its own, so it could overtake. */
static bool
has_company(const struct pipeline *pipeline, const struct row *row)
{
    if (!row->ordered) {
        return false;
    }
    if (busy_has(&pipeline->busy, row->key_hash)) {
        return true;
    }
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        const struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && queued->row->ordered &&
            queued->row->key_hash == row->key_hash) {
            return true;
        }
    }
    return false;
}

/* A held message whose time has come was read. False: it is not to be published now. */
bool
pipeline_probe_admitted(struct pipeline *pipeline, const struct row *row, uint64_t now_us)
{
    const struct held_subject subject = held_subject(row->id, row->key_hash, row->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, subject, row->id, now_us);
    }
    if (!leads_in_table(entry)) {
        return false;
    }
    if (entry->stage == HELD_STAGE_DEAD || entry->head_id != row->id) {
        entry->head_id = row->id; /* an operator wants it tried: the heads will tell */
        entry->limit_id = row->id;
        entry->attempts = 0;
        entry->tries = 0;
    }
    if (has_company(pipeline, row)) {
        held_retry(&pipeline->held, entry, now_us + PROBE_POSTPONED_US);
        entry->apart = true;
        return false;
    }
    held_stage(&pipeline->held, entry, HELD_STAGE_PROBING);
    return true;
}

/* All held messages that are due were read. One that was expected and did not come is not due by the clock of the
 * database, or somebody took it away, which the heads will tell. */
void
pipeline_probes_came(struct pipeline *pipeline, bool complete, uint64_t now_us)
{
    for (struct held_entry *entry = pipeline->held.entries; complete && entry != NULL;
         entry = entry->hh.next) {
        if (entry->stage == HELD_STAGE_RETRYING && entry->retry_at_us <= pipeline->fetch_sent_us) {
            entry->retry_at_us = now_us + HEADS_MISSED_US;
            entry->apart = false;
        }
    }
    held_plan(&pipeline->held);
}
