#include <stdio.h>

#include "relay/daemon/worker_private.h"

void
worker_fence_lane(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (worker->outbox[0] != '\0') {
        broker_lane_fence(worker->lanes[lane], worker->outbox, lane, now_us);
        worker_lane_congested(worker, lane);
    }
}

static void
tell_none(struct worker *worker, const char *reason)
{
    if (!worker->fenceless_told) {
        worker->fenceless_told = true;
        log_info("fence_none", LOG_WORDS("publishing without a second fence at the broker"),
                 LOG_STR("reason", reason));
    }
}

void
worker_fence_begin(struct worker *worker, const char *outbox, uint64_t now_us)
{
    (void)snprintf(worker->outbox, sizeof(worker->outbox), "%s", outbox); /* fits */
    (void)outage_over(&worker->fence_outage); /* a new ownership: news again */
    if (outbox[0] == '\0') {
        tell_none(worker, "the database server does not tell itself from others");
    }
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        worker_fence_lane(worker, i, now_us);
    }
}

void
worker_fence_end(struct worker *worker, uint64_t now_us)
{
    worker->outbox[0] = '\0';
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        broker_lane_unfence(worker->lanes[i], now_us);
    }
}

void
worker_fence_tell(struct worker *worker, uint32_t lane, const struct broker_lane_event *event,
                  uint64_t now_us)
{
    if (event->type == BROKER_LANE_FENCELESS) {
        tell_none(worker, event->text);
    } else if (outage_is_news(&worker->fence_outage, "", now_us)) {
        worker_lane_log(worker, lane, LOG_WARNING, "fence_late",
                        "another connection has the fence at the broker; publishing without it",
                        event->text);
    }
}
