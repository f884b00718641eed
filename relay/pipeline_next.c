#include <assert.h>
#include <stdio.h>
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

static uint32_t
at_most(uint32_t a, uint32_t b)
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

/* The probe lane is there only while something is held. */
static bool
is_wanted(const struct pipeline *pipeline, uint32_t index)
{
    return index < pipeline->options.lane_count || pipeline->held.count > 0;
}

static uint64_t
idle_deadline_us(const struct pipeline *pipeline, uint32_t index)
{
    const struct lane *lane = &pipeline->lanes[index];
    if (is_wanted(pipeline, index) || lane->state != LANE_READY || lane->window.open > 0) {
        return CLOCK_NEVER_US;
    }
    return pipeline->probe_wanted_us + PROBE_LANE_IDLE_US;
}

static bool
lane_action(struct pipeline *pipeline, uint32_t index, uint64_t now_us,
            struct pipeline_action *ret_action)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->state == LANE_DOWN && now_us >= lane->retry_at_us && is_wanted(pipeline, index)) {
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
    if (now_us >= idle_deadline_us(pipeline, index)) {
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
    if (pipeline->held.count > 0) {
        pipeline->probe_wanted_us = now_us;
    }
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
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
    pipeline->settle_sent += count;
    pipeline->settle_ready_count -= count;
    memmove(pipeline->settle_ready, pipeline->settle_ready + count,
            pipeline->settle_ready_count * sizeof(int64_t));
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_SETTLE, .ids = pipeline->settle_out, .count = pipeline->settle_out_count};
    return true;
}

/* ---- what is set aside ---------------------------------------------------------------------------- */

static bool
hold_is_due(const struct pipeline *pipeline, uint64_t now_us)
{
    const struct holds *ready = &pipeline->hold_ready;
    if (!pipeline->owned || ready->count == 0 || pipeline->hold_out.count > 0 ||
        pipeline->route.state == ROUTE_TRYING) {
        return false;
    }
    return pipeline->route.state == ROUTE_RESTING || pipeline->draining ||
           ready->count >= HOLDS_MAX || now_us >= pipeline->hold_at_us;
}

static bool
next_hold(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    route_judge(pipeline, now_us);
    if (pipeline->route.state == ROUTE_RESTING) {
        pipeline_take_back(pipeline, now_us);
    }
    if (!hold_is_due(pipeline, now_us)) {
        return false;
    }
    pipeline_send_holds(pipeline, now_us);
    if (pipeline->hold_out.count == 0) {
        return false;
    }
    *ret_action = (struct pipeline_action){.type = PIPELINE_HOLD,
                                           .holds = pipeline->hold_out.items,
                                           .count = pipeline->hold_out.count};
    return true;
}

/* Those waiting follow their head at the speed at which they can be read and sent, so that not all of them move to and fro
 * when the next of the key is refused as well. */
static bool
may_release_keys(const struct pipeline *pipeline)
{
    return pipeline->cursor.floor == CURSOR_NONE &&
           pipeline->queue.live <= pipeline->options.batch_rows && !pipeline->draining;
}

/* Not those of which something is still to be told: it would come to wait behind nothing. */
static void
collect_releasing(struct pipeline *pipeline, struct release *release)
{
    const uint64_t told = pipeline->held.changes;
    pipeline_mark_unsent(pipeline);
    release->keys = pipeline->release_keys;
    for (struct held_entry *entry = pipeline->held.entries;
         entry != NULL && pipeline->release_subjects_count < RETRY_IDS_MAX;
         entry = entry->hh.next) {
        if (entry->stage != HELD_STAGE_RELEASING || entry->change > told) {
            continue;
        }
        entry->more = false;
        pipeline->release_subjects[pipeline->release_subjects_count++] = entry->subject;
        if (entry->subject.ordered) {
            pipeline->release_keys[release->key_count++] = entry->subject.value;
        }
    }
}

static void
collect_confirmed(struct pipeline *pipeline, struct release *release)
{
    const size_t count = pipeline->confirmed_heads_count;
    pipeline_reserve(&pipeline->release_ids, &pipeline->release_ids_capacity, count);
    if (count > 0) {
        memcpy(pipeline->release_ids, pipeline->confirmed_heads, count * sizeof(int64_t));
    }
    pipeline->confirmed_heads_count = 0;
    release->ids = pipeline->release_ids;
    release->id_count = count;
}

static bool
wants_release(const struct pipeline *pipeline)
{
    return pipeline->owned && pipeline->release_state == RELEASE_IDLE &&
           (pipeline->confirmed_heads_count > 0 ||
            (pipeline->held.releasing_count > 0 && may_release_keys(pipeline)));
}

static bool
next_release(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    if (!wants_release(pipeline)) {
        return false;
    }
    struct release release = {.rows_max = pipeline->options.batch_rows};
    pipeline->release_subjects_count = 0;
    if (may_release_keys(pipeline)) {
        collect_releasing(pipeline, &release);
    }
    collect_confirmed(pipeline, &release);
    if (release.id_count == 0 && pipeline->release_subjects_count == 0) {
        return false;
    }
    pipeline->release_rows_max = release.rows_max;
    pipeline->release_sent_change = pipeline->held.changes;
    pipeline->release_state = RELEASE_OUT;
    *ret_action = (struct pipeline_action){.type = PIPELINE_RELEASE, .release = release};
    return true;
}

static bool
next_heads(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    if (!pipeline->owned || !pipeline->heads_wanted || pipeline->heads_out) {
        return false;
    }
    pipeline->heads_wanted = false;
    pipeline->heads_out = true;
    pipeline->heads_sent_change = pipeline->held.changes;
    pipeline_mark_unsent(pipeline); /* the answer will not know of it */
    *ret_action = (struct pipeline_action){.type = PIPELINE_HEADS};
    return true;
}

static uint64_t
wake_deadline_us(const struct pipeline *pipeline)
{
    const struct pipeline_options *options = &pipeline->options;
    if (!pipeline->owned || pipeline->draining || pipeline->wake_out || !pipeline->heads_known) {
        return CLOCK_NEVER_US;
    }
    const uint64_t look_us = pipeline->wake_last_us + options->look_interval_us;
    const uint64_t least_us = pipeline->wake_last_us + options->wake_interval_us;
    uint64_t due_us = pipeline->wake_due_us;
    if (pipeline->held.count > 0 || due_us != CLOCK_NEVER_US) {
        due_us = earlier(due_us, look_us);
    }
    return due_us > least_us ? due_us : least_us;
}

static bool
next_wake(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (now_us < wake_deadline_us(pipeline)) {
        return false;
    }
    pipeline->wake_out = true;
    pipeline->wake_last_us = now_us;
    *ret_action =
        (struct pipeline_action){.type = PIPELINE_WAKE, .count = pipeline->options.batch_rows};
    return true;
}

/* ---- publishing ----------------------------------------------------------------------------------- */

/* A key always has the same lane; a message without one takes the lane with the least in flight. */
static struct lane *
choose_lane(struct pipeline *pipeline, const struct queued *queued)
{
    const uint32_t lane_count = pipeline->options.lane_count;
    if (queued->probe) {
        return lane_for_probes(pipeline);
    }
    if (queued->row->ordered) {
        return &pipeline->lanes[(uint64_t)queued->row->key_hash % lane_count];
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
may_publish(const struct pipeline *pipeline, uint64_t now_us)
{
    const size_t unsettled =
        pipeline->settle_ready_count + pipeline->settle_out_count + pipeline_open_total(pipeline);
    return pipeline->owned && now_us < pipeline->lease_until_us &&
           unsettled < pipeline->settle_capacity;
}

/* NULL: it has to stay for now. Then those behind it for the same lane stay as well, for they may be of its key. */
static struct lane *
lane_for(struct pipeline *pipeline, const struct queued *queued)
{
    if (pipeline->options.strict && queued->row->ordered &&
        busy_has(&pipeline->busy, queued->row->key_hash)) {
        return NULL;
    }
    struct lane *lane = choose_lane(pipeline, queued);
    if (lane->passed_over || (pipeline->pass_full && !queued->probe) ||
        !lane_has_room(lane, &pipeline->options, (uint32_t)queued->row->payload.size)) {
        lane->passed_over = true;
        return NULL;
    }
    return lane;
}

static bool
all_passed_over(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        if (!pipeline->lanes[i].passed_over && pipeline->lanes[i].state == LANE_READY) {
            return false;
        }
    }
    return true;
}

static void
begin_pass(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        pipeline->lanes[i].passed_over = false;
    }
}

/* The next row of this pass over the queue that may go, and its lane. Nearly always it is the first. */
static bool
find_publishable(struct pipeline *pipeline, uint32_t *ret_index, struct lane **ret_lane)
{
    const bool full = pipeline_is_full(pipeline) && !route_is_bad(pipeline);
    if (full != pipeline->pass_full) {
        pipeline->pass_full = full;
        pipeline->queue.at = 0;
    }
    if (pipeline->queue.at == 0) {
        begin_pass(pipeline);
    }
    while (pipeline->queue.at < pipeline->queue.count && !all_passed_over(pipeline)) {
        const uint32_t index = pipeline->queue.at++;
        const struct queued *queued = queue_at(&pipeline->queue, index);
        if (!queue_is_live(queued)) {
            continue;
        }
        *ret_lane = lane_for(pipeline, queued);
        if (*ret_lane != NULL) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

static struct window_entry
entry_of(const struct row *row, bool probe, uint64_t now_us)
{
    return (struct window_entry){
        .id = row->id,
        .key_hash = row->key_hash,
        .published_us = now_us,
        .bytes = (uint32_t)row->payload.size,
        .exchange = pipeline_exchange_hash(row->exchange),
        .ordered = row->ordered,
        .probe = probe,
    };
}

/* A message for an exchange that just closed a channel is refused unsent, but for one now and then: a held one, or one of
 * a sample. */
static bool
is_suspect(struct pipeline *pipeline, const struct row *row, bool probe, uint64_t now_us)
{
    if (pipeline->suspects.count == 0) {
        return false;
    }
    const uint32_t exchange = pipeline_exchange_hash(row->exchange);
    if (suspects_find(&pipeline->suspects, exchange) == NULL) {
        return false;
    }
    const bool may_try = probe || pipeline->route.state == ROUTE_TRYING;
    return !may_try || !suspects_try(&pipeline->suspects, exchange, &pipeline->random, now_us);
}

static void
refuse_unsent(struct pipeline *pipeline, const struct row *row, bool probe, uint64_t now_us)
{
    const struct window_entry entry = entry_of(row, probe, now_us);
    const uint64_t suspect_us = suspects_find(&pipeline->suspects, entry.exchange)->try_at_us;
    const uint64_t try_at_us = suspect_us > now_us ? suspect_us : now_us;
    char reason[240];
    (void)snprintf(reason, sizeof(reason),
                   "not sent: the broker refuses all messages to exchange \"%.*s\" (missing, or no "
                   "permission)",
                   (int)(row->exchange.size < 150 ? row->exchange.size : 150),
                   row->exchange.size > 0 ? (const char *)row->exchange.data : ""); /* fits */
    pipeline_refuse(
        pipeline, &entry,
        &(struct refusal){
            .kind = REFUSED_CLOSED,
            .reason = reason,
            .retry_at_us = try_at_us + random_between(&pipeline->random, 0, try_at_us - now_us + 1),
            .blameless = true},
        now_us);
}

static bool
next_drop(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    (void)now_us; /* has the shape of a step */
    const struct row *row = queue_take_dropped(&pipeline->queue);
    *ret_action = (struct pipeline_action){.type = PIPELINE_DROP, .row = row};
    return row != NULL;
}

static bool
next_publish(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    uint32_t index;
    struct lane *lane;
    assert(pipeline->publishing == NULL);
    if (!may_publish(pipeline, now_us) || !find_publishable(pipeline, &index, &lane)) {
        return false;
    }
    const bool probe = queue_at(&pipeline->queue, index)->probe;
    const struct row *row = queue_take(&pipeline->queue, index);
    if (is_suspect(pipeline, row, probe, now_us)) {
        refuse_unsent(pipeline, row, probe, now_us);
        *ret_action = (struct pipeline_action){.type = PIPELINE_DROP, .row = row};
        return true;
    }
    pipeline->publishing = row;
    pipeline->publishing_lane = lane;
    pipeline->publishing_probe = probe;
    pipeline->publishing_us = now_us;
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_PUBLISH, .row = row, .lane = (uint32_t)(lane - pipeline->lanes)};
    return true;
}

void
pipeline_published(struct pipeline *pipeline)
{
    const struct row *row = pipeline->publishing;
    assert(row != NULL);
    struct lane *lane = pipeline->publishing_lane;
    if (lane->window.open == 0) {
        lane->progress_us = pipeline->publishing_us;
    }
    const struct window_entry entry =
        entry_of(row, pipeline->publishing_probe, pipeline->publishing_us);
    window_push(&lane->window, &entry);
    if (entry.ordered) {
        busy_add(&pipeline->busy, entry.key_hash);
    }
    if (entry.id > pipeline->highest_published) {
        pipeline->highest_published = entry.id;
    }
    pipeline->counts.published++;
    pipeline->publishing = NULL;
}

void
pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us)
{
    assert(pipeline->publishing != NULL);
    const struct window_entry entry =
        entry_of(pipeline->publishing, pipeline->publishing_probe, now_us);
    pipeline->publishing = NULL;
    pipeline_refuse(pipeline, &entry,
                    &(struct refusal){.kind = REFUSED_UNPUBLISHABLE, .reason = reason}, now_us);
}

uint32_t
pipeline_exchange_hash(struct span exchange)
{
    const unsigned char *bytes = exchange.data;
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (size_t i = 0; i < exchange.size; i++) {
        hash = (hash ^ bytes[i]) * UINT32_C(16777619);
    }
    return hash == 0 ? 1 : hash;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void
exclude(struct pipeline *pipeline, struct fetch *fetch, int64_t id)
{
    if (id > fetch->after_id) {
        pipeline->exclude_ids[fetch->id_count++] = id;
    }
}

/* What is in memory and still in the outbox. Not what is being settled or held: that was asked first,
 * so the fetch will not see it. */
static void
exclude_ids(struct pipeline *pipeline, struct fetch *fetch)
{
    pipeline_reserve(&pipeline->exclude_ids, &pipeline->exclude_ids_capacity,
                     pipeline->queue.count + pipeline_open_total(pipeline) +
                         pipeline->settle_ready_count + pipeline->hold_ready.count);
    for (uint32_t i = 0; i < pipeline->queue.count; i++) {
        const struct queued *queued = queue_at(&pipeline->queue, i);
        if (queue_is_live(queued) && !queued->probe) {
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
    for (size_t i = 0; i < pipeline->hold_ready.count; i++) {
        exclude(pipeline, fetch, pipeline->hold_ready.items[i].id);
    }
    fetch->ids = pipeline->exclude_ids;
}

static bool
send_fetch(struct pipeline *pipeline, struct fetch *fetch, uint64_t now_us,
           struct pipeline_action *ret_action)
{
    fetch->bytes_max = pipeline->options.batch_bytes;
    pipeline->fetch_state = FETCH_OUT;
    pipeline->fetch_kind = fetch->kind;
    pipeline->fetch_sent_us = now_us;
    *ret_action = (struct pipeline_action){.type = PIPELINE_FETCH, .fetch = *fetch};
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
    return send_fetch(pipeline, &fetch, now_us, ret_action);
}

static bool
fetch_rows(struct pipeline *pipeline, uint32_t rows_max, uint64_t now_us,
           struct pipeline_action *ret_action)
{
    if (now_us >= pipeline->sweep_at_us) {
        cursor_sweep(&pipeline->cursor);
        pipeline->sweep_begun_us = now_us;
        pipeline->sweep_at_us = CLOCK_NEVER_US; /* set when this one is over */
        pipeline->heads_wanted = true;
    }
    struct fetch fetch = {
        .kind = FETCH_NEXT, .after_id = cursor_after(&pipeline->cursor), .rows_max = rows_max};
    if (fetch.after_id < pipeline->highest_admitted) {
        exclude_ids(pipeline, &fetch);
    }
    cursor_sent(&pipeline->cursor);
    return send_fetch(pipeline, &fetch, now_us, ret_action);
}

static bool
may_fetch(const struct pipeline *pipeline)
{
    return pipeline->owned && pipeline->heads_known && !pipeline->draining &&
           pipeline->fetch_state == FETCH_IDLE && any_lane_ready(pipeline) &&
           !any_lane_blocked(pipeline);
}

static uint64_t
heads_deadline_us(const struct pipeline *pipeline)
{
    const struct lane *lane = &pipeline->lanes[pipeline->options.lane_count];
    if (!may_fetch(pipeline) || route_is_bad(pipeline) || lane->state != LANE_READY ||
        lane->blocked || lane->congested || pipeline->queue.probes > 0 ||
        queue_rows(&pipeline->queue) > 2 * pipeline->options.batch_rows) {
        return CLOCK_NEVER_US;
    }
    return pipeline->held.next_retry_us;
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
    if (!may_fetch(pipeline) || route_is_bad(pipeline) || !has_place_for_rows(pipeline)) {
        return CLOCK_NEVER_US;
    }
    return pipeline->poll_at_us;
}

static void
report_full(struct pipeline *pipeline)
{
    if (pipeline_is_full(pipeline) && !pipeline->full_reported) {
        pipeline->full_reported = true;
        pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_FULL,
                                                            .count = pipeline->held.count});
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

static bool
next_fetch(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    report_full(pipeline);
    if (!may_fetch(pipeline)) {
        return false;
    }
    if (route_is_bad(pipeline)) {
        return fetch_sample(pipeline, now_us, ret_action);
    }
    const bool heads = now_us >= heads_deadline_us(pipeline);
    const bool rows = now_us >= rows_deadline_us(pipeline);
    if (heads && (!rows || pipeline->fetch_kind == FETCH_NEXT)) { /* in turns */
        return fetch_heads(pipeline, RETRY_IDS_MAX, now_us, ret_action);
    }
    return rows && fetch_rows(pipeline, pipeline->options.batch_rows, now_us, ret_action);
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
    if (pipeline->queue.live > 0) {
        pipeline_drop_queue(pipeline, now_us);
    }
    if (next_drop(pipeline, now_us, ret_action)) {
        return true;
    }
    if (pipeline_open_total(pipeline) > 0 || pipeline->settle_ready_count > 0 ||
        pipeline->settle_out_count > 0 || pipeline->fetch_state != FETCH_IDLE ||
        pipeline->hold_ready.count > 0 || pipeline->hold_out.count > 0 ||
        pipeline->confirmed_heads_count > 0 || pipeline->release_state == RELEASE_OUT) {
        return false;
    }
    pipeline->drained = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_DRAINED};
    return true;
}

bool
pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    static const step steps[] = {next_report, next_lane,    next_drained, next_settle,
                                 next_hold,   next_release, next_heads,   next_wake,
                                 next_drop,   next_fetch,   next_publish, next_watermark};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](pipeline, now_us, ret_action)) {
            return true;
        }
    }
    return false;
}

static uint64_t
lane_deadline_us(const struct pipeline *pipeline, uint32_t index)
{
    const struct lane *lane = &pipeline->lanes[index];
    if (lane->state == LANE_DOWN && !is_wanted(pipeline, index)) {
        return CLOCK_NEVER_US;
    }
    if (lane->state == LANE_DOWN || lane->state == LANE_CONNECTED) {
        return lane->retry_at_us;
    }
    return earlier(confirm_deadline_us(pipeline, lane), idle_deadline_us(pipeline, index));
}

static uint64_t
hold_deadline_us(const struct pipeline *pipeline)
{
    if (pipeline->hold_ready.count == 0 || pipeline->hold_out.count > 0 ||
        pipeline->route.state == ROUTE_TRYING) {
        return CLOCK_NEVER_US;
    }
    return pipeline->hold_at_us;
}

static uint64_t
source_deadline_us(const struct pipeline *pipeline)
{
    uint64_t deadline_us = earlier(hold_deadline_us(pipeline), wake_deadline_us(pipeline));
    if (pipeline->settle_ready_count > 0 && pipeline->settle_out_count == 0) {
        deadline_us =
            earlier(deadline_us, pipeline->settle_since_us + pipeline->options.settle_delay_us);
    }
    if (pipeline->route.state == ROUTE_RESTING && may_fetch(pipeline) &&
        route_may_try(pipeline, CLOCK_NEVER_US)) {
        deadline_us = earlier(deadline_us, pipeline->route.try_at_us);
    }
    deadline_us = earlier(deadline_us, heads_deadline_us(pipeline));
    deadline_us = earlier(deadline_us, rows_deadline_us(pipeline));
    if (wants_watermark(pipeline)) {
        deadline_us = earlier(deadline_us, pipeline->watermark_at_us);
    }
    return deadline_us;
}

uint64_t
pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us)
{
    uint64_t deadline_us = CLOCK_NEVER_US;
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        deadline_us = earlier(deadline_us, lane_deadline_us(pipeline, i));
    }
    if (pipeline->owned) {
        deadline_us = earlier(deadline_us, source_deadline_us(pipeline));
    }
    return deadline_us > now_us ? deadline_us : now_us;
}
