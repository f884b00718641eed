/* relay/pipeline.h - the core of the relay: from one outbox to one broker, deciding everything and
 * doing nothing. It is told what happened and when, and says what to do next. No clock, no socket,
 * no log, no thread: the worker around it does what it says, and the simulation runs this same code
 * against a world it can break at will.
 *
 *   events in   source owned / lost, rows, settled, final id, lease; lane connected, ready, lost,
 * channel closed; confirmed, nacked, returned; blocked; drain actions out connect a lane, open its
 * channel, drop it; fetch, settle, ask for the watermark; publish; release a row
 *
 * What it guarantees:
 * - An id is given to settle only after the broker confirmed that message and did not return it.
 * - Messages of a key are published in the order of their ids, on one lane, and none of them while
 * an earlier one of the key is known to be refused.
 * - An outage (lane lost, blocked, no confirms, database gone) costs no message an attempt.
 * - Memory is bounded: what cannot be sent now is left in the table and read again. The table is
 * the truth; the core keeps ids of what is in flight, never a message. */
#ifndef RELAY_PIPELINE_H
#define RELAY_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/source.h"

#define PIPELINE_LANES_MAX 4

struct pipeline_options {
    uint32_t lane_count;      /* 1 to PIPELINE_LANES_MAX */
    uint32_t window_messages; /* per lane: the most that may be unconfirmed */
    uint64_t window_bytes;    /* per lane; one message of any size is allowed */
    uint32_t batch_rows;
    uint64_t batch_bytes;
    uint64_t poll_interval_max_us;
    uint64_t watermark_interval_us;
    uint64_t sweep_interval_us;
    uint64_t due_interval_us; /* how late a scheduled message may be noticed */
    uint64_t
        settle_delay_us; /* how long a confirmed row may wait for company before it is settled */
    uint64_t confirm_timeout_us;
    uint64_t reconnect_initial_us;
    uint64_t reconnect_max_us;
    uint64_t retry_initial_us; /* a refused message is tried again after this, then after twice as
                                  long, … */
    uint64_t retry_max_us;
    uint32_t paused_max; /* more paused keys than this stop the pipeline until some go out */
    uint64_t seed;       /* for jitter */
};

/* A value for every field that serves most; the worker overwrites what the configuration names. */
struct pipeline_options pipeline_defaults(void);

struct pipeline;

struct pipeline *pipeline_new(const struct pipeline_options *options, uint64_t now_us);
void pipeline_free(struct pipeline *pipeline); /* rows not yet released are the caller's */

/* The source. Rows given in are the core's until an action releases each (PIPELINE_PUBLISH,
 * PIPELINE_RELEASE). */
void pipeline_source_owned(struct pipeline *pipeline, uint64_t now_us);
void pipeline_source_lost(struct pipeline *pipeline, uint64_t now_us);
void pipeline_lease(struct pipeline *pipeline, uint64_t until_us);
void pipeline_rows(struct pipeline *pipeline, const struct row *rows, size_t count, bool complete,
                   uint64_t now_us);
void pipeline_settled(struct pipeline *pipeline, uint64_t now_us);
void pipeline_final(struct pipeline *pipeline, int64_t id, uint64_t now_us);

/* The lanes. `reason` is kept by copy. */
void pipeline_lane_connected(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_ready(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_lost(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
void pipeline_lane_congested(struct pipeline *pipeline, uint32_t lane, bool congested);
void pipeline_lane_blocked(struct pipeline *pipeline, uint32_t lane, bool blocked, uint64_t now_us);
void pipeline_channel_closed(struct pipeline *pipeline, uint32_t lane, const char *reason,
                             uint64_t now_us);

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
    PIPELINE_CONNECT,      /* lane: connect; answer: lane_connected or lane_lost */
    PIPELINE_OPEN_CHANNEL, /* lane: open the channel in confirm mode; answer: lane_ready,
                              channel_closed or lane_lost */
    PIPELINE_DISCONNECT, /* lane: no confirm came for too long; drop the connection. The core counts
                            it as lost. */
    PIPELINE_FETCH,      /* fetch; answer: rows or source_lost */
    PIPELINE_SETTLE,     /* ids, count; answer: settled or source_lost */
    PIPELINE_WATERMARK,  /* answer: final or source_lost */
    PIPELINE_PUBLISH, /* row, lane; answer at once, before the next call: published or unpublishable
                       */
    PIPELINE_RELEASE, /* row: it is not needed (any more); it will be fetched again if it still
                         exists */
    PIPELINE_REPORT,  /* report: worth a log line; nothing to do */
    PIPELINE_DRAINED, /* after pipeline_drain: all is settled. The last action. */
};

enum pipeline_report_type {
    REPORT_REFUSED, /* id, attempts, retry_at_us, reason: its key (or it, having none) is paused */
    REPORT_SENT,    /* id, attempts: a paused message went out */
    REPORT_GONE,    /* id: a paused message is no longer in the table; its key goes on */
    REPORT_SWEPT,   /* count: the sweep found rows that the regular look had missed */
    REPORT_FULL,    /* count: paused_max is reached; nothing but retries goes out */
    REPORT_TIMEOUT, /* lane, count in flight: no confirm for confirm_timeout */
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
    struct fetch fetch; /* its arrays are good until the next call */
    const int64_t *ids;
    size_t count;
    struct pipeline_report report;
};

/* The next thing to do, or false: nothing before pipeline_deadline_us unless something happens. */
bool pipeline_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t pipeline_deadline_us(const struct pipeline *pipeline, uint64_t now_us);

/* Answers to PIPELINE_PUBLISH. bytes: of the payload. Unpublishable: it can never be encoded; the
 * message is refused. */
void pipeline_published(struct pipeline *pipeline);
void pipeline_unpublishable(struct pipeline *pipeline, const char *reason, uint64_t now_us);

/* For status and metrics. */
struct pipeline_counts {
    bool owned;
    bool blocked;
    uint32_t lanes_ready;
    uint64_t queued;    /* rows in memory, not yet published */
    uint64_t in_flight; /* published, not yet confirmed */
    uint64_t unsettled; /* confirmed, not yet deleted */
    uint64_t paused;
    uint64_t published; /* since the start, with repetitions */
    uint64_t confirmed;
    uint64_t refused;
    uint64_t settled;
    uint64_t swept;
};
void pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret_counts);

#endif
