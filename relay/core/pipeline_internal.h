/* relay/core/pipeline_internal.h - the core's state. It consists of parts. Each part belongs to one file: only that
 * file touches its fields, and its header declares what other files may call (tests/lint/parts checks this):
 *
 *   pipeline_fetch which rows are read next, and what becomes of them
 *   pipeline_watermark up to which id all rows are visible
 *   pipeline_tail       the log
 *   pipeline_safe up to which position the log is not needed any more
 *   pipeline_publish rows that leave the queue
 *   pipeline_lane channels, their unconfirmed messages and limits
 *   pipeline_route      when nearly everything is refused
 *   pipeline_settle confirmed messages are deleted
 *   pipeline_hold changes that are sent to the held table
 *   pipeline_heads heads of keys, read from the held table
 *   pipeline_probe      held messages are tried again
 *   pipeline_release messages behind them move back
 *   pipeline_wake       scheduled messages move to the outbox
 *   pipeline_yield      the ownership is left to a relay that reaches its broker
 *
 * Files without a part, which only decide:
 *
 *   pipeline.c creation, ownerships, status
 *   pipeline_next.c       which action comes first
 *   pipeline_confirm.c the broker confirms, refuses or returns a message
 *   pipeline_cut.c a connection ends without a close
 *   pipeline_held.c       a message is refused, or not due: it is set aside
 *   pipeline_take_back.c a refusal is undone before the table knows of it */
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
#include "relay/core/pipeline_yield.h"
#include "relay/core/queue.h"
#include "relay/core/reports.h"
#include "relay/core/suspects.h"
#include "relay/core/window.h"

/* A message that could not be moved or deleted is tried again after this time. */
#define STUCK_AGAIN_US (60 * CLOCK_S_US)
/* A statement that could not be sent yet is tried again after this time. */
#define HOLD_AGAIN_US (5 * CLOCK_MS_US)

struct pipeline {
    struct pipeline_options options;
    struct random random;

    /* Written by pipeline.c (`drained` by pipeline_next.c), read by all. */
    bool owned;
    bool draining;
    bool drained;
    uint64_t lease_until_us;
    uint64_t active_us; /* when something came, or the ownership began */

    /* Knowledge about rows, keys and exchanges: separate modules, used by all parts. */
    struct queue queue; /* rows in memory */
    struct cursor cursor;
    struct busy busy;
    struct held held;
    struct suspects suspects;
    struct cuts cuts;
    struct reports reports;
    struct pipeline_counts counts;
    struct pipeline_latency latency;
    uint64_t wall_ahead_us;

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
    struct yielding yielding;
};

/* pipeline.c */
void pipeline_forget(struct pipeline *pipeline, int64_t id, int64_t key_hash, bool ordered,
                     uint64_t now_us);
void pipeline_drop_queue(struct pipeline *pipeline, uint64_t now_us);
bool pipeline_is_full(const struct pipeline *pipeline);
/* True if a message of the key is in memory or in flight. */
bool pipeline_has_company(const struct pipeline *pipeline, int64_t key_hash);
void pipeline_reserve(int64_t **array, size_t *capacity, size_t needed);

/* pipeline_held.c: messages that are refused or not due are set aside. */
struct refusal {
    enum refusal_kind kind;
    const char *reason;
    uint64_t retry_at_us; /* 0: computed from the number of tries */
    bool blameless;       /* it costs no attempt */
    uint64_t tag;         /* messages up to this tag were published earlier; 0: not known */
};
void pipeline_refuse(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
                     const struct refusal *refusal, uint64_t now_us);
/* Handles a row of the outbox that must not be published now. False: publish it. */
bool pipeline_set_aside(struct pipeline *pipeline, const struct row *row,
                        uint64_t now_us) MUST_CHECK;
void pipeline_bury(struct pipeline *pipeline, struct held_entry *entry, struct hold *hold);
/* Rows that were read and left in the outbox because of this entry are read again. */
void pipeline_give_back_floor(struct pipeline *pipeline, struct held_entry *entry);

/* pipeline_take_back.c: messages that were refused stay in the outbox if the held table was not told of them yet. */
void pipeline_take_back(struct pipeline *pipeline, uint64_t now_us);
/* A message of the key has to be sent again, so no later message of the key may be set aside. */
void pipeline_take_back_behind(struct pipeline *pipeline, int64_t id, int64_t key_hash,
                               uint64_t now_us);

/* Rows came, or an operator did something. */
void pipeline_note_activity(struct pipeline *pipeline, uint64_t now_us);
/* Nothing has happened for for_us, and nothing is held: the source is looked at less often (pipeline_options). */
bool pipeline_is_quiet(const struct pipeline *pipeline, uint64_t for_us, uint64_t now_us);

#endif
