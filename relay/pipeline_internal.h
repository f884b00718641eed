/* relay/pipeline_internal.h - the core's state, shared by its three files: pipeline.c (life,
 * source, refusals), pipeline_lane.c (what lanes report) and pipeline_next.c (what to do next). */
#ifndef RELAY_PIPELINE_INTERNAL_H
#define RELAY_PIPELINE_INTERNAL_H

#include "base/backoff.h"
#include "base/clock.h"
#include "relay/cursor.h"
#include "relay/paused.h"
#include "relay/pipeline.h"
#include "relay/window.h"

/* Every limit of the core has a name here. */
#define WINDOW_LIMIT_START \
    256 /* a lane starts with this many unconfirmed, and doubles while that is what holds it back \
         */
#define RETRY_IDS_MAX 64    /* paused messages fetched at once */
#define REPORTS_MAX 64      /* more than these between two turns are counted, not kept */
#define SETTLE_IDS_MAX 2000 /* ids in one settle */
#define POLL_INTERVAL_MIN_US UINT64_C(1000)
#define SWEEP_REST 10 /* no sweep for so many times as long as the last one took */

enum lane_state {
    LANE_DOWN, /* no connection; connect at retry_at_us */
    LANE_CONNECTING,
    LANE_CONNECTED, /* no channel; open one at retry_at_us */
    LANE_OPENING,
    LANE_READY,
};

struct lane {
    enum lane_state state;
    struct window window;
    uint32_t limit;  /* how many may be unconfirmed now: halved when a channel closes, doubled as it
                        proves good */
    uint32_t proved; /* confirmed since the limit changed */
    bool limited;    /* the limit was reached since it changed */
    bool blocked;    /* connection.blocked */
    bool congested;  /* the socket does not keep up */
    uint64_t ready_since_us;
    uint64_t progress_us; /* the last confirm, or when the window became non-empty */
    uint64_t retry_at_us;
    struct backoff backoff;
};

struct queued {
    const struct row *row;
    bool probe;
    bool dropped; /* to be released, not published */
};

enum fetch_state { FETCH_IDLE, FETCH_OUT, FETCH_OUT_STALE };

struct pipeline {
    struct pipeline_options options;
    struct random random;
    struct lane lanes[PIPELINE_LANES_MAX];
    struct cursor cursor;
    struct paused paused;
    int64_t highest_admitted; /* no row in memory has a higher id */

    bool owned;
    bool draining;
    bool drained;
    bool full_reported;
    uint64_t lease_until_us;

    /* Rows in memory, a ring. */
    struct queued *queue;
    uint32_t queue_capacity;
    uint32_t queue_head;
    uint32_t queue_count;
    uint32_t queue_dropped;
    uint32_t queue_probes;
    uint64_t queue_bytes;

    enum fetch_state fetch_state;
    enum fetch_kind fetch_kind;
    uint64_t poll_at_us;
    uint64_t poll_interval_us;
    uint64_t sweep_at_us; /* CLOCK_NEVER_US: one is under way */
    uint64_t sweep_begun_us;
    uint64_t due_at_us;

    bool watermark_out;
    uint64_t watermark_at_us;

    int64_t *settle_ready; /* confirmed, to be deleted */
    size_t settle_ready_count;
    size_t settle_capacity;
    uint64_t settle_since_us; /* when the first of them was confirmed */
    int64_t *settle_out;
    size_t settle_out_count;

    int64_t *exclude_ids;
    int64_t *exclude_keys;
    size_t exclude_keys_capacity;
    size_t exclude_ids_capacity;

    /* The PIPELINE_PUBLISH that waits for its answer. */
    const struct row *publishing;
    struct lane *publishing_lane;
    bool publishing_probe;
    uint64_t publishing_us;

    struct pipeline_report reports[REPORTS_MAX];
    uint32_t report_head;
    uint32_t report_count;

    struct pipeline_counts counts;
};

/* pipeline.c */
void pipeline_refuse(struct pipeline *pipeline, const struct window_entry *entry,
                     const char *reason, uint64_t now_us);
void pipeline_probe_failed(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                           uint64_t now_us);
void pipeline_forget(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                     uint64_t now_us);
void pipeline_drop_queue(struct pipeline *pipeline, uint64_t now_us);
void pipeline_let_go(struct pipeline *pipeline, const struct paused_entry *entry);
void pipeline_report(struct pipeline *pipeline, const struct pipeline_report *report);
struct queued *pipeline_queue_at(const struct pipeline *pipeline, uint32_t index);
uint32_t pipeline_open_total(const struct pipeline *pipeline);

/* pipeline_lane.c */
void lane_down(struct pipeline *pipeline, struct lane *lane, uint64_t now_us);
uint32_t lane_limit_start(const struct pipeline_options *options);
bool lane_has_room(struct lane *lane, const struct pipeline_options *options, uint32_t bytes);

#endif
