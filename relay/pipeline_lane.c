#include <assert.h>

#include "relay/pipeline_internal.h"

static struct lane *
lane_of(struct pipeline *pipeline, uint32_t index)
{
    assert(index < pipeline->options.lane_count);
    return &pipeline->lanes[index];
}

uint32_t
lane_limit_start(const struct pipeline_options *options)
{
    return options->window_messages < WINDOW_LIMIT_START ? options->window_messages
                                                         : WINDOW_LIMIT_START;
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

/* What the lane has in flight has an unknown fate: all of it is read and sent again, with the same
 * message ids. */
static void
forget_window(struct pipeline *pipeline, struct lane *lane, uint64_t now_us)
{
    struct window *window = &lane->window;
    struct window_entry entry;
    bool forgot = false;
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        if (!window_take(window, tag, &entry) || entry.returned || entry.abandoned) {
            continue; /* a returned message is paused already, an abandoned one is nobody's */
        }
        if (entry.probe) {
            pipeline_probe_failed(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
        } else {
            pipeline_forget(pipeline, entry.id, entry.key_hash, entry.ordered, now_us);
            forgot = true;
        }
    }
    window_clear(window);
    if (forgot) {
        /* What is queued comes after what was in flight, so it must not go first. A probe is alone of
         * its key: nothing waits behind it here, and a large one that closes the channel at each try
         * must not cost the others their turn. */
        pipeline_drop_queue(pipeline, now_us);
        pipeline->poll_at_us = now_us;
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
    lane->limit = lane_limit_start(&pipeline->options);
    lane->proved = 0;
    lane->limited = false;
    lane->blocked = false;
    lane->congested = false;
    lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
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
    lane->progress_us = now_us;
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
pipeline_lane_blocked(struct pipeline *pipeline, uint32_t index, bool blocked, uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    lane->blocked = blocked;
    lane->progress_us = now_us; /* while blocked nothing is confirmed, and nothing can be */
}

/* The broker closes a channel for one message of the window and does not say which. With one in
 * flight it is that one. Otherwise half as many go at a time from here on, so that ten closes
 * single it out of a thousand, in order; the limit doubles again as messages prove good. */
void
pipeline_channel_closed(struct pipeline *pipeline, uint32_t index, const char *reason,
                        uint64_t now_us)
{
    struct lane *lane = lane_of(pipeline, index);
    if (lane->state != LANE_READY && lane->state != LANE_OPENING) {
        return;
    }
    const uint32_t open = lane->window.open;
    lane->state = LANE_CONNECTED;
    lane->retry_at_us = now_us;
    lane->proved = 0;
    lane->limited = false;
    lane->limit = open > 1 ? open / 2 : 1;
    if (open == 0) {
        lane->limit = lane_limit_start(&pipeline->options);
        lane->retry_at_us = now_us + backoff_next_us(&lane->backoff, &pipeline->random);
    } else if (open == 1) {
        struct window_entry culprit;
        const bool taken = window_take(&lane->window, window_oldest(&lane->window), &culprit);
        assert(taken);
        (void)taken; /* only asserted */
        if (!culprit.returned && !culprit.abandoned) {
            pipeline_refuse(pipeline, &culprit, reason, now_us);
        }
    }
    forget_window(pipeline, lane, now_us);
}

static void
settle_later(struct pipeline *pipeline, int64_t id, uint64_t now_us)
{
    assert(pipeline->settle_ready_count < pipeline->settle_capacity);
    if (pipeline->settle_ready_count == 0) {
        pipeline->settle_since_us = now_us;
    }
    pipeline->settle_ready[pipeline->settle_ready_count++] = id;
}

static void
probe_confirmed(struct pipeline *pipeline, const struct window_entry *probe)
{
    const struct paused_subject subject =
        paused_subject(probe->id, probe->key_hash, probe->ordered);
    struct paused_entry *entry = paused_find(&pipeline->paused, subject);
    if (entry != NULL && entry->head_id == probe->id) {
        pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_SENT,
                                                            .id = probe->id,
                                                            .attempts = entry->attempts + 1});
        pipeline_let_go(pipeline, entry);
    }
}

static void
confirm(struct pipeline *pipeline, const struct window_entry *entry, uint64_t now_us)
{
    if (entry->returned || entry->abandoned) {
        return; /* returned: confirmed that it reached no queue; it was refused when it came back */
    }
    pipeline->counts.confirmed++;
    settle_later(pipeline, entry->id, now_us);
    if (entry->probe) {
        probe_confirmed(pipeline, entry);
    }
}

/* The limit doubles when it was what held the lane back and as many messages have been confirmed
 * since. */
static void
prove(struct pipeline *pipeline, struct lane *lane, uint32_t confirmed)
{
    lane->proved += confirmed;
    if (lane->proved < lane->limit) {
        return;
    }
    if (lane->limited && lane->limit < pipeline->options.window_messages) {
        lane->limit *= 2;
        if (lane->limit > pipeline->options.window_messages) {
            lane->limit = pipeline->options.window_messages;
        }
    }
    lane->proved = 0;
    lane->limited = false;
}

/* Applies `confirm` or a refusal to one tag or to all up to it. False if the tag was never given
 * out. */
static bool
each_tag(struct pipeline *pipeline, struct lane *lane, uint64_t tag, bool multiple, bool nack,
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
        if (!window_take(window, each, &entry)) {
            continue;
        }
        taken++;
        if (!nack) {
            confirm(pipeline, &entry, now_us);
        } else if (!entry.returned && !entry.abandoned) {
            pipeline_refuse(pipeline, &entry,
                            "the broker refused it (basic.nack): a queue is full or failing",
                            now_us);
        }
    }
    lane->progress_us = now_us;
    if (!nack && taken > 0) {
        backoff_reset(&lane->backoff);
        prove(pipeline, lane, taken);
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
 * before confirms"). */
bool
pipeline_returned(struct pipeline *pipeline, uint32_t index, int64_t id, const char *reason,
                  uint64_t now_us)
{
    struct window_entry *entry = window_find_unreturned(&lane_of(pipeline, index)->window, id);
    if (entry == NULL) {
        return false;
    }
    entry->returned = true;
    if (!entry->abandoned) {
        pipeline_refuse(pipeline, entry, reason, now_us);
    }
    return true;
}
