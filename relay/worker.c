#include "relay/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/session.h"
#include "base/clock.h"
#include "relay/log.h"
#include "relay/memory.h"
#include "relay/outage.h"
#include "relay/pipeline.h"
#include "relay/publisher.h"
#include "relay/source_postgres.h"

#define CHANNEL 1
/* Actions between two looks at the sockets: enough to fill large writes, few enough that confirms do not wait. */
#define ACTIONS_PER_TURN 512
/* More than this not yet taken by the socket, and the lane is left alone: the broker does not keep up. */
#define CONGESTED_BYTES ((size_t)512 * 1024)
#define CLOSE_WAIT_US CLOCK_S_US

struct worker {
    const struct source_config *config;
    pthread_t thread;
    int wake_fd;     /* written by worker_drain */
    int finished_fd; /* written by the thread as it ends */
    atomic_bool drain_asked;
    atomic_bool finished;
    bool drained; /* the thread's; read after it was joined */

    /* The thread's own. */
    struct pipeline *pipeline;
    struct source *source;
    struct session *lanes[PIPELINE_LANES_MAX];
    uint32_t lane_count;
    struct publisher publisher;
    uint64_t lease_until_us;
    bool draining;
    struct outage source_outage;
    struct outage lane_outages[PIPELINE_LANES_MAX];
};

/* --- what the source reports ---------------------------------------------------------------------------------------- */

static void
take_rows(struct worker *worker, struct batch *batch, uint64_t now_us)
{
    batch->in_use = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        batch->rows[i].batch = batch;
    }
    pipeline_rows(worker->pipeline, batch->rows, batch->count, batch->complete, now_us);
    if (batch->count == 0) {
        batch_free(batch);
    }
}

static void
release_row(const struct row *row)
{
    struct batch *batch = row->batch;
    assert(batch->in_use > 0);
    if (--batch->in_use == 0) {
        batch_free(batch);
    }
}

static void
source_lost(struct worker *worker, const struct error *error, uint64_t now_us)
{
    pipeline_source_lost(worker->pipeline, now_us);
    if (outage_is_news(&worker->source_outage, error->text, now_us)) {
        log_event(error->class == ERROR_CONFIG ? LOG_ERROR : LOG_WARNING, "source_lost",
                  LOG_WORDS("the database is not there; trying again"), LOG_CAUSE(error));
    }
}

static void
take_source_event(struct worker *worker, struct source_event *event, uint64_t now_us)
{
    switch (event->type) {
    case SOURCE_OWNED:
        outage_over(&worker->source_outage);
        log_info("source_owned", LOG_WORDS("this relay works the outbox"));
        pipeline_source_owned(worker->pipeline, now_us);
        break;
    case SOURCE_STANDBY:
        outage_over(&worker->source_outage);
        log_info("source_standby", LOG_WORDS("another relay works the outbox; standing by"));
        break;
    case SOURCE_LOST:
        source_lost(worker, &event->error, now_us);
        break;
    case SOURCE_ROWS:
        take_rows(worker, event->batch, now_us);
        break;
    case SOURCE_SETTLED:
        pipeline_settled(worker->pipeline, now_us);
        break;
    case SOURCE_FINAL:
        pipeline_final(worker->pipeline, event->final_id, now_us);
        break;
    case SOURCE_ALIVE:
        break;
    }
    worker->lease_until_us = event->lease_until_us;
    pipeline_lease(worker->pipeline, event->lease_until_us);
}

static void
serve_source(struct worker *worker, short revents, uint64_t now_us)
{
    struct source *source = worker->source;
    struct source_event event;
    source->ops->process(source, revents, now_us);
    while (source->ops->next(source, &event)) {
        take_source_event(worker, &event, now_us);
    }
}

/* --- what a lane reports -------------------------------------------------------------------------------------------- */

static void
lane_log(const struct worker *worker, uint32_t lane, enum log_level level, const char *event,
         const char *words, const char *error)
{
    log_event(level, event, LOG_WORDS(words), LOG_INT("lane", lane),
              LOG_STR("peer", session_peer(worker->lanes[lane])), LOG_STR("error", error));
}

static void
lane_lost(struct worker *worker, uint32_t lane, const char *why, uint64_t now_us)
{
    pipeline_lane_lost(worker->pipeline, lane, now_us);
    if (outage_is_news(&worker->lane_outages[lane], why, now_us)) {
        lane_log(worker, lane, LOG_WARNING, "lane_lost", "the broker is not there; trying again",
                 why);
    }
}

static void
lane_distrust(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    session_abort(worker->lanes[lane]);
    lane_lost(worker, lane, "the broker confirmed what was not sent", now_us);
}

static const char *
text_of(struct span span, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%.*s", (int)(span.size < size ? span.size : size - 1),
                   span.size > 0 ? (const char *)span.data : "");
    return buffer;
}

static void
lane_returned(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
              uint64_t now_us)
{
    int64_t id;
    if (!publisher_returned_id(&event->message, &id)) {
        return;
    }
    char exchange[256];
    char routing_key[256];
    char reason[600];
    (void)snprintf(reason, sizeof(reason),
                   "unroutable: exchange \"%s\" has no queue for routing key \"%s\"",
                   text_of(event->message.exchange, exchange, sizeof(exchange)),
                   text_of(event->message.routing_key, routing_key, sizeof(routing_key)));
    pipeline_returned(worker->pipeline, lane, id, reason, now_us);
}

static void
lane_channel_closed(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
                    uint64_t now_us)
{
    char reason[240];
    text_of(event->text, reason, sizeof(reason));
    log_debug("channel_closed", LOG_INT("lane", lane), LOG_STR("error", reason));
    pipeline_channel_closed(worker->pipeline, lane, reason, now_us);
}

static void
lane_ready(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (outage_over(&worker->lane_outages[lane])) {
        lane_log(worker, lane, LOG_INFO, "lane_ready", "publishing", NULL);
    }
    pipeline_lane_ready(worker->pipeline, lane, now_us);
}

static void
lane_blocked(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
             uint64_t now_us)
{
    char reason[240];
    lane_log(worker, lane, LOG_WARNING, "lane_blocked", "the broker takes no messages; waiting",
             text_of(event->text, reason, sizeof(reason)));
    pipeline_lane_blocked(worker->pipeline, lane, true, now_us);
}

static void
take_lane_event(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
                uint64_t now_us)
{
    struct pipeline *pipeline = worker->pipeline;
    switch (event->type) {
    case RABBIT_OPENED:
        pipeline_lane_connected(pipeline, lane, now_us);
        break;
    case RABBIT_CHANNEL_OPENED:
        lane_ready(worker, lane, now_us);
        break;
    case RABBIT_CONFIRMED:
        if (!pipeline_confirmed(pipeline, lane, event->tag, event->multiple, now_us)) {
            lane_distrust(worker, lane, now_us);
        }
        break;
    case RABBIT_NACKED:
        if (!pipeline_nacked(pipeline, lane, event->tag, event->multiple, now_us)) {
            lane_distrust(worker, lane, now_us);
        }
        break;
    case RABBIT_RETURNED:
        lane_returned(worker, lane, event, now_us);
        break;
    case RABBIT_CHANNEL_CLOSED:
        lane_channel_closed(worker, lane, event, now_us);
        break;
    case RABBIT_BLOCKED:
        lane_blocked(worker, lane, event, now_us);
        break;
    case RABBIT_UNBLOCKED:
        lane_log(worker, lane, LOG_INFO, "lane_unblocked", "the broker takes messages again", NULL);
        pipeline_lane_blocked(pipeline, lane, false, now_us);
        break;
    case RABBIT_CLOSED:
        lane_lost(worker, lane, event->error.text, now_us);
        break;
    case RABBIT_DELIVERED:
    case RABBIT_CONSUMING:
    case RABBIT_CANCELLED:
    case RABBIT_DONE:
        break; /* nothing was asked that is answered so */
    }
}

static void
serve_lane(struct worker *worker, uint32_t lane, short revents, uint64_t now_us)
{
    struct rabbit_event event;
    session_process(worker->lanes[lane], revents, now_us);
    while (session_next(worker->lanes[lane], &event)) {
        take_lane_event(worker, lane, &event, now_us);
    }
    pipeline_lane_congested(worker->pipeline, lane,
                            session_queued_bytes(worker->lanes[lane]) > CONGESTED_BYTES);
}

/* --- what the pipeline wants ---------------------------------------------------------------------------------------- */

static void
publish(struct worker *worker, uint32_t lane, const struct row *row, uint64_t now_us)
{
    struct session *session = worker->lanes[lane];
    struct error error;
    if (publisher_publish(&worker->publisher, session_rabbit(session), CHANNEL, row, &error)) {
        pipeline_published(worker->pipeline);
    } else {
        /* Without room now, although a congested lane is left alone: it is larger than the connection can ever hold. */
        pipeline_unpublishable(worker->pipeline, error.text, now_us);
    }
    release_row(row);
    if (session_queued_bytes(session) > CONGESTED_BYTES) {
        pipeline_lane_congested(worker->pipeline, lane, true);
    }
}

static void
log_report(const struct worker *worker, const struct pipeline_report *report, uint64_t now_us)
{
    switch (report->type) {
    case REPORT_REFUSED:
        log_warning("message_refused", LOG_WORDS("its key waits; trying again"),
                    LOG_INT("id", report->id), LOG_UINT("attempt", report->attempts),
                    LOG_MS("retry_in_ms", report->retry_at_us - now_us),
                    LOG_STR("reason", report->reason));
        break;
    case REPORT_SENT:
        log_info("message_sent", LOG_WORDS("a refused message went out; its key goes on"),
                 LOG_INT("id", report->id), LOG_UINT("attempt", report->attempts));
        break;
    case REPORT_GONE:
        log_info("message_gone",
                 LOG_WORDS("a refused message is no longer in the outbox; its key goes on"),
                 LOG_INT("id", report->id));
        break;
    case REPORT_SWEPT:
        log_warning("rows_swept",
                    LOG_WORDS("the sweep found rows that the regular look had missed"),
                    LOG_UINT("rows", report->count), LOG_INT("first_id", report->id));
        break;
    case REPORT_FULL:
        log_error("too_many_paused",
                  LOG_WORDS("nothing but retries goes out until some of them do (paused_max)"),
                  LOG_UINT("paused", report->count));
        break;
    case REPORT_TIMEOUT:
        lane_log(worker, report->lane, LOG_WARNING, "confirm_timeout",
                 "no confirm for too long; connecting anew", NULL);
        break;
    }
}

static void
act(struct worker *worker, const struct pipeline_action *action, uint64_t now_us)
{
    struct source *source = worker->source;
    switch (action->type) {
    case PIPELINE_CONNECT:
        session_open(worker->lanes[action->lane], now_us);
        break;
    case PIPELINE_OPEN_CHANNEL:
        rabbit_channel_open(session_rabbit(worker->lanes[action->lane]), CHANNEL, true);
        break;
    case PIPELINE_DISCONNECT:
        session_abort(worker->lanes[action->lane]);
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
        publish(worker, action->lane, action->row, now_us);
        break;
    case PIPELINE_RELEASE:
        release_row(action->row);
        break;
    case PIPELINE_REPORT:
        log_report(worker, &action->report, now_us);
        break;
    case PIPELINE_DRAINED:
        worker->drained = true;
        break;
    }
}

/* True if there is nothing more to do now. */
static bool
act_for_a_turn(struct worker *worker, uint64_t now_us)
{
    struct pipeline_action action;
    for (int i = 0; i < ACTIONS_PER_TURN && !worker->drained; i++) {
        if (!pipeline_next(worker->pipeline, now_us, &action)) {
            return true;
        }
        act(worker, &action, now_us);
    }
    return false;
}

/* --- the loop ------------------------------------------------------------------------------------------------------- */

/* What was queued before this process was stopped for longer than its lease must not go out beside its successor's. */
static bool
overslept(const struct worker *worker, uint64_t turn_us, uint64_t now_us)
{
    return now_us - turn_us > CLOCK_S_US && now_us >= worker->lease_until_us;
}

static void
flush_lanes(struct worker *worker, uint64_t turn_us)
{
    const uint64_t now_us = clock_monotonic_us();
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        if (session_queued_bytes(worker->lanes[i]) == 0) {
            continue;
        }
        if (overslept(worker, turn_us, now_us)) {
            session_abort(worker->lanes[i]);
            lane_lost(worker, i, "this process was stopped for longer than its lease", now_us);
        } else {
            session_flush(worker->lanes[i], now_us);
        }
    }
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
next_deadline_us(const struct worker *worker, uint64_t now_us)
{
    uint64_t deadline_us = pipeline_deadline_us(worker->pipeline, now_us);
    deadline_us = earlier(deadline_us, worker->source->ops->deadline_us(worker->source));
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        deadline_us = earlier(deadline_us, session_deadline_us(worker->lanes[i]));
    }
    return deadline_us;
}

enum { POLL_WAKE, POLL_SOURCE, POLL_LANES };

static void
wait_for_something(struct worker *worker, struct pollfd *polls, bool idle)
{
    polls[POLL_WAKE] =
        (struct pollfd){.fd = worker->draining ? -1 : worker->wake_fd, .events = POLLIN};
    polls[POLL_SOURCE] =
        (struct pollfd){.fd = worker->source->ops->fd(worker->source),
                        .events = worker->source->ops->poll_events(worker->source)};
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        polls[POLL_LANES + i] = (struct pollfd){.fd = session_fd(worker->lanes[i]),
                                                .events = session_poll_events(worker->lanes[i])};
    }
    const uint64_t now_us = clock_monotonic_us();
    const int timeout_ms =
        idle ? clock_poll_timeout_ms(now_us, next_deadline_us(worker, now_us)) : 0;
    if (poll(polls, POLL_LANES + worker->lane_count, timeout_ms) < 0) {
        for (uint32_t i = 0; i < POLL_LANES + worker->lane_count; i++) {
            polls[i].revents = 0; /* EINTR: nothing is known, the next turn asks again */
        }
    }
}

static void
begin_drain_if_asked(struct worker *worker)
{
    if (!worker->draining && atomic_load(&worker->drain_asked)) {
        worker->draining = true;
        pipeline_drain(worker->pipeline);
    }
}

static void
work(struct worker *worker)
{
    struct pollfd polls[POLL_LANES + PIPELINE_LANES_MAX] = {0};
    while (!worker->drained) {
        const uint64_t now_us = clock_monotonic_us();
        begin_drain_if_asked(worker);
        /* The source first: after a long stop it knows whether the outbox is still ours. */
        serve_source(worker, polls[POLL_SOURCE].revents, now_us);
        for (uint32_t i = 0; i < worker->lane_count; i++) {
            serve_lane(worker, i, polls[POLL_LANES + i].revents, now_us);
        }
        const bool idle = act_for_a_turn(worker, now_us);
        flush_lanes(worker, now_us);
        wait_for_something(worker, polls, idle);
    }
}

/* Tells the broker goodbye, so that it does not log a connection that vanished. */
static void
close_lane(struct session *session)
{
    const uint64_t deadline_us = clock_monotonic_us() + CLOSE_WAIT_US;
    struct rabbit *rabbit = session_rabbit(session);
    if (rabbit == NULL || !rabbit_is_open(rabbit)) {
        return;
    }
    rabbit_close(rabbit);
    for (uint64_t now_us = clock_monotonic_us(); now_us < deadline_us;
         now_us = clock_monotonic_us()) {
        struct rabbit_event event;
        session_flush(session, now_us);
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        (void)poll(&fd, 1, clock_poll_timeout_ms(now_us, deadline_us)); /* the deadline bounds it */
        session_process(session, fd.revents, clock_monotonic_us());
        while (session_next(session, &event)) {
            if (event.type == RABBIT_CLOSED) {
                return;
            }
        }
    }
}

static void
signal_eventfd(int fd)
{
    const uint64_t one = 1;
    const ssize_t written = write(fd, &one, sizeof(one));
    assert(written == sizeof(one)); /* fails only at 2^64 - 2 signals */
    (void)written;                  /* only asserted */
}

static void *
thread_main(void *argument)
{
    struct worker *worker = argument;
    log_set_source(worker->config->name);
    work(worker);
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        close_lane(worker->lanes[i]);
    }
    log_info("source_drained", LOG_WORDS("nothing is in flight"));
    atomic_store(&worker->finished, true);
    signal_eventfd(worker->finished_fd);
    return NULL;
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static struct pipeline_options
options_of(const struct source_config *config)
{
    const struct broker_config *broker = config->broker;
    struct pipeline_options options = pipeline_defaults();
    options.lane_count = config->publishers;
    options.window_messages = config->window_messages;
    options.window_bytes = config->window_bytes;
    options.batch_rows = config->batch_rows;
    options.batch_bytes = config->batch_bytes;
    options.poll_interval_max_us = config->poll_interval_max_us;
    options.sweep_interval_us = config->sweep_interval_us;
    options.confirm_timeout_us = broker->confirm_timeout_us;
    options.reconnect_initial_us = broker->reconnect_initial_us;
    options.reconnect_max_us = broker->reconnect_max_us;
    options.retry_initial_us = config->retry_initial_us;
    options.retry_max_us = config->retry_max_us;
    options.paused_max = config->paused_max;
    options.seed = clock_wall_us() ^ (uint64_t)getpid() << 32;
    return options;
}

static bool
make_lanes(struct worker *worker, struct error *reterr)
{
    const struct broker_config *broker = worker->config->broker;
    char name[128];
    (void)snprintf(name, sizeof(name), "outbox-relay %s", worker->config->name);
    const struct session_options options = {
        .endpoint = &broker->endpoint,
        .password = broker->password,
        .connection_name = name,
        .heartbeat_s = broker->heartbeat_s,
    };
    for (; worker->lane_count < worker->config->publishers; worker->lane_count++) {
        worker->lanes[worker->lane_count] = session_new(&options, reterr);
        if (worker->lanes[worker->lane_count] == NULL) {
            return false;
        }
        outage_init(&worker->lane_outages[worker->lane_count]);
    }
    return true;
}

static void
worker_free(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        session_free(worker->lanes[i]);
    }
    if (worker->source != NULL) {
        worker->source->ops->free(worker->source);
    }
    pipeline_free(worker->pipeline);
    publisher_done(&worker->publisher);
    if (worker->wake_fd >= 0) {
        (void)close(worker->wake_fd); /* nothing was written to it that could fail late */
    }
    if (worker->finished_fd >= 0) {
        (void)close(worker->finished_fd); /* likewise */
    }
    memory_free(worker);
}

static bool
prepare(struct worker *worker, struct error *reterr)
{
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->wake_fd < 0 || worker->finished_fd < 0) {
        return error_set(reterr, ERROR_TRANSIENT, "eventfd: %s", strerror(errno));
    }
    const struct pipeline_options options = options_of(worker->config);
    worker->pipeline = pipeline_new(&options, clock_monotonic_us());
    publisher_init(&worker->publisher, worker->config->name, worker->config->exchange);
    outage_init(&worker->source_outage);
    return source_postgres_new(worker->config, &worker->source, reterr) &&
           make_lanes(worker, reterr);
}

struct worker *
worker_start(const struct source_config *config, const struct config *global, struct error *reterr)
{
    (void)global; /* nothing of it concerns a single pipeline yet */
    struct worker *worker = memory_array(1, sizeof(*worker));
    *worker = (struct worker){.config = config, .wake_fd = -1, .finished_fd = -1};
    if (!prepare(worker, reterr)) {
        worker_free(worker);
        return NULL;
    }
    const int failure = pthread_create(&worker->thread, NULL, thread_main, worker);
    if (failure != 0) {
        (void)error_set(reterr, ERROR_TRANSIENT, "cannot start a thread: %s",
                        strerror(failure)); /* always false */
        worker_free(worker);
        return NULL;
    }
    return worker;
}

void
worker_drain(struct worker *worker)
{
    atomic_store(&worker->drain_asked, true);
    signal_eventfd(worker->wake_fd);
}

bool
worker_finished(const struct worker *worker)
{
    return atomic_load(&worker->finished);
}

int
worker_fd(const struct worker *worker)
{
    return worker->finished_fd;
}

bool
worker_join(struct worker *worker)
{
    const int failure = pthread_join(worker->thread, NULL);
    assert(failure == 0);
    (void)failure; /* only asserted */
    const bool drained = worker->drained;
    worker_free(worker);
    return drained;
}
