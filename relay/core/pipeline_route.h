/* relay/core/pipeline_route.h - whether the way to the broker's queues takes messages at all: nearly everything is refused
 * for the same reason, then nothing is held for it, and a few messages are tried now and then. */
#ifndef RELAY_CORE_PIPELINE_ROUTE_H
#define RELAY_CORE_PIPELINE_ROUTE_H

#include "base/backoff.h"
#include "relay/core/outcomes.h"
#include "relay/core/pipeline.h"
#include "relay/core/window.h"

struct refusal;

enum route_state {
    ROUTE_GOOD,
    ROUTE_RESTING, /* degraded: nothing goes out until try_at_us */
    ROUTE_TRYING,  /* degraded: a sample of messages is on its way */
};

/* A refusal that is to be weighed once everything up to its tag has an outcome. */
struct route_refusal {
    uint64_t tag;
    int64_t id;
    uint64_t cause;
};

struct route_refusals {
    struct route_refusal items[OUTCOMES_KEPT];
    uint32_t count;
};

/* Words of so many causes are kept, those that came up last: of all that are remembered or still to be weighed, so the
 * one that prevails is among them. */
#define ROUTE_REASONS (OUTCOMES_KEPT * (1 + PIPELINE_LANES_MAX))

struct route_reason {
    uint64_t cause;
    uint64_t used; /* when it came up last, in refusals; 0: free */
    char text[240];
};

struct route {
    enum route_state state;
    struct outcomes outcomes; /* of the stream */
    /* Refusals since anything was taken, held messages tried again among them. */
    struct outcomes since_taken;
    struct route_refusals unweighed[PIPELINE_LANES_MAX]; /* by lane */
    uint64_t taken_us; /* when the latest message that was taken had been published */
    uint64_t since_us; /* when the first of since_taken had been published */

    /* Degraded. */
    uint64_t cause;
    char reason[256]; /* why it is bad */
    struct backoff backoff;
    uint64_t try_at_us;
    uint32_t sample_rows;
    bool sample_short;   /* the outbox has no more: held messages are tried too */
    bool sample_heads;   /* and were asked for */
    bool sample_suspect; /* one for an exchange that is suspected was let through */
    uint32_t sample_taken;
    uint32_t sample_same;
    uint32_t sample_other;

    struct route_reason reasons[ROUTE_REASONS];
    uint64_t reasons_used;
};

void route_init(struct pipeline *pipeline);
void route_lost(struct pipeline *pipeline, uint64_t now_us);

bool route_is_bad(const struct pipeline *pipeline);
bool route_is_resting(const struct pipeline *pipeline);
bool route_is_trying(const struct pipeline *pipeline);
/* Why it is bad. Lives until the next event. */
const char *route_reason(const struct pipeline *pipeline);

/* True if nothing was taken since many different messages were refused for the same reason. */
bool route_refused(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
                   const struct refusal *refusal) MUST_CHECK;
void route_taken(struct pipeline *pipeline, const struct window_entry *taken);
/* When the latest message that was taken had been published. */
uint64_t route_taken_us(const struct pipeline *pipeline);
/* After anything of the lane got its outcome. */
void route_weigh(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
/* All that the lane had in flight was forgotten. */
void route_window_forgotten(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
/* The broker closed a channel for this exchange. */
void route_suspect(struct pipeline *pipeline, uint32_t exchange, const char *reason,
                   uint64_t now_us);

/* The sample that is tried on a bad route: when the next may be read; it is; how many; whether held messages are to be read
 * for it now, which is asked once. */
uint64_t route_try_deadline_us(const struct pipeline *pipeline);
void route_try(struct pipeline *pipeline);
uint32_t route_sample_rows(const struct pipeline *pipeline);
bool route_tries_heads(struct pipeline *pipeline);
/* Rows were read; complete: the outbox has no more. */
void route_sample_read(struct pipeline *pipeline, bool complete);
/* Not all that was read was tried. */
void route_sample_cut(struct pipeline *pipeline);
/* Whether a message for an exchange that is suspected may go with it: one does. */
bool route_lets_suspect(struct pipeline *pipeline);
/* Once the sample is through: the route is good again, or rests. */
void route_judge(struct pipeline *pipeline, uint64_t now_us);

#endif
