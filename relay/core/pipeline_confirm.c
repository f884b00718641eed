/* Answers of the broker about messages in flight: confirmed, refused, returned. */
#include <assert.h>

#include "relay/core/pipeline_internal.h"

/* It is not known whether the message reached a queue, and no later message of its key may go before it. */
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
    route_sample_cut(pipeline);
}

/* A message that is tried again waited for its next attempt, which would hide how long a message takes. */
static void
measure(struct pipeline *pipeline, const struct window_entry *entry, uint64_t now_us)
{
    const uint64_t wall_us = pipeline->wall_ahead_us + now_us;
    histogram_add(&pipeline->latency.publishing, now_us - entry->published_us);
    if (!entry->probe && entry->created_us > 0) {
        const uint64_t created_us = (uint64_t)entry->created_us;
        histogram_add(&pipeline->latency.delivery, wall_us > created_us ? wall_us - created_us : 0);
    }
}

static void
confirm(struct pipeline *pipeline, const struct window_entry *entry, uint64_t now_us)
{
    if (entry->returned || entry->abandoned) {
        return; /* returned: it reached no queue, and was refused when the return came */
    }
    cuts_clear(&pipeline->cuts, entry->id);
    if (entry->doubtful) {
        send_again(pipeline, entry, now_us);
        return;
    }
    pipeline->counts.confirmed++;
    measure(pipeline, entry, now_us);
    route_taken(pipeline, entry);
    if (entry->probe) {
        probing_confirmed(pipeline, entry);
    } else {
        settling_add(pipeline, entry->id, now_us);
    }
}

static void
nack(struct pipeline *pipeline, uint32_t lane, uint64_t tag, const struct window_entry *entry,
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

/* Confirms or refuses one tag, or all tags up to it. False if the tag was never given out. */
static bool
each_tag(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple, bool nacked,
         uint64_t now_us)
{
    struct window *window = lane_window(pipeline, lane);
    if (tag >= window->next || (tag == 0 && !multiple)) {
        return false;
    }
    /* Tag 0 with `multiple` means all outstanding tags (AMQP 0-9-1, basic.ack). */
    const uint64_t last = tag == 0 ? window->next - 1 : tag;
    const uint64_t first = multiple ? window_oldest(window) : last;
    struct window_entry entry;
    uint32_t taken = 0;
    for (uint64_t each = first; each <= last; each++) {
        if (!lane_take(pipeline, lane, each, &entry)) {
            continue;
        }
        taken++;
        if (nacked) {
            nack(pipeline, lane, each, &entry, now_us);
        } else {
            confirm(pipeline, &entry, now_us);
        }
        route_weigh(pipeline, lane, now_us); /* in the order of the tags */
    }
    lane_progress(pipeline, lane, now_us);
    if (!nacked && taken > 0) {
        lane_prove(pipeline, lane, taken);
    }
    return true;
}

static bool
apply(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple, bool nacked,
      uint64_t now_us)
{
    assert(lane <= lane_for_probes(pipeline));
    queue_rewind(&pipeline->queue); /* there may be room for a queued row */
    return lane_is_ready(pipeline, lane) && each_tag(pipeline, lane, tag, multiple, nacked, now_us);
}

bool
pipeline_confirmed(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                   uint64_t now_us)
{
    return apply(pipeline, lane, tag, multiple, false, now_us);
}

bool
pipeline_nacked(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                uint64_t now_us)
{
    return apply(pipeline, lane, tag, multiple, true, now_us);
}

/* A return comes before the confirm of the same message (rabbit_channel.erl: "basic.returns must be sent before
 * confirms"), and does not say which copy it is for. If a copy from an earlier ownership is still in flight, the return
 * may belong to that copy or to ours. */
bool
pipeline_returned(struct pipeline *pipeline, uint32_t lane, int64_t id, const char *reason,
                  uint64_t now_us)
{
    assert(lane <= lane_for_probes(pipeline));
    queue_rewind(&pipeline->queue);
    struct window *window = lane_window(pipeline, lane);
    struct window_entry *entry = window_find_unreturned(window, id);
    if (entry == NULL) {
        return false;
    }
    entry->returned = true;
    if (!entry->abandoned) {
        const struct refusal refusal = {
            .kind = REFUSED_RETURNED, .reason = reason, .tag = window_tag(window, entry)};
        pipeline_refuse(pipeline, lane, entry, &refusal, now_us);
        return true;
    }
    window_doubt(window, id);
    return true;
}
