/* A connection ends without a word. Nearly always that is the network; but where something between relay and broker hangs up
 * on a certain message, it would be sent for ever, and all that stands beside it. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/core/pipeline_internal.h"

/* Set aside, it is tried again on a connection of its own. As long as nobody has passed meanwhile that costs it no
 * attempt, so an outage never makes it dead. */
static void
set_aside(struct pipeline *pipeline, uint32_t lane, uint64_t tag, uint32_t count,
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
note_alone(struct pipeline *pipeline, uint32_t lane, const char *reason, uint64_t now_us)
{
    struct window *window = lane_window(pipeline, lane);
    const uint64_t tag = window_oldest(window);
    const struct window_entry *entry = window_at(window, tag);
    if (entry->returned || entry->abandoned) {
        return; /* a returned message is held already, an abandoned one is nobody's */
    }
    const uint32_t count = cuts_note(&pipeline->cuts, entry->id, pipeline->counts.confirmed);
    if (count < CUTS_ASIDE) {
        lane_stay_alone(pipeline, lane, entry->id);
    } else {
        set_aside(pipeline, lane, tag, count, reason, now_us);
    }
}

void
pipeline_lane_cut(struct pipeline *pipeline, uint32_t lane, const char *reason, uint64_t now_us)
{
    const uint32_t open = lane_window(pipeline, lane)->open;
    if (!lane_is_ready(pipeline, lane) || open == 0) {
        pipeline_lane_lost(pipeline, lane, now_us);
        return;
    }
    queue_rewind(&pipeline->queue); /* what ends may let something of the queue go */
    lane_shrink(pipeline, lane);
    if (open == 1) {
        note_alone(pipeline, lane, reason, now_us);
    } else {
        lane_search_if_cut_again(pipeline, lane);
    }
    lane_down_searching(pipeline, lane, now_us);
}
