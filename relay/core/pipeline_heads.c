#include "relay/core/pipeline_heads.h"

#include <assert.h>

#include "relay/core/pipeline_internal.h"

void
heads_owned(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->heads.known = false;
    pipeline->heads.due_us = now_us;
}

void
heads_lost(struct pipeline *pipeline)
{
    pipeline->heads.out = false;
}

bool
heads_are_known(const struct pipeline *pipeline)
{
    return pipeline->heads.known;
}

void
heads_ask_at_once(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->heads.due_us = now_us;
}

uint64_t
heads_deadline_us(const struct pipeline *pipeline)
{
    const struct heads *heads = &pipeline->heads;
    return pipeline->owned && !heads->out && !pipeline->draining ? heads->due_us : CLOCK_NEVER_US;
}

bool
heads_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct heads *heads = &pipeline->heads;
    if (now_us < heads_deadline_us(pipeline)) {
        return false;
    }
    heads->due_us =
        clock_on_beat_us(now_us, pipeline->options.sweep_interval_us, pipeline->options.phase_us);
    heads->out = true;
    heads->sent_change = pipeline->held.changes;
    holding_mark_untold(pipeline); /* the answer will not include those changes */
    *ret_action = (struct pipeline_action){.type = PIPELINE_HEADS};
    return true;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

void
heads_gone(struct pipeline *pipeline, struct held_entry *entry)
{
    reports_put(&pipeline->reports,
                &(struct pipeline_report){.type = REPORT_GONE, .id = entry->head_id});
    held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
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
    pipeline_bury(pipeline, entry, &hold);
    holding_add_head(pipeline, &hold, &note, now_us);
}

static void
take_head(struct pipeline *pipeline, struct held_entry *entry, const struct head *head,
          uint64_t now_us)
{
    entry->head_id = head->id;
    entry->limit_id = head->id;
    entry->attempts = head->attempts;
    entry->in_table = true;
    if (head->orphans) {
        held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
    } else if (head->dead) {
        take_dead(pipeline, entry, now_us);
    } else {
        held_retry(&pipeline->held, entry, now_us + head->retry_in_us);
    }
}

/* The table has two heads of a key: the second one is to wait behind the first. */
static void
take_second_head(struct pipeline *pipeline, const struct held_entry *entry, const struct head *head,
                 uint64_t now_us)
{
    const struct hold hold = {.id = head->id, .state = HELD_WAITING};
    const struct hold_note note = {.subject = entry->subject, .attempts_before = head->attempts};
    holding_add_head(pipeline, &hold, &note, now_us);
}

/* The entry changed after the heads were asked for, or a change of it is not sent yet. */
static bool
is_newer(const struct pipeline *pipeline, const struct held_entry *entry)
{
    return entry->change > pipeline->heads.sent_change;
}

/* The answer cannot be used for some key. */
static void
ask_again(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->heads.due_us =
        clock_earlier_us(pipeline->heads.due_us, now_us + pipeline->options.look_interval_us);
}

/* Messages that were read and not written to the held table yet come before those that wait in it: so the limit must
 * not rise. */
static void
learn_known_head(struct pipeline *pipeline, struct held_entry *entry, const struct head *head,
                 uint64_t now_us)
{
    const int64_t limit_id = entry->limit_id;
    if (head->orphans) {
        heads_gone(pipeline, entry);
    } else if (entry->stage == HELD_STAGE_DEAD && !head->dead) {
        entry->tries = head->attempts; /* an operator brought it back */
    }
    take_head(pipeline, entry, head, now_us);
    if (head->orphans && limit_id < entry->limit_id) {
        entry->limit_id = limit_id;
    }
}

static void
learn_head(struct pipeline *pipeline, const struct head *head, uint64_t now_us)
{
    const struct held_subject subject = held_subject(head->id, head->key_hash, head->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    if (entry == NULL) {
        entry = held_add(&pipeline->held, subject, head->id, CLOCK_NEVER_US);
        entry->tries = head->attempts;
        take_head(pipeline, entry, head, now_us);
    } else if (entry->load == pipeline->heads.load) {
        take_second_head(pipeline, entry, head, now_us);
    } else if (held_leads(entry) && !is_newer(pipeline, entry)) {
        learn_known_head(pipeline, entry, head, now_us);
    } else if (head->orphans || head->id != entry->head_id) {
        ask_again(pipeline, now_us);
    }
    entry->load = pipeline->heads.load;
}

/* The table is the truth, except for entries that changed after it was asked. */
void
pipeline_heads(struct pipeline *pipeline, const struct source_heads *heads, uint64_t now_us)
{
    assert(pipeline->heads.out);
    pipeline->heads.out = false;
    pipeline->heads.known = true;
    pipeline->heads.load++;
    for (size_t i = 0; i < heads->count; i++) {
        learn_head(pipeline, &heads->items[i], now_us);
    }
    for (struct held_entry *entry = pipeline->held.entries; entry != NULL; entry = entry->hh.next) {
        if (entry->load == pipeline->heads.load || !held_leads(entry)) {
            continue;
        }
        if (!is_newer(pipeline, entry)) {
            heads_gone(pipeline, entry);
        } else if (!entry->fresh) {
            ask_again(pipeline, now_us);
        }
    }
}
