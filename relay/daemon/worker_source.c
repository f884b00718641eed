#include <string.h>

#include "relay/daemon/worker_private.h"

static void
adopt(struct worker *worker, struct batch *batch)
{
    const char *exchange = worker->config->exchange;
    batch->in_use = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        struct row *row = &batch->rows[i];
        row->batch = batch;
        if (row->exchange_is_null) {
            row->exchange = (struct span){.data = exchange, .size = strlen(exchange)};
        }
    }
}

/* The core has the rows now, and gives each back; a batch without rows is freed with the event. */
static void
hand_over(struct batch **batch)
{
    if ((*batch)->count > 0) {
        *batch = NULL;
    }
}

static void
take_rows(struct worker *worker, struct batch **batch, uint64_t now_us)
{
    adopt(worker, *batch);
    pipeline_rows(worker->pipeline, *batch, now_us);
    hand_over(batch);
}

static void
take_log(struct worker *worker, struct source_log *log, uint64_t now_us)
{
    adopt(worker, log->batch);
    pipeline_log(worker->pipeline, log, now_us);
    if (log->batch->count > 0) {
        pace_piece(&worker->pace, now_us);
    }
    hand_over(&log->batch);
}

static void
not_tailing(struct worker *worker, const struct error *error, uint64_t now_us)
{
    pipeline_not_tailing(worker->pipeline, error->text, error->class == ERROR_CONFIG, now_us);
    if (outage_is_news(&worker->tail_outage, error->text, now_us)) {
        log_event(worker->config->mode == SOURCE_MODE_TAIL ? LOG_WARNING : LOG_INFO, "not_tailing",
                  LOG_WORDS("the database's log is not read; the table is polled"),
                  LOG_CAUSE(error));
    }
}

/* The error follows these words; they only say whether the database is there: a wrong password or a slow session is no
 * missing database. */
static const char *
words_of_loss(enum error_class class, bool worked)
{
    if (class == ERROR_CONFIG) {
        return "the database is there, but its outbox cannot be worked until somebody mends what "
               "is "
               "wrong; trying again";
    }
    if (class != ERROR_CONNECTION) {
        return "the database does not do what it is asked; trying again";
    }
    return worked ? "the connection to the database was lost; trying again"
                  : "the database is not there; trying again";
}

static void
source_lost(struct worker *worker, const struct error *error, uint64_t now_us)
{
    worker_fence_end(worker, now_us);
    pipeline_source_lost(worker->pipeline, now_us);
    if (outage_is_news(&worker->source_outage, error->text, now_us)) {
        log_event(error->class == ERROR_CONFIG ? LOG_ERROR : LOG_WARNING, "source_lost",
                  LOG_WORDS(words_of_loss(error->class, worker->source_there)), LOG_CAUSE(error));
    }
    worker->source_there = false;
    worker_view_state(worker, BOARD_LOST, error->text, now_us);
}

static void
yielded(struct worker *worker, uint64_t now_us)
{
    worker_fence_end(worker, now_us);
    pipeline_source_lost(worker->pipeline, now_us);
    worker_view_state(worker, BOARD_STANDBY, "", now_us);
    log_warning("source_yielded",
                LOG_WORDS("this relay does not reach its broker, and leaves the outbox to another "
                          "relay, which does"));
}

static void
tell_notice(const struct source_notice *notice)
{
    const bool act = notice->error.class == ERROR_CONFIG;
    log_event(act                ? LOG_ERROR
              : notice->harmless ? LOG_INFO
                                 : LOG_WARNING,
              "source_notice", LOG_WORDS(notice->error.text));
}

static void
take_owned(struct worker *worker, const struct source_owned *owned, uint64_t now_us)
{
    worker->source_there = true;
    outage_over(&worker->source_outage);
    log_info("source_owned", LOG_WORDS("this relay works the outbox"));
    worker_status_begin(worker, now_us);
    worker_view_state(worker, BOARD_OWNED, "", now_us);
    worker_fence_begin(worker, owned->outbox, now_us);
    pipeline_source_owned(worker->pipeline, now_us);
}

static void
take_standby(struct worker *worker, uint64_t now_us)
{
    worker_view_state(worker, BOARD_STANDBY, "", now_us);
    worker->source_there = true;
    outage_over(&worker->source_outage);
    log_info("source_standby", LOG_WORDS("another relay works the outbox; standing by"));
}

static void
take_source_event(struct worker *worker, struct source_event *event, uint64_t now_us)
{
    struct pipeline *pipeline = worker->pipeline;
    switch (event->type) {
    case SOURCE_OWNED:
        take_owned(worker, &event->owned, now_us);
        break;
    case SOURCE_STANDBY:
        take_standby(worker, now_us);
        break;
    case SOURCE_LOST:
        source_lost(worker, &event->lost, now_us);
        break;
    case SOURCE_YIELDED:
        yielded(worker, now_us);
        break;
    case SOURCE_RIVAL:
        pipeline_rival(pipeline, event->rival, now_us);
        break;
    case SOURCE_ALIVE: /* it only carries the lease */
        break;
    case SOURCE_ROWS:
        take_rows(worker, &event->rows, now_us);
        break;
    case SOURCE_PRESENT:
        pipeline_present(pipeline, &event->present, now_us);
        break;
    case SOURCE_SETTLED:
        pipeline_settled(pipeline, &event->settled, now_us);
        break;
    case SOURCE_FINAL:
        pipeline_final(pipeline, &event->final, now_us);
        break;
    case SOURCE_HELD:
        pipeline_held(pipeline, &event->held, now_us);
        break;
    case SOURCE_RELEASED:
        pipeline_released(pipeline, &event->released, now_us);
        break;
    case SOURCE_HEADS:
        pipeline_heads(pipeline, &event->heads, now_us);
        break;
    case SOURCE_WOKEN:
        pipeline_woken(pipeline, &event->woken, now_us);
        break;
    case SOURCE_TAILING:
        pipeline_tailing(pipeline, event->tailing, now_us);
        break;
    case SOURCE_LOG:
        take_log(worker, &event->log, now_us);
        break;
    case SOURCE_NOT_TAILING:
        not_tailing(worker, &event->not_tailing, now_us);
        break;
    case SOURCE_NOTICE:
        tell_notice(&event->notice);
        break;
    }
    worker->lease_until_us = event->lease_until_us;
    pipeline_lease(pipeline, event->lease_until_us);
}

void
worker_serve_source(struct worker *worker, const struct pollfd *polls, uint64_t now_us)
{
    struct source *source = worker->source;
    struct source_event event;
    source->ops->process(source, polls, now_us);
    while (source->ops->next(source, &event)) {
        take_source_event(worker, &event, now_us);
        source_event_done(&event);
    }
}
