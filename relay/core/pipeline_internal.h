/* relay/core/pipeline_internal.h - the core's state, shared by its files:
 *
 *   pipeline.c          life, source, rows
 *   pipeline_lane.c     channels, what is unconfirmed on them, and how much may be
 *   pipeline_confirm.c  what the broker says of a message
 *   pipeline_cut.c      a lane's connection ends without a word
 *   pipeline_held.c     a message is refused, or not due: it is set aside
 *   pipeline_hold.c     what is told to the held table
 *   pipeline_take_back.c  what is not told after all
 *   pipeline_release.c  how what is held comes back
 *   pipeline_heads.c    what the held table knows of heads
 *   pipeline_probe.c    held messages are tried again
 *   pipeline_wake.c     scheduled messages
 *   pipeline_route.c    when the route refuses everything
 *   pipeline_fetch.c    what is read next
 *   pipeline_tail.c     what the log brings
 *   pipeline_safe.c     up to which position of the log all is safe
 *   pipeline_publish.c  what leaves the queue
 *   pipeline_settle.c   what is confirmed is deleted
 *   pipeline_watermark.c  up to where all is visible
 *   pipeline_next.c     what to do next */
#ifndef RELAY_CORE_PIPELINE_INTERNAL_H
#define RELAY_CORE_PIPELINE_INTERNAL_H

#include "base/backoff.h"
#include "base/clock.h"
#include "relay/core/busy.h"
#include "relay/core/cursor.h"
#include "relay/core/cuts.h"
#include "relay/core/held.h"
#include "relay/core/holds.h"
#include "relay/core/outcomes.h"
#include "relay/core/pipeline.h"
#include "relay/core/pipeline_fetch.h"
#include "relay/core/pipeline_heads.h"
#include "relay/core/pipeline_hold.h"
#include "relay/core/pipeline_lane.h"
#include "relay/core/pipeline_probe.h"
#include "relay/core/pipeline_publish.h"
#include "relay/core/pipeline_release.h"
#include "relay/core/pipeline_route.h"
#include "relay/core/pipeline_settle.h"
#include "relay/core/pipeline_wake.h"
#include "relay/core/pipeline_watermark.h"
#include "relay/core/queue.h"
#include "relay/core/reports.h"
#include "relay/core/suspects.h"
#include "relay/core/window.h"

/* Every limit of the core has a name here. */
#define STUCK_AGAIN_US \
    (60 * CLOCK_S_US) /* what could not be moved or deleted is tried again after this */
#define HOLD_AGAIN_US (5 * CLOCK_MS_US) /* what could not be sent is looked at again after this */
#define EXCHANGE_BYTES_KNOWN \
    190 /* of a name: a broker that blames an exchange cuts its words after 255 bytes, some of them its own */

#define TAIL_BEGIN_MIN_US \
    CLOCK_S_US /* the log is tried again after this, then after twice as long, … */
#define TAIL_BEGIN_MAX_US (30 * CLOCK_S_US)
#define TAIL_GOOD_US (60 * CLOCK_S_US) /* a log that was live for so long has a new trouble */
#define SAFE_LOOK_US (50 * CLOCK_MS_US)
#define TAIL_UNSEEN_MAX_US \
    (500 *                 \
     CLOCK_MS_US) /* a commit that is in the log is visible after this, or the table is polled */
#define TAIL_FINAL_US CLOCK_S_US
#define TAIL_WRITERS_US (10 * CLOCK_S_US)

enum tail_state {
    TAIL_OFF,       /* the log is not read: the table is polled, */
    TAIL_BEGINNING, /* as here, */
    TAIL_BEHIND, /* and here: the log has not come to where the table has been read to, or begins behind it */
    TAIL_LIVE, /* the log brings what is new; the table is read for what was dropped, and to sweep */
};

/* The sweep of a live log asks for an id, then for a position behind it, waits for the log to pass, and reads. */
enum tail_sweep {
    TAIL_SWEEP_REST,
    TAIL_SWEEP_ID,
    TAIL_SWEEP_POSITION,
    TAIL_SWEEP_PASSING,
    TAIL_SWEEP_READING,
};

struct tail {
    enum tail_state state;
    uint64_t begin_at_us;
    struct backoff backoff;
    uint64_t live_since_us; /* first; 0: not since it was begun */
    uint64_t open_us;       /* when messages of the log could go out, last */
    bool caught_up;         /* all that the table had was read since the log was left */
    bool distrusted;        /* it missed rows */
    bool absent;            /* the source has none */
    uint64_t writers_at_us; /* when to say that open transactions keep it from being begun */
    uint64_t from;          /* the log brings what was committed from here on */
    uint64_t
        covered; /* what was committed before was let into memory, from the log or from the table */
    uint64_t reached; /* the log has come so far */
    bool more_out;
    bool waiting; /* there is an answer that was not let in yet: */
    const struct row *rows;
    size_t row_count;
    uint64_t rows_position;
    int64_t *lookup_ids; /* of rows that are looked up in the table, ascending */
    size_t lookup_count;
    uint64_t
        lookup_visible; /* what was committed before this was visible when they were looked up */
    uint64_t unseen_position; /* one from here was not found, and may be not visible yet */
    uint64_t begin_past;      /* not begun again before all up to here is visible */
    uint64_t unseen_since_us; /* it is looked for since then; 0: it is not */
    size_t lookup_capacity;
    int64_t *taken; /* of what was found in the table: 1: it was let in */
    size_t taken_capacity;
    enum tail_sweep sweep;
    bool sweep_reads;     /* else it only learns from where on the table would have to be read */
    uint64_t final_at_us; /* when to learn that again */
    int64_t sweep_id;
    uint64_t sweep_position;
    int64_t sweep_after;
    char reason[240]; /* why it is not read; empty: it is, or there is nothing against it */
};

enum safe_stage { SAFE_UNMARKED, SAFE_QUEUED, SAFE_IN_FLIGHT, SAFE_TOLD };

struct safe {
    uint64_t position; /* all that was committed before is safe */
    enum safe_stage stage;
    uint64_t look_at_us;
    uint64_t marked;    /* safe next */
    uint64_t forgotten; /* cursor.forgotten, then */
    uint64_t queued;    /* queue.pushed, then */
    struct lanes_mark lanes;
    uint64_t settles;
    uint64_t holds;
};

struct pipeline {
    struct pipeline_options options;
    struct random random;
    struct lane lanes[PIPELINE_LANES_MAX];
    struct cursor cursor;
    struct held held;
    struct busy busy;
    struct suspects suspects;
    struct cuts cuts;
    struct route route;
    struct tail tail;
    struct safe safe;

    bool owned;
    bool draining;
    bool drained;
    uint64_t lease_until_us;

    struct queue queue; /* rows in memory */

    struct fetching fetching;
    struct watermark watermark;
    struct settling settling;

    struct holding holding;
    struct releasing releasing;
    struct heads heads;
    struct probing probing;
    struct waking waking;

    struct publishing publishing;

    struct reports reports;

    struct pipeline_counts counts;
};

/* pipeline.c */
void pipeline_forget(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                     uint64_t now_us);
void pipeline_drop_queue(struct pipeline *pipeline, uint64_t now_us);
bool pipeline_is_full(const struct pipeline *pipeline);
/* A message of the key is in memory, or on its way. */
bool pipeline_has_company(const struct pipeline *pipeline, int64_t key_hash);
void pipeline_reserve(int64_t **array, size_t *capacity, size_t needed);

/* pipeline_held.c: what is refused or not due is set aside. */
struct refusal {
    enum refusal_kind kind;
    const char *reason;
    uint64_t retry_at_us; /* 0: by the number of tries */
    bool blameless;       /* it costs no attempt */
    uint64_t tag;         /* what was published up to it went before; 0: nothing is known of that */
};
void pipeline_refuse(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
                     const struct refusal *refusal, uint64_t now_us);
/* A row of the outbox came. True if it is not to be published now. */
bool pipeline_set_aside(struct pipeline *pipeline, const struct row *row,
                        uint64_t now_us) MUST_CHECK;
void pipeline_bury(struct pipeline *pipeline, struct held_entry *entry, struct hold *hold);
/* What was left in the outbox behind a key that was being released is read again. */
void pipeline_give_back_floor(struct pipeline *pipeline, struct held_entry *entry);

/* pipeline_take_back.c: what was refused and not told yet stays in the outbox. */
void pipeline_take_back(struct pipeline *pipeline, uint64_t now_us);
/* A message of the key has to be sent again, and nothing behind it may be held. */
void pipeline_take_back_behind(struct pipeline *pipeline, int64_t id, int64_t key_hash,
                               uint64_t now_us);

/* pipeline_tail.c: what the log brings. */
bool pipeline_is_live(const struct pipeline *pipeline);
void pipeline_tail_lost(struct pipeline *pipeline, uint64_t now_us);
bool pipeline_tail_sweeps(const struct pipeline *pipeline);
size_t pipeline_tail_swept(struct pipeline *pipeline, const struct batch *batch,
                           uint64_t now_us) MUST_CHECK;
bool pipeline_tail_wants_watermark(const struct pipeline *pipeline);
void pipeline_tail_final(struct pipeline *pipeline, const struct source_final *final,
                         uint64_t now_us);
bool pipeline_next_tail(struct pipeline *pipeline, uint64_t now_us,
                        struct pipeline_action *ret_action);
uint64_t pipeline_tail_deadline_us(const struct pipeline *pipeline);

/* pipeline_safe.c: up to which position of it all is safe. */
void safe_forget(struct safe *safe);
bool pipeline_next_safe(struct pipeline *pipeline, uint64_t now_us,
                        struct pipeline_action *ret_action);
uint64_t pipeline_safe_deadline_us(const struct pipeline *pipeline);

#endif
