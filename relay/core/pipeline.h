/* relay/core/pipeline.h - the core of the relay: it moves messages from one outbox to one broker. It decides everything
 * and does nothing itself: it receives events with the time, and returns the next action. It has no clock, no socket,
 * no log and no thread. The worker around it carries the actions out; the simulation runs this same code in a world
 * that it can break at will.
 *
 *   events in    source owned / lost, rows, settled, final id, lease, held, released, heads, woken;
 *                log read / not read, rows of the log, which rows are present;
 *                lane connected, ready, lost, channel closed, to be moved; confirmed, nacked, returned; blocked;
 *                drain
 *   actions out  connect a lane, open its channel, move it, drop it; fetch, settle, hold, release, ask for
 *                the heads, wake, ask for the watermark; begin to read the log, end it, ask for more of it,
 *                tell up to where it is safe; publish; drop a row; ask for another relay, leave the outbox to it
 *
 * What it guarantees:
 * - An id is given to settle only after the broker confirmed that message and did not return it.
 * - Messages of a key are published in the order of their ids, on one lane. While a message of the key is known to be
 *   refused, no later one of the key is published. With `strict` at most one of a key is unconfirmed at any time.
 * - A message that is refused for its content or address moves aside (to outbox_held) and is tried again with growing
 *   pauses. Later messages of its key wait behind it, in order; other keys go on.
 * - An outage (lane lost, blocked, no confirms, database gone, a full queue, a route that refuses everything) costs no
 *   message an attempt.
 * - No more messages are published than rate_max allows, whatever they are: new, tried again, or due.
 * - Memory is bounded: a message that cannot be sent now stays in the table and is read again. The table is the truth;
 *   of messages in flight the core keeps ids, never the content. */
#ifndef RELAY_CORE_PIPELINE_H
#define RELAY_CORE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "relay/ports/source.h"

/* Lanes 0 to lane_count - 1 carry the stream. Lane lane_count is the probe lane: held messages are tried again there,
 * so that a held message that closes its channel does not close a channel of the stream. The probe lane is connected
 * only while there is something to try. */
#define PIPELINE_LANES_MAX 5

struct pipeline_options {
    uint32_t lane_count;      /* 1 to PIPELINE_LANES_MAX - 1; the probe lane comes on top */
    uint32_t rate_max;        /* messages a second that may be published; 0: no limit (bucket.h) */
    uint32_t window_messages; /* per lane: the most that may be unconfirmed */
    uint64_t window_bytes;    /* per lane; one message of any size is allowed */
    uint32_t batch_rows;
    uint64_t batch_bytes;
    uint64_t poll_interval_max_us;
    /* A source is quiet when nothing has come for quiet_after_us and no message is held. Then it is looked at this seldom,
     * if that is less often than otherwise. */
    uint64_t quiet_after_us;
    uint64_t poll_interval_idle_us;
    uint64_t watermark_interval_us;
    uint64_t sweep_interval_us;
    /* At least so long between two checks for scheduled messages that are due. */
    uint64_t wake_interval_us;
    /* Acts of operators on held messages are noticed within look_interval_us; when no message is held and nothing has come for
     * rest_after_us, within look_interval_idle_us, if that is longer. */
    uint64_t look_interval_us;
    uint64_t look_interval_idle_us;
    uint64_t rest_after_us;
    /* A refused message waits this long for others before they are set aside together: long enough to see whether the
     * route refuses everything. */
    uint64_t hold_delay_us;
    /* A confirmed row waits this long for others before they are settled together. */
    uint64_t settle_delay_us;
    uint64_t confirm_timeout_us;
    uint64_t reconnect_initial_us;
    uint64_t reconnect_max_us;
    /* The first retry of a refused message comes after this time, the next after twice as long, and so on. */
    uint64_t retry_initial_us;
    uint64_t retry_max_us;
    uint32_t max_attempts; /* a message is dead after so many refusals; 0: never */
    bool skip_dead;        /* a dead message does not hold back its key */
    /* At so many refused messages the stream stops until some of them have gone out. */
    uint32_t held_max;
    bool tail; /* read the source's log where possible */
    /* Reading of the log ends after nothing could be published for this long. */
    uint64_t tail_patience_us;
    /* An owner that has not reached its broker for this long leaves the outbox to a relay that does. 0: never */
    uint64_t yield_after_us;
    uint64_t phase_us; /* of the beats on which it does what is regular (clock_on_beat_us) */
    bool strict;       /* at most one message of a key is unconfirmed */
    uint64_t seed;     /* for jitter */
};

/* Defaults that suit most users; the worker overwrites the values that the configuration sets. */
struct pipeline_options pipeline_defaults(void);

struct pipeline;

struct pipeline *pipeline_new(const struct pipeline_options *options, uint64_t now_us);
/* Rows that were not given back yet belong to the caller. */
void pipeline_free(struct pipeline *pipeline);

/* Events of the source; relay/ports/source.h says what each one means. Rows passed in belong to the core until an
 * action gives each back (PIPELINE_PUBLISH, PIPELINE_DROP). A row's exchange must be filled in: the source's default
 * where the row has none. Everything else is read before the call returns. */
void pipeline_source_owned(struct pipeline *pipeline, uint64_t now_us);
void pipeline_source_lost(struct pipeline *pipeline, uint64_t now_us);
void pipeline_lease(struct pipeline *pipeline, uint64_t until_us);
void pipeline_rows(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us);
void pipeline_present(struct pipeline *pipeline, const struct source_present *present,
                      uint64_t now_us);
/* Rows that could not be deleted are not sent again during this ownership; deleting them is retried from time to time. */
void pipeline_settled(struct pipeline *pipeline, const struct source_settled *settled,
                      uint64_t now_us);
void pipeline_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us);
/* Messages that could not be set aside, or could not get their new state, are retried from time to time; meanwhile
 * their keys wait in the outbox. */
void pipeline_held(struct pipeline *pipeline, const struct source_held *held, uint64_t now_us);
/* A message that could not move back is sent from the held table. */
void pipeline_released(struct pipeline *pipeline, const struct source_released *released,
                       uint64_t now_us);
void pipeline_heads(struct pipeline *pipeline, const struct source_heads *heads, uint64_t now_us);
void pipeline_woken(struct pipeline *pipeline, const struct source_woken *woken, uint64_t now_us);
/* Whether another relay, which reaches its broker, waits for the ownership. */
void pipeline_rival(struct pipeline *pipeline, bool rival, uint64_t now_us);
/* Reading of the log has begun; it brings what was committed from `from` on. */
void pipeline_tailing(struct pipeline *pipeline, log_position from, uint64_t now_us);
/* The log is not read, or no longer. seldom: an operator must act first. */
void pipeline_not_tailing(struct pipeline *pipeline, const char *reason, bool seldom,
                          uint64_t now_us);
/* The next rows of the log, in its order. */
void pipeline_log(struct pipeline *pipeline, const struct source_log *log, uint64_t now_us);

/* The lanes. `reason` is kept by copy. */
void pipeline_lane_connected(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_ready(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_lost(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_congested(struct pipeline *pipeline, uint32_t lane, bool congested);
/* Another connection waits, its channel open, to take the lane's place (leave), or does no longer. Until then nothing more
 * is published on the present one; when all that was has an outcome, PIPELINE_MOVE puts the other in its place. So nothing is
 * sent twice for it, and a key's messages stay in order. For a lane of the stream that is ready; forgotten when the
 * lane is lost. */
void pipeline_lane_leave(struct pipeline *pipeline, uint32_t lane, bool leave);
/* Since the lane was made, out_bytes were handed to the socket, and taken_bytes of them have arrived at the broker's
 * machine. On a slow link transfer alone can take longer than confirm_timeout. So the timeout starts only when
 * everything that was handed over by the last confirm has arrived. Bytes handed over later do not postpone it: a broker
 * that takes messages and heartbeats but confirms nothing counts as lost. */
void pipeline_lane_arrived(struct pipeline *pipeline, uint32_t lane, uint64_t taken_bytes,
                           uint64_t out_bytes, uint64_t now_us);
void pipeline_lane_blocked(struct pipeline *pipeline, uint32_t lane, bool blocked, uint64_t now_us);
/* exchange: hash of the exchange that the broker's text names (pipeline_exchange_hash), or 0 if it names none: then the
 * message at fault has to be searched for. */
void pipeline_channel_closed(struct pipeline *pipeline, uint32_t lane, const char *reason,
                             uint32_t exchange, uint64_t now_us);
/* The broker closed the whole connection because of a mistake in what was sent: a message in the window caused it, and
 * is searched for as for a closed channel. */
void pipeline_lane_closed(struct pipeline *pipeline, uint32_t lane, const char *reason,
                          uint64_t now_us);
/* The connection ended without a close from the broker. Usually that is an outage, but a middlebox that hangs up on one
 * particular message looks the same. A message that was alone in flight when that happened several times in a row is
 * set aside (cuts.h). */
void pipeline_lane_cut(struct pipeline *pipeline, uint32_t lane, const char *reason,
                       uint64_t now_us);
uint32_t pipeline_exchange_hash(struct span exchange); /* never 0 */

/* False: the tag is not outstanding; the lane can no longer be trusted and must be dropped. */
bool pipeline_confirmed(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                        uint64_t now_us);
bool pipeline_nacked(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                     uint64_t now_us);
/* False: no message with this id is outstanding, so the confirm that follows would be taken for another message: drop
 * the lane too. */
bool pipeline_returned(struct pipeline *pipeline, uint32_t lane, int64_t id, const char *reason,
                       uint64_t now_us);

/* Stop fetching, drop the queue, wait for the confirms, settle. */
void pipeline_drain(struct pipeline *pipeline);

enum pipeline_action_type {
    PIPELINE_CONNECT, /* lane: connect; answer: lane_connected or lane_lost */
    /* lane: open the channel in confirm mode; answer: lane_ready, channel_closed or lane_lost. */
    PIPELINE_OPEN_CHANNEL,
    /* lane: drop the connection; the core already counts it as lost. No confirm came for too long, or the probe lane is
     * not needed any more. */
    PIPELINE_DISCONNECT,
    /* lane: put the connection that waits in the place of this one, of which nothing is unconfirmed. The core counts the
     * lane as ready, and its messages from 1. */
    PIPELINE_MOVE,
    PIPELINE_FETCH,      /* fetch; answer: rows or source_lost */
    PIPELINE_SETTLE,     /* ids, count; answer: settled or source_lost */
    PIPELINE_WATERMARK,  /* answer: final or source_lost */
    PIPELINE_HOLD,       /* holds, count; answer: held or source_lost */
    PIPELINE_RELEASE,    /* release; answer: released or source_lost */
    PIPELINE_HEADS,      /* answer: heads or source_lost */
    PIPELINE_WAKE,       /* count: rows at most; answer: woken or source_lost */
    PIPELINE_TAIL_BEGIN, /* position; answer: tailing, not_tailing or source_lost */
    PIPELINE_TAIL_END,
    PIPELINE_TAIL_MORE, /* count: rows at most, bytes; answer: log, not_tailing or source_lost */
    PIPELINE_TAIL_SAFE, /* position */
    PIPELINE_RIVAL,     /* answer: rival or source_lost */
    PIPELINE_YIELD,     /* answer: source_lost */
    /* row, lane; answer at once, before the next call: published or unpublishable. */
    PIPELINE_PUBLISH,
    /* row: not needed now; it is fetched again if it still exists. */
    PIPELINE_DROP,
    PIPELINE_REPORT,  /* report: write a log line; nothing else to do */
    PIPELINE_DRAINED, /* after pipeline_drain: everything is settled; the last action */
};

enum pipeline_report_type {
    REPORT_REFUSED,  /* id, attempts, retry_at_us, reason: it (and its key) is held */
    REPORT_DEAD,     /* id, attempts, reason: not tried again; its key waits, or is skipped over */
    REPORT_SENT,     /* id, attempts: a held message went out */
    REPORT_GONE,     /* id: a held message is no longer in the table; its key goes on */
    REPORT_SWEPT,    /* count: the sweep found rows that the regular look had missed */
    REPORT_FULL,     /* count: held_max is reached; nothing but retries goes out */
    REPORT_TIMEOUT,  /* lane, count in flight: no confirm for confirm_timeout */
    REPORT_DEGRADED, /* reason: the route refuses nearly everything; nothing is held for it */
    REPORT_HEALED,   /* the route takes messages again */
    REPORT_UNMOVED, /* id, count, reason: messages cannot be set aside; their keys wait in the outbox */
    REPORT_UNDELETED, /* id, count, reason: messages that went out cannot be deleted */
    REPORT_TAILING,   /* rows come from the log now */
    REPORT_POLLING,   /* reason: the log is not read any more */
};

struct pipeline_report {
    enum pipeline_report_type type;
    uint32_t lane;
    int64_t id;
    uint32_t attempts;
    uint64_t count;
    uint64_t retry_at_us;
    char reason[240];
};

struct pipeline_action {
    enum pipeline_action_type type;
    uint32_t lane;
    const struct row *row;
    struct fetch fetch;       /* its array is valid until the next call */
    struct release release;   /* its arrays are valid until the answer */
    const struct hold *holds; /* valid until the answer, with their reasons */
    const int64_t *ids;       /* valid until the answer */
    size_t count;
    uint64_t bytes;
    log_position position;
    struct pipeline_report report;
};

/* The next action. False: there is none until pipeline_deadline_us, unless an event comes. */
bool pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us);

/* Answers to PIPELINE_PUBLISH. Unpublishable: the message can never be encoded; it is refused. */
void pipeline_published(struct pipeline *pipeline);
void pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us);

/* A shortcut for publishing many messages in a row. After pipeline_published, with no other event since, it gives the
 * next row to publish, as PIPELINE_PUBLISH would, without checking for any other action. NULL: none. Call pipeline_next
 * again after some of them, and when there is none. */
const struct row *pipeline_publish_on(struct pipeline *pipeline, uint64_t now_us,
                                      uint32_t *ret_lane);

/* Whether there is a connection on which it can publish. */
bool pipeline_reaches_broker(const struct pipeline *pipeline);

/* For status and metrics. */
struct pipeline_counts {
    bool owned;
    bool blocked;
    bool tailing; /* rows come from the log */
    bool limited; /* rows wait for rate_max */
    uint32_t lanes_ready;
    log_position log_read; /* up to where the log was read; 0: it is not read */
    uint64_t queued;       /* rows in memory, not yet published */
    uint64_t in_flight;    /* published, not yet confirmed */
    uint64_t unsettled;    /* confirmed, not yet deleted */
    uint64_t held;         /* heads: keys that are held back, and held messages without a key */
    uint64_t published;    /* since the start, with repetitions */
    uint64_t confirmed;
    uint64_t refused; /* the sum of the next five */
    uint64_t refused_returned;
    uint64_t refused_nacked;
    uint64_t refused_closed; /* the broker closed the channel or the connection for it */
    uint64_t refused_cut;    /* the connection ended whenever it was sent */
    uint64_t refused_unpublishable;
    uint64_t settled;
    uint64_t swept;
    /* Handed to the broker, and perhaps taken, but that will not be known, or not be remembered: each is published again. In
     * flight when a connection or channel ended; in flight, or not deleted yet, when the ownership did. */
    uint64_t repeated_connection;
    uint64_t repeated_ownership;
    uint64_t limited_us; /* for how long rows have waited for rate_max */
};
void pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret_counts);

/* How long confirmed messages took: from being handed to the connection until the confirm, and from being written into
 * the outbox (created_at) until the confirm. The second one leaves out messages that were refused before, and has what
 * the clocks of database and relay are apart in it. */
struct pipeline_latency {
    struct histogram publishing;
    struct histogram delivery;
};
const struct pipeline_latency *pipeline_latency(const struct pipeline *pipeline);
/* How far the wall clock is ahead of the monotonic one, for `delivery`: to be told now and then. */
void pipeline_wall(struct pipeline *pipeline, uint64_t ahead_us);

/* Why an owned outbox is not sent, the first of these that holds. */
enum pipeline_pause {
    PAUSE_NONE,
    PAUSE_NO_BROKER,   /* no lane is ready */
    PAUSE_BLOCKED,     /* connection.blocked */
    PAUSE_DEGRADED,    /* the route refuses nearly everything */
    PAUSE_UNDELETABLE, /* too many messages that went out cannot be deleted */
    PAUSE_FULL,        /* held_max */
};
#define PIPELINE_PAUSES 6
enum pipeline_pause pipeline_pause(const struct pipeline *pipeline);

/* Fills in all but `rate`, which the worker knows. The reason is valid until the next event. */
void pipeline_status(const struct pipeline *pipeline, uint64_t now_us,
                     struct source_status *ret_status);

#endif
