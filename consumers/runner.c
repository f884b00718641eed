#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "consumers/runner_private.h"

/* For the broker's answers while the connection is closed. */
#define DRAIN_US (5 * CLOCK_S_US)

inbox_result
runner_fail(struct inbox_error *reterr, inbox_result code, const char *format, ...)
{
    if (reterr != NULL) {
        va_list arguments;
        *reterr = (struct inbox_error){.code = code};
        va_start(arguments, format);
        (void)vsnprintf(reterr->message, sizeof(reterr->message), format,
                        arguments); /* cut is fine */
        va_end(arguments);
    }
    return code;
}

void
runner_report(struct runner *runner, inbox_report_level level, const char *event,
              const char *format, ...)
{
    if (runner->options.report == NULL) {
        return;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
    va_end(arguments);
    runner->options.report(runner->options.context, level, event, text);
}

static struct runner_limits
limits_of(const struct runner_options *options)
{
    return (struct runner_limits){.prefetch = runner_capacity(options),
                                  .batch_max = options->batch_max,
                                  .attempts_max = options->attempts_max,
                                  .batch_wait_us = options->batch_wait_ms * CLOCK_MS_US,
                                  .retry_initial_us = options->retry_initial_ms * CLOCK_MS_US,
                                  .retry_max_us = options->retry_max_ms * CLOCK_MS_US};
}

static bool
init_window(struct runner *runner)
{
    void **items = calloc(runner_capacity(&runner->options), sizeof(*items));
    if (items == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < runner_capacity(&runner->options); i++) {
        items[i] = &runner->deliveries[i];
    }
    const struct runner_limits limits = limits_of(&runner->options);
    bool done = runner_window_init(&runner->window, &limits, items, random_fresh_seed());
    free(items);
    return done;
}

static bool
allocate(struct runner *runner)
{
    const struct runner_options *options = &runner->options;
    runner->deliveries = calloc(runner_capacity(options), sizeof(*runner->deliveries));
    runner->claims = calloc(options->batch_max, sizeof(*runner->claims));
    runner->ids = calloc(options->batch_max, sizeof(*runner->ids));
    runner->texts = calloc(options->batch_max, sizeof(*runner->texts));
    runner->seen = calloc(options->batch_max, sizeof(*runner->seen));
    runner->verdicts = calloc(options->batch_max, sizeof(*runner->verdicts));
    runner->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return runner->deliveries != NULL && runner->claims != NULL && runner->ids != NULL &&
           runner->texts != NULL && runner->seen != NULL && runner->verdicts != NULL &&
           runner->stop >= 0 && init_window(runner);
}

inbox_result
runner_init(struct runner *runner, const struct runner_options *options,
            const struct runner_application *application, struct inbox_error *reterr)
{
    runner->stop = -1;
    atomic_store(&runner->pid, getpid());
    inbox_result result =
        runner_options_copy(options, application, &runner->options, &runner->endpoint, reterr);
    if (result == INBOX_OK && !allocate(runner)) {
        result = runner_fail(reterr, INBOX_NO_MEMORY, "out of memory");
    }
    return result;
}

inbox_result
runner_set_session(struct runner *runner, struct runner_session *session,
                   struct inbox_error *reterr)
{
    struct error error;
    runner->session = session;
    if (session == NULL) {
        return runner_fail(reterr, INBOX_NO_MEMORY, "out of memory");
    }
    if (!runner_broker_init(runner, &error)) {
        return runner_fail(reterr, error.class == ERROR_CONFIG ? INBOX_INVALID : INBOX_NO_MEMORY,
                           "%s", error.text);
    }
    return INBOX_OK;
}

void
runner_done(struct runner *runner)
{
    assert(runner->broker.pump == NULL);
    runner_broker_done(&runner->broker);
    if (runner->session != NULL) {
        runner->session->kind->free(runner->session);
    }
    runner_owed_done(&runner->owed);
    runner_window_done(&runner->window);
    for (uint32_t i = 0; runner->deliveries != NULL && i < runner_capacity(&runner->options); i++) {
        runner_delivery_done(&runner->deliveries[i]);
    }
    free(runner->deliveries);
    free(runner->claims);
    free(runner->ids);
    free(runner->texts);
    free(runner->seen);
    free(runner->verdicts);
    if (runner->stop >= 0) {
        close(runner->stop);
    }
    amqp_endpoint_done(&runner->endpoint);
    runner_options_done(&runner->options);
}

uint64_t
runner_stop_deadline_us(struct runner *runner)
{
    /* The pump learns of a stop by the descriptor, perhaps before `stopping` is set; stop_us is set before both. It is
     * 0 for a stop that came while the last run ended. */
    uint64_t stop_us = atomic_load(&runner->stop_us);
    if (stop_us == 0 && !atomic_load(&runner->stopping)) {
        return CLOCK_NEVER_US;
    }
    if (stop_us == 0) {
        stop_us = clock_monotonic_us();
        atomic_store(&runner->stop_us, stop_us);
    }
    return stop_us + runner->options.stop_timeout_ms * CLOCK_MS_US;
}

static uint64_t
earlier(uint64_t left_us, uint64_t right_us)
{
    return left_us < right_us ? left_us : right_us;
}

/* One turn: handles what the broker sent, then either runs a transaction or waits. Nothing is taken from the queue
 * before the database answers, because when a process ends, each message in hand uses up one of its
 * x-delivery-limit. */
static void
turn(struct runner *runner)
{
    uint64_t until_us, now_us = clock_monotonic_us();
    if (runner->broker.state == BROKER_DOWN && !runner->ready &&
        now_us >= runner->window.outage_until_us) {
        runner_apply_prepare(runner);
        now_us = clock_monotonic_us();
    }
    runner_broker_turn(runner, now_us);
    if (runner_window_pick(&runner->window, now_us, &until_us) > 0) {
        runner_apply_batch(runner);
        runner_broker_give_back(runner, clock_monotonic_us());
    } else {
        runner_broker_wait(runner, true, earlier(until_us, runner_broker_due_us(runner)));
    }
}

/* True if the message in hand should be waited for. One that was returned before is worth waiting for, because RabbitMQ
 * would put it behind the other returned ones. */
static bool
is_worth_waiting(const struct runner *runner)
{
    const struct runner_window *window = &runner->window;
    return window->count == 1 && window->entries[0].counted && runner_window_open(window) > 0;
}

/* Applies the messages in hand before the next consumer can become active. No more arrive, because only
 * acknowledgements make room for more. Messages that cannot be applied now or in time all go back, in order. */
static void
drain(struct runner *runner)
{
    const uint64_t deadline_us = runner_stop_deadline_us(runner);
    runner_report(runner, INBOX_REPORT_INFO, "draining", "queue %s", runner->options.queue);
    runner->window.hurried = true;
    uint64_t until_us, now_us = clock_monotonic_us();
    while (runner->broker.state == BROKER_CONSUMING && now_us < deadline_us) {
        runner_broker_last_turn(runner, now_us);
        if (runner_window_pick(&runner->window, now_us, &until_us) > 0) {
            runner_apply_batch(runner);
        } else if (is_worth_waiting(runner)) {
            runner_broker_wait(runner, false, earlier(until_us, deadline_us));
        } else {
            break;
        }
        now_us = clock_monotonic_us();
    }
    runner_broker_leave(runner, clock_monotonic_us() + DRAIN_US);
    runner->session->kind->close(runner->session);
    runner->window.hurried = false;
    runner->ready = false;
}

static uint64_t
pump_deadline(void *context)
{
    return runner_stop_deadline_us(context);
}

static void
pump_cut(void *context)
{
    struct runner *runner = context;
    runner->session->kind->cut(runner->session);
}

inbox_result
runner_run(struct runner *runner, struct inbox_error *reterr)
{
    const struct runner_pump_stop stop = {runner->stop, pump_deadline, pump_cut, runner};
    atomic_store(&runner->pid, getpid());
    runner->broker.pump = runner_pump_new(runner->broker.session, &stop);
    if (runner->broker.pump == NULL) {
        return runner_fail(reterr, INBOX_NO_MEMORY, "out of memory, or no thread can be started");
    }
    while (!atomic_load(&runner->stopping)) {
        turn(runner);
    }
    drain(runner);
    runner_pump_free(runner->broker.pump);
    runner->broker.pump = NULL;
    /* This run is over, and the next one begins without a stop. runner_stop writes to the descriptor before it sets
     * `stopping`. So a stop that comes right now counts for one of the two runs, and never leaves a readable descriptor
     * that nobody expects. */
    uint64_t ignored;
    atomic_store(&runner->stopping, false);
    atomic_store(&runner->stop_us, 0);
    (void)!read(runner->stop, &ignored, sizeof(ignored));
    return INBOX_OK;
}

void
runner_stop(struct runner *runner)
{
    /* A child forked by `apply` shares the descriptor, and may have inherited a signal handler that calls this. */
    if (atomic_load(&runner->pid) != getpid()) {
        return;
    }
    const uint64_t one = 1;
    uint64_t never = 0;
    (void)atomic_compare_exchange_strong(&runner->stop_us, &never,
                                         clock_monotonic_us()); /* the first stop counts */
    (void)!write(runner->stop, &one, sizeof(one)); /* if it is full, it is readable already */
    atomic_store(&runner->stopping, true);
}

void
runner_counters(const struct runner *runner, struct inbox_runner_counters *ret_counters,
                size_t counters_size)
{
    uint64_t numbers[COUNTERS];
    for (size_t i = 0; i < COUNTERS; i++) {
        numbers[i] = atomic_load_explicit(&runner->counters[i], memory_order_relaxed);
    }
    const struct inbox_runner_counters counters = {
        .delivered = numbers[COUNT_DELIVERED],
        .applied = numbers[COUNT_APPLIED],
        .duplicates = numbers[COUNT_DUPLICATES],
        .hinted = numbers[COUNT_HINTED],
        .rejected = numbers[COUNT_REJECTED],
        .retried = numbers[COUNT_RETRIED],
        .transactions = numbers[COUNT_TRANSACTIONS],
        .database_outages = numbers[COUNT_DATABASE_OUTAGES],
        .broker_outages = numbers[COUNT_BROKER_OUTAGES],
    };
    memset(ret_counters, 0, counters_size);
    memcpy(ret_counters, &counters,
           counters_size < sizeof(counters) ? counters_size : sizeof(counters));
}
