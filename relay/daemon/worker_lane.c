#include "base/clock.h"
#include "relay/daemon/worker_private.h"

#define ARRIVED_LOOK_US (100 * CLOCK_MS_US)
#define NOT_SENT "the broker confirmed what was not sent"

void
worker_lane_log(const struct worker *worker, uint32_t lane, enum log_level level, const char *event,
                const char *words, const char *error)
{
    log_event(level, event, LOG_WORDS(words), LOG_INT("lane", lane),
              LOG_STR("peer", broker_lane_peer(worker->lanes[lane])), LOG_STR("error", error));
}

void
worker_lane_lost(struct worker *worker, uint32_t lane, enum log_level level, const char *why,
                 uint64_t now_us)
{
    worker->lane_unsent[lane] = false;
    worker_spread_lost(worker, lane, true);
    pipeline_lane_lost(worker->pipeline, lane, now_us);
    worker->view.broker_losses++;
    worker_view_blocked(worker, now_us);
    worker_view_change(worker);
    if (outage_is_news(&worker->lane_outages[lane], why, now_us)) {
        worker_lane_log(worker, lane, level, "lane_lost",
                        "no connection to the broker; trying again", why);
    }
}

void
worker_lane_connect(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    struct error error;
    worker_spread_connect(worker, lane);
    if (!broker_lane_connect(worker->lanes[lane], now_us, &error)) {
        worker_lane_lost(worker, lane, LOG_ERROR, error.text, now_us);
    }
}

static void
distrust(struct worker *worker, uint32_t lane, const char *why, uint64_t now_us)
{
    broker_lane_abort(worker->lanes[lane]);
    worker_lane_lost(worker, lane, LOG_WARNING, why, now_us);
}

static void
on_connected(struct worker *worker, uint32_t lane, const char *passed_over, uint64_t now_us)
{
    if (passed_over != NULL) {
        worker_lane_log(worker, lane, LOG_WARNING, "host_passed_over",
                        "a host of the broker's uri cannot be used; another one is", passed_over);
    }
    worker->view.broker_connections++;
    worker_spread_arrived(worker, lane, now_us);
    pipeline_lane_connected(worker->pipeline, lane, now_us);
}

static void
on_ready(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (outage_over(&worker->lane_outages[lane])) {
        worker_lane_log(worker, lane, LOG_INFO, "lane_ready", "publishing", NULL);
    }
    worker_view_change(worker);
    pipeline_lane_ready(worker->pipeline, lane, now_us);
}

static void
on_refused(struct worker *worker, uint32_t lane, const struct broker_lane_event *event,
           uint64_t now_us)
{
    log_debug("channel_closed", LOG_INT("lane", lane), LOG_STR("error", event->text));
    /* 0: the broker's text blames no exchange. */
    const uint32_t exchange =
        event->exchange.size > 0 ? pipeline_exchange_hash(event->exchange) : 0;
    pipeline_channel_closed(worker->pipeline, lane, event->text, exchange, now_us);
}

static void
on_blocked(struct worker *worker, uint32_t lane, const char *reason, uint64_t now_us)
{
    worker_lane_log(worker, lane, LOG_WARNING, "lane_blocked",
                    "the broker takes no messages; waiting", reason);
    pipeline_lane_blocked(worker->pipeline, lane, true, now_us);
    worker_view_blocked(worker, now_us);
    worker_view_change(worker);
}

static void
on_unblocked(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    worker_lane_log(worker, lane, LOG_INFO, "lane_unblocked", "the broker takes messages again",
                    NULL);
    pipeline_lane_blocked(worker->pipeline, lane, false, now_us);
    worker_view_blocked(worker, now_us);
    worker_view_change(worker);
}

static void
on_lost(struct worker *worker, uint32_t lane, const struct error *error, uint64_t now_us)
{
    worker_lane_lost(worker, lane, error->class == ERROR_CONFIG ? LOG_ERROR : LOG_WARNING,
                     error->text, now_us);
}

static void
take_event(struct worker *worker, uint32_t lane, const struct broker_lane_event *event,
           uint64_t now_us)
{
    struct pipeline *pipeline = worker->pipeline;
    switch (event->type) {
    case BROKER_LANE_CONNECTED:
        on_connected(worker, lane, event->text, now_us);
        break;
    case BROKER_LANE_READY:
        on_ready(worker, lane, now_us);
        break;
    case BROKER_LANE_CONFIRMED:
        if (!pipeline_confirmed(pipeline, lane, event->tag, event->multiple, now_us)) {
            distrust(worker, lane, NOT_SENT, now_us);
        }
        break;
    case BROKER_LANE_NACKED:
        if (!pipeline_nacked(pipeline, lane, event->tag, event->multiple, now_us)) {
            distrust(worker, lane, NOT_SENT, now_us);
        }
        break;
    case BROKER_LANE_RETURNED:
        if (!pipeline_returned(pipeline, lane, event->id, event->text, now_us)) {
            distrust(worker, lane, "the broker returned what was not sent", now_us);
        }
        break;
    case BROKER_LANE_REFUSED:
        on_refused(worker, lane, event, now_us);
        break;
    case BROKER_LANE_BLOCKED:
        on_blocked(worker, lane, event->text, now_us);
        break;
    case BROKER_LANE_UNBLOCKED:
        on_unblocked(worker, lane, now_us);
        break;
    case BROKER_LANE_UNFENCED:
    case BROKER_LANE_FENCELESS:
        worker_fence_tell(worker, lane, event, now_us);
        break;
    case BROKER_LANE_MISTAKEN:
        worker_spread_lost(worker, lane, false);
        pipeline_lane_closed(pipeline, lane, event->error->text, now_us);
        on_lost(worker, lane, event->error, now_us);
        break;
    case BROKER_LANE_CUT:
        pipeline_lane_cut(pipeline, lane, event->error->text, now_us);
        on_lost(worker, lane, event->error, now_us);
        break;
    case BROKER_LANE_LOST:
        on_lost(worker, lane, event->error, now_us);
        break;
    case BROKER_LANE_STRANGE:
        distrust(worker, lane, event->text, now_us);
        break;
    }
}

/* Not in each turn, as the timeout is in seconds. An idle worker has a turn anyway when confirm_timeout is over. */
static void
look_what_arrived(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (now_us < worker->lane_look_us[lane] + ARRIVED_LOOK_US) {
        return;
    }
    const struct broker_lane *const connection = worker->lanes[lane];
    worker->lane_look_us[lane] = now_us;
    pipeline_lane_arrived(worker->pipeline, lane, broker_lane_taken_bytes(connection),
                          broker_lane_out_bytes(connection), now_us);
}

void
worker_lane_congested(struct worker *worker, uint32_t lane)
{
    const struct broker_lane *const connection = worker->lanes[lane];
    pipeline_lane_congested(worker->pipeline, lane,
                            broker_lane_waits(connection) ||
                                broker_lane_queued_bytes(connection) > CONGESTED_BYTES);
}

void
worker_serve_lane(struct worker *worker, uint32_t lane, short revents, uint64_t now_us)
{
    struct broker_lane_event event;
    look_what_arrived(worker, lane, now_us);
    broker_lane_process(worker->lanes[lane], revents, now_us);
    while (broker_lane_next(worker->lanes[lane], &event)) {
        take_event(worker, lane, &event, now_us);
    }
    worker_lane_congested(worker, lane);
}
