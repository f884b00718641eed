#include "relay/core/pipeline_fetch.h"

#include <assert.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

#define POLL_INTERVAL_MIN_US CLOCK_MS_US
#define SWEEP_REST 10 /* pause after a sweep: so many times its duration */

static uint32_t
at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void
fetching_init(struct pipeline *pipeline)
{
    pipeline->fetching.poll_interval_us = POLL_INTERVAL_MIN_US;
}

void
fetching_done(struct pipeline *pipeline)
{
    memory_free(pipeline->fetching.exclude_ids);
}

void
fetching_owned(struct pipeline *pipeline, uint64_t now_us)
{
    struct fetching *fetching = &pipeline->fetching;
    fetching->highest_admitted = CURSOR_START;
    fetching->poll_at_us = now_us;
    fetching->sweep_at_us =
        clock_on_beat_us(now_us, pipeline->options.sweep_interval_us, pipeline->options.phase_us);
}

void
fetching_lost(struct pipeline *pipeline)
{
    pipeline->fetching.state = FETCH_IDLE;
}

bool
fetching_is_idle(const struct pipeline *pipeline)
{
    return pipeline->fetching.state == FETCH_IDLE;
}

bool
fetching_is_allowed(const struct pipeline *pipeline)
{
    return pipeline->owned && heads_are_known(pipeline) && !pipeline->draining &&
           fetching_is_idle(pipeline) && lanes_any_ready(pipeline) && !lanes_any_blocked(pipeline);
}

void
fetching_spoil(struct pipeline *pipeline)
{
    if (!fetching_is_idle(pipeline)) {
        pipeline->fetching.state = FETCH_OUT_STALE;
    }
}

void
fetching_spoil_rows(struct pipeline *pipeline)
{
    if (pipeline->fetching.kind == FETCH_NEXT) {
        fetching_spoil(pipeline);
    }
}

void
fetching_look_at_once(struct pipeline *pipeline)
{
    pipeline->fetching.poll_at_us = 0;
    pipeline->fetching.poll_interval_us = POLL_INTERVAL_MIN_US;
}

void
fetching_key_opened(struct pipeline *pipeline)
{
    pipeline->fetching.full_reported = false;
    fetching_look_at_once(pipeline);
}

int64_t
fetching_highest_admitted(const struct pipeline *pipeline)
{
    return pipeline->fetching.highest_admitted;
}

/* ---- the sweep ------------------------------------------------------------------------------------- */

uint64_t
fetching_sweep_deadline_us(const struct pipeline *pipeline)
{
    return pipeline->fetching.sweep_at_us;
}

void
fetching_plan_sweep(struct pipeline *pipeline, uint64_t at_us)
{
    pipeline->fetching.sweep_at_us = at_us;
}

void
fetching_sweep_begins(struct pipeline *pipeline, uint64_t now_us)
{
    pipeline->fetching.sweep_begun_us = now_us;
}

/* No new rows are read during a sweep, so after a long sweep comes an even longer pause. */
void
fetching_sweep_ends(struct pipeline *pipeline, uint64_t now_us)
{
    struct fetching *fetching = &pipeline->fetching;
    const uint64_t rest_us = SWEEP_REST * (now_us - fetching->sweep_begun_us);
    const uint64_t interval_us = pipeline->options.sweep_interval_us;
    fetching->sweep_at_us = clock_on_beat_us(now_us, rest_us > interval_us ? rest_us : interval_us,
                                             pipeline->options.phase_us);
}

/* ---- what is left out ------------------------------------------------------------------------------ */

void
fetching_each_in_memory(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                        void *context)
{
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        const struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && !queued->probe) {
            visit(context, queued->row->id);
        }
    }
    lanes_each_in_flight(pipeline, visit, context);
    settling_each(pipeline, visit, context);
    holding_each_untold(pipeline, visit, context);
    holding_each_out(pipeline, visit, context);
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
    struct fetching *fetching = &pipeline->fetching;
    pipeline_reserve(&fetching->exclude_ids, &fetching->exclude_capacity,
                     pipeline->queue.count + lanes_in_flight(pipeline) +
                         settling_in_outbox(pipeline) + holding_count(pipeline));
    struct exclusion exclusion = {.ids = fetching->exclude_ids, .fetch = fetch};
    fetching_each_in_memory(pipeline, exclude, &exclusion);
    fetch->ids = fetching->exclude_ids;
}

bool
fetching_send(struct pipeline *pipeline, const struct fetch *fetch, uint64_t now_us,
              struct pipeline_action *ret_action)
{
    struct fetching *fetching = &pipeline->fetching;
    fetching->state = FETCH_OUT;
    fetching->kind = fetch->kind;
    fetching->sweeps = false;
    fetching->sent_us = now_us;
    fetching->sent_change = pipeline->held.changes;
    *ret_action = (struct pipeline_action){.type = PIPELINE_FETCH, .fetch = *fetch};
    ret_action->fetch.bytes_max = pipeline->options.batch_bytes;
    return true;
}

/* Held messages that are due by the clock of the database, except those in memory and those whose next attempt the
 * table does not know yet. */
static bool
fetch_heads(struct pipeline *pipeline, uint32_t rows_max, uint64_t now_us,
            struct pipeline_action *ret_action)
{
    struct fetching *fetching = &pipeline->fetching;
    struct fetch fetch = {.kind = FETCH_HEADS, .after_id = CURSOR_START, .rows_max = rows_max};
    pipeline_reserve(&fetching->exclude_ids, &fetching->exclude_capacity,
                     pipeline->held.count + holding_count(pipeline));
    for (const struct held_entry *entry = pipeline->held.entries; entry != NULL;
         entry = entry->hh.next) {
        if (entry->stage == HELD_STAGE_PROBING || entry->stage == HELD_STAGE_RELEASING ||
            (entry->apart && entry->retry_at_us > now_us)) {
            fetching->exclude_ids[fetch.id_count++] = entry->head_id;
        }
    }
    struct exclusion exclusion = {.ids = fetching->exclude_ids, .fetch = &fetch};
    holding_each_untold(pipeline, exclude, &exclusion);
    fetch.ids = fetching->exclude_ids;
    return fetching_send(pipeline, &fetch, now_us, ret_action);
}

/* Every row of the outbox that is not in memory, from the start, wherever the cursor is. */
static bool
fetch_sweep(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct fetch fetch = {.kind = FETCH_NEXT,
                          .after_id = tail_sweep_after(pipeline),
                          .rows_max = pipeline->options.batch_rows};
    exclude_ids(pipeline, &fetch);
    const bool sent = fetching_send(pipeline, &fetch, now_us, ret_action);
    pipeline->fetching.sweeps = true;
    return sent;
}

static bool
fetch_rows(struct pipeline *pipeline, uint32_t rows_max, uint64_t now_us,
           struct pipeline_action *ret_action)
{
    struct fetching *fetching = &pipeline->fetching;
    if (now_us >= fetching->sweep_at_us && !tail_is_live(pipeline)) {
        cursor_sweep(&pipeline->cursor);
        fetching_sweep_begins(pipeline, now_us);
        fetching->sweep_at_us = CLOCK_NEVER_US; /* set when the sweep ends */
    }
    struct fetch fetch = {
        .kind = FETCH_NEXT, .after_id = cursor_after(&pipeline->cursor), .rows_max = rows_max};
    if (fetch.after_id < fetching->highest_admitted) {
        exclude_ids(pipeline, &fetch);
    }
    cursor_sent(&pipeline->cursor);
    return fetching_send(pipeline, &fetch, now_us, ret_action);
}

/* When held messages may be fetched. */
static uint64_t
held_deadline_us(const struct pipeline *pipeline)
{
    if (!fetching_is_allowed(pipeline) || route_is_bad(pipeline) ||
        !lane_is_free(pipeline, lane_for_probes(pipeline)) || pipeline->queue.probes > 0 ||
        queue_rows(&pipeline->queue) > 2 * pipeline->options.batch_rows) {
        return CLOCK_NEVER_US;
    }
    return probing_deadline_us(pipeline);
}

static bool
has_place_for_rows(const struct pipeline *pipeline)
{
    return !pipeline_is_full(pipeline) &&
           queue_rows(&pipeline->queue) <= pipeline->options.batch_rows &&
           pipeline->queue.bytes <= pipeline->options.batch_bytes;
}

static uint64_t
rows_deadline_us(const struct pipeline *pipeline)
{
    if (!fetching_is_allowed(pipeline) || route_is_bad(pipeline) || !has_place_for_rows(pipeline) ||
        tail_is_live(pipeline)) {
        return CLOCK_NEVER_US;
    }
    return pipeline->fetching.poll_at_us;
}

static void
report_full(struct pipeline *pipeline)
{
    if (pipeline_is_full(pipeline) && !pipeline->fetching.full_reported) {
        pipeline->fetching.full_reported = true;
        reports_put(&pipeline->reports,
                    &(struct pipeline_report){.type = REPORT_FULL, .count = pipeline->held.count});
    }
}

/* The messages that are tried on a bad route: the next ones of the outbox, or held ones if the outbox has none. */
static bool
fetch_sample(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    const uint32_t rows = route_sample_rows(pipeline);
    if (now_us >= route_try_deadline_us(pipeline)) {
        route_try(pipeline);
        return fetch_rows(pipeline, rows, now_us, ret_action);
    }
    return route_tries_heads(pipeline) &&
           fetch_heads(pipeline, at_most(rows, PROBES_MAX), now_us, ret_action);
}

bool
fetching_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    report_full(pipeline);
    if (!fetching_is_allowed(pipeline)) {
        return false;
    }
    if (route_is_bad(pipeline)) {
        return fetch_sample(pipeline, now_us, ret_action);
    }
    const bool heads = now_us >= held_deadline_us(pipeline);
    const bool rows = now_us >= rows_deadline_us(pipeline);
    if (heads && (!rows || pipeline->fetching.kind == FETCH_NEXT)) { /* alternating */
        return fetch_heads(pipeline, PROBES_MAX, now_us, ret_action);
    }
    if (rows) {
        return fetch_rows(pipeline, pipeline->options.batch_rows, now_us, ret_action);
    }
    return has_place_for_rows(pipeline) && tail_sweeps(pipeline) &&
           fetch_sweep(pipeline, now_us, ret_action);
}

uint64_t
fetching_deadline_us(const struct pipeline *pipeline)
{
    const uint64_t table_us =
        clock_earlier_us(held_deadline_us(pipeline), rows_deadline_us(pipeline));
    const uint64_t sample_us =
        fetching_is_allowed(pipeline) ? route_try_deadline_us(pipeline) : CLOCK_NEVER_US;
    return clock_earlier_us(table_us, sample_us);
}

/* ---- what came ------------------------------------------------------------------------------------- */

void
fetching_admit(struct pipeline *pipeline, const struct row *row, uint64_t now_us)
{
    if (row->id > pipeline->fetching.highest_admitted) {
        pipeline->fetching.highest_admitted = row->id;
    }
    const bool aside = pipeline_set_aside(pipeline, row, now_us);
    queue_push(&pipeline->queue, &(struct queued){.row = row, .dropped = aside});
}

/* True if the row was read before and left in the outbox on purpose, until its key is open. */
static bool
was_left(const struct pipeline *pipeline, const struct row *row)
{
    const struct held_entry *entry =
        held_find(&pipeline->held, held_subject(row->id, row->key_hash, row->ordered));
    return entry != NULL && row->id >= entry->floor_id;
}

/* Counts rows up to `seen` that should have been read before. True if there are any. */
static bool
count_swept(struct pipeline *pipeline, const struct batch *batch, int64_t seen)
{
    if (releasing_is_under_way(pipeline)) {
        return false; /* the rows may have moved back since the fetch was sent */
    }
    struct pipeline_report report = {.type = REPORT_SWEPT};
    for (size_t i = 0; i < batch->count && batch->rows[i].id <= seen; i++) {
        if (!was_left(pipeline, &batch->rows[i]) && report.count++ == 0) {
            report.id = batch->rows[i].id;
        }
    }
    pipeline->counts.swept += report.count;
    if (report.count > 0) {
        reports_put(&pipeline->reports, &report);
    }
    return report.count > 0;
}

static uint64_t
longest_wait_us(const struct pipeline *pipeline, uint64_t now_us)
{
    const uint64_t max_us = pipeline->options.poll_interval_max_us;
    const uint64_t idle_us = pipeline->options.poll_interval_idle_us;
    return pipeline_is_quiet(pipeline, pipeline->options.quiet_after_us, now_us) && idle_us > max_us
               ? idle_us
               : max_us;
}

/* If rows came, look again soon; if none, at doubled intervals. */
static void
plan_poll(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us)
{
    struct fetching *fetching = &pipeline->fetching;
    if (batch->count > 0) {
        fetching->poll_interval_us = POLL_INTERVAL_MIN_US;
    } else {
        const uint64_t longest_us = longest_wait_us(pipeline, now_us);
        fetching->poll_interval_us *= 2;
        if (fetching->poll_interval_us > longest_us) {
            fetching->poll_interval_us = longest_us;
        }
    }
    fetching->poll_at_us = batch->complete ? clock_on_beat_us(now_us, fetching->poll_interval_us,
                                                              pipeline->options.phase_us)
                                           : now_us;
}

static void
rows_next(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us)
{
    const size_t count = batch->count;
    const int64_t seen = pipeline->cursor.sent_without_sweep;
    if (seen != CURSOR_NONE) {
        (void)count_swept(pipeline, batch, seen); /* it reports the rows */
    }
    for (size_t i = 0; i < count; i++) {
        fetching_admit(pipeline, &batch->rows[i], now_us);
    }
    cursor_received(&pipeline->cursor, count, count > 0 ? batch->rows[count - 1].id : 0,
                    batch->complete);
    tail_table_read(pipeline, batch->complete);
    plan_poll(pipeline, batch, now_us);
    if (pipeline->fetching.sweep_at_us == CLOCK_NEVER_US &&
        pipeline->cursor.sent_without_sweep == CURSOR_NONE) {
        fetching_sweep_ends(pipeline, now_us);
    }
    route_sample_read(pipeline, batch->complete);
}

/* Gives back the rows from index `first` on. */
static void
drop_rows(struct pipeline *pipeline, const struct batch *batch, size_t first)
{
    for (size_t i = first; i < batch->count; i++) {
        queue_push(&pipeline->queue, &(struct queued){.row = &batch->rows[i], .dropped = true});
    }
}

static void
rows_swept(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us)
{
    const bool missed = count_swept(pipeline, batch, tail_sweep_id(pipeline));
    const size_t swept = tail_swept(pipeline, batch, missed, now_us);
    for (size_t i = 0; i < swept; i++) {
        fetching_admit(pipeline, &batch->rows[i], now_us);
    }
    drop_rows(pipeline, batch, swept);
}

static void
rows_heads(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us)
{
    const struct fetching *fetching = &pipeline->fetching;
    for (size_t i = 0; i < batch->count; i++) {
        const struct row *row = &batch->rows[i];
        const bool probe = probing_admit(pipeline, row, fetching->sent_change, now_us);
        queue_push(&pipeline->queue,
                   &(struct queued){.row = row, .probe = true, .dropped = !probe});
    }
    probing_came(pipeline, batch->complete, fetching->sent_us, now_us);
}

static void
rows_stale(struct pipeline *pipeline, const struct batch *batch)
{
    struct fetching *fetching = &pipeline->fetching;
    drop_rows(pipeline, batch, 0);
    if (fetching->kind == FETCH_NEXT && !fetching->sweeps) {
        cursor_unsent(&pipeline->cursor);
    }
    fetching->poll_at_us = 0;
}

bool
fetching_came(struct pipeline *pipeline, enum fetch_kind kind)
{
    struct fetching *fetching = &pipeline->fetching;
    assert(fetching->state != FETCH_IDLE && fetching->kind == kind);
    const bool good = fetching->state == FETCH_OUT;
    fetching->state = FETCH_IDLE;
    return good;
}

void
pipeline_rows(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us)
{
    const struct fetching *fetching = &pipeline->fetching;
    queue_rewind(&pipeline->queue);
    if (batch->count > 0) {
        pipeline_note_activity(pipeline, now_us);
    }
    if (!fetching_came(pipeline, fetching->kind)) {
        rows_stale(pipeline, batch);
    } else if (fetching->sweeps) {
        rows_swept(pipeline, batch, now_us);
    } else if (fetching->kind == FETCH_NEXT) {
        rows_next(pipeline, batch, now_us);
    } else {
        rows_heads(pipeline, batch, now_us);
    }
    releasing_apply(pipeline);
}
