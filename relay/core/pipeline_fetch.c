#include "relay/core/pipeline_internal.h"

static uint32_t
at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

bool
pipeline_any_lane_blocked(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].blocked) {
            return true;
        }
    }
    return false;
}

bool
pipeline_any_lane_ready(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].state == LANE_READY) {
            return true;
        }
    }
    return false;
}

void
pipeline_each_in_memory(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                        void *context)
{
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        const struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && !queued->probe) {
            visit(context, queued->row->id);
        }
    }
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        const struct window *window = &pipeline->lanes[i].window;
        for (uint64_t tag = window->low; tag < window->next; tag++) {
            const struct window_entry *entry = window_at(window, tag);
            if (entry->pending && !entry->returned && !entry->abandoned) {
                visit(context, entry->id);
            }
        }
    }
    settling_each(pipeline, visit, context);
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        visit(context, pipeline->hold_ready.items[i].id);
    }
    for (size_t i = 0; i < pipeline->hold_out.count; i++) {
        visit(context, pipeline->hold_out.items[i].id);
    }
}

struct exclusion {
    int64_t *ids;
    struct fetch *fetch;
};

static void
exclude(void *context, int64_t id)
{
    const struct exclusion *exclusion = context;
    if (id > exclusion->fetch->after_id) {
        exclusion->ids[exclusion->fetch->id_count++] = id;
    }
}

static void
exclude_ids(struct pipeline *pipeline, struct fetch *fetch)
{
    pipeline_reserve(&pipeline->exclude_ids, &pipeline->exclude_ids_capacity,
                     pipeline->queue.count + pipeline_open_total(pipeline) +
                         settling_in_outbox(pipeline) + pipeline->hold_ready.count +
                         pipeline->hold_out.count);
    struct exclusion exclusion = {.ids = pipeline->exclude_ids, .fetch = fetch};
    pipeline_each_in_memory(pipeline, exclude, &exclusion);
    fetch->ids = pipeline->exclude_ids;
}

bool
pipeline_send_fetch(struct pipeline *pipeline, const struct fetch *fetch, uint64_t now_us,
                    struct pipeline_action *ret_action)
{
    pipeline->fetch_sweeps = false;
    pipeline->fetch_state = FETCH_OUT;
    pipeline->fetch_kind = fetch->kind;
    pipeline->fetch_sent_us = now_us;
    pipeline->fetch_sent_change = pipeline->held.changes;
    *ret_action = (struct pipeline_action){.type = PIPELINE_FETCH, .fetch = *fetch};
    ret_action->fetch.bytes_max = pipeline->options.batch_bytes;
    return true;
}

/* Held messages that are due by the clock of the database, but for those in memory and those whose next time was not told
 * yet. */
static bool
fetch_heads(struct pipeline *pipeline, uint32_t rows_max, uint64_t now_us,
            struct pipeline_action *ret_action)
{
    struct fetch fetch = {.kind = FETCH_HEADS, .after_id = CURSOR_START, .rows_max = rows_max};
    pipeline_reserve(&pipeline->exclude_ids, &pipeline->exclude_ids_capacity,
                     pipeline->held.count + pipeline->hold_ready.count);
    for (const struct held_entry *entry = pipeline->held.entries; entry != NULL;
         entry = entry->hh.next) {
        if (entry->stage == HELD_STAGE_PROBING || entry->stage == HELD_STAGE_RELEASING ||
            (entry->apart && entry->retry_at_us > now_us)) {
            pipeline->exclude_ids[fetch.id_count++] = entry->head_id;
        }
    }
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        pipeline->exclude_ids[fetch.id_count++] = pipeline->hold_ready.items[i].id;
    }
    fetch.ids = pipeline->exclude_ids;
    return pipeline_send_fetch(pipeline, &fetch, now_us, ret_action);
}

/* Everything in the outbox that is not in memory, from the start, whatever the cursor says. */
static bool
fetch_sweep(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct fetch fetch = {.kind = FETCH_NEXT,
                          .after_id = pipeline->tail.sweep_after,
                          .rows_max = pipeline->options.batch_rows};
    exclude_ids(pipeline, &fetch);
    const bool sent = pipeline_send_fetch(pipeline, &fetch, now_us, ret_action);
    pipeline->fetch_sweeps = true;
    return sent;
}

static bool
fetch_rows(struct pipeline *pipeline, uint32_t rows_max, uint64_t now_us,
           struct pipeline_action *ret_action)
{
    if (now_us >= pipeline->sweep_at_us && !pipeline_is_live(pipeline)) {
        cursor_sweep(&pipeline->cursor);
        pipeline->sweep_begun_us = now_us;
        pipeline->sweep_at_us = CLOCK_NEVER_US; /* set when this one is over */
    }
    struct fetch fetch = {
        .kind = FETCH_NEXT, .after_id = cursor_after(&pipeline->cursor), .rows_max = rows_max};
    if (fetch.after_id < pipeline->highest_admitted) {
        exclude_ids(pipeline, &fetch);
    }
    cursor_sent(&pipeline->cursor);
    return pipeline_send_fetch(pipeline, &fetch, now_us, ret_action);
}

bool
pipeline_may_fetch(const struct pipeline *pipeline)
{
    return pipeline->owned && pipeline->heads_known && !pipeline->draining &&
           pipeline->fetch_state == FETCH_IDLE && pipeline_any_lane_ready(pipeline) &&
           !pipeline_any_lane_blocked(pipeline);
}

uint64_t
pipeline_heads_deadline_us(const struct pipeline *pipeline)
{
    const struct lane *lane = &pipeline->lanes[pipeline->options.lane_count];
    if (!pipeline_may_fetch(pipeline) || route_is_bad(pipeline) || lane->state != LANE_READY ||
        lane->blocked || lane->congested || pipeline->queue.probes > 0 ||
        queue_rows(&pipeline->queue) > 2 * pipeline->options.batch_rows) {
        return CLOCK_NEVER_US;
    }
    const uint64_t due_us = pipeline->held.next_retry_us;
    return due_us > pipeline->probes_rest_until_us ? due_us : pipeline->probes_rest_until_us;
}

static bool
has_place_for_rows(const struct pipeline *pipeline)
{
    return !pipeline_is_full(pipeline) &&
           queue_rows(&pipeline->queue) <= pipeline->options.batch_rows &&
           pipeline->queue.bytes <= pipeline->options.batch_bytes;
}

uint64_t
pipeline_rows_deadline_us(const struct pipeline *pipeline)
{
    if (!pipeline_may_fetch(pipeline) || route_is_bad(pipeline) || !has_place_for_rows(pipeline) ||
        pipeline_is_live(pipeline)) {
        return CLOCK_NEVER_US;
    }
    return pipeline->poll_at_us;
}

static void
report_full(struct pipeline *pipeline)
{
    if (pipeline_is_full(pipeline) && !pipeline->full_reported) {
        pipeline->full_reported = true;
        reports_put(&pipeline->reports,
                    &(struct pipeline_report){.type = REPORT_FULL, .count = pipeline->held.count});
    }
}

/* What is tried on a bad route: the next messages of the outbox, or if there is none, held ones. */
static bool
fetch_sample(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct route *route = &pipeline->route;
    if (route_may_try(pipeline, now_us)) {
        route_try(pipeline);
        return fetch_rows(pipeline, route->sample_rows, now_us, ret_action);
    }
    const struct lane *lane = &pipeline->lanes[pipeline->options.lane_count];
    if (route->state == ROUTE_TRYING && route->sample_short && pipeline->held.count > 0 &&
        !route->sample_heads && lane->state == LANE_READY) {
        route->sample_heads = true;
        return fetch_heads(pipeline, at_most(route->sample_rows, RETRY_IDS_MAX), now_us,
                           ret_action);
    }
    return false;
}

bool
pipeline_next_fetch(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    report_full(pipeline);
    if (!pipeline_may_fetch(pipeline)) {
        return false;
    }
    if (route_is_bad(pipeline)) {
        return fetch_sample(pipeline, now_us, ret_action);
    }
    const bool heads = now_us >= pipeline_heads_deadline_us(pipeline);
    const bool rows = now_us >= pipeline_rows_deadline_us(pipeline);
    if (heads && (!rows || pipeline->fetch_kind == FETCH_NEXT)) { /* in turns */
        return fetch_heads(pipeline, RETRY_IDS_MAX, now_us, ret_action);
    }
    if (rows) {
        return fetch_rows(pipeline, pipeline->options.batch_rows, now_us, ret_action);
    }
    return has_place_for_rows(pipeline) && pipeline_tail_sweeps(pipeline) &&
           fetch_sweep(pipeline, now_us, ret_action);
}
