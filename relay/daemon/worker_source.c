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

static void
take_rows(struct worker *worker, struct batch *batch, uint64_t now_us)
{
    adopt(worker, batch);
    pipeline_rows(worker->pipeline, batch->rows, batch->count, batch->complete, now_us);
    if (batch->count == 0) {
        batch_free(batch);
    }
}

static void
take_log(struct worker *worker, const struct source_log *log, uint64_t now_us)
{
    struct batch *batch = log->batch;
    adopt(worker, batch);
    pipeline_log(worker->pipeline, batch->rows, batch->count, log->position, now_us);
    if (batch->count == 0) {
        batch_free(batch);
    } else {
        pace_piece(&worker->pace, now_us);
    }
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

/* What is wrong comes behind it; but a wrong password is no database that is not there, and neither is a slow session. */
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
    pipeline_source_lost(worker->pipeline, now_us);
    if (outage_is_news(&worker->source_outage, error->text, now_us)) {
        log_event(error->class == ERROR_CONFIG ? LOG_ERROR : LOG_WARNING, "source_lost",
                  LOG_WORDS(words_of_loss(error->class, worker->source_there)), LOG_CAUSE(error));
    }
    worker->source_there = false;
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

/* What was set aside and came back. */
static void
take_held_event(struct worker *worker, struct source_event *event, uint64_t now_us)
{
    struct pipeline *pipeline = worker->pipeline;
    if (event->type == SOURCE_HELD) {
        const struct source_held *held = &event->held;
        pipeline_unmoved(pipeline, held->failures.items, held->failures.count, now_us);
        pipeline_held(pipeline, held->missing, held->missing_count, now_us);
    } else if (event->type == SOURCE_RELEASED) {
        const struct source_released *released = &event->released;
        pipeline_released(pipeline, released->count, released->first_id, released->last_id,
                          released->complete, now_us);
        if (released->failures.count > 0) {
            pipeline_unreleased(pipeline, released->failures.items, now_us);
        }
    } else if (event->type == SOURCE_HEADS) {
        pipeline_heads(pipeline, event->heads.items, event->heads.count, now_us);
    } else {
        pipeline_woken(pipeline, event->woken.count, event->woken.next_in_us, event->woken.acts,
                       now_us);
    }
    source_event_done(event);
}

static void
take_source_event(struct worker *worker, struct source_event *event, uint64_t now_us)
{
    switch (event->type) {
    case SOURCE_OWNED:
        worker->source_there = true;
        outage_over(&worker->source_outage);
        log_info("source_owned", LOG_WORDS("this relay works the outbox"));
        worker_status_begin(worker, now_us);
        pipeline_source_owned(worker->pipeline, now_us);
        break;
    case SOURCE_STANDBY:
        worker->source_there = true;
        outage_over(&worker->source_outage);
        log_info("source_standby", LOG_WORDS("another relay works the outbox; standing by"));
        break;
    case SOURCE_LOST:
        source_lost(worker, &event->lost, now_us);
        break;
    case SOURCE_ROWS:
        take_rows(worker, event->rows, now_us);
        break;
    case SOURCE_SETTLED:
        pipeline_undeleted(worker->pipeline, event->settled.failures.items,
                           event->settled.failures.count, now_us);
        pipeline_settled(worker->pipeline, now_us);
        source_event_done(event);
        break;
    case SOURCE_FINAL:
        pipeline_final(worker->pipeline, event->final.id, event->final.position,
                       event->final.log_end, now_us);
        break;
    case SOURCE_HELD:
    case SOURCE_RELEASED:
    case SOURCE_HEADS:
    case SOURCE_WOKEN:
        take_held_event(worker, event, now_us);
        break;
    case SOURCE_NOTICE:
        tell_notice(&event->notice);
        break;
    case SOURCE_PRESENT:
        pipeline_present(worker->pipeline, event->present.ids, event->present.count, now_us);
        source_event_done(event);
        break;
    case SOURCE_TAILING:
        pipeline_tailing(worker->pipeline, event->tailing, now_us);
        break;
    case SOURCE_LOG:
        take_log(worker, &event->log, now_us);
        break;
    case SOURCE_NOT_TAILING:
        not_tailing(worker, &event->not_tailing, now_us);
        break;
    case SOURCE_ALIVE:
        break;
    }
    worker->lease_until_us = event->lease_until_us;
    pipeline_lease(worker->pipeline, event->lease_until_us);
}

void
worker_serve_source(struct worker *worker, const struct pollfd *polls, uint64_t now_us)
{
    struct source *source = worker->source;
    struct source_event event;
    source->ops->process(source, polls, now_us);
    while (source->ops->next(source, &event)) {
        take_source_event(worker, &event, now_us);
    }
}
