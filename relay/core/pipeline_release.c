#include "relay/core/pipeline_release.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

#define UNRELEASED_AGAIN_US (100 * CLOCK_MS_US)

void
releasing_done(struct pipeline *pipeline)
{
    memory_free(pipeline->releasing.confirmed);
    memory_free(pipeline->releasing.ids);
}

void
releasing_lost(struct pipeline *pipeline)
{
    struct releasing *releasing = &pipeline->releasing;
    pipeline->counts.repeated_ownership += releasing->confirmed_count;
    pipeline->counts.repeated_ownership +=
        releasing->state == RELEASE_OUT ? releasing->ids_count : 0;
    releasing->confirmed_count = 0;
    releasing->state = RELEASE_IDLE;
}

void
releasing_add(struct pipeline *pipeline, int64_t id)
{
    struct releasing *releasing = &pipeline->releasing;
    pipeline_reserve(&releasing->confirmed, &releasing->confirmed_capacity,
                     releasing->confirmed_count + 1);
    releasing->confirmed[releasing->confirmed_count++] = id;
}

bool
releasing_is_under_way(const struct pipeline *pipeline)
{
    return pipeline->releasing.state != RELEASE_IDLE;
}

bool
releasing_is_owed(const struct pipeline *pipeline)
{
    return pipeline->releasing.confirmed_count > 0 || pipeline->releasing.state == RELEASE_OUT;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

/* Waiting messages move back only as fast as they can be read and sent. Otherwise all would move back, and aside again
 * if the next of the key is refused as well. */
static bool
may_release_keys(const struct pipeline *pipeline)
{
    return pipeline->cursor.floor == CURSOR_NONE &&
           pipeline->queue.live <= pipeline->options.batch_rows && !pipeline->draining;
}

/* Skips keys with unsent changes: a message written to the held table after the release would wait there behind no
 * head. */
static void
collect_releasing(struct pipeline *pipeline, struct release *release)
{
    struct releasing *releasing = &pipeline->releasing;
    const uint64_t told = pipeline->held.changes;
    holding_mark_untold(pipeline);
    release->keys = releasing->keys;
    for (struct held_entry *entry = pipeline->held.entries;
         entry != NULL && releasing->subject_count < RELEASE_KEYS_MAX; entry = entry->hh.next) {
        if (entry->stage != HELD_STAGE_RELEASING || entry->change > told) {
            continue;
        }
        entry->more = false;
        releasing->subjects[releasing->subject_count++] = entry->subject;
        if (entry->subject.ordered) {
            releasing->keys[release->key_count++] = entry->subject.value;
        }
    }
}

static void
collect_confirmed(struct pipeline *pipeline, struct release *release)
{
    struct releasing *releasing = &pipeline->releasing;
    const size_t count = releasing->confirmed_count;
    pipeline_reserve(&releasing->ids, &releasing->ids_capacity, count);
    if (count > 0) {
        memcpy(releasing->ids, releasing->confirmed, count * sizeof(int64_t));
    }
    releasing->confirmed_count = 0;
    releasing->ids_count = count;
    release->ids = releasing->ids;
    release->id_count = count;
}

uint64_t
releasing_deadline_us(const struct pipeline *pipeline)
{
    const struct releasing *releasing = &pipeline->releasing;
    if (!pipeline->owned || releasing->state != RELEASE_IDLE) {
        return CLOCK_NEVER_US;
    }
    if (releasing->confirmed_count > 0) {
        return 0;
    }
    return pipeline->held.releasing_count > 0 && may_release_keys(pipeline) ? releasing->at_us
                                                                            : CLOCK_NEVER_US;
}

bool
releasing_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct releasing *releasing = &pipeline->releasing;
    if (now_us < releasing_deadline_us(pipeline)) {
        return false;
    }
    struct release release = {.rows_max = pipeline->options.batch_rows};
    releasing->subject_count = 0;
    if (pipeline->held.releasing_count > 0 && now_us >= releasing->at_us &&
        may_release_keys(pipeline)) {
        collect_releasing(pipeline, &release);
    }
    collect_confirmed(pipeline, &release);
    if (releasing->subject_count == 0) {
        releasing->at_us = now_us + HOLD_AGAIN_US; /* it walks over all keys, so not at each call */
    }
    if (release.id_count == 0 && releasing->subject_count == 0) {
        return false;
    }
    releasing->sent_change = pipeline->held.changes;
    releasing->state = RELEASE_OUT;
    *ret_action = (struct pipeline_action){.type = PIPELINE_RELEASE, .release = release};
    return true;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

/* NULL: the entry changed since the statement was sent, because another message of the key was refused. */
static struct held_entry *
find_entry(struct pipeline *pipeline, struct held_subject subject)
{
    struct held_entry *entry = held_find(&pipeline->held, subject);
    return entry != NULL && entry->stage == HELD_STAGE_RELEASING &&
                   entry->change <= pipeline->releasing.sent_change
               ? entry
               : NULL;
}

static void
open_key(struct pipeline *pipeline, struct held_entry *entry)
{
    pipeline_give_back_floor(pipeline, entry);
    held_remove(&pipeline->held, entry);
    fetching_key_opened(pipeline);
}

/* No message of the key below limit_id is waiting any more. Rows below it that were left in the outbox are read again,
 * before any later one is. */
static void
raise_limit(struct pipeline *pipeline, struct held_entry *entry, int64_t limit_id)
{
    entry->limit_id = limit_id;
    if (entry->floor_id < limit_id) {
        pipeline_give_back_floor(pipeline, entry);
    }
}

static void
apply_to(struct pipeline *pipeline, struct held_entry *entry)
{
    const struct releasing *releasing = &pipeline->releasing;
    if (!entry->subject.ordered || (releasing->complete && !entry->more)) {
        open_key(pipeline, entry);
    } else if (!releasing->complete && releasing->count > 0 &&
               releasing->last_id >= entry->limit_id) {
        raise_limit(pipeline, entry, releasing->last_id + 1);
    }
}

/* A fetch that is out may have been carried out before the messages moved back, after that, or in parts on both sides
 * of it. Its rows must be judged by what was known when it was sent, so the key opens only when the fetch has come
 * back. */
void
releasing_apply(struct pipeline *pipeline)
{
    struct releasing *releasing = &pipeline->releasing;
    if (releasing->state != RELEASE_ANSWERED || !fetching_is_idle(pipeline)) {
        return;
    }
    releasing->state = RELEASE_IDLE;
    if (releasing->count > 0) {
        cursor_forget(&pipeline->cursor, releasing->first_id);
        tail_table_grew(pipeline);
        fetching_look_at_once(pipeline);
    }
    for (size_t i = 0; i < releasing->subject_count; i++) {
        struct held_entry *entry = find_entry(pipeline, releasing->subjects[i]);
        if (entry != NULL) {
            apply_to(pipeline, entry);
        }
    }
}

/* True if the whole outbox up to this id was read. */
static bool
was_read(const struct pipeline *pipeline, int64_t id)
{
    return !cursor_has_gap(&pipeline->cursor) &&
           (tail_is_live(pipeline) || pipeline->cursor.high >= id || tail_has_caught_up(pipeline));
}

/* A message that cannot move back becomes the head of its key, due at once: it is sent from the held table, and the
 * others follow it. But the messages that moved back before it must be through first: no head may have an earlier
 * message of its key in the outbox. */
static void
lead_from_where_it_is(struct pipeline *pipeline, const struct source_failure *failure,
                      uint64_t now_us)
{
    struct releasing *releasing = &pipeline->releasing;
    struct held_entry *entry =
        find_entry(pipeline, held_subject(failure->id, failure->key_hash, true));
    if (entry == NULL) {
        return;
    }
    if (releasing->state == RELEASE_ANSWERED && releasing->count > 0) {
        /* Rows that moved back before it may be on both sides of the fetch that is out. */
        releasing->at_us = now_us + UNRELEASED_AGAIN_US;
        return;
    }
    raise_limit(pipeline, entry, failure->id);
    if (entry->floor_id < failure->id || !was_read(pipeline, failure->id) ||
        pipeline_has_company(pipeline, failure->key_hash) ||
        !settling_has_passed(pipeline, settling_mark(pipeline))) {
        releasing->at_us = now_us + UNRELEASED_AGAIN_US;
        return;
    }
    const struct hold hold = {.id = failure->id, .state = HELD_RETRYING, .reason = failure->reason};
    const struct hold_note note = {.subject = entry->subject};
    entry->head_id = failure->id;
    entry->limit_id = failure->id;
    entry->attempts = 0;
    entry->tries = 0;
    entry->fresh = false;
    held_retry(&pipeline->held, entry, now_us);
    holding_add_head(pipeline, &hold, &note, now_us);
}

void
pipeline_released(struct pipeline *pipeline, const struct source_released *released,
                  uint64_t now_us)
{
    struct releasing *releasing = &pipeline->releasing;
    assert(releasing->state == RELEASE_OUT);
    releasing->state = RELEASE_ANSWERED;
    releasing->count = released->count;
    releasing->complete = released->complete;
    releasing->first_id = released->first_id;
    releasing->last_id = released->last_id;
    releasing_apply(pipeline);
    if (released->failures.count > 0) {
        lead_from_where_it_is(pipeline, &released->failures.items[0], now_us);
    }
}
