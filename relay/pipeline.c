#include "relay/pipeline.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "relay/memory.h"
#include "relay/pipeline_internal.h"

struct pipeline_options
pipeline_defaults(void)
{
    return (struct pipeline_options){
        .lane_count = 1,
        .window_messages = 8192,
        .window_bytes = UINT64_C(64) << 20,
        .batch_rows = 1000,
        .batch_bytes = UINT64_C(4) << 20,
        .poll_interval_max_us = 100 * CLOCK_MS_US,
        .watermark_interval_us = 200 * CLOCK_MS_US,
        .sweep_interval_us = 30 * CLOCK_S_US,
        .due_interval_us = 250 * CLOCK_MS_US,
        .settle_delay_us = 5 * CLOCK_MS_US,
        .confirm_timeout_us = 30 * CLOCK_S_US,
        .reconnect_initial_us = 100 * CLOCK_MS_US,
        .reconnect_max_us = 10 * CLOCK_S_US,
        .retry_initial_us = CLOCK_S_US,
        .retry_max_us = 300 * CLOCK_S_US,
        .paused_max = 1000,
        .seed = 1,
    };
}

struct pipeline *
pipeline_new(const struct pipeline_options *options, uint64_t now_us)
{
    assert(options->lane_count >= 1 && options->lane_count <= PIPELINE_LANES_MAX);
    assert(options->batch_rows >= 1 && options->window_messages >= 1);
    struct pipeline *pipeline = memory_array(1, sizeof(*pipeline));
    pipeline->options = *options;
    random_seed(&pipeline->random, options->seed);
    cursor_init(&pipeline->cursor);
    paused_init(&pipeline->paused);
    const size_t window_total = (size_t)options->lane_count * options->window_messages;
    for (uint32_t i = 0; i < options->lane_count; i++) {
        struct lane *lane = &pipeline->lanes[i];
        window_init(&lane->window, options->window_messages);
        backoff_init(&lane->backoff, options->reconnect_initial_us, options->reconnect_max_us);
        lane->limit = lane_limit_start(options);
        lane->retry_at_us = now_us;
    }
    /* A fetch goes out while at most a batch is queued, so two batches fit; retries come on top. */
    pipeline->queue_capacity = 2 * options->batch_rows + RETRY_IDS_MAX;
    pipeline->queue = memory_array(pipeline->queue_capacity, sizeof(*pipeline->queue));
    pipeline->settle_capacity = 2 * window_total + SETTLE_IDS_MAX;
    pipeline->settle_ready = memory_array(pipeline->settle_capacity, sizeof(int64_t));
    pipeline->settle_out = memory_array(SETTLE_IDS_MAX, sizeof(int64_t));
    pipeline->poll_interval_us = POLL_INTERVAL_MIN_US;
    return pipeline;
}

void
pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        window_done(&pipeline->lanes[i].window);
    }
    paused_done(&pipeline->paused);
    memory_free(pipeline->queue);
    memory_free(pipeline->settle_ready);
    memory_free(pipeline->settle_out);
    memory_free(pipeline->exclude_ids);
    memory_free(pipeline->exclude_keys);
    memory_free(pipeline);
}

void
pipeline_report(struct pipeline *pipeline, const struct pipeline_report *report)
{
    if (pipeline->report_count == REPORTS_MAX) {
        return; /* a flood of the same news; the counts have them all */
    }
    pipeline->reports[(pipeline->report_head + pipeline->report_count++) % REPORTS_MAX] = *report;
}

struct queued *
pipeline_queue_at(const struct pipeline *pipeline, uint32_t index)
{
    assert(index < pipeline->queue_count);
    return &pipeline->queue[(pipeline->queue_head + index) % pipeline->queue_capacity];
}

uint32_t
pipeline_open_total(const struct pipeline *pipeline)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        open += pipeline->lanes[i].window.open;
    }
    return open;
}

static void
drop_queued(struct pipeline *pipeline, struct queued *queued)
{
    if (!queued->dropped) {
        queued->dropped = true;
        pipeline->queue_dropped++;
    }
}

/* A probe came to nothing through no fault of its message: it is due again at once. */
void
pipeline_probe_failed(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                      uint64_t now_us)
{
    struct paused_entry *entry =
        paused_find(&pipeline->paused, paused_subject(id, key_hash, ordered));
    if (entry != NULL && entry->state == PAUSED_PROBING && entry->head_id == id) {
        paused_wait(&pipeline->paused, entry, now_us);
    }
}

/* An earlier message of a paused key turns out not to have gone: it leads now. */
static void
lead_with(struct pipeline *pipeline, struct paused_entry *entry, int64_t id, uint64_t retry_at_us)
{
    for (uint32_t i = 0; i < pipeline->queue_count; i++) {
        struct queued *queued = pipeline_queue_at(pipeline, i);
        if (queued->probe && queued->row->id == entry->head_id) {
            drop_queued(pipeline, queued);
        }
    }
    entry->head_id = id;
    entry->floor_id = id < entry->floor_id ? id : entry->floor_id;
    paused_wait(&pipeline->paused, entry, retry_at_us);
}

/* A message that was in memory, and through no fault of its own did not go, is left to the table.
 */
void
pipeline_forget(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                uint64_t now_us)
{
    struct paused_entry *entry =
        ordered ? paused_find(&pipeline->paused, paused_subject(id, key_hash, true)) : NULL;
    if (entry == NULL) {
        cursor_forget(&pipeline->cursor, id);
    } else if (id < entry->head_id) {
        lead_with(pipeline, entry, id, now_us);
    } else if (id < entry->floor_id) {
        entry->floor_id = id;
    }
}

/* Nothing of the queue will be published: what stands in it is read again later. A fetch that is
 * out was sent when these rows were in memory and leaves them out, so its rows would overtake them:
 * it has become stale. */
void
pipeline_drop_queue(struct pipeline *pipeline, uint64_t now_us)
{
    for (uint32_t i = 0; i < pipeline->queue_count; i++) {
        struct queued *queued = pipeline_queue_at(pipeline, i);
        if (queued->dropped) {
            continue;
        }
        if (queued->probe) {
            pipeline_probe_failed(pipeline, queued->row->id, queued->row->key_hash,
                                  queued->row->ordered, now_us);
        } else {
            pipeline_forget(pipeline, queued->row->id, queued->row->key_hash, queued->row->ordered,
                            now_us);
        }
        drop_queued(pipeline, queued);
    }
    if (pipeline->fetch_state == FETCH_OUT && pipeline->fetch_kind != FETCH_IDS) {
        pipeline->fetch_state = FETCH_OUT_STALE;
    }
}

static void
drop_key(struct pipeline *pipeline, struct paused_entry *entry)
{
    for (uint32_t i = 0; i < pipeline->queue_count; i++) {
        struct queued *queued = pipeline_queue_at(pipeline, i);
        if (queued->row->ordered && queued->row->key_hash == entry->subject.value &&
            !queued->dropped && !queued->probe) {
            drop_queued(pipeline, queued);
            entry->floor_id = queued->row->id < entry->floor_id ? queued->row->id : entry->floor_id;
        }
    }
}

static void
count_in(struct pipeline *pipeline, const struct queued *queued)
{
    assert(pipeline->queue_count < pipeline->queue_capacity);
    pipeline->queue_count++;
    pipeline->queue_dropped += queued->dropped;
    pipeline->queue_probes += queued->probe;
    pipeline->queue_bytes += queued->row->payload.size;
}

static void
push_back(struct pipeline *pipeline, const struct queued *queued)
{
    const uint32_t tail = (pipeline->queue_head + pipeline->queue_count) % pipeline->queue_capacity;
    count_in(pipeline, queued);
    pipeline->queue[tail] = *queued;
}

/* Probes go first: they are alone of their key, and when too much is paused nothing but a probe may
 * go. */
static void
push_front(struct pipeline *pipeline, const struct queued *queued)
{
    count_in(pipeline, queued);
    pipeline->queue_head =
        (pipeline->queue_head + pipeline->queue_capacity - 1) % pipeline->queue_capacity;
    pipeline->queue[pipeline->queue_head] = *queued;
}

/* Doubling from retry_initial, up to retry_max, with a quarter of jitter so that many keys that
 * failed together do not all come back at once. */
static uint64_t
retry_wait_us(struct pipeline *pipeline, uint32_t attempts)
{
    const uint64_t max_us = pipeline->options.retry_max_us;
    uint64_t wait_us = pipeline->options.retry_initial_us;
    for (uint32_t i = 1; i < attempts && wait_us < max_us; i++) {
        wait_us *= 2;
    }
    wait_us = wait_us < max_us ? wait_us : max_us;
    return wait_us - random_between(&pipeline->random, 0, wait_us / 4);
}

static void
report_refused(struct pipeline *pipeline, const struct paused_entry *entry)
{
    struct pipeline_report report = {
        .type = REPORT_REFUSED,
        .id = entry->head_id,
        .attempts = entry->attempts,
        .retry_at_us = entry->retry_at_us,
    };
    memcpy(report.reason, entry->reason, sizeof(report.reason));
    pipeline_report(pipeline, &report);
}

/* The message was refused: its key waits, and what follows it in memory goes back to the table. */
void
pipeline_refuse(struct pipeline *pipeline, const struct window_entry *refused, const char *reason,
                uint64_t now_us)
{
    pipeline->counts.refused++;
    struct paused *paused = &pipeline->paused;
    const struct paused_subject subject =
        paused_subject(refused->id, refused->key_hash, refused->ordered);
    struct paused_entry *entry = paused_find(paused, subject);
    if (entry == NULL) {
        entry =
            paused_add(paused, subject, refused->id, now_us, now_us + retry_wait_us(pipeline, 1));
    } else if (refused->probe && refused->id == entry->head_id) {
        entry->attempts++;
        paused_wait(paused, entry, now_us + retry_wait_us(pipeline, entry->attempts));
    } else {
        /* It was in flight behind the head, or before it when confirms come out of order: the first
         * one leads. */
        if (refused->id < entry->head_id) {
            lead_with(pipeline, entry, refused->id,
                      now_us + retry_wait_us(pipeline, entry->attempts));
        }
        return;
    }
    (void)snprintf(entry->reason, sizeof(entry->reason), "%s", reason); /* cut is fine */
    if (entry->subject.ordered) {
        drop_key(pipeline, entry);
    }
    report_refused(pipeline, entry);
}

/* The key goes on. What was left behind is read again. A fetch that is out now left the key out: it
 * was sent after the one that brought the head, since only one is out at a time, and thus after the
 * key was paused. So nothing of the key can overtake what was left behind. */
void
pipeline_let_go(struct pipeline *pipeline, const struct paused_entry *entry)
{
    if (entry->subject.ordered) {
        cursor_forget(&pipeline->cursor, entry->floor_id);
    }
    paused_remove(&pipeline->paused, paused_find(&pipeline->paused, entry->subject));
    pipeline->full_reported = false;
    pipeline->poll_at_us = 0;
}

void
pipeline_source_owned(struct pipeline *pipeline, uint64_t now_us)
{
    assert(!pipeline->owned);
    pipeline->owned = true;
    cursor_init(&pipeline->cursor);
    pipeline->highest_admitted = CURSOR_START;
    pipeline->poll_at_us = now_us;
    pipeline->watermark_at_us = now_us;
    pipeline->due_at_us = now_us + pipeline->options.due_interval_us;
    pipeline->sweep_at_us = now_us + pipeline->options.sweep_interval_us;
}

/* Ownership is gone with the session, and with it all that is known of rows: after a crash or a failover of the database an
 * id may belong to another message than the one that was published under it. So what is in flight or confirmed and not
 * settled is read and sent again: duplicates, where settling by a stale id could lose a message. */
void
pipeline_source_lost(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->owned = false;
    pipeline->lease_until_us = 0;
    pipeline_drop_queue(pipeline, now_us);
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        window_abandon(&pipeline->lanes[i].window);
    }
    paused_behead(&pipeline->paused);
    pipeline->fetch_state = FETCH_IDLE;
    pipeline->watermark_out = false;
    pipeline->settle_ready_count = 0;
    pipeline->settle_out_count = 0;
}

void
pipeline_lease(struct pipeline *pipeline, uint64_t until_us)
{
    if (pipeline->owned && until_us > pipeline->lease_until_us) {
        pipeline->lease_until_us = until_us;
    }
}

static void
admit_next(struct pipeline *pipeline, const struct row *row)
{
    const struct paused_subject subject = paused_subject(row->id, row->key_hash, row->ordered);
    struct paused_entry *entry =
        pipeline->paused.count > 0 ? paused_find(&pipeline->paused, subject) : NULL;
    if (entry != NULL && entry->state == PAUSED_HEADLESS) {
        paused_crown(&pipeline->paused, entry, row->id);
    } else if (entry != NULL && row->id < entry->floor_id) {
        entry->floor_id = row->id;
    }
    if (row->id > pipeline->highest_admitted) {
        pipeline->highest_admitted = row->id;
    }
    push_back(pipeline, &(struct queued){.row = row, .dropped = entry != NULL});
}

static void
admit_retry(struct pipeline *pipeline, const struct row *row)
{
    const struct paused_subject subject = paused_subject(row->id, row->key_hash, row->ordered);
    struct paused_entry *entry = paused_find(&pipeline->paused, subject);
    const bool wanted =
        entry != NULL && entry->state == PAUSED_FETCHING && entry->head_id == row->id;
    if (wanted) {
        entry->state = PAUSED_PROBING;
    }
    push_front(pipeline, &(struct queued){.row = row, .probe = true, .dropped = !wanted});
}

/* Paused messages that were looked for and did not come: somebody deleted or postponed them, or gave them another
 * key. */
static void
let_go_of_missing(struct pipeline *pipeline, enum paused_state looked_for)
{
    struct paused_entry *entry;
    struct paused_entry *next;
    HASH_ITER(hh, pipeline->paused.entries, entry, next)
    {
        if (entry->state == looked_for) {
            pipeline_report(pipeline,
                            &(struct pipeline_report){.type = REPORT_GONE, .id = entry->head_id});
            cursor_forget(&pipeline->cursor, entry->floor_id);
            pipeline_let_go(pipeline, entry);
        }
    }
}

static void
count_swept(struct pipeline *pipeline, const struct row *rows, size_t count)
{
    const int64_t seen = pipeline->cursor.sent_without_sweep;
    size_t swept = 0;
    while (seen != CURSOR_NONE && swept < count && rows[swept].id <= seen) {
        swept++;
    }
    if (swept > 0) {
        pipeline->counts.swept += swept;
        pipeline_report(pipeline, &(struct pipeline_report){
                                      .type = REPORT_SWEPT, .count = swept, .id = rows[0].id});
    }
}

/* With work there, look again at once; with none, ever more seldom. */
static void
plan_poll(struct pipeline *pipeline, size_t count, bool complete, uint64_t now_us)
{
    if (count > 0) {
        pipeline->poll_interval_us = POLL_INTERVAL_MIN_US;
    } else {
        pipeline->poll_interval_us *= 2;
        if (pipeline->poll_interval_us > pipeline->options.poll_interval_max_us) {
            pipeline->poll_interval_us = pipeline->options.poll_interval_max_us;
        }
    }
    pipeline->poll_at_us = complete ? now_us + pipeline->poll_interval_us : now_us;
}

/* Nothing new is read while a sweep is under way, so one that takes long is followed by a pause that
 * is longer still. */
static void
plan_sweep(struct pipeline *pipeline, uint64_t now_us)
{
    if (pipeline->sweep_at_us != CLOCK_NEVER_US ||
        pipeline->cursor.sent_without_sweep != CURSOR_NONE) {
        return;
    }
    const uint64_t rest_us = SWEEP_REST * (now_us - pipeline->sweep_begun_us);
    const uint64_t interval_us = pipeline->options.sweep_interval_us;
    pipeline->sweep_at_us = now_us + (rest_us > interval_us ? rest_us : interval_us);
}

static void
rows_next(struct pipeline *pipeline, const struct row *rows, size_t count, bool complete,
          uint64_t now_us)
{
    count_swept(pipeline, rows, count);
    for (size_t i = 0; i < count; i++) {
        admit_next(pipeline, &rows[i]);
    }
    cursor_received(&pipeline->cursor, count, count > 0 ? rows[count - 1].id : 0, complete);
    plan_poll(pipeline, count, complete, now_us);
    plan_sweep(pipeline, now_us);
    if (complete && pipeline->paused.headless_count > 0) {
        let_go_of_missing(pipeline, PAUSED_HEADLESS);
    }
}

static void
rows_retry(struct pipeline *pipeline, const struct row *rows, size_t count, bool complete,
           uint64_t now_us)
{
    for (size_t i = 0; i < count; i++) {
        admit_retry(pipeline, &rows[i]);
    }
    if (complete) {
        let_go_of_missing(pipeline, PAUSED_FETCHING);
    } else {
        paused_rewind(&pipeline->paused, PAUSED_FETCHING, now_us);
    }
}

static void
rows_stale(struct pipeline *pipeline, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        push_back(pipeline, &(struct queued){.row = &rows[i], .dropped = true});
    }
    if (pipeline->fetch_kind == FETCH_NEXT) {
        cursor_unsent(&pipeline->cursor);
    }
    pipeline->poll_at_us = 0;
    pipeline->due_at_us = 0;
}

void
pipeline_rows(struct pipeline *pipeline, const struct row *rows, size_t count, bool complete,
              uint64_t now_us)
{
    assert(pipeline->fetch_state != FETCH_IDLE);
    const bool stale = pipeline->fetch_state == FETCH_OUT_STALE;
    pipeline->fetch_state = FETCH_IDLE;
    if (pipeline->fetch_kind == FETCH_IDS) {
        rows_retry(pipeline, rows, count, complete, now_us);
    } else if (stale) {
        rows_stale(pipeline, rows, count);
    } else if (pipeline->fetch_kind == FETCH_NEXT) {
        rows_next(pipeline, rows, count, complete, now_us);
    } else {
        for (size_t i = 0; i < count; i++) {
            admit_next(pipeline, &rows[i]);
        }
        pipeline->due_at_us = complete ? now_us + pipeline->options.due_interval_us : now_us;
    }
}

void
pipeline_settled(struct pipeline *pipeline, uint64_t now_us)
{
    assert(pipeline->settle_out_count > 0);
    pipeline->counts.settled += pipeline->settle_out_count;
    pipeline->settle_out_count = 0;
    pipeline->settle_since_us = now_us;
}

void
pipeline_final(struct pipeline *pipeline, int64_t id, uint64_t now_us)
{
    pipeline->watermark_out = false;
    pipeline->watermark_at_us = now_us + pipeline->options.watermark_interval_us;
    cursor_final(&pipeline->cursor, id);
}

void
pipeline_drain(struct pipeline *pipeline)
{
    pipeline->draining = true;
}

void
pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret_counts)
{
    *ret_counts = pipeline->counts;
    ret_counts->owned = pipeline->owned;
    ret_counts->queued = pipeline->queue_count - pipeline->queue_dropped;
    ret_counts->in_flight = pipeline_open_total(pipeline);
    ret_counts->unsettled = pipeline->settle_ready_count + pipeline->settle_out_count;
    ret_counts->paused = pipeline->paused.count;
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        ret_counts->lanes_ready += pipeline->lanes[i].state == LANE_READY;
        ret_counts->blocked |= pipeline->lanes[i].blocked;
    }
}
