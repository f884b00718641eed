#include <assert.h>

#include "relay/daemon/worker_private.h"

/* Actions between two polls of the sockets: enough to fill large writes, few enough that confirms do not wait. */
#define ACTIONS_PER_TURN 512
/* Messages published before other actions get their turn. */
#define RUN_MAX 32

void
worker_drop_row(const struct row *row)
{
    struct batch *batch = row->batch;
    assert(batch->in_use > 0);
    if (--batch->in_use == 0) {
        batch_free(batch);
    }
}

/* False if other actions come first: the message cannot go, or the lane takes no more. */
static bool
publish(struct worker *worker, uint32_t lane, const struct row *row, uint64_t now_us)
{
    struct broker_lane *const connection = worker->lanes[lane];
    struct error error;
    const bool good = broker_lane_publish(connection, row, &error);
    if (good) {
        pipeline_published(worker->pipeline);
        worker->lane_unsent[lane] = true;
        worker->lane_used[lane] = true;
    } else {
        /* There is no room although congested lanes get no messages: so it is larger than the connection can ever hold. */
        pipeline_unpublishable(worker->pipeline, error.text, now_us);
    }
    worker_drop_row(row);
    if (broker_lane_queued_bytes(connection) > CONGESTED_BYTES) {
        pipeline_lane_congested(worker->pipeline, lane, true);
        return false;
    }
    return good;
}

/* Publishes up to RUN_MAX messages; gives how many were handled. */
static uint32_t
publish_run(struct worker *worker, uint32_t lane, const struct row *row, uint64_t now_us)
{
    uint32_t count = 0;
    while (row != NULL) {
        count++;
        const bool more = publish(worker, lane, row, now_us) && count < RUN_MAX;
        row = more ? pipeline_publish_on(worker->pipeline, now_us, &lane) : NULL;
    }
    return count;
}

void
worker_tell_refused(struct worker *worker, uint64_t now_us)
{
    const uint64_t left_out = quota_left_out(&worker->refused_quota, now_us);
    if (left_out > 0) {
        log_warning(
            "more_refused",
            LOG_WORDS("more messages were refused than are named here; see `outbox-relay held`"),
            LOG_UINT("messages", left_out));
    }
}

static void
log_report(struct worker *worker, const struct pipeline_report *report, uint64_t now_us)
{
    if (report->type == REPORT_DEGRADED || report->type == REPORT_HEALED ||
        report->type == REPORT_FULL || report->type == REPORT_TAILING ||
        report->type == REPORT_POLLING) {
        worker_view_change(worker);
    }
    switch (report->type) {
    case REPORT_REFUSED:
        if (quota_take(&worker->refused_quota, now_us)) {
            log_warning("message_refused", LOG_WORDS("set aside; its key waits; trying again"),
                        LOG_INT("id", report->id), LOG_UINT("attempt", report->attempts),
                        LOG_MS("retry_in_ms", report->retry_at_us - now_us),
                        LOG_STR("reason", report->reason));
        }
        break;
    case REPORT_DEAD:
        log_error("message_dead", LOG_WORDS("not tried again; see `outbox-relay held`"),
                  LOG_INT("id", report->id), LOG_UINT("attempt", report->attempts),
                  LOG_STR("reason", report->reason));
        break;
    case REPORT_SENT:
        log_info("message_sent", LOG_WORDS("a refused message went out; its key goes on"),
                 LOG_INT("id", report->id), LOG_UINT("attempt", report->attempts));
        break;
    case REPORT_GONE:
        log_info("message_gone", LOG_WORDS("a refused message is no longer there; its key goes on"),
                 LOG_INT("id", report->id));
        break;
    case REPORT_SWEPT:
        log_warning("rows_swept",
                    LOG_WORDS("the sweep found rows that the regular look had missed"),
                    LOG_UINT("rows", report->count), LOG_INT("first_id", report->id));
        break;
    case REPORT_FULL:
        log_error("held_max_reached",
                  LOG_WORDS("too many messages are held (held_max): until there are fewer, only "
                            "they are tried again"),
                  LOG_UINT("held", report->count));
        break;
    case REPORT_TIMEOUT:
        worker_lane_log(worker, report->lane, LOG_WARNING, "confirm_timeout",
                        "no confirm for too long; connecting anew", NULL);
        break;
    case REPORT_DEGRADED:
        log_error(
            "degraded",
            LOG_WORDS(
                "the broker refuses nearly every message, so the source pauses: messages stay "
                "in the outbox, and a few are tried from time to time"),
            LOG_STR("reason", report->reason));
        break;
    case REPORT_UNMOVED:
        if (outage_is_news(&worker->unmoved_outage, "", now_us)) {
            log_error("not_set_aside",
                      LOG_WORDS("messages cannot be set aside; their keys wait in the outbox"),
                      LOG_UINT("messages", report->count), LOG_INT("first_id", report->id),
                      LOG_STR("reason", report->reason));
        }
        break;
    case REPORT_UNDELETED:
        if (outage_is_news(&worker->undeleted_outage, "", now_us)) {
            log_error("not_deleted",
                      LOG_WORDS("messages that went out cannot be deleted; when the session ends "
                                "they are sent again"),
                      LOG_UINT("messages", report->count), LOG_INT("first_id", report->id),
                      LOG_STR("reason", report->reason));
        }
        break;
    case REPORT_TAILING:
        outage_over(&worker->tail_outage);
        log_info("tailing", LOG_WORDS("rows come from the database's log"));
        break;
    case REPORT_POLLING:
        log_info("polling", LOG_WORDS("the database's log is not read; the table is polled"),
                 LOG_STR("reason", report->reason));
        break;
    case REPORT_HEALED:
        log_info("healed", LOG_WORDS("the broker takes messages again"));
        break;
    }
}

static void
act(struct worker *worker, const struct pipeline_action *action, uint64_t now_us)
{
    struct source *source = worker->source;
    switch (action->type) {
    case PIPELINE_CONNECT:
        worker_lane_connect(worker, action->lane, now_us);
        break;
    case PIPELINE_OPEN_CHANNEL:
        broker_lane_open(worker->lanes[action->lane], now_us);
        break;
    case PIPELINE_DISCONNECT:
        broker_lane_abort(worker->lanes[action->lane]);
        /* The lane for probes is only not needed; on another no confirms came. */
        worker_spread_lost(worker, action->lane, action->lane < worker->config->publishers);
        break;
    case PIPELINE_MOVE:
        worker_spread_move(worker, action->lane, now_us);
        break;
    case PIPELINE_FETCH:
        source->ops->fetch(source, &action->fetch, now_us);
        break;
    case PIPELINE_SETTLE:
        source->ops->settle(source, action->ids, action->count, now_us);
        break;
    case PIPELINE_WATERMARK:
        source->ops->watermark(source, now_us);
        break;
    case PIPELINE_PUBLISH:
        break; /* by publish_run, in worker_act */
    case PIPELINE_HOLD:
        source->ops->hold(source, action->holds, action->count, now_us);
        break;
    case PIPELINE_RELEASE:
        source->ops->release(source, &action->release, now_us);
        break;
    case PIPELINE_HEADS:
        source->ops->heads(source, now_us);
        break;
    case PIPELINE_WAKE:
        source->ops->wake(source, (uint32_t)action->count, now_us);
        break;
    case PIPELINE_DROP:
        worker_drop_row(action->row);
        break;
    case PIPELINE_REPORT:
        log_report(worker, &action->report, now_us);
        break;
    case PIPELINE_TAIL_BEGIN:
        source->ops->tail_begin(source, action->position, now_us);
        break;
    case PIPELINE_TAIL_END:
        source->ops->tail_end(source, now_us);
        break;
    case PIPELINE_TAIL_MORE:
        source->ops->tail_more(source, (uint32_t)action->count, action->bytes, now_us);
        break;
    case PIPELINE_TAIL_SAFE:
        source->ops->tail_safe(source, action->position, now_us);
        break;
    case PIPELINE_RIVAL:
        source->ops->rival(source, now_us);
        break;
    case PIPELINE_YIELD:
        source->ops->yield(source, now_us);
        break;
    case PIPELINE_DRAINED:
        worker->drained = true;
        break;
    }
}

bool
worker_act(struct worker *worker, uint64_t now_us)
{
    struct pipeline_action action;
    for (uint32_t done = 0; done < ACTIONS_PER_TURN && !worker->drained;) {
        if (!pipeline_next(worker->pipeline, now_us, &action)) {
            return true;
        }
        if (action.type == PIPELINE_PUBLISH) {
            done += publish_run(worker, action.lane, action.row, now_us);
        } else {
            act(worker, &action, now_us);
            done++;
        }
    }
    return false;
}
