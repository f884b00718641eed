#include "relay/core/pipeline.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

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
        .quiet_after_us = 60 * CLOCK_S_US,
        .poll_interval_idle_us = CLOCK_S_US,
        .watermark_interval_us = 200 * CLOCK_MS_US,
        .sweep_interval_us = 30 * CLOCK_S_US,
        .wake_interval_us = 20 * CLOCK_MS_US,
        .look_interval_us = 500 * CLOCK_MS_US,
        .look_interval_idle_us = 10 * CLOCK_S_US,
        .rest_after_us = 2 * CLOCK_S_US,
        .hold_delay_us = 50 * CLOCK_MS_US,
        .settle_delay_us = 5 * CLOCK_MS_US,
        .confirm_timeout_us = 30 * CLOCK_S_US,
        .reconnect_initial_us = 100 * CLOCK_MS_US,
        .reconnect_max_us = 10 * CLOCK_S_US,
        .retry_initial_us = CLOCK_S_US,
        .retry_max_us = 300 * CLOCK_S_US,
        .max_attempts = 100,
        .held_max = 10000,
        .tail_patience_us = 30 * CLOCK_S_US,
        .yield_after_us = 5 * CLOCK_S_US,
        .seed = 1,
    };
}

struct pipeline *
pipeline_new(const struct pipeline_options *options, uint64_t now_us)
{
    assert(options->lane_count >= 1 && options->lane_count < PIPELINE_LANES_MAX);
    assert(options->batch_rows >= 1 && options->window_messages >= 1);
    struct pipeline *pipeline = memory_array(1, sizeof(*pipeline));
    pipeline->options = *options;
    random_seed(&pipeline->random, options->seed);
    cursor_init(&pipeline->cursor);
    held_init(&pipeline->held);
    busy_init(&pipeline->busy);
    lanes_init(pipeline, now_us);
    route_init(pipeline);
    tail_init(pipeline);
    /* Table and log are asked only while at most one batch is queued, and each may answer with one more: three batches
     * fit. Held messages come on top. */
    queue_init(&pipeline->queue, 3 * options->batch_rows + PROBES_MAX);
    settling_init(pipeline);
    fetching_init(pipeline);
    publishing_init(pipeline, now_us);
    yielding_lost(pipeline);
    return pipeline;
}

void
pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    lanes_done(pipeline);
    held_clear(&pipeline->held);
    busy_done(&pipeline->busy);
    holding_done(pipeline);
    queue_done(&pipeline->queue);
    settling_done(pipeline);
    releasing_done(pipeline);
    fetching_done(pipeline);
    tail_done(pipeline);
    memory_free(pipeline);
}

void
pipeline_reserve(int64_t **array, size_t *capacity, size_t needed)
{
    if (needed <= *capacity) {
        return;
    }
    int64_t *const larger = memory_array(needed * 2, sizeof(int64_t));
    if (*capacity > 0) {
        memcpy(larger, *array, *capacity * sizeof(int64_t));
    }
    memory_free(*array);
    *array = larger;
    *capacity = needed * 2;
}

bool
pipeline_is_full(const struct pipeline *pipeline)
{
    const size_t held_max = pipeline->options.held_max;
    return pipeline->held.count - pipeline->held.releasing_count >= held_max ||
           settling_is_stuck(pipeline) || holding_is_crowded(pipeline);
}

bool
pipeline_has_company(const struct pipeline *pipeline, int64_t key_hash)
{
    if (busy_has(&pipeline->busy, key_hash)) {
        return true;
    }
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        const struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && queued->row->ordered && queued->row->key_hash == key_hash) {
            return true;
        }
    }
    return false;
}

/* A message in memory was not sent, through no fault of its own. It is left to the table, and a later refused message
 * of its key must not move aside before it. */
void
pipeline_forget(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                uint64_t now_us)
{
    cursor_forget(&pipeline->cursor, id);
    if (ordered) {
        pipeline_take_back_behind(pipeline, id, key_hash, now_us);
    }
}

/* No row of the queue will be published; all are read again later. A fetch that is out was sent when these rows were in
 * memory, so it leaves them out, and its rows would overtake them: the fetch becomes stale. */
void
pipeline_drop_queue(struct pipeline *pipeline, uint64_t now_us)
{
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        struct queued *queued = queue_at(&pipeline->queue, i);
        if (!queue_is_live(queued)) {
            continue;
        }
        const struct row *row = queued->row;
        if (queued->probe) {
            probing_failed(pipeline, row->id, row->key_hash, row->ordered, now_us);
        } else {
            pipeline_forget(pipeline, row->id, row->key_hash, row->ordered, now_us);
        }
        queue_drop(&pipeline->queue, queued);
    }
    fetching_spoil(pipeline);
}

/* The heads of held keys are read before any row. */
void
pipeline_note_activity(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->active_us = now_us;
}

bool
pipeline_is_quiet(const struct pipeline *pipeline, uint64_t for_us, uint64_t now_us)
{
    return now_us > pipeline->active_us && now_us - pipeline->active_us >= for_us &&
           pipeline->held.count == 0;
}

void
pipeline_source_owned(struct pipeline *pipeline, uint64_t now_us)
{
    assert(!pipeline->owned);
    pipeline->owned = true;
    pipeline->active_us = now_us;
    cursor_init(&pipeline->cursor);
    fetching_owned(pipeline, now_us);
    watermark_owned(pipeline, now_us);
    heads_owned(pipeline, now_us);
    waking_owned(pipeline, now_us);
}

/* With the session the ownership ends, and with it all knowledge of rows: after a crash or a failover of the database
 * an id may belong to another message than the one that was published under it. So messages that were in flight, or
 * confirmed and not settled, are read and sent again. Duplicates are harmless; settling by a stale id could lose a
 * message. */
void
pipeline_source_lost(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->owned = false;
    pipeline->lease_until_us = 0;
    pipeline_drop_queue(pipeline, now_us);
    tail_lost(pipeline, now_us);
    lanes_lost(pipeline);
    held_clear(&pipeline->held);
    holding_lost(pipeline);
    releasing_lost(pipeline);
    fetching_lost(pipeline);
    watermark_lost(pipeline);
    heads_lost(pipeline);
    waking_lost(pipeline);
    settling_lost(pipeline);
    yielding_lost(pipeline);
    cuts_clear_all(&pipeline->cuts);
    route_lost(pipeline, now_us);
}

void
pipeline_lease(struct pipeline *pipeline, uint64_t until_us)
{
    if (pipeline->owned && until_us > pipeline->lease_until_us) {
        pipeline->lease_until_us = until_us;
    }
}

bool
pipeline_reaches_broker(const struct pipeline *pipeline)
{
    return lanes_any_ready(pipeline);
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
    ret_counts->limited = publishing_limited_reason(pipeline) != NULL;
    ret_counts->tailing = tail_is_live(pipeline);
    ret_counts->log_read = tail_reached(pipeline);
    ret_counts->queued = pipeline->queue.live;
    ret_counts->in_flight = lanes_in_flight(pipeline);
    ret_counts->unsettled = settling_count(pipeline);
    ret_counts->held = pipeline->held.count;
    ret_counts->lanes_ready = lanes_ready(pipeline);
    ret_counts->blocked = lanes_any_blocked(pipeline);
}

const struct pipeline_latency *
pipeline_latency(const struct pipeline *pipeline)
{
    return &pipeline->latency;
}

void
pipeline_wall(struct pipeline *pipeline, uint64_t ahead_us)
{
    pipeline->wall_ahead_us = ahead_us;
}

enum pipeline_pause
pipeline_pause(const struct pipeline *pipeline)
{
    if (!lanes_any_ready(pipeline)) {
        return PAUSE_NO_BROKER;
    }
    if (lanes_any_blocked(pipeline)) {
        return PAUSE_BLOCKED;
    }
    if (route_is_bad(pipeline)) {
        return PAUSE_DEGRADED;
    }
    if (settling_is_stuck(pipeline)) {
        return PAUSE_UNDELETABLE;
    }
    return pipeline_is_full(pipeline) ? PAUSE_FULL : PAUSE_NONE;
}

static const char *
paused_reason(const struct pipeline *pipeline)
{
    static const char *const reasons[PIPELINE_PAUSES] = {
        [PAUSE_NO_BROKER] = "no connection to the broker",
        [PAUSE_BLOCKED] = "the broker takes no messages (connection.blocked)",
        [PAUSE_UNDELETABLE] =
            "as many messages that went out cannot be deleted as may be (held_max)",
        [PAUSE_FULL] = "as many refused messages are set aside as may be (held_max)",
    };
    const enum pipeline_pause pause = pipeline_pause(pipeline);
    if (pause == PAUSE_NONE) {
        return publishing_limited_reason(pipeline);
    }
    return pause == PAUSE_DEGRADED ? route_reason(pipeline) : reasons[pause];
}

void
pipeline_status(const struct pipeline *pipeline, uint64_t now_us, struct source_status *ret_status)
{
    *ret_status = (struct source_status){
        .in_flight = lanes_in_flight(pipeline),
        .in_flight_for_us = now_us - lanes_oldest_us(pipeline, now_us),
        .read_up_to =
            tail_is_live(pipeline) ? fetching_highest_admitted(pipeline) : pipeline->cursor.high,
        .published_up_to = publishing_highest_id(pipeline),
        .confirmed = pipeline->counts.confirmed,
        .paused_reason = paused_reason(pipeline),
        .tailing = tail_is_live(pipeline),
        .not_tailing_reason = tail_reason(pipeline),
        .swept = pipeline->counts.swept,
    };
}
