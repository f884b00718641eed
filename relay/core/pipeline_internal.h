/* relay/core/pipeline_internal.h - the core's state. It consists of parts; each belongs to one file, which alone touches its
 * fields, and has a header that says what the others may ask of it (tests/lint/parts looks after that):
 *
 *   pipeline_fetch      what is read next, and what came
 *   pipeline_watermark  up to where all is visible
 *   pipeline_tail       the log
 *   pipeline_safe       up to which position of the log all is safe
 *   pipeline_publish    what leaves the queue
 *   pipeline_lane       channels, what is unconfirmed on them, and how much may be
 *   pipeline_route      when nearly everything is refused
 *   pipeline_settle     what is confirmed is deleted
 *   pipeline_hold       what is told to the held table
 *   pipeline_heads      what the held table knows of heads
 *   pipeline_probe      held messages are tried again
 *   pipeline_release    those behind them come back
 *   pipeline_wake       scheduled messages move to the outbox
 *
 * Files without a part, which only decide:
 *
 *   pipeline.c            its life and its ownerships; what it says of itself
 *   pipeline_next.c       which action comes first
 *   pipeline_confirm.c    what the broker says of a message
 *   pipeline_cut.c        a connection ends without a word
 *   pipeline_held.c       a message is refused, or not due: it is set aside
 *   pipeline_take_back.c  or stays in the outbox after all */
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
#include "relay/core/pipeline_safe.h"
#include "relay/core/pipeline_settle.h"
#include "relay/core/pipeline_tail.h"
#include "relay/core/pipeline_wake.h"
#include "relay/core/pipeline_watermark.h"
#include "relay/core/queue.h"
#include "relay/core/reports.h"
#include "relay/core/suspects.h"
#include "relay/core/window.h"

/* What could not be moved or deleted is tried again after this. */
#define STUCK_AGAIN_US (60 * CLOCK_S_US)
/* What could not be sent is looked at again after this. */
#define HOLD_AGAIN_US (5 * CLOCK_MS_US)

struct pipeline {
    struct pipeline_options options;
    struct random random;

    /* Written by pipeline.c (drained: pipeline_next.c), read by all. */
    bool owned;
    bool draining;
    bool drained;
    uint64_t lease_until_us;

    /* What is known of rows, keys, exchanges: modules of their own, for all. */
    struct queue queue; /* rows in memory */
    struct cursor cursor;
    struct busy busy;
    struct held held;
    struct suspects suspects;
    struct cuts cuts;
    struct reports reports;
    struct pipeline_counts counts;

    /* The parts. */
    struct fetching fetching;
    struct watermark watermark;
    struct tail tail;
    struct safe safe;
    struct publishing publishing;
    struct lane lanes[PIPELINE_LANES_MAX]; /* the last one is for probes */
    struct route route;
    struct settling settling;
    struct holding holding;
    struct heads heads;
    struct probing probing;
    struct releasing releasing;
    struct waking waking;
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

#endif
