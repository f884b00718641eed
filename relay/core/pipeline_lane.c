#include <assert.h>

#include "relay/core/pipeline_internal.h"

static struct lane *
lane_of(struct pipeline *pipeline, uint32_t index)
{
    assert(index <= pipeline->options.lane_count);
    queue_rewind(&pipeline->queue); /* what it reports may let something of the queue go */
    return &pipeline->lanes[index];
}

struct lane *
lane_for_probes(struct pipeline *pipeline)
{
    return &pipeline->lanes[pipeline->options.lane_count];
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

bool
lane_is_better(const struct lane *lane, const struct lane *other)
{
    const bool better_state = lane->state == LANE_READY && other->state != LANE_READY;
    return better_state || (lane->state == other->state && lane->window.open < other->window.open);
}

bool
lane_has_room(struct lane *lane, const struct pipeline_options *options, uint32_t bytes)
{
    if (lane->state != LANE_READY || lane->blocked || lane->congested ||
        window_is_full(&lane->window)) {
        return false;
    }
    if (lane->window.open >= lane->limit) {
        lane->limited = true;
        return false;
    }
    return lane->window.open == 0 || lane->window.bytes + bytes <= options->window_bytes;
}

void
lane_search(struct lane *lane)
{
    struct window *window = &lane->window;
    lane->limit = window->open / 2;
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        const struct window_entry *entry = window_at(window, tag);
        if (entry->pending && entry->id > lane->search_id) {
            lane->search_id = entry->id;
        }
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

/* What the lane has in flight has an unknown fate: all of it is read and sent again, with the same
 * message ids. */
static void
forget_window(struct pipeline *pipeline, struct lane *lane, uint64_t now_us)
{
    struct window *window = &lane->window;
    struct window_entry entry;
    bool forgot = false;
    lane->resets++;
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        if (!take(pipeline, lane, tag, &entry) || entry.returned || entry.abandoned) {
            continue; /* a returned message is held already, an abandoned one is nobody's */
        }
        if (entry.probe) {
            probing_failed(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
        } else {
            pipeline_forget(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
            forgot = true;
        }
    }
    window_clear(window);
    for (uint32_t i = 0; i < lane->refused_count; i++) {
        lane->refused[i].tag = 0; /* nothing before it is open any more */
    }
    route_weigh(pipeline, lane, now_us);
    if (forgot) {
        /* What is queued comes after what was in flight, so it must not go first. (Nothing stands
         * behind a probe: it is alone of its key.) */
        pipeline_drop_queue(pipeline, now_us);
        fetching_look_at_once(pipeline);
        pipeline->route.sample_short = false; /* not all of it was tried */
    }
}

void
lane_down(struct pipeline *pipeline, struct lane *lane, uint64_t now_us)
{
    forget_window(pipeline, lane, now_us);
    if (lane->state == LANE_READY &&
        now_us - lane->ready_since_us >= pipeline->options.reconnect_max_us) {
        backoff_reset(&lane->backoff); /* it was good for long enough: this is a new trouble */
    }
    lane->state = LANE_DOWN;
    lane->limit = lane->limit_start;
    lane->search_id = CURSOR_START;
    lane->proved = 0;
    lane->limited = false;
    lane->blocked = false;
    lane->congested = false;
    lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
}

void
lane_down_searching(struct pipeline *pipeline, struct lane *lane, uint64_t now_us)
{
    const uint32_t limit = lane->limit;
    const int64_t search_id = lane->search_id;
    lane_down(pipeline, lane, now_us);
    lane->limit = limit;
    lane->search_id = search_id;
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
lane_progress(struct lane *lane, uint64_t now_us)
{
    lane->progress_us = now_us;
    lane->due_known = false;
}

void
pipeline_lane_ready(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    assert(lane->state == LANE_OPENING && lane->window.open == 0);
    window_clear(&lane->window);
    lane->state = LANE_READY;
    lane->ready_since_us = now_us;
    lane_progress(lane, now_us);
}

void
pipeline_lane_lost(struct pipeline *pipeline, uint32_t index, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state != LANE_DOWN) {
        lane_down(pipeline, lane, now_us);
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
pipeline_lane_blocked(struct pipeline *pipeline, uint32_t index, bool blocked, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    lane->blocked = blocked;
    lane_progress(lane, now_us); /* while blocked nothing is confirmed, and nothing can be */
}

/* The tag of the message for which the channel was closed, or window.next if it cannot be told. The
 * broker works through a channel in order, so it is the first to the exchange that it names. */
static uint64_t
find_culprit(struct lane *lane, uint32_t exchange)
{
    const uint64_t named =
        exchange == 0 ? lane->window.next : window_find_exchange(&lane->window, exchange);
    return named == lane->window.next && lane->window.open == 1 ? window_oldest(&lane->window)
                                                                : named;
}

void
lane_refuse(struct pipeline *pipeline, struct lane *lane, uint64_t tag,
            const struct refusal *refusal, uint64_t now_us)
{
    struct window_entry culprit;
    const bool taken = take(pipeline, lane, tag, &culprit);
    assert(taken);
    (void)taken; /* only asserted */
    lane->search_id = CURSOR_START;
    if (!culprit.returned && !culprit.abandoned) {
        pipeline_refuse(pipeline, lane, &culprit, refusal, now_us);
    }
}

/* The broker closes a channel for one message of the window and does not say for which; but often it names an exchange.
 * Otherwise half as many go at a time from here on, so that ten closes single it out of a thousand, in order; once they
 * all are through the limit doubles again as messages prove good. */
void
pipeline_channel_closed(struct pipeline *pipeline, uint32_t index, const char *reason,
                        uint32_t exchange, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state != LANE_READY && lane->state != LANE_OPENING) {
        return;
    }
    const uint32_t open = lane->window.open;
    const uint64_t culprit = find_culprit(lane, exchange);
    lane->state = LANE_CONNECTED;
    lane->retry_at_us = now_us;
    lane->proved = 0;
    lane->limited = false;
    if (open == 0) {
        lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
    } else if (culprit < lane->window.next) {
        if (exchange != 0) {
            suspects_add(&pipeline->suspects, exchange, reason, &pipeline->route.backoff,
                         &pipeline->random, now_us);
        }
        lane_refuse(pipeline, lane, culprit,
                    &(struct refusal){.kind = REFUSED_CLOSED, .reason = reason}, now_us);
    } else {
        lane_search(lane);
    }
    forget_window(pipeline, lane, now_us);
}

void
pipeline_lane_closed(struct pipeline *pipeline, uint32_t index, const char *reason, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state == LANE_READY && lane->window.open > 0) {
        pipeline_channel_closed(pipeline, index, reason, 0, now_us);
        backoff_reset(&lane->backoff); /* each close brings the search nearer to its end */
        lane_down_searching(pipeline, lane, now_us);
    } else {
        pipeline_lane_lost(pipeline, index, now_us);
    }
}

/* Whether a queue has it is not known, and nothing of its key may go before it. */
static void
send_again(struct pipeline *pipeline, const struct window_entry *entry, uint64_t now_us)
{
    if (entry->probe) {
        probing_failed(pipeline, entry->id, entry->key_hash, entry->ordered, now_us);
        return;
    }
    pipeline_forget(pipeline, entry->id, entry->key_hash, entry->ordered, now_us);
    pipeline_drop_queue(pipeline, now_us);
    fetching_look_at_once(pipeline);
    pipeline->route.sample_short = false;
}

static void
confirm(struct pipeline *pipeline, const struct window_entry *entry, uint64_t now_us)
{
    if (entry->returned || entry->abandoned) {
        return; /* returned: confirmed that it reached no queue; it was refused when it came back */
    }
    cuts_clear(&pipeline->cuts, entry->id);
    if (entry->doubtful) {
        send_again(pipeline, entry, now_us);
        return;
    }
    pipeline->counts.confirmed++;
    route_taken(pipeline, entry);
    if (entry->probe) {
        probing_confirmed(pipeline, entry);
    } else {
        settling_add(pipeline, entry->id, now_us);
    }
}

/* The limit doubles when it was what held the lane back and as many messages have been confirmed
 * since. */
static void
prove(struct lane *lane, uint32_t confirmed)
{
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

static void
nack(struct pipeline *pipeline, struct lane *lane, uint64_t tag, const struct window_entry *entry,
     uint64_t now_us)
{
    const struct refusal refusal = {
        .kind = REFUSED_NACKED,
        .reason = "the broker refused it (basic.nack): a queue is full or failing",
        .tag = tag,
    };
    if (!entry->returned && !entry->abandoned) {
        pipeline_refuse(pipeline, lane, entry, &refusal, now_us);
    }
}

/* Applies `confirm` or a refusal to one tag or to all up to it. False if the tag was never given
 * out. */
static bool
each_tag(struct pipeline *pipeline, struct lane *lane, uint64_t tag, bool multiple, bool nacked,
         uint64_t now_us)
{
    struct window *window = &lane->window;
    if (tag >= window->next || (tag == 0 && !multiple)) {
        return false;
    }
    /* Tag 0 with `multiple` means all that are outstanding (AMQP 0-9-1, basic.ack). */
    const uint64_t last = tag == 0 ? window->next - 1 : tag;
    const uint64_t first = multiple ? window_oldest(window) : last;
    struct window_entry entry;
    uint32_t taken = 0;
    for (uint64_t each = first; each <= last; each++) {
        if (!take(pipeline, lane, each, &entry)) {
            continue;
        }
        taken++;
        if (entry.id >= lane->search_id) {
            lane->search_id = CURSOR_START;
        }
        if (entry.id >= lane->cut_id) {
            lane->cut_id = CURSOR_START;
        }
        if (nacked) {
            nack(pipeline, lane, each, &entry, now_us);
        } else {
            confirm(pipeline, &entry, now_us);
        }
        route_weigh(pipeline, lane, now_us); /* in the order of the tags */
    }
    lane_progress(lane, now_us);
    if (!nacked && taken > 0) {
        backoff_reset(&lane->backoff);
        prove(lane, taken);
    }
    return true;
}

bool
pipeline_confirmed(struct pipeline *pipeline, uint32_t index, uint64_t tag, bool multiple,
                   uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    return lane->state == LANE_READY && each_tag(pipeline, lane, tag, multiple, false, now_us);
}

bool
pipeline_nacked(struct pipeline *pipeline, uint32_t index, uint64_t tag, bool multiple,
                uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    return lane->state == LANE_READY && each_tag(pipeline, lane, tag, multiple, true, now_us);
}

/* Comes before the confirm of the same message (rabbit_channel.erl: "basic.returns must be sent
 * before confirms"), and does not say for which copy it is. Copies of earlier ownerships may be out
 * still: then it may have been for one of them or for ours. */
bool
pipeline_returned(struct pipeline *pipeline, uint32_t index, int64_t id, const char *reason,
                  uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    struct window_entry *entry = window_find_unreturned(&lane->window, id);
    if (entry == NULL) {
        return false;
    }
    entry->returned = true;
    if (!entry->abandoned) {
        const struct refusal refusal = {
            .kind = REFUSED_RETURNED, .reason = reason, .tag = window_tag(&lane->window, entry)};
        pipeline_refuse(pipeline, lane, entry, &refusal, now_us);
        return true;
    }
    window_doubt(&lane->window, id);
    return true;
}
