#include <assert.h>
#include <string.h>

#include "relay/memory.h"
#include "relay/pipeline_internal.h"

typedef bool (*step)(struct pipeline *pipeline, uint64_t now_us,
                     struct pipeline_action *ret_action);

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool
next_report(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    if (pipeline->report_count == 0) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_REPORT,
                                           .report = pipeline->reports[pipeline->report_head]};
    pipeline->report_head = (pipeline->report_head + 1) % REPORTS_MAX;
    pipeline->report_count--;
    return true;
}

static uint64_t
confirm_deadline_us(const struct pipeline *pipeline, const struct lane *lane)
{
    if (lane->state != LANE_READY || lane->window.open == 0 || lane->blocked) {
        return CLOCK_NEVER_US;
    }
    return lane->progress_us + pipeline->options.confirm_timeout_us;
}

static bool
lane_action(struct pipeline *pipeline, uint32_t index, uint64_t now_us,
            struct pipeline_action *ret_action)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->state == LANE_DOWN && now_us >= lane->retry_at_us) {
        lane->state = LANE_CONNECTING;
        *ret_action = (struct pipeline_action){.type = PIPELINE_CONNECT, .lane = index};
        return true;
    }
    if (lane->state == LANE_CONNECTED && now_us >= lane->retry_at_us) {
        lane->state = LANE_OPENING;
        *ret_action = (struct pipeline_action){.type = PIPELINE_OPEN_CHANNEL, .lane = index};
        return true;
    }
    if (now_us >= confirm_deadline_us(pipeline, lane)) {
        pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_TIMEOUT,
                                                            .lane = index,
                                                            .count = lane->window.open});
        lane_down(pipeline, lane, now_us);
        *ret_action = (struct pipeline_action){.type = PIPELINE_DISCONNECT, .lane = index};
        return true;
    }
    return false;
}

static bool
next_lane(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (pipeline->drained) {
        return false;
    }
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (lane_action(pipeline, i, now_us, ret_action)) {
            return true;
        }
    }
    return false;
}

static bool
any_lane_blocked(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].blocked) {
            return true;
        }
    }
    return false;
}

static bool
any_lane_ready(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].state == LANE_READY) {
            return true;
        }
    }
    return false;
}

static bool
settle_is_due(const struct pipeline *pipeline, uint64_t now_us)
{
    if (!pipeline->owned || pipeline->settle_out_count > 0 || pipeline->settle_ready_count == 0) {
        return false;
    }
    return pipeline->settle_ready_count >= pipeline->options.batch_rows || pipeline->draining ||
           now_us >= pipeline->settle_since_us + pipeline->options.settle_delay_us;
}

static bool
next_settle(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (!settle_is_due(pipeline, now_us)) {
        return false;
    }
    size_t count = pipeline->settle_ready_count;
    count = count < SETTLE_IDS_MAX ? count : SETTLE_IDS_MAX;
    memcpy(pipeline->settle_out, pipeline->settle_ready, count * sizeof(int64_t));
    pipeline->settle_out_count = count;
    pipeline->settle_ready_count -= count;
    memmove(pipeline->settle_ready, pipeline->settle_ready + count,
            pipeline->settle_ready_count * sizeof(int64_t));
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_SETTLE, .ids = pipeline->settle_out, .count = pipeline->settle_out_count};
    return true;
}

static struct queued
pop(struct pipeline *pipeline)
{
    struct queued queued = *pipeline_queue_at(pipeline, 0);
    pipeline->queue_head = (pipeline->queue_head + 1) % pipeline->queue_capacity;
    pipeline->queue_count--;
    pipeline->queue_dropped -= queued.dropped;
    pipeline->queue_probes -= queued.probe;
    assert(pipeline->queue_bytes >= queued.row->payload.size);
    pipeline->queue_bytes -= queued.row->payload.size;
    return queued;
}

/* A key always has the same lane; a message without one takes the lane with the least in flight. */
static struct lane *
choose_lane(struct pipeline *pipeline, const struct row *row)
{
    const uint32_t lane_count = pipeline->options.lane_count;
    if (row->ordered) {
        return &pipeline->lanes[(uint64_t)row->key_hash % lane_count];
    }
    struct lane *best = &pipeline->lanes[0];
    for (uint32_t i = 1; i < lane_count; i++) {
        struct lane *lane = &pipeline->lanes[i];
        const bool better_state = lane->state == LANE_READY && best->state != LANE_READY;
        if (better_state || (lane->state == best->state && lane->window.open < best->window.open)) {
            best = lane;
        }
    }
    return best;
}

static bool
is_full(const struct pipeline *pipeline)
{
    return pipeline->paused.count - pipeline->paused.headless_count >= pipeline->options.paused_max;
}

static bool
may_publish(const struct pipeline *pipeline, bool probe, uint64_t now_us)
{
    const size_t unsettled =
        pipeline->settle_ready_count + pipeline->settle_out_count + pipeline_open_total(pipeline);
    return pipeline->owned && now_us < pipeline->lease_until_us &&
           unsettled < pipeline->settle_capacity && (probe || !is_full(pipeline));
}

static bool
release(struct pipeline *pipeline, struct pipeline_action *ret_action)
{
    const struct queued queued = pop(pipeline);
    *ret_action = (struct pipeline_action){.type = PIPELINE_RELEASE, .row = queued.row};
    return true;
}

static bool
next_publish(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    assert(pipeline->publishing == NULL);
    if (pipeline->queue_count == 0) {
        return false;
    }
    const struct queued *head = pipeline_queue_at(pipeline, 0);
    if (head->dropped) {
        return release(pipeline, ret_action);
    }
    struct lane *lane = choose_lane(pipeline, head->row);
    const uint32_t bytes = (uint32_t)head->row->payload.size;
    if (!may_publish(pipeline, head->probe, now_us) ||
        !lane_has_room(lane, &pipeline->options, bytes)) {
        return false;
    }
    const struct queued queued = pop(pipeline);
    pipeline->publishing = queued.row;
    pipeline->publishing_lane = lane;
    pipeline->publishing_probe = queued.probe;
    pipeline->publishing_us = now_us;
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_PUBLISH, .row = queued.row, .lane = (uint32_t)(lane - pipeline->lanes)};
    return true;
}

static struct window_entry
publishing_entry(const struct pipeline *pipeline)
{
    return (struct window_entry){
        .id = pipeline->publishing->id,
        .key_hash = pipeline->publishing->key_hash,
        .bytes = (uint32_t)pipeline->publishing->payload.size,
        .ordered = pipeline->publishing->ordered,
        .probe = pipeline->publishing_probe,
    };
}

void
pipeline_published(struct pipeline *pipeline)
{
    assert(pipeline->publishing != NULL);
    struct lane *lane = pipeline->publishing_lane;
    if (lane->window.open == 0) {
        lane->progress_us = pipeline->publishing_us;
    }
    const struct window_entry entry = publishing_entry(pipeline);
    window_push(&lane->window, &entry);
    pipeline->counts.published++;
    pipeline->publishing = NULL;
}

void
pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us)
{
    assert(pipeline->publishing != NULL);
    const struct window_entry entry = publishing_entry(pipeline);
    pipeline->publishing = NULL;
    pipeline_refuse(pipeline, &entry, reason, now_us);
}

static void
reserve(int64_t **array, size_t *capacity, size_t needed)
{
    if (needed > *capacity) {
        memory_free(*array);
        *capacity = needed * 2;
        *array = memory_array(*capacity, sizeof(int64_t));
    }
}

static void
exclude(struct pipeline *pipeline, struct fetch *fetch, int64_t id)
{
    if (id > fetch->after_id) {
        pipeline->exclude_ids[fetch->id_count++] = id;
    }
}

/* What is in memory, and unordered messages that are paused. Not what is being settled: that was asked
 * first, so the fetch will not see it. */
static void
exclude_ids(struct pipeline *pipeline, struct fetch *fetch)
{
    reserve(&pipeline->exclude_ids, &pipeline->exclude_ids_capacity,
            pipeline->queue_count + pipeline_open_total(pipeline) + pipeline->settle_ready_count +
                pipeline->paused.count);
    for (uint32_t i = 0; i < pipeline->queue_count; i++) {
        const struct queued *queued = pipeline_queue_at(pipeline, i);
        if (!queued->dropped) {
            exclude(pipeline, fetch, queued->row->id);
        }
    }
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        const struct window *window = &pipeline->lanes[i].window;
        for (uint64_t tag = window->low; tag < window->next; tag++) {
            const struct window_entry *entry = window_at(window, tag);
            if (entry->pending && !entry->returned && !entry->abandoned) {
                exclude(pipeline, fetch, entry->id);
            }
        }
    }
    for (size_t i = 0; i < pipeline->settle_ready_count; i++) {
        exclude(pipeline, fetch, pipeline->settle_ready[i]);
    }
    const struct paused_entry *entry;
    for (entry = pipeline->paused.entries; entry != NULL; entry = entry->hh.next) {
        if (!entry->subject.ordered && entry->state != PAUSED_HEADLESS) {
            exclude(pipeline, fetch, entry->head_id);
        }
    }
    fetch->ids = pipeline->exclude_ids;
}

static void
exclude_keys(struct pipeline *pipeline, struct fetch *fetch)
{
    reserve(&pipeline->exclude_keys, &pipeline->exclude_keys_capacity,
            pipeline->paused.ordered_count);
    const struct paused_entry *entry;
    for (entry = pipeline->paused.entries; entry != NULL; entry = entry->hh.next) {
        if (entry->subject.ordered && entry->state != PAUSED_HEADLESS) {
            pipeline->exclude_keys[fetch->key_count++] = entry->subject.value;
        }
    }
    fetch->keys = pipeline->exclude_keys;
}

static bool
send_fetch(struct pipeline *pipeline, struct fetch *fetch, struct pipeline_action *ret_action)
{
    fetch->rows_max = pipeline->options.batch_rows;
    fetch->bytes_max = pipeline->options.batch_bytes;
    pipeline->fetch_state = FETCH_OUT;
    pipeline->fetch_kind = fetch->kind;
    *ret_action = (struct pipeline_action){.type = PIPELINE_FETCH, .fetch = *fetch};
    return true;
}

static bool
fetch_retries(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    reserve(&pipeline->exclude_ids, &pipeline->exclude_ids_capacity, RETRY_IDS_MAX);
    const size_t count =
        paused_due(&pipeline->paused, now_us, pipeline->exclude_ids, RETRY_IDS_MAX);
    if (count == 0) {
        return false;
    }
    struct fetch fetch = {.kind = FETCH_IDS, .ids = pipeline->exclude_ids, .id_count = count};
    return send_fetch(pipeline, &fetch, ret_action);
}

/* Only of what the regular look is past. What is ahead of it comes with it, behind the messages of
 * the key that were written before. */
static bool
fetch_due(struct pipeline *pipeline, struct pipeline_action *ret_action)
{
    struct fetch fetch = {
        .kind = FETCH_DUE, .after_id = CURSOR_START, .up_to_id = cursor_after(&pipeline->cursor)};
    exclude_ids(pipeline, &fetch);
    exclude_keys(pipeline, &fetch);
    return send_fetch(pipeline, &fetch, ret_action);
}

static bool
fetch_rows(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us >= pipeline->sweep_at_us) {
        cursor_sweep(&pipeline->cursor);
        pipeline->sweep_begun_us = now_us;
        pipeline->sweep_at_us = CLOCK_NEVER_US; /* set when this one is over */
    }
    struct fetch fetch = {.kind = FETCH_NEXT, .after_id = cursor_after(&pipeline->cursor)};
    if (fetch.after_id < pipeline->highest_admitted) {
        exclude_ids(pipeline, &fetch);
    }
    exclude_keys(pipeline, &fetch);
    cursor_sent(&pipeline->cursor);
    return send_fetch(pipeline, &fetch, ret_action);
}

static bool
may_fetch(const struct pipeline *pipeline)
{
    return pipeline->owned && !pipeline->draining && pipeline->fetch_state == FETCH_IDLE &&
           any_lane_ready(pipeline) && !any_lane_blocked(pipeline);
}

static bool
may_fetch_retries(const struct pipeline *pipeline)
{
    return may_fetch(pipeline) && pipeline->queue_probes == 0;
}

static bool
may_fetch_rows(const struct pipeline *pipeline)
{
    return may_fetch(pipeline) && !is_full(pipeline) &&
           pipeline->queue_count <= pipeline->options.batch_rows &&
           pipeline->queue_bytes <= pipeline->options.batch_bytes;
}

static void
report_full(struct pipeline *pipeline)
{
    if (!pipeline->full_reported) {
        pipeline->full_reported = true;
        pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_FULL,
                                                            .count = pipeline->paused.count});
    }
}

static bool
next_fetch(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (may_fetch_retries(pipeline) && fetch_retries(pipeline, now_us, ret_action)) {
        return true;
    }
    if (is_full(pipeline)) {
        report_full(pipeline);
    }
    if (!may_fetch_rows(pipeline)) {
        return false;
    }
    if (now_us >= pipeline->due_at_us) {
        return fetch_due(pipeline, ret_action);
    }
    return now_us >= pipeline->poll_at_us && fetch_rows(pipeline, now_us, ret_action);
}

/* Only while there are ids that may still come late; an idle table is left alone. */
static bool
wants_watermark(const struct pipeline *pipeline)
{
    const struct cursor *cursor = &pipeline->cursor;
    return pipeline->owned && !pipeline->draining && !pipeline->watermark_out &&
           any_lane_ready(pipeline) && !any_lane_blocked(pipeline) &&
           (cursor->high > cursor->final_known || cursor->final_known == CURSOR_START);
}

static bool
next_watermark(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (!wants_watermark(pipeline) || now_us < pipeline->watermark_at_us) {
        return false;
    }
    pipeline->watermark_out = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_WATERMARK};
    return true;
}

static bool
next_drained(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (!pipeline->draining || pipeline->drained) {
        return false;
    }
    if (pipeline->queue_count > pipeline->queue_dropped) {
        pipeline_drop_queue(pipeline, now_us);
        return next_publish(pipeline, now_us, ret_action);
    }
    if (pipeline_open_total(pipeline) > 0 || pipeline->settle_ready_count > 0 ||
        pipeline->settle_out_count > 0 || pipeline->fetch_state != FETCH_IDLE ||
        pipeline->queue_count > 0) {
        return false;
    }
    pipeline->drained = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_DRAINED};
    return true;
}

bool
pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    static const step steps[] = {next_report, next_lane,    next_drained,  next_settle,
                                 next_fetch,  next_publish, next_watermark};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](pipeline, now_us, ret_action)) {
            return true;
        }
    }
    return false;
}

static uint64_t
lane_deadline_us(const struct pipeline *pipeline, const struct lane *lane)
{
    if (lane->state == LANE_DOWN || lane->state == LANE_CONNECTED) {
        return lane->retry_at_us;
    }
    return confirm_deadline_us(pipeline, lane);
}

static uint64_t
source_deadline_us(const struct pipeline *pipeline)
{
    uint64_t deadline_us = CLOCK_NEVER_US;
    if (pipeline->settle_ready_count > 0 && pipeline->settle_out_count == 0) {
        deadline_us = pipeline->settle_since_us + pipeline->options.settle_delay_us;
    }
    if (may_fetch_retries(pipeline)) {
        deadline_us = earlier(deadline_us, pipeline->paused.next_retry_us);
    }
    if (may_fetch_rows(pipeline)) {
        deadline_us = earlier(deadline_us, earlier(pipeline->poll_at_us, pipeline->due_at_us));
    }
    if (wants_watermark(pipeline)) {
        deadline_us = earlier(deadline_us, pipeline->watermark_at_us);
    }
    return deadline_us;
}

uint64_t
pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us)
{
    uint64_t deadline_us = CLOCK_NEVER_US;
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        deadline_us = earlier(deadline_us, lane_deadline_us(pipeline, &pipeline->lanes[i]));
    }
    if (pipeline->owned) {
        deadline_us = earlier(deadline_us, source_deadline_us(pipeline));
    }
    return deadline_us > now_us ? deadline_us : now_us;
}
