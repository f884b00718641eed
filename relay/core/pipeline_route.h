/* relay/core/pipeline_route.h - whether the route to the broker's queues works at all. When nearly everything is
 * refused for the same reason, nothing is set aside for it; a few messages are tried from time to time. */
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

/* A refusal that is counted once all messages up to its tag have an outcome. */
struct route_refusal {
    uint64_t tag;
    int64_t id;
    uint64_t cause;
};

struct route_refusals {
    struct route_refusal items[OUTCOMES_KEPT];
    uint32_t count;
};

/* How many causes' texts are kept, the latest ones: enough for every cause that is remembered or not yet counted, so
 * the prevailing one is among them. */
#define ROUTE_REASONS (OUTCOMES_KEPT * (1 + PIPELINE_LANES_MAX))

struct route_reason {
    uint64_t cause;
    uint64_t used; /* number of the refusal that used it last; 0: free */
    char text[240];
};

struct route {
    enum route_state state;
    struct outcomes outcomes; /* of the stream */
    /* Refusals since the broker last took a message; retried held messages count too. */
    struct outcomes since_taken;
    struct route_refusals unweighed[PIPELINE_LANES_MAX]; /* by lane */
    uint64_t taken_us; /* publish time of the latest message that was taken */
    uint64_t since_us; /* publish time of the first refusal in since_taken */

    /* While degraded. */
    uint64_t cause;
    char reason[256]; /* why the route is bad */
    struct backoff backoff;
    uint64_t try_at_us;
    uint32_t sample_rows;
    bool sample_short;   /* the outbox has no more rows: held messages are tried too */
    bool sample_heads;   /* held messages were fetched */
    bool sample_suspect; /* a message for a suspected exchange was let through */
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
/* Why the route is bad. Valid until the next event. */
const char *route_reason(const struct pipeline *pipeline);

/* Counts a refusal. True if many different messages were refused for this reason and none was taken since. */
bool route_refused(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
                   const struct refusal *refusal) MUST_CHECK;
void route_taken(struct pipeline *pipeline, const struct window_entry *taken);
/* When the latest message that was taken had been published. */
uint64_t route_taken_us(const struct pipeline *pipeline);
/* To be called after a message of the lane got its outcome. */
void route_weigh(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
/* The lane's messages in flight were forgotten. */
void route_window_forgotten(struct pipeline *pipeline, uint32_t lane, uint64_t now_us);
/* The broker closed a channel for this exchange. */
void route_suspect(struct pipeline *pipeline, uint32_t exchange, const char *reason,
                   uint64_t now_us);

/* The sample of messages that is tried on a bad route: when the next one may be read; start it; its size; whether held
 * messages are to be read for it now (true once for each sample). */
uint64_t route_try_deadline_us(const struct pipeline *pipeline);
void route_try(struct pipeline *pipeline);
uint32_t route_sample_rows(const struct pipeline *pipeline);
bool route_tries_heads(struct pipeline *pipeline);
/* The sample's rows were read; complete: the outbox has no more. */
void route_sample_read(struct pipeline *pipeline, bool complete);
/* Not all of the sample was tried. */
void route_sample_cut(struct pipeline *pipeline);
/* Whether a message for a suspected exchange may go with the sample: true once for each sample. */
bool route_lets_suspect(struct pipeline *pipeline);
/* Judges the sample once all of it has an outcome: the route is good again, or rests. */
void route_judge(struct pipeline *pipeline, uint64_t now_us);

#endif
