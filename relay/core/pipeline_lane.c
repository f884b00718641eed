#include "relay/core/pipeline_lane.h"

#include <assert.h>

#include "relay/core/pipeline_internal.h"

#define LIMIT_START 256      /* a lane starts with this limit of unconfirmed messages */
#define PROBE_LIMIT_START 16 /* the same for the probe lane */
/* The probe lane is disconnected after nothing was held back for this long. */
#define PROBES_IDLE_US (60 * CLOCK_S_US)

/* ---- all of them ----------------------------------------------------------------------------------- */

static void
init_lane(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    const struct pipeline_options *options = &pipeline->options;
    struct lane *lane = &pipeline->lanes[index];
    const bool probes = index == lane_for_probes(pipeline);
    const uint32_t start = probes ? PROBE_LIMIT_START : LIMIT_START;
    lane->limit_max = options->window_messages;
    if (probes && lane->limit_max > PROBE_WINDOW) {
        lane->limit_max = PROBE_WINDOW;
    }
    lane->limit_start = start < lane->limit_max ? start : lane->limit_max;
    lane->limit = lane->limit_start;
    lane->search_id = CURSOR_START;
    lane->cut_id = CURSOR_START;
    lane->retry_at_us = now_us;
    window_init(&lane->window, lane->limit_max);
    backoff_init(&lane->backoff, options->reconnect_initial_us, options->reconnect_max_us);
}

void
lanes_init(struct pipeline *pipeline, uint64_t now_us)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        init_lane(pipeline, i, now_us);
    }
}

void
lanes_done(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        window_done(&pipeline->lanes[i].window);
    }
}

void
lanes_lost(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        pipeline->counts.repeated_ownership += window_abandon(&pipeline->lanes[i].window);
    }
}

uint32_t
lanes_ready(const struct pipeline *pipeline)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        ready += pipeline->lanes[i].state == LANE_READY;
    }
    return ready;
}

bool
lanes_any_ready(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].state == LANE_READY) {
            return true;
        }
    }
    return false;
}

bool
lanes_any_blocked(const struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        if (pipeline->lanes[i].blocked) {
            return true;
        }
    }
    return false;
}

uint32_t
lanes_in_flight(const struct pipeline *pipeline)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        open += pipeline->lanes[i].window.open;
    }
    return open;
}

uint64_t
lanes_oldest_us(const struct pipeline *pipeline, uint64_t now_us)
{
    uint64_t oldest_us = now_us;
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        const struct window *window = &pipeline->lanes[i].window;
        if (window->open > 0) {
            oldest_us = clock_earlier_us(oldest_us, window_at(window, window->low)->published_us);
        }
    }
    return oldest_us;
}

void
lanes_each_in_flight(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                     void *context)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        window_each(&pipeline->lanes[i].window, visit, context);
    }
}

void
lanes_mark(const struct pipeline *pipeline, struct lanes_mark *ret_mark)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        ret_mark->tags[i] = pipeline->lanes[i].window.next;
        ret_mark->resets[i] = pipeline->lanes[i].resets;
    }
}

bool
lanes_have_passed(struct pipeline *pipeline, const struct lanes_mark *mark)
{
    for (uint32_t i = 0; i < pipeline->options.lane_count; i++) {
        struct lane *lane = &pipeline->lanes[i];
        if (lane->resets == mark->resets[i] && window_oldest(&lane->window) < mark->tags[i]) {
            return false;
        }
    }
    return true;
}

/* ---- one of them ----------------------------------------------------------------------------------- */

uint32_t
lane_for_probes(const struct pipeline *pipeline)
{
    return pipeline->options.lane_count;
}

bool
lane_is_ready(const struct pipeline *pipeline, uint32_t index)
{
    return pipeline->lanes[index].state == LANE_READY;
}

bool
lane_is_free(const struct pipeline *pipeline, uint32_t index)
{
    const struct lane *lane = &pipeline->lanes[index];
    return lane->state == LANE_READY && !lane->leaving && !lane->blocked && !lane->congested;
}

static bool
takes_messages(const struct lane *lane)
{
    return lane->state == LANE_READY && !lane->leaving;
}

bool
lane_is_better(const struct pipeline *pipeline, uint32_t index, uint32_t other)
{
    const struct lane *lane = &pipeline->lanes[index];
    const struct lane *than = &pipeline->lanes[other];
    if (takes_messages(lane) != takes_messages(than)) {
        return takes_messages(lane);
    }
    return lane->state == than->state && lane->window.open < than->window.open;
}

bool
lane_has_room(struct pipeline *pipeline, uint32_t index, uint32_t bytes)
{
    struct lane *lane = &pipeline->lanes[index];
    if (!takes_messages(lane) || lane->blocked || lane->congested ||
        window_is_full(&lane->window)) {
        return false;
    }
    if (lane->window.open >= lane->limit) {
        lane->limited = true;
        return false;
    }
    return lane->window.open == 0 || lane->window.bytes + bytes <= pipeline->options.window_bytes;
}

struct window *
lane_window(struct pipeline *pipeline, uint32_t index)
{
    return &pipeline->lanes[index].window;
}

static void
progress(struct lane *lane, uint64_t now_us)
{
    lane->progress_us = now_us;
    lane->due_known = false;
}

void
lane_progress(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    progress(&pipeline->lanes[index], now_us);
}

void
lane_published(struct pipeline *pipeline, uint32_t index, const struct window_entry *entry,
               uint64_t now_us)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->window.open == 0) {
        progress(lane, now_us);
    }
    window_push(&lane->window, entry);
    if (entry->ordered) {
        busy_add(&pipeline->busy, entry->key_hash);
    }
}

static bool
take(struct pipeline *pipeline, struct lane *lane, uint64_t tag, struct window_entry *ret_entry)
{
    if (!window_take(&lane->window, tag, ret_entry)) {
        return false;
    }
    if (ret_entry->ordered) {
        busy_remove(&pipeline->busy, ret_entry->key_hash);
    }
    return true;
}

bool
lane_take(struct pipeline *pipeline, uint32_t index, uint64_t tag, struct window_entry *ret_entry)
{
    struct lane *lane = &pipeline->lanes[index];
    if (!take(pipeline, lane, tag, ret_entry)) {
        return false;
    }
    if (ret_entry->id >= lane->search_id) {
        lane->search_id = CURSOR_START;
    }
    if (ret_entry->id >= lane->cut_id) {
        lane->cut_id = CURSOR_START;
    }
    return true;
}

/* The limit doubles if it was reached, and as many messages as the limit were confirmed since it last changed. */
void
lane_prove(struct pipeline *pipeline, uint32_t index, uint32_t confirmed)
{
    struct lane *lane = &pipeline->lanes[index];
    backoff_reset(&lane->backoff);
    lane->proved += confirmed;
    if (lane->proved < lane->limit || lane->search_id != CURSOR_START) {
        return;
    }
    if (lane->limited && lane->limit < lane->limit_max) {
        lane->limit *= 2;
        if (lane->limit > lane->limit_max) {
            lane->limit = lane->limit_max;
        }
    }
    lane->proved = 0;
    lane->limited = false;
}

/* ---- what is lost ---------------------------------------------------------------------------------- */

/* The fate of the messages in flight is unknown: all are read and sent again, with the same message ids. True if one of
 * them belongs to the stream. */
static bool
empty_window(struct pipeline *pipeline, struct lane *lane, uint64_t now_us)
{
    struct window *window = &lane->window;
    struct window_entry entry;
    bool forgot = false;
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        if (!take(pipeline, lane, tag, &entry) || entry.returned || entry.abandoned) {
            /* A returned message is held already; an abandoned one is of an earlier ownership. */
            continue;
        }
        pipeline->counts.repeated_connection++;
        if (entry.probe) {
            probing_failed(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
        } else {
            pipeline_forget(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
            forgot = true;
        }
    }
    window_clear(window);
    lane->resets++;
    return forgot;
}

static void
forget_window(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    const bool forgot = empty_window(pipeline, &pipeline->lanes[index], now_us);
    route_window_forgotten(pipeline, index, now_us);
    if (forgot) {
        /* The queue comes after the messages that were in flight, so it must not go first. (No message is queued behind
         * a probe: a probe is the only one of its key.) */
        pipeline_drop_queue(pipeline, now_us);
        fetching_look_at_once(pipeline);
        route_sample_cut(pipeline);
    }
}

void
lane_down(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = &pipeline->lanes[index];
    forget_window(pipeline, index, now_us);
    if (lane->state == LANE_READY &&
        now_us - lane->ready_since_us >= pipeline->options.reconnect_max_us) {
        backoff_reset(&lane->backoff); /* it was good for long enough: this is a new problem */
    }
    lane->state = LANE_DOWN;
    lane->limit = lane->limit_start;
    lane->search_id = CURSOR_START;
    lane->proved = 0;
    lane->limited = false;
    lane->leaving = false;
    lane->blocked = false;
    lane->congested = false;
    lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
}

void
lane_down_searching(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = &pipeline->lanes[index];
    const uint32_t limit = lane->limit;
    const int64_t search_id = lane->search_id;
    lane_down(pipeline, index, now_us);
    lane->limit = limit;
    lane->search_id = search_id;
}

/* ---- the search for a culprit ---------------------------------------------------------------------- */

/* From now on half as many messages in flight, until all candidates are through. */
static void
search(struct lane *lane)
{
    lane->limit = lane->window.open / 2;
    lane->search_id = window_highest_id(&lane->window, lane->search_id);
}

void
lane_shrink(struct pipeline *pipeline, uint32_t index)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->limit > lane->limit_start) {
        lane->limit = lane->limit_start;
    }
}

void
lane_search_if_cut_again(struct pipeline *pipeline, uint32_t index)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->cut_id != CURSOR_START) {
        search(lane);
    }
    lane->cut_id = window_highest_id(&lane->window, lane->cut_id);
}

void
lane_stay_alone(struct pipeline *pipeline, uint32_t index, int64_t id)
{
    pipeline->lanes[index].limit = 1;
    pipeline->lanes[index].search_id = id;
}

void
lane_refuse(struct pipeline *pipeline, uint32_t index, uint64_t tag, const struct refusal *refusal,
            uint64_t now_us)
{
    struct lane *lane = &pipeline->lanes[index];
    struct window_entry culprit;
    const bool taken = take(pipeline, lane, tag, &culprit);
    assert(taken);
    (void)taken; /* only asserted */
    lane->search_id = CURSOR_START;
    if (!culprit.returned && !culprit.abandoned) {
        pipeline_refuse(pipeline, index, &culprit, refusal, now_us);
    }
}

/* The tag of the message for which the channel was closed, or window.next if that is unknown. The broker processes a
 * channel in order, so it is the first message to the exchange that the broker names. */
static uint64_t
find_culprit(struct window *window, uint32_t exchange)
{
    const uint64_t named = exchange == 0 ? window->next : window_find_exchange(window, exchange);
    return named == window->next && window->open == 1 ? window_oldest(window) : named;
}

/* ---- events ---------------------------------------------------------------------------------------- */

static struct lane *
lane_of(struct pipeline *pipeline, uint32_t index)
{
    assert(index <= pipeline->options.lane_count);
    queue_rewind(&pipeline->queue); /* the event may make a queued row publishable */
    return &pipeline->lanes[index];
}

void
pipeline_lane_connected(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    assert(lane->state == LANE_CONNECTING);
    lane->state = LANE_CONNECTED;
    lane->retry_at_us = now_us;
}

void
pipeline_lane_ready(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    assert(lane->state == LANE_OPENING && lane->window.open == 0);
    window_clear(&lane->window);
    lane->state = LANE_READY;
    lane->ready_since_us = now_us;
    progress(lane, now_us);
}

void
pipeline_lane_lost(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    if (lane_of(pipeline, index)->state != LANE_DOWN) {
        lane_down(pipeline, index, now_us);
    }
}

void
pipeline_lane_congested(struct pipeline *pipeline, uint32_t index, bool congested)
{
    lane_of(pipeline, index)->congested = congested;
}

void
pipeline_lane_arrived(struct pipeline *pipeline, uint32_t index, uint64_t taken_bytes,
                      uint64_t out_bytes, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (!lane->due_known) {
        lane->due_known = true;
        lane->due_bytes = out_bytes;
    }
    if (taken_bytes > lane->taken_bytes && lane->taken_bytes < lane->due_bytes) {
        lane->progress_us = now_us;
    }
    lane->taken_bytes = taken_bytes;
}

void
pipeline_lane_leave(struct pipeline *pipeline, uint32_t index, bool leave)
{
    struct lane *lane = lane_of(pipeline, index);
    assert(index < pipeline->options.lane_count);
    lane->leaving = leave && lane->state == LANE_READY;
}

void
pipeline_lane_blocked(struct pipeline *pipeline, uint32_t index, bool blocked, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    lane->blocked = blocked;
    progress(lane, now_us); /* a blocked connection cannot confirm, so the timeout restarts */
}

/* The broker closes a channel because of one message in the window and does not say which, but often it names an
 * exchange. If it does not, half as many messages are in flight at a time from now on: ten closes find one in a
 * thousand, and the order is kept. When all candidates are through, the limit doubles again as messages are confirmed. */
void
pipeline_channel_closed(struct pipeline *pipeline, uint32_t index, const char *reason,
                        uint32_t exchange, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state != LANE_READY && lane->state != LANE_OPENING) {
        return;
    }
    const uint32_t open = lane->window.open;
    const uint64_t culprit = find_culprit(&lane->window, exchange);
    lane->state = LANE_CONNECTED;
    lane->retry_at_us = now_us;
    lane->proved = 0;
    lane->limited = false;
    if (open == 0) {
        lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
    } else if (culprit < lane->window.next) {
        if (exchange != 0) {
            route_suspect(pipeline, exchange, reason, now_us);
        }
        lane_refuse(pipeline, index, culprit,
                    &(struct refusal){.kind = REFUSED_CLOSED, .reason = reason}, now_us);
    } else {
        search(lane);
    }
    forget_window(pipeline, index, now_us);
}

void
pipeline_lane_closed(struct pipeline *pipeline, uint32_t index, const char *reason, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state == LANE_READY && lane->window.open > 0) {
        pipeline_channel_closed(pipeline, index, reason, 0, now_us);
        backoff_reset(&lane->backoff); /* each close is progress of the search */
        lane_down_searching(pipeline, index, now_us);
    } else {
        pipeline_lane_lost(pipeline, index, now_us);
    }
}

/* ---- what to do next ------------------------------------------------------------------------------- */

static uint64_t
confirm_deadline_us(const struct pipeline *pipeline, const struct lane *lane)
{
    if (lane->state != LANE_READY || lane->window.open == 0 || lane->blocked) {
        return CLOCK_NEVER_US;
    }
    return lane->progress_us + pipeline->options.confirm_timeout_us;
}

/* The probe lane is wanted only while a key or a message is held back. */
static bool
is_wanted(const struct pipeline *pipeline, uint32_t index)
{
    return index != lane_for_probes(pipeline) || pipeline->held.count > 0;
}

static uint64_t
idle_deadline_us(const struct pipeline *pipeline, uint32_t index)
{
    const struct lane *lane = &pipeline->lanes[index];
    if (is_wanted(pipeline, index) || lane->state != LANE_READY || lane->window.open > 0) {
        return CLOCK_NEVER_US;
    }
    return lane->wanted_us + PROBES_IDLE_US;
}

static bool
disconnect(struct pipeline *pipeline, uint32_t index, uint64_t now_us,
           struct pipeline_action *ret_action)
{
    lane_down(pipeline, index, now_us);
    *ret_action = (struct pipeline_action){.type = PIPELINE_DISCONNECT, .lane = index};
    return true;
}

/* The other connection has a channel of its own, whose messages are counted from 1. */
static bool
move(struct pipeline *pipeline, uint32_t index, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct lane *lane = &pipeline->lanes[index];
    window_clear(&lane->window);
    lane->resets++;
    lane->leaving = false;
    lane->blocked = false;
    lane->congested = false;
    lane->ready_since_us = now_us;
    lane->taken_bytes = 0;
    progress(lane, now_us);
    queue_rewind(&pipeline->queue); /* rows that waited for this lane may go */
    *ret_action = (struct pipeline_action){.type = PIPELINE_MOVE, .lane = index};
    return true;
}

static bool
may_move(const struct lane *lane)
{
    return lane->leaving && lane->state == LANE_READY && lane->window.open == 0;
}

static bool
next_of(struct pipeline *pipeline, uint32_t index, uint64_t now_us,
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
    if (may_move(lane)) {
        return move(pipeline, index, now_us, ret_action);
    }
    if (now_us >= confirm_deadline_us(pipeline, lane)) {
        reports_put(&pipeline->reports, &(struct pipeline_report){.type = REPORT_TIMEOUT,
                                                                  .lane = index,
                                                                  .count = lane->window.open});
        return disconnect(pipeline, index, now_us, ret_action);
    }
    return now_us >= idle_deadline_us(pipeline, index) &&
           disconnect(pipeline, index, now_us, ret_action);
}

bool
lanes_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    if (pipeline->drained) {
        return false;
    }
    if (pipeline->held.count > 0) {
        pipeline->lanes[lane_for_probes(pipeline)].wanted_us = now_us;
    }
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        if (next_of(pipeline, i, now_us, ret_action)) {
            return true;
        }
    }
    return false;
}

static uint64_t
deadline_of(const struct pipeline *pipeline, uint32_t index)
{
    const struct lane *lane = &pipeline->lanes[index];
    if (lane->state == LANE_DOWN && !is_wanted(pipeline, index)) {
        return CLOCK_NEVER_US;
    }
    if (lane->state == LANE_DOWN || lane->state == LANE_CONNECTED) {
        return lane->retry_at_us;
    }
    return clock_earlier_us(confirm_deadline_us(pipeline, lane), idle_deadline_us(pipeline, index));
}

uint64_t
lanes_deadline_us(const struct pipeline *pipeline)
{
    uint64_t deadline_us = CLOCK_NEVER_US;
    for (uint32_t i = 0; i <= pipeline->options.lane_count; i++) {
        deadline_us = clock_earlier_us(deadline_us, deadline_of(pipeline, i));
    }
    return deadline_us;
}
