/* A connection ends without a close from the broker. Nearly always the cause is the network. But where some device
 * between relay and broker hangs up on one particular message, that message, and all in flight with it, would be sent
 * forever. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/core/pipeline_internal.h"

/* A message set aside is tried again on the probe lane. As long as no other messages pass, this costs it no attempt, so
 * an outage never makes a message dead. */
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
        /* A returned message is held already; an abandoned one is of an earlier ownership. */
        return;
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
    queue_rewind(&pipeline->queue); /* the event may make a queued row publishable */
    lane_shrink(pipeline, lane);
    if (open == 1) {
        note_alone(pipeline, lane, reason, now_us);
    } else {
        lane_search_if_cut_again(pipeline, lane);
    }
    lane_down_searching(pipeline, lane, now_us);
}
