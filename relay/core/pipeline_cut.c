/* A connection ends without a word. Nearly always that is the network; but where something between relay and broker hangs up
 * on a certain message, it would be sent for ever, and all that stands beside it. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/core/pipeline_internal.h"

/* The second time, before all that was in flight the first time is through, a culprit is looked for. */
static void
search_if_repeated(struct lane *lane)
{
    struct window *window = &lane->window;
    if (lane->cut_id != CURSOR_START) {
        lane_search(lane);
    }
    for (uint64_t tag = window_oldest(window); tag < window->next; tag++) {
        const struct window_entry *entry = window_at(window, tag);
        if (entry->pending && entry->id > lane->cut_id) {
            lane->cut_id = entry->id;
        }
    }
}

/* It stays alone until it is through, or set aside. */
static void
stay_alone(struct lane *lane, int64_t id)
{
    lane->limit = 1;
    lane->search_id = id;
}

/* Set aside, it is tried again on a connection of its own. As long as nobody has passed meanwhile that costs it no
 * attempt, so an outage never makes it dead. */
static void
set_aside(struct pipeline *pipeline, struct lane *lane, uint64_t tag, uint32_t count,
          const char *reason, uint64_t now_us)
{
    char words[240];
    const bool blamed = count >= CUTS_BLAMED;
    (void)snprintf(words, sizeof(words),
                   "%" PRIu32 " times the connection ended while this message alone was on its "
                   "way%s (%s)",
                   count,
                   blamed ? ", and others pass: does something between relay and broker refuse it?"
                          : "; others are tried meanwhile",
                   reason); /* cut is fine */
    lane_refuse(pipeline, lane, tag,
                &(struct refusal){.kind = REFUSED_CUT, .reason = words, .blameless = !blamed},
                now_us);
}

static void
note_alone(struct pipeline *pipeline, struct lane *lane, const char *reason, uint64_t now_us)
{
    const uint64_t tag = window_oldest(&lane->window);
    const struct window_entry *entry = window_at(&lane->window, tag);
    if (entry->returned || entry->abandoned) {
        return; /* a returned message is held already, an abandoned one is nobody's */
    }
    const uint32_t count = cuts_note(&pipeline->cuts, entry->id, pipeline->counts.confirmed);
    if (count < CUTS_ASIDE) {
        stay_alone(lane, entry->id);
    } else {
        set_aside(pipeline, lane, tag, count, reason, now_us);
    }
}

void
pipeline_lane_cut(struct pipeline *pipeline, uint32_t index, const char *reason, uint64_t now_us)
{
    struct lane *lane = &pipeline->lanes[index];
    if (lane->state != LANE_READY || lane->window.open == 0) {
        pipeline_lane_lost(pipeline, index, now_us);
        return;
    }
    queue_rewind(&pipeline->queue); /* what ends may let something of the queue go */
    if (lane->limit > lane->limit_start) {
        lane->limit = lane->limit_start;
    }
    if (lane->window.open == 1) {
        note_alone(pipeline, lane, reason, now_us);
    } else {
        search_if_repeated(lane);
    }
    lane_down_searching(pipeline, lane, now_us);
}
