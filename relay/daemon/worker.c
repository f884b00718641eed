#include "relay/daemon/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/wake.h"
#include "relay/daemon/worker_private.h"

static bool
has_unsent(const struct worker *worker, uint32_t lane)
{
    const struct broker_lane *const connection = worker->lanes[lane];
    return worker->lane_unsent[lane] ||
           broker_lane_out_bytes(connection) > broker_lane_taken_bytes(connection);
}

/* Messages written under a lease that has ended must not go out beside a successor's: this process may have been
 * stopped for long, or its network. */
static void
drop_stale_output(struct worker *worker, uint64_t now_us)
{
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        if (!worker->lane_used[i] || now_us < worker->lease_until_us) {
            continue;
        }
        worker->lane_used[i] = false;
        if (has_unsent(worker, i)) {
            broker_lane_abort(worker->lanes[i]);
            worker_spread_lost(worker, i, false);
            worker_lane_lost(worker, i, LOG_WARNING,
                             "the ownership ended while messages were on their way", now_us);
        }
    }
}

/* True if a congested lane has room again, which no descriptor reports. */
static bool
flush_lanes(struct worker *worker)
{
    const uint64_t now_us = clock_monotonic_us();
    bool eased = false;
    drop_stale_output(worker, now_us);
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        const size_t before = broker_lane_queued_bytes(worker->lanes[i]);
        if (before > 0) {
            broker_lane_flush(worker->lanes[i], now_us);
        }
        const size_t after = broker_lane_queued_bytes(worker->lanes[i]);
        worker->lane_unsent[i] = worker->lane_unsent[i] && after > 0;
        eased |= before > CONGESTED_BYTES && after <= CONGESTED_BYTES;
    }
    return eased;
}

static uint64_t
next_deadline_us(const struct worker *worker, uint64_t now_us)
{
    uint64_t deadline_us = pipeline_deadline_us(worker->pipeline, now_us);
    deadline_us = clock_earlier_us(deadline_us, worker->source->ops->deadline_us(worker->source));
    deadline_us = clock_earlier_us(deadline_us, worker_status_deadline_us(worker));
    deadline_us = clock_earlier_us(deadline_us, worker_view_deadline_us(worker));
    deadline_us = clock_earlier_us(deadline_us, worker_spread_deadline_us(worker));
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        deadline_us = clock_earlier_us(deadline_us, broker_lane_deadline_us(worker->lanes[i]));
    }
    return deadline_us;
}

static void
rest(uint64_t time_us)
{
    if (time_us > 0) {
        const struct timespec time = {.tv_nsec = (long)time_us * 1000};
        (void)nanosleep(&time, NULL); /* a signal may end it early */
    }
}

enum { POLL_WAKE, POLL_SPARE, POLL_SOURCE, POLL_LANES = POLL_SOURCE + SOURCE_POLLS_MAX };

static struct pollfd
polled(const struct broker_lane *lane)
{
    return (struct pollfd){.fd = broker_lane_fd(lane), .events = broker_lane_poll_events(lane)};
}

static void
wait_for_something(struct worker *worker, struct pollfd *polls, bool idle)
{
    polls[POLL_WAKE] = (struct pollfd){.fd = worker->wake_fd, .events = POLLIN};
    polls[POLL_SPARE] = (struct pollfd){.fd = -1};
    if (worker->spare != NULL) {
        polls[POLL_SPARE] = polled(worker->spare);
    }
    worker->source->ops->polls(worker->source, &polls[POLL_SOURCE]);
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        polls[POLL_LANES + i] = polled(worker->lanes[i]);
    }
    const uint64_t now_us = clock_monotonic_us();
    const int timeout_ms =
        idle ? clock_poll_timeout_ms(now_us, next_deadline_us(worker, now_us)) : 0;
    if (timeout_ms > 0) {
        board_rest(worker->entry, now_us + (uint64_t)timeout_ms * CLOCK_MS_US);
        rest(pace_rest_us(&worker->pace, now_us));
    }
    if (poll(polls, POLL_LANES + worker->lane_count, timeout_ms) < 0) {
        for (uint32_t i = 0; i < POLL_LANES + worker->lane_count; i++) {
            polls[i].revents = 0; /* EINTR: nothing is known; the next turn polls again */
        }
    }
}

static void
begin_drain_if_asked(struct worker *worker)
{
    if (!worker->draining && atomic_load(&worker->drain_asked)) {
        eventfd_t times;
        (void)eventfd_read(worker->wake_fd, &times); /* only to make it quiet again */
        worker->draining = true;
        worker_view_change(worker);
        pipeline_drain(worker->pipeline);
    }
}

static void
work(struct worker *worker)
{
    struct pollfd polls[POLL_LANES + PIPELINE_LANES_MAX] = {0};
    while (!worker->drained && !atomic_load(&worker->leave_asked)) {
        const uint64_t now_us = clock_monotonic_us();
        board_turn(worker->entry, now_us);
        begin_drain_if_asked(worker);
        /* The source first: after a long stop it finds out whether the outbox is still ours. */
        worker_serve_source(worker, &polls[POLL_SOURCE], now_us);
        drop_stale_output(worker, now_us);
        for (uint32_t i = 0; i < worker->lane_count; i++) {
            worker_serve_lane(worker, i, polls[POLL_LANES + i].revents, now_us);
        }
        worker_spread_serve(worker, polls[POLL_SPARE].revents, now_us);
        worker->source->ops->fit(worker->source, pipeline_reaches_broker(worker->pipeline));
        const bool done = worker_act(worker, now_us);
        worker_status_tell(worker, now_us);
        worker_view_tell(worker, now_us);
        worker_tell_refused(worker, now_us);
        const bool eased = flush_lanes(worker);
        wait_for_something(worker, polls, done && !eased);
    }
}

static void
tell_end(const struct worker *worker)
{
    if (worker->drained) {
        log_info("source_drained", LOG_WORDS("nothing is in flight"));
    } else {
        log_error("not_drained",
                  LOG_WORDS("unconfirmed messages stay in the outbox and are sent again"));
    }
}

/* For whoever looks at the threads of the process. */
static void
name_thread(const char *source)
{
    char name[16];                                    /* the kernel keeps so much */
    (void)snprintf(name, sizeof(name), "%s", source); /* cut is fine */
    (void)pthread_setname_np(pthread_self(), name);   /* fails only for a longer one */
}

static void *
thread_main(void *argument)
{
    struct worker *worker = argument;
    log_set_source(worker->config->name);
    name_thread(worker->config->name);
    work(worker);
    /* First, so that the next owner need not wait for it. */
    worker_fence_end(worker, clock_monotonic_us());
    (void)flush_lanes(worker); /* nobody asks for room any more */
    /* Gives the ownership up now: other sources may take longer to drain, and a standby need not wait for them. */
    worker->source->ops->free(worker->source);
    worker->source = NULL;
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        broker_lane_close(worker->lanes[i]);
    }
    if (worker->spare != NULL) {
        broker_lane_close(worker->spare);
    }
    board_remove(worker->board, worker->entry);
    tell_end(worker);
    atomic_store(&worker->finished, true);
    wake_raise(worker->finished_fd);
    return NULL;
}

/* Under a limit, rows that were read wait in memory, and one that is deleted from the table meanwhile is sent all the same. So no
 * more are read than go in a few seconds. */
static uint32_t
rows_ahead(const struct source_config *config)
{
    return config->rate_max > 0 && config->rate_max < config->batch_rows ? config->rate_max
                                                                         : config->batch_rows;
}

static struct pipeline_options
options_of(const struct source_config *config)
{
    const struct broker_config *broker = config->broker;
    struct pipeline_options options = pipeline_defaults();
    options.lane_count = config->publishers;
    options.rate_max = config->rate_max;
    options.window_messages = config->window_messages;
    options.window_bytes = config->window_bytes;
    options.batch_rows = rows_ahead(config);
    options.batch_bytes = config->batch_bytes;
    options.poll_interval_max_us = config->poll_interval_max_us;
    options.poll_interval_idle_us = config->poll_interval_idle_us;
    options.sweep_interval_us = config->sweep_interval_us;
    options.confirm_timeout_us = broker->confirm_timeout_us;
    options.reconnect_initial_us = broker->reconnect_initial_us;
    options.reconnect_max_us = broker->reconnect_max_us;
    options.retry_initial_us = config->retry_initial_us;
    options.retry_max_us = config->retry_max_us;
    options.max_attempts = config->max_attempts;
    options.skip_dead = config->on_dead == ON_DEAD_SKIP;
    options.held_max = config->held_max;
    options.yield_after_us = config->yield_after_us;
    options.phase_us = config->phase_us;
    options.tail = config->mode != SOURCE_MODE_POLL;
    options.strict = config->ordering == ORDERING_STRICT;
    options.seed = random_fresh_seed();
    return options;
}

static bool
make_lanes(struct worker *worker, struct error *reterr)
{
    /* One more for the probe lane (pipeline.h). */
    for (; worker->lane_count < worker->config->publishers + 1; worker->lane_count++) {
        worker->lanes[worker->lane_count] =
            broker_lane_new(worker->config->broker, worker->config->name, reterr);
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
        broker_lane_free(worker->lanes[i]);
    }
    broker_lane_free(worker->spare);
    if (worker->source != NULL) {
        worker->source->ops->free(worker->source);
    }
    pipeline_free(worker->pipeline);
    if (worker->wake_fd >= 0) {
        (void)close(worker->wake_fd); /* nothing was written to it that could fail late */
    }
    config_free(worker->global);
    memory_free(worker);
}

static bool
prepare(struct worker *worker, struct error *reterr)
{
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->wake_fd < 0) {
        return error_set(reterr, ERROR_TRANSIENT, "eventfd: %s", strerror(errno));
    }
    if (!worker->config->kind->source_new(worker->config, &worker->source, reterr)) {
        return false;
    }
    const struct pipeline_options options = options_of(worker->config);
    worker->pipeline = pipeline_new(&options, clock_monotonic_us());
    outage_init(&worker->source_outage);
    outage_init(&worker->tail_outage);
    worker_spread_init(worker);
    return make_lanes(worker, reterr);
}

struct worker *
worker_start(const struct source_config *config, struct config *global, struct board *board,
             int wake_fd, struct error *reterr)
{
    struct worker *worker = memory_array(1, sizeof(*worker));
    *worker = (struct worker){.config = config,
                              .global = config_ref(global),
                              .board = board,
                              .wake_fd = -1,
                              .finished_fd = wake_fd};
    if (!prepare(worker, reterr)) {
        worker_free(worker);
        return NULL;
    }
    worker->entry = board_add(board, config);
    const int failure = pthread_create(&worker->thread, NULL, thread_main, worker);
    if (failure != 0) {
        board_remove(board, worker->entry);
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
    wake_raise(worker->wake_fd);
}

void
worker_leave(struct worker *worker)
{
    atomic_store(&worker->leave_asked, true);
    wake_raise(worker->wake_fd);
}

bool
worker_finished(const struct worker *worker)
{
    return atomic_load(&worker->finished);
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
