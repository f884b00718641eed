/* relay/core/pipeline_lane.h - a lane: one channel on one connection of its own, what is unconfirmed on it, and how much may
 * be. Connecting and opening, the search for a message that closes channels, confirms that do not come. What an outcome means
 * is pipeline_confirm.c, a connection that ends without a word pipeline_cut.c. */
#ifndef RELAY_CORE_PIPELINE_LANE_H
#define RELAY_CORE_PIPELINE_LANE_H

#include "base/backoff.h"
#include "relay/core/pipeline.h"
#include "relay/core/window.h"

#define PROBE_WINDOW 256 /* the most that may be unconfirmed on the lane for probes */

struct refusal;

enum lane_state {
    LANE_DOWN, /* no connection; connect at retry_at_us */
    LANE_CONNECTING,
    LANE_CONNECTED, /* no channel; open one at retry_at_us */
    LANE_OPENING,
    LANE_READY,
};

struct lane {
    enum lane_state state;
    struct backoff backoff;
    uint64_t retry_at_us;
    uint64_t ready_since_us;
    uint64_t wanted_us; /* the lane for probes: when something was held last */
    bool blocked;       /* connection.blocked */
    bool congested;     /* the socket does not keep up */

    struct window window;
    uint32_t resets; /* how often the window was forgotten */
    /* How many may be unconfirmed: halved when a channel closes, doubled as messages prove good. */
    uint32_t limit;
    uint32_t limit_start;
    uint32_t limit_max;
    uint32_t proved; /* confirmed since the limit changed */
    bool limited;    /* the limit was reached since it changed */
    /* A message that closed the channel is looked for: the limit does not grow before one with this id or a higher one is
     * through. CURSOR_START: none is. */
    int64_t search_id;
    /* The highest id in flight when the connection ended without a word, until this or a higher one is through.
     * CURSOR_START: none. */
    int64_t cut_id;

    /* The last confirm, or when the window became non-empty; later, as long as what was put out by then arrives: of out_bytes
     * (pipeline_lane_arrived) due_bytes, which are what is told next while they are not known. */
    uint64_t progress_us;
    bool due_known;
    uint64_t due_bytes;
    uint64_t taken_bytes; /* as told last */
};

/* ---- all of them ----------------------------------------------------------------------------------- */

void lanes_init(struct pipeline *pipeline, uint64_t now_us);
void lanes_done(struct pipeline *pipeline);
/* What is in flight is of an ownership that is over. */
void lanes_lost(struct pipeline *pipeline);

/* Of those that carry the stream. */
uint32_t lanes_ready(const struct pipeline *pipeline);
bool lanes_any_ready(const struct pipeline *pipeline);
bool lanes_any_blocked(const struct pipeline *pipeline);
/* Of all. */
uint32_t lanes_in_flight(const struct pipeline *pipeline);
/* When the oldest of what is in flight was published; now_us if nothing is. */
uint64_t lanes_oldest_us(const struct pipeline *pipeline, uint64_t now_us);
/* What is in flight of the outbox, and was not refused. */
void lanes_each_in_flight(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                          void *context);

/* A mark behind all that is in flight on lanes of the stream, and whether it is through or was forgotten. */
struct lanes_mark {
    uint64_t tags[PIPELINE_LANES_MAX];
    uint32_t resets[PIPELINE_LANES_MAX];
};
void lanes_mark(const struct pipeline *pipeline, struct lanes_mark *ret_mark);
bool lanes_have_passed(struct pipeline *pipeline, const struct lanes_mark *mark);

bool lanes_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t lanes_deadline_us(const struct pipeline *pipeline);

/* ---- one, by its index ----------------------------------------------------------------------------- */

uint32_t lane_for_probes(const struct pipeline *pipeline);
bool lane_is_ready(const struct pipeline *pipeline, uint32_t index);
/* Ready, and neither blocked nor congested. */
bool lane_is_free(const struct pipeline *pipeline, uint32_t index);
/* For a message that may go to either. */
bool lane_is_better(const struct pipeline *pipeline, uint32_t index, uint32_t other);
/* For a message of so many bytes. */
bool lane_has_room(struct pipeline *pipeline, uint32_t index, uint32_t bytes);
struct window *lane_window(struct pipeline *pipeline, uint32_t index);

void lane_published(struct pipeline *pipeline, uint32_t index, const struct window_entry *entry,
                    uint64_t now_us);
/* Its connection is gone; what it has in flight is read and sent again. */
void lane_down(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* Likewise, and the search for a culprit outlives the connection. */
void lane_down_searching(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* Its connection ended without a word: no more than at the start may be unconfirmed; */
void lane_shrink(struct pipeline *pipeline, uint32_t index);
/* and if that happened before, and what was in flight then is not through yet, a culprit is looked for. */
void lane_search_if_cut_again(struct pipeline *pipeline, uint32_t index);
/* One that is suspected stays alone until it is through, or set aside. */
void lane_stay_alone(struct pipeline *pipeline, uint32_t index, int64_t id);
/* What has this tag did it. */
void lane_refuse(struct pipeline *pipeline, uint32_t index, uint64_t tag,
                 const struct refusal *refusal, uint64_t now_us);

/* The broker said something of this tag: it is in flight no more. False: it was not. */
bool lane_take(struct pipeline *pipeline, uint32_t index, uint64_t tag,
               struct window_entry *ret_entry) MUST_CHECK;
/* After that: a confirm has come, or one has become due, and the time for the next begins once what is put out by now has
 * arrived. */
void lane_progress(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* Of those that were taken, so many were confirmed. */
void lane_prove(struct pipeline *pipeline, uint32_t index, uint32_t confirmed);

#endif
