#include "relay/core/pipeline_route.h"

#include <stdio.h>
#include <string.h>

#include "relay/core/pipeline_internal.h"

/* Size of the first sample that is published to test a degraded route; each further one is twice as large. */
#define SAMPLE_START 16
/* A degraded route is tried again after this at the latest. */
#define TRY_MAX_US (10 * CLOCK_S_US)

static void
rest(struct pipeline *pipeline, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    route->state = ROUTE_RESTING;
    route->try_at_us = now_us + backoff_next_us(&route->backoff, &pipeline->random);
}

void
route_init(struct pipeline *pipeline)
{
    const struct pipeline_options *options = &pipeline->options;
    backoff_init(&pipeline->route.backoff, clock_earlier_us(options->retry_initial_us, TRY_MAX_US),
                 clock_earlier_us(options->retry_max_us, TRY_MAX_US));
}

void
route_lost(struct pipeline *pipeline, uint64_t now_us)
{
    if (route_is_bad(pipeline)) {
        rest(pipeline, now_us);
    }
}

bool
route_is_bad(const struct pipeline *pipeline)
{
    return pipeline->route.state != ROUTE_GOOD;
}

bool
route_is_resting(const struct pipeline *pipeline)
{
    return pipeline->route.state == ROUTE_RESTING;
}

bool
route_is_trying(const struct pipeline *pipeline)
{
    return pipeline->route.state == ROUTE_TRYING;
}

const char *
route_reason(const struct pipeline *pipeline)
{
    return pipeline->route.reason;
}

uint64_t
route_taken_us(const struct pipeline *pipeline)
{
    return pipeline->route.taken_us;
}

void
route_suspect(struct pipeline *pipeline, uint32_t exchange, const char *reason, uint64_t now_us)
{
    suspects_add(&pipeline->suspects, exchange, reason, &pipeline->route.backoff, &pipeline->random,
                 now_us);
}

/* ---- outcomes -------------------------------------------------------------------------------------- */

/* The entry of this cause, or else the entry that was not used for the longest time. */
static struct route_reason *
find_reason(struct route *route, uint64_t cause)
{
    struct route_reason *oldest = &route->reasons[0];
    for (uint32_t i = 0; i < ROUTE_REASONS && oldest->used != 0; i++) {
        struct route_reason *reason = &route->reasons[i];
        if (reason->cause == cause) {
            return reason;
        }
        if (reason->used < oldest->used) {
            oldest = reason;
        }
    }
    return oldest;
}

static void
keep_reason(struct route *route, uint64_t cause, const char *text)
{
    struct route_reason *reason = find_reason(route, cause);
    reason->cause = cause;
    reason->used = ++route->reasons_used;
    (void)snprintf(reason->text, sizeof(reason->text), "%s", text); /* cut is fine */
}

/* Nearly everything is refused for the same reason, so the messages are not to blame. Refused messages that did not
 * move aside yet stay in the outbox, and only a few messages are sent from time to time, to see whether the route works
 * again. */
static void
degrade(struct pipeline *pipeline, uint64_t cause, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    struct pipeline_report report = {.type = REPORT_DEGRADED};
    const struct route_reason *reason = find_reason(route, cause);
    const char *text = reason->cause == cause ? reason->text : "nearly everything is refused";
    (void)snprintf(report.reason, sizeof(report.reason), "%s", text);           /* fits */
    (void)snprintf(route->reason, sizeof(route->reason), "degraded: %s", text); /* cut is fine */
    route->cause = cause;
    route->sample_rows = SAMPLE_START;
    backoff_reset(&route->backoff);
    rest(pipeline, now_us);
    pipeline_drop_queue(pipeline, now_us);
    reports_put(&pipeline->reports, &report);
}

static void
count_in_sample(struct route *route, uint64_t cause)
{
    route->sample_same += cause == route->cause;
    route->sample_other += cause != route->cause;
}

/* A refusal comes at once, a confirm only when the message is on disk. So a refusal is counted only when all messages
 * published before it have their outcome too. */
static void
note(struct route_refusals *unweighed, const struct window_entry *refused, uint64_t tag,
     uint64_t cause)
{
    if (unweighed->count == OUTCOMES_KEPT) {
        return; /* more would only replace one another */
    }
    unweighed->items[unweighed->count++] =
        (struct route_refusal){.tag = tag, .id = refused->id, .cause = cause};
}

bool
route_refused(struct pipeline *pipeline, uint32_t lane, const struct window_entry *refused,
              const struct refusal *refusal)
{
    struct route *route = &pipeline->route;
    const uint64_t cause = outcomes_cause(refusal->kind, refused->exchange);
    count_in_sample(route, cause);
    if (refusal->kind == REFUSED_UNPUBLISHABLE) {
        return false;
    }
    keep_reason(route, cause, refusal->reason);
    if (!refused->probe) {
        note(&route->unweighed[lane], refused, refusal->tag, cause);
    }
    if (route->since_taken.count == 0) {
        route->since_us = refused->published_us;
    }
    return outcomes_refused(&route->since_taken, refused->id, cause);
}

void
route_weigh(struct pipeline *pipeline, uint32_t lane, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    struct route_refusals *unweighed = &route->unweighed[lane];
    if (unweighed->count == 0) {
        return;
    }
    const uint64_t through = window_oldest(lane_window(pipeline, lane));
    uint32_t weighed = 0;
    while (weighed < unweighed->count && unweighed->items[weighed].tag < through) {
        const struct route_refusal *refusal = &unweighed->items[weighed++];
        if (outcomes_refused(&route->outcomes, refusal->id, refusal->cause) &&
            route->state == ROUTE_GOOD) {
            degrade(pipeline, refusal->cause, now_us);
        }
    }
    unweighed->count -= weighed;
    memmove(unweighed->items, unweighed->items + weighed,
            unweighed->count * sizeof(unweighed->items[0]));
}

void
route_window_forgotten(struct pipeline *pipeline, uint32_t lane, uint64_t now_us)
{
    struct route_refusals *unweighed = &pipeline->route.unweighed[lane];
    for (uint32_t i = 0; i < unweighed->count; i++) {
        unweighed->items[i].tag = 0; /* no earlier message is open any more */
    }
    route_weigh(pipeline, lane, now_us);
}

void
route_taken(struct pipeline *pipeline, const struct window_entry *taken)
{
    struct route *route = &pipeline->route;
    outcomes_taken(&route->outcomes, taken->id);
    if (route->since_taken.count > 0 && taken->published_us > route->since_us) {
        /* Only if published after the first refusal: an older message's late confirm says nothing. */
        outcomes_clear(&route->since_taken);
    }
    if (taken->published_us > route->taken_us) {
        route->taken_us = taken->published_us;
    }
    route->sample_taken++;
    if (pipeline->suspects.count > 0) {
        suspects_clear(&pipeline->suspects, taken->exchange);
    }
}

/* ---- the sample ------------------------------------------------------------------------------------ */

static bool
is_quiet(const struct pipeline *pipeline)
{
    return pipeline->queue.live == 0 && fetching_is_idle(pipeline) &&
           lanes_in_flight(pipeline) == 0;
}

uint64_t
route_try_deadline_us(const struct pipeline *pipeline)
{
    return route_is_resting(pipeline) && is_quiet(pipeline) ? pipeline->route.try_at_us
                                                            : CLOCK_NEVER_US;
}

uint32_t
route_sample_rows(const struct pipeline *pipeline)
{
    return pipeline->route.sample_rows;
}

void
route_sample_read(struct pipeline *pipeline, bool complete)
{
    pipeline->route.sample_short = complete;
}

void
route_sample_cut(struct pipeline *pipeline)
{
    pipeline->route.sample_short = false;
}

bool
route_lets_suspect(struct pipeline *pipeline)
{
    struct route *route = &pipeline->route;
    if (!route_is_trying(pipeline) || route->sample_suspect) {
        return false;
    }
    route->sample_suspect = true;
    return true;
}

/* The sample has nothing else to try, and held messages were not fetched for it yet. */
static bool
heads_are_left(const struct pipeline *pipeline)
{
    const struct route *route = &pipeline->route;
    return route_is_trying(pipeline) && route->sample_short && !route->sample_heads &&
           pipeline->held.count > 0 && lane_is_ready(pipeline, lane_for_probes(pipeline));
}

bool
route_tries_heads(struct pipeline *pipeline)
{
    if (!heads_are_left(pipeline)) {
        return false;
    }
    pipeline->route.sample_heads = true;
    return true;
}

void
route_try(struct pipeline *pipeline)
{
    struct route *route = &pipeline->route;
    route->state = ROUTE_TRYING;
    route->sample_short = false;
    route->sample_heads = false;
    route->sample_suspect = false;
    route->sample_taken = 0;
    route->sample_same = 0;
    route->sample_other = 0;
}

static void
heal(struct pipeline *pipeline)
{
    pipeline->route.state = ROUTE_GOOD;
    outcomes_clear(&pipeline->route.outcomes);
    fetching_look_at_once(pipeline);
    reports_put(&pipeline->reports, &(struct pipeline_report){.type = REPORT_HEALED});
}

/* The number of held messages that the sample left out, as they are not due. (A message that was refused in the sample
 * has refused_us after try_at_us.) */
static uint32_t
count_untried(const struct pipeline *pipeline)
{
    uint32_t untried = 0;
    for (const struct held_entry *entry = pipeline->held.entries; entry != NULL;
         entry = entry->hh.next) {
        untried +=
            entry->stage == HELD_STAGE_RETRYING && entry->refused_us < pipeline->route.try_at_us;
    }
    return untried;
}

/* True if the sample is too small to call the route bad: the outbox has no more rows, and either one message was taken,
 * or there are hardly any messages at all. Held messages that were not due yet count as existing. */
static bool
are_few(const struct pipeline *pipeline, uint32_t total)
{
    const struct route *route = &pipeline->route;
    return route->sample_short &&
           (route->sample_taken > 0 || total + count_untried(pipeline) < OUTCOMES_MIN);
}

/* When the sample is through, its refused messages move aside if the route is good, and are taken back if not. The next
 * sample is larger, so that some hundred bad messages in a row, with good ones behind them, do not block forever. */
void
route_judge(struct pipeline *pipeline, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    if (route->state != ROUTE_TRYING || !is_quiet(pipeline) || publishing_is_out(pipeline)) {
        return;
    }
    if (heads_are_left(pipeline) && !pipeline->draining) {
        return; /* they are tried next */
    }
    const uint32_t total = route->sample_taken + route->sample_same + route->sample_other;
    const bool few = are_few(pipeline, total);
    if ((few && (total > 0 || pipeline->held.count == 0)) ||
        (total > 0 && route->sample_same * 4 < total * 3)) {
        heal(pipeline);
        return;
    }
    if (total > 0) {
        route->sample_rows *= 2;
    }
    if (route->sample_rows > pipeline->options.batch_rows) {
        route->sample_rows = pipeline->options.batch_rows;
    }
    rest(pipeline, now_us);
}
