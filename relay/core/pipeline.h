/* relay/core/pipeline.h - the core of the relay: from one outbox to one broker, deciding everything and
 * doing nothing. It is told what happened and when, and says what to do next. No clock, no socket,
 * no log, no thread: the worker around it does what it says, and the simulation runs this same code
 * against a world it can break at will.
 *
 *   events in    source owned / lost, rows, settled, final id, lease, held, released, heads, woken;
 *                log read / not read, rows of the log, which rows are present;
 *                lane connected, ready, lost, channel closed; confirmed, nacked, returned; blocked;
 *                drain
 *   actions out  connect a lane, open its channel, drop it; fetch, settle, hold, release, ask for
 *                the heads, wake, ask for the watermark; begin to read the log, end it, ask for more of it,
 *                tell up to where it is safe; publish; drop a row
 *
 * What it guarantees:
 * - An id is given to settle only after the broker confirmed that message and did not return it.
 * - Messages of a key are published in the order of their ids, on one lane, and none of them while
 *   an earlier one of the key is known to be refused. With `strict` at most one of a key is
 *   unconfirmed at any time.
 * - A message that is refused for what it is moves aside (outbox_held) and is tried again with
 *   growing pauses; its key's later messages wait behind it, in order; other keys go on.
 * - An outage (lane lost, blocked, no confirms, database gone, a full queue, a route that refuses
 *   everything) costs no message an attempt.
 * - Memory is bounded: what cannot be sent now is left in the table and read again. The table is
 *   the truth; the core keeps ids of what is in flight, never a message. */
#ifndef RELAY_CORE_PIPELINE_H
#define RELAY_CORE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/ports/source.h"

/* Lanes 0 to lane_count - 1 carry the stream. Lane lane_count is the probe lane: held messages are tried
 * again there, so that one that closes its channel closes nobody else's. It is connected only when
 * there is something to try. */
#define PIPELINE_LANES_MAX 5

struct pipeline_options {
    uint32_t lane_count;      /* 1 to PIPELINE_LANES_MAX - 1; the probe lane comes on top */
    uint32_t window_messages; /* per lane: the most that may be unconfirmed */
    uint64_t window_bytes;    /* per lane; one message of any size is allowed */
    uint32_t batch_rows;
    uint64_t batch_bytes;
    uint64_t poll_interval_max_us;
    uint64_t watermark_interval_us;
    uint64_t sweep_interval_us;
    uint64_t wake_interval_us; /* between two looks for scheduled messages that are due, at least */
    uint64_t look_interval_us; /* what operators did to held messages is noticed within this */
    /* How long a refused message may wait for company before it moves aside: long enough to see whether the route refuses
     * everything. */
    uint64_t hold_delay_us;
    /* How long a confirmed row may wait for company before it is settled. */
    uint64_t settle_delay_us;
    uint64_t confirm_timeout_us;
    uint64_t reconnect_initial_us;
    uint64_t reconnect_max_us;
    /* A refused message is tried again after this, then after twice as long, … */
    uint64_t retry_initial_us;
    uint64_t retry_max_us;
    uint32_t max_attempts; /* refusals after which a message is dead; 0: never */
    bool skip_dead;        /* a dead message lets its key go on */
    uint32_t held_max;     /* more refused messages than this stop the stream until some go out */
    bool tail;             /* the source may have a log: it is read where it can be */
    /* The log is let go of when nothing of it could go out for so long. */
    uint64_t tail_patience_us;
    bool strict;   /* at most one unconfirmed message of a key */
    uint64_t seed; /* for jitter */
};

/* A value for every field that serves most; the worker overwrites what the configuration names. */
struct pipeline_options pipeline_defaults(void);

struct pipeline;

struct pipeline *pipeline_new(const struct pipeline_options *options, uint64_t now_us);
void pipeline_free(struct pipeline *pipeline); /* rows not yet released are the caller's */

/* The source: what its events say (relay/ports/source.h), which says what each means. Rows given in are the core's until
 * an action gives each back (PIPELINE_PUBLISH, PIPELINE_DROP). Of a row's exchange the name counts: the source's default is
 * filled in. All else is read before the call returns. */
void pipeline_source_owned(struct pipeline *pipeline, uint64_t now_us);
void pipeline_source_lost(struct pipeline *pipeline, uint64_t now_us);
void pipeline_lease(struct pipeline *pipeline, uint64_t until_us);
void pipeline_rows(struct pipeline *pipeline, const struct batch *batch, uint64_t now_us);
void pipeline_present(struct pipeline *pipeline, const struct source_present *present,
                      uint64_t now_us);
/* What could not be deleted is not sent again as long as the ownership lasts, and settled again from time to time. */
void pipeline_settled(struct pipeline *pipeline, const struct source_settled *settled,
                      uint64_t now_us);
void pipeline_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us);
/* What could not be set aside, or get another state, is told again from time to time; meanwhile its key waits, in the
 * outbox. */
void pipeline_held(struct pipeline *pipeline, const struct source_held *held, uint64_t now_us);
/* What could not move back is sent from where it is. */
void pipeline_released(struct pipeline *pipeline, const struct source_released *released,
                       uint64_t now_us);
void pipeline_heads(struct pipeline *pipeline, const struct source_heads *heads, uint64_t now_us);
void pipeline_woken(struct pipeline *pipeline, const struct source_woken *woken, uint64_t now_us);
/* The log is read; it brings what was committed from `from` on. */
void pipeline_tailing(struct pipeline *pipeline, log_position from, uint64_t now_us);
/* It is not read, or not any more. seldom: an operator must act first. */
void pipeline_not_tailing(struct pipeline *pipeline, const char *reason, bool seldom,
                          uint64_t now_us);
/* The next of the log, in its order. */
void pipeline_log(struct pipeline *pipeline, const struct source_log *log, uint64_t now_us);

/* The lanes. `reason` is kept by copy. */
void pipeline_lane_connected(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_ready(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_lost(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_congested(struct pipeline *pipeline, uint32_t lane, bool congested);
/* Of out_bytes that were put out since the lane was made, taken_bytes have arrived at the broker's machine. Over a slow link
 * that goes on for longer than confirm_timeout, which is counted only from when what was put out at the last confirm has
 * arrived. What is put out later does not put it off: a broker that takes messages and heartbeats and confirms none is lost. */
void pipeline_lane_arrived(struct pipeline *pipeline, uint32_t lane, uint64_t taken_bytes,
                           uint64_t out_bytes, uint64_t now_us);
void pipeline_lane_blocked(struct pipeline *pipeline, uint32_t lane, bool blocked, uint64_t now_us);
/* exchange: the one that the broker's words name (pipeline_exchange_hash), 0 if they name none: then
 * the culprit has to be searched for. */
void pipeline_channel_closed(struct pipeline *pipeline, uint32_t lane, const char *reason,
                             uint32_t exchange, uint64_t now_us);
/* The whole connection was closed by the broker, which sees a mistake in what was sent: a message of the window did it, and
 * is searched for as there. */
void pipeline_lane_closed(struct pipeline *pipeline, uint32_t lane, const char *reason,
                          uint64_t now_us);
/* The connection ended without a word of the broker's: as an outage does it, but so does whatever stands between and cannot
 * bear a certain message. One that is alone whenever that happens, again and again while others pass, is set aside. */
void pipeline_lane_cut(struct pipeline *pipeline, uint32_t lane, const char *reason,
                       uint64_t now_us);
uint32_t pipeline_exchange_hash(struct span exchange); /* never 0 */

/* False: a tag that is not outstanding; the lane cannot be trusted any more and must be dropped. */
bool pipeline_confirmed(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                        uint64_t now_us);
bool pipeline_nacked(struct pipeline *pipeline, uint32_t lane, uint64_t tag, bool multiple,
                     uint64_t now_us);
/* False: nothing with this id is outstanding, and the confirm that follows would be taken for another's: likewise. */
bool pipeline_returned(struct pipeline *pipeline, uint32_t lane, int64_t id, const char *reason,
                       uint64_t now_us);

/* Stop fetching, let go of what is not sent, wait for the confirms, settle. */
void pipeline_drain(struct pipeline *pipeline);

enum pipeline_action_type {
    PIPELINE_CONNECT, /* lane: connect; answer: lane_connected or lane_lost */
    /* lane: open the channel in confirm mode; answer: lane_ready, channel_closed or lane_lost. */
    PIPELINE_OPEN_CHANNEL,
    /* lane: no confirm came for too long; drop the connection. The core counts it as lost. */
    PIPELINE_DISCONNECT,
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
    /* row, lane; answer at once, before the next call: published or unpublishable. */
    PIPELINE_PUBLISH,
    /* row: it is not needed (any more); it will be fetched again if it still exists. */
    PIPELINE_DROP,
    PIPELINE_REPORT,  /* report: worth a log line; nothing to do */
    PIPELINE_DRAINED, /* after pipeline_drain: all is settled. The last action. */
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
    REPORT_POLLING,   /* reason: the log was let go of */
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
    struct fetch fetch;       /* its arrays are good until the next call, */
    struct release release;   /* as here */
    const struct hold *holds; /* good until the answer; likewise their reasons */
    const int64_t *ids;
    size_t count;
    uint64_t bytes;
    log_position position;
    struct pipeline_report report;
};

/* The next thing to do, or false: nothing before pipeline_deadline_us unless something happens. */
bool pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us);

/* Answers to PIPELINE_PUBLISH. bytes: of the payload. Unpublishable: it can never be encoded; the
 * message is refused. */
void pipeline_published(struct pipeline *pipeline);
void pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us);

/* Messages go in runs: after pipeline_published, with nothing else told since, the next one that goes, as by
 * PIPELINE_PUBLISH, without a look at all that is not about publishing. So pipeline_next is to be asked again after some
 * of them, and when there is none: NULL. */
const struct row *pipeline_publish_on(struct pipeline *pipeline, uint64_t now_us,
                                      uint32_t *ret_lane);

/* For status and metrics. */
struct pipeline_counts {
    bool owned;
    bool blocked;
    bool tailing; /* rows come from the log */
    uint32_t lanes_ready;
    uint64_t queued;    /* rows in memory, not yet published */
    uint64_t in_flight; /* published, not yet confirmed */
    uint64_t unsettled; /* confirmed, not yet deleted */
    uint64_t held;      /* heads: keys, and messages without one, that are held back */
    uint64_t published; /* since the start, with repetitions */
    uint64_t confirmed;
    uint64_t refused;
    uint64_t settled;
    uint64_t swept;
};
void pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret_counts);

/* What the core knows of it; `rate` is the worker's. The reason lives until the next event. */
void pipeline_status(const struct pipeline *pipeline, uint64_t now_us,
                     struct source_status *ret_status);

#endif
