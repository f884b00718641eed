#include <stdio.h>

#include "relay/pipeline_internal.h"

bool
route_is_bad(const struct pipeline *pipeline)
{
    return pipeline->route.state != ROUTE_GOOD;
}

void
route_rest(struct pipeline *pipeline, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    route->state = ROUTE_RESTING;
    route->try_at_us = now_us + backoff_next_us(&route->backoff, &pipeline->random);
}

/* Nearly everything is refused for the same reason. The messages are not to blame: what was refused and did not move aside
 * yet stays in the outbox, and nothing goes out but a few messages now and then, to see whether the route is mended. */
void
route_degrade(struct pipeline *pipeline, const struct window_entry *refused,
              const struct refusal *refusal, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    const char *reason = refusal->reason;
    struct pipeline_report report = {.type = REPORT_DEGRADED};
    (void)snprintf(report.reason, sizeof(report.reason), "%s", reason);           /* cut is fine */
    (void)snprintf(route->reason, sizeof(route->reason), "degraded: %s", reason); /* likewise */
    route->cause = outcomes_cause(refusal->kind, refused->exchange);
    route->sample_rows = SAMPLE_START;
    backoff_reset(&route->backoff);
    route_rest(pipeline, now_us);
    pipeline_drop_queue(pipeline, now_us);
    pipeline_report(pipeline, &report);
}

bool
route_refused(struct pipeline *pipeline, const struct window_entry *refused,
              const struct refusal *refusal)
{
    struct route *route = &pipeline->route;
    if (refusal->kind == REFUSED_UNPUBLISHABLE) {
        route->sample_other++;
        return false;
    }
    const uint64_t cause = outcomes_cause(refusal->kind, refused->exchange);
    bool nearly_all = outcomes_refused(&route->since_taken, refused->id, cause);
    if (!refused->probe) {
        nearly_all = outcomes_refused(&route->outcomes, refused->id, cause);
    }
    if (cause == route->cause) {
        route->sample_same++;
    } else {
        route->sample_other++;
    }
    return nearly_all;
}

void
route_taken(struct pipeline *pipeline, const struct window_entry *taken)
{
    outcomes_taken(&pipeline->route.outcomes, taken->id);
    if (pipeline->route.since_taken.count > 0) {
        outcomes_clear(&pipeline->route.since_taken);
    }
    pipeline->route.sample_taken++;
    if (pipeline->suspects.count > 0) {
        suspects_clear(&pipeline->suspects, taken->exchange);
    }
}

static bool
is_quiet(const struct pipeline *pipeline)
{
    return pipeline->queue.live == 0 && pipeline->fetch_state == FETCH_IDLE &&
           pipeline_open_total(pipeline) == 0;
}

bool
route_may_try(const struct pipeline *pipeline, uint64_t now_us)
{
    return pipeline->route.state == ROUTE_RESTING && now_us >= pipeline->route.try_at_us &&
           is_quiet(pipeline);
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

void
route_heal(struct pipeline *pipeline)
{
    pipeline->route.state = ROUTE_GOOD;
    outcomes_clear(&pipeline->route.outcomes);
    pipeline_look_at_once(pipeline);
    pipeline_report(pipeline, &(struct pipeline_report){.type = REPORT_HEALED});
}

/* Once the sample is through. Where there are only a few messages at all, they say nothing about the route. What was refused of it moves aside if the route is good, and is taken back if it is not. The
 * next sample is larger: some hundred bad messages in a row, with good ones behind them, are no reason to wait for ever. */
void
route_judge(struct pipeline *pipeline, uint64_t now_us)
{
    struct route *route = &pipeline->route;
    if (route->state != ROUTE_TRYING || !is_quiet(pipeline) || pipeline->publishing != NULL) {
        return;
    }
    if (route->sample_short && !route->sample_heads && pipeline->held.count > 0) {
        return; /* they are tried next */
    }
    const uint32_t total = route->sample_taken + route->sample_same + route->sample_other;
    const bool few = total < OUTCOMES_MIN && route->sample_short;
    if ((few && (total > 0 || pipeline->held.count == 0)) ||
        (total > 0 && route->sample_same * 4 < total * 3)) {
        route_heal(pipeline);
        return;
    }
    if (total > 0) {
        route->sample_rows *= 2;
    }
    if (route->sample_rows > pipeline->options.batch_rows) {
        route->sample_rows = pipeline->options.batch_rows;
    }
    route_rest(pipeline, now_us);
}
