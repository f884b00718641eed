#include "relay/core/pipeline_probe.h"

#include "relay/core/pipeline_internal.h"

/* Pause between two fetches, so that one fetch finds several due messages. */
#define REST_US (50 * CLOCK_MS_US)
/* A probe is postponed by this time while an earlier message of its key is still in flight. */
#define POSTPONED_US (50 * CLOCK_MS_US)
/* A head that was expected but not due by the clock of the database is fetched again after this time. */
#define MISSED_US (200 * CLOCK_MS_US)

uint64_t
probing_deadline_us(const struct pipeline *pipeline)
{
    const uint64_t due_us = pipeline->held.next_retry_us;
    const uint64_t rest_until_us = pipeline->probing.rest_until_us;
    return due_us > rest_until_us ? due_us : rest_until_us;
}

bool
probing_is_head(const struct held_entry *entry, const struct window_entry *probe)
{
    return probe->probe && entry->stage == HELD_STAGE_PROBING && probe->id == entry->head_id;
}

void
probing_confirmed(struct pipeline *pipeline, const struct window_entry *probe)
{
    releasing_add(pipeline, probe->id);
    struct held_entry *entry =
        held_find(&pipeline->held, held_subject(probe->id, probe->key_hash, probe->ordered));
    if (entry != NULL && probing_is_head(entry, probe)) {
        reports_put(&pipeline->reports, &(struct pipeline_report){.type = REPORT_SENT,
                                                                  .id = entry->head_id,
                                                                  .attempts = entry->attempts});
        held_stage(&pipeline->held, entry, HELD_STAGE_RELEASING);
    }
}

void
probing_failed(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
               uint64_t now_us)
{
    struct held_entry *entry = held_find(&pipeline->held, held_subject(id, key_hash, ordered));
    if (entry != NULL && entry->stage == HELD_STAGE_PROBING && entry->head_id == id) {
        held_retry(&pipeline->held, entry, now_us);
    }
}

bool
probing_admit(struct pipeline *pipeline, const struct row *row, uint64_t sent_change,
              uint64_t now_us)
{
    const struct held_subject subject = held_subject(row->id, row->key_hash, row->ordered);
    struct held_entry *entry = held_find(&pipeline->held, subject);
    const bool known = entry != NULL;
    if (!known) {
        entry = held_add(&pipeline->held, subject, row->id, CLOCK_NEVER_US);
        entry->in_table = true;
    }
    if (!held_leads(entry) || (known && entry->change > sent_change)) {
        return false; /* the row was read before the entry changed */
    }
    if (entry->stage == HELD_STAGE_DEAD || entry->head_id != row->id) {
        entry->head_id = row->id; /* an operator wants it tried; the next heads bring the details */
        entry->limit_id = row->id;
        entry->attempts = 0;
        entry->tries = 0;
    }
    /* On its separate lane a probe could overtake messages of its key. */
    if (row->ordered && pipeline_has_company(pipeline, row->key_hash)) {
        held_retry(&pipeline->held, entry, now_us + POSTPONED_US);
        entry->apart = true;
        return false;
    }
    held_stage(&pipeline->held, entry, HELD_STAGE_PROBING);
    return true;
}

/* An expected head that did not come is not due by the clock of the database, or was taken away; the next heads will
 * tell. */
void
probing_came(struct pipeline *pipeline, bool complete, uint64_t sent_us, uint64_t now_us)
{
    for (struct held_entry *entry = pipeline->held.entries; complete && entry != NULL;
         entry = entry->hh.next) {
        if (entry->stage == HELD_STAGE_RETRYING && entry->retry_at_us <= sent_us) {
            entry->retry_at_us = now_us + MISSED_US;
            entry->apart = false;
        }
    }
    pipeline->probing.rest_until_us = complete ? now_us + REST_US : now_us;
    held_plan(&pipeline->held);
}
