/* relay/core/pipeline_lane.h - a lane: a connection with one channel, the unconfirmed messages on it, and how many
 * there may be. Connecting, opening the channel, searching for a message that closes channels, confirms that do not
 * come. For the meaning of an outcome see pipeline_confirm.c, for a connection that ends without a close
 * pipeline_cut.c. */
#ifndef RELAY_CORE_PIPELINE_LANE_H
#define RELAY_CORE_PIPELINE_LANE_H

#include "base/backoff.h"
#include "relay/core/pipeline.h"
#include "relay/core/window.h"

#define PROBE_WINDOW 256 /* at most so many are unconfirmed on the probe lane */

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
    uint64_t wanted_us; /* probe lane: when any key was last held back */
    bool blocked;       /* connection.blocked */
    bool leaving;       /* another connection is to take its place: no new messages */
    bool congested;     /* the socket accepts data more slowly than it is produced */

    struct window window;
    uint32_t resets; /* how often the window was emptied */
    /* The most that may be unconfirmed: halved when a channel closes and no culprit is known, doubled as messages are
     * confirmed. */
    uint32_t limit;
    uint32_t limit_start;
    uint32_t limit_max;
    uint32_t proved; /* confirmed since the limit changed */
    bool limited;    /* the limit was reached since then */
    /* While a message that closed the channel is searched for, the limit does not grow until this id or a higher one is
     * through. CURSOR_START: no search. */
    int64_t search_id;
    /* The highest id in flight when the connection ended without a close, until this or a higher one is through.
     * CURSOR_START: none. */
    int64_t cut_id;

    /* Start of the confirm timeout: the last confirm, or when the window became non-empty. It moves on as long as data
     * that was handed to the socket by then still arrives: up to due_bytes of out_bytes (pipeline_lane_arrived).
     * due_bytes is taken from the next report while due_known is false. */
    uint64_t progress_us;
    bool due_known;
    uint64_t due_bytes;
    uint64_t taken_bytes; /* from the last report */
};

/* ---- all of them ----------------------------------------------------------------------------------- */

void lanes_init(struct pipeline *pipeline, uint64_t now_us);
void lanes_done(struct pipeline *pipeline);
/* The ownership is over: messages in flight belong to it. */
void lanes_lost(struct pipeline *pipeline);

/* Of the lanes that carry the stream. */
uint32_t lanes_ready(const struct pipeline *pipeline);
bool lanes_any_ready(const struct pipeline *pipeline);
bool lanes_any_blocked(const struct pipeline *pipeline);
/* Of all lanes. */
uint32_t lanes_in_flight(const struct pipeline *pipeline);
/* When the oldest message in flight was published; now_us if there is none. */
uint64_t lanes_oldest_us(const struct pipeline *pipeline, uint64_t now_us);
/* Ids of messages of the outbox that are in flight and were not returned. */
void lanes_each_in_flight(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                          void *context);

/* A mark behind all messages in flight on the lanes of the stream. A mark is passed once all of them have an outcome or
 * were forgotten. */
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
/* Ready, and neither leaving, blocked nor congested. */
bool lane_is_free(const struct pipeline *pipeline, uint32_t index);
/* For a message that may take either lane. */
bool lane_is_better(const struct pipeline *pipeline, uint32_t index, uint32_t other);
/* Room for a message of so many bytes. */
bool lane_has_room(struct pipeline *pipeline, uint32_t index, uint32_t bytes);
struct window *lane_window(struct pipeline *pipeline, uint32_t index);

void lane_published(struct pipeline *pipeline, uint32_t index, const struct window_entry *entry,
                    uint64_t now_us);
/* The connection is gone; messages in flight are read and sent again. */
void lane_down(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* The same, but the search for a culprit goes on over the next connection. */
void lane_down_searching(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* The connection ended without a close: reduce the limit to its start value. */
void lane_shrink(struct pipeline *pipeline, uint32_t index);
/* If an earlier connection ended in the same way, and the messages in flight then are not through yet: search for a
 * culprit. */
void lane_search_if_cut_again(struct pipeline *pipeline, uint32_t index);
/* The suspected message is sent alone until it is through or set aside. */
void lane_stay_alone(struct pipeline *pipeline, uint32_t index, int64_t id);
/* The message with this tag is the culprit: refuse it. */
void lane_refuse(struct pipeline *pipeline, uint32_t index, uint64_t tag,
                 const struct refusal *refusal, uint64_t now_us);

/* Takes the message with this tag out of the window, as its outcome has come. False: it is not in the window. */
bool lane_take(struct pipeline *pipeline, uint32_t index, uint64_t tag,
               struct window_entry *ret_entry) MUST_CHECK;
/* Restarts the confirm timeout, after a confirm or when the first message is in flight; it counts from when all data
 * handed over by now has arrived. */
void lane_progress(struct pipeline *pipeline, uint32_t index, uint64_t now_us);
/* So many messages were confirmed: the limit may grow. */
void lane_prove(struct pipeline *pipeline, uint32_t index, uint32_t confirmed);

#endif
