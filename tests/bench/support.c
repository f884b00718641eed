#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amqp/table.h"
#include "base/clock.h"
#include "tests/bench/bench.h"

#define ANSWER_WAIT_US (60 * CLOCK_S_US)
#define STILL_US (60 * CLOCK_S_US)
#define CONTESTANT_MAX_S 1200
#define EMPTY_WAIT_US (120 * CLOCK_S_US)
#define EMPTY_LOOK_MS 5

_Noreturn void
bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "bench: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

const char *
bench_env(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        bench_fail("%s is not set; run ./dev bench, which starts the servers", name);
    }
    return value;
}

void
bench_expect_progress(struct bench_progress *progress, int64_t number, const char *what)
{
    const uint64_t now_us = clock_monotonic_us();
    if (progress->since_us == 0 || number != progress->number) {
        *progress = (struct bench_progress){.number = number, .since_us = now_us};
    } else if (now_us - progress->since_us > STILL_US) {
        bench_fail("%lld %s, and no more for a minute", (long long)number, what);
    }
}

void
bench_say(const char *name, double rate)
{
    (void)printf("%-14s %8.0f messages/s\n", name, rate);
    (void)fflush(stdout);
}

static const char *broker_uri;

void
bench_use_broker(const char *uri)
{
    broker_uri = uri;
}

const char *
bench_broker(void)
{
    return broker_uri != NULL ? broker_uri : bench_env("OUTBOX_TEST_AMQP_URI");
}

static const struct bench_database *used;

void
bench_use_database(const struct bench_database *database)
{
    used = database;
}

const struct bench_database *
bench_database(void)
{
    return used;
}

void
bench_wait_until_empty(void)
{
    const uint64_t start_us = clock_monotonic_us();
    while (!used->is_empty()) {
        if (clock_monotonic_us() - start_us > EMPTY_WAIT_US) {
            bench_fail("there are still rows in the outbox after two minutes");
        }
        (void)poll(NULL, 0, EMPTY_LOOK_MS);
    }
}

pid_t
bench_start(void (*contestant)(int64_t), int64_t messages)
{
    const pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(CONTESTANT_MAX_S); /* a contestant that takes longer fails, and so the bench */
        contestant(messages);
        _exit(0);
    }
    if (pid < 0) {
        bench_fail("cannot fork");
    }
    return pid;
}

void
bench_finish(pid_t pid, struct rusage *ret_usage)
{
    int status;
    if (wait4(pid, &status, 0, ret_usage) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        bench_fail("a contestant failed");
    }
}

double
bench_rusage_cpu_us(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static int
compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

void
bench_sort(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof(double), compare);
}

double
bench_median(double *values, int count)
{
    bench_sort(values, count);
    return values[count / 2];
}

static bool
pump(struct session *session, enum rabbit_event_type type, struct rabbit_event *ret_event)
{
    while (session_next(session, ret_event)) {
        if (ret_event->type == type) {
            return true;
        }
        if (ret_event->type == RABBIT_CLOSED) {
            bench_fail("the broker: %s", ret_event->error.text);
        }
        if (ret_event->type == RABBIT_CHANNEL_CLOSED) {
            bench_fail("the broker: %.*s", (int)ret_event->text.size,
                       (const char *)ret_event->text.data);
        }
    }
    return false;
}

void
bench_wait(struct session *session, enum rabbit_event_type type, struct rabbit_event *ret_event)
{
    const uint64_t deadline_us = clock_monotonic_us() + ANSWER_WAIT_US;
    while (!pump(session, type, ret_event)) {
        const uint64_t now_us = clock_monotonic_us();
        if (now_us > deadline_us) {
            bench_fail("the broker did not answer in time");
        }
        session_flush(session, now_us);
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        const uint64_t until_us = session_deadline_us(session);
        (void)poll(&fd, 1,
                   clock_poll_timeout_ms(now_us, until_us < deadline_us ? until_us : deadline_us));
        session_process(session, fd.revents, clock_monotonic_us());
    }
}

struct session *
bench_session(void)
{
    struct amqp_endpoint endpoint;
    struct error error;
    struct rabbit_event event;
    if (!amqp_uri_parse(bench_broker(), &endpoint, &error)) {
        bench_fail("%s", error.text);
    }
    const struct session_options options = {
        .endpoint = &endpoint, .connection_name = "bench", .heartbeat_s = 60};
    struct session *session = session_new(&options, &error);
    if (session == NULL) {
        bench_fail("%s", error.text);
    }
    amqp_endpoint_done(&endpoint);
    session_open(session, clock_monotonic_us());
    bench_wait(session, RABBIT_OPENED, &event);
    rabbit_channel_open(session_rabbit(session), 1, true);
    bench_wait(session, RABBIT_CHANNEL_OPENED, &event);
    return session;
}

static struct span
span_of(const char *text)
{
    return (struct span){.data = text, .size = strlen(text)};
}

/* A quorum queue: the kind to use for messages that matter. */
void
bench_fresh_queue(struct session *session, const char *queue)
{
    struct buffer arguments;
    struct table_writer writer;
    struct rabbit_event event;
    buffer_init(&arguments, 64, 1024);
    table_writer_init(&writer, &arguments);
    if (!table_put_string(&writer, span_of("x-queue-type"), span_of("quorum"))) {
        bench_fail("no memory");
    }
    const struct span table = {.data = buffer_front(&arguments), .size = buffer_size(&arguments)};
    rabbit_queue_delete(session_rabbit(session), 1, queue);
    bench_wait(session, RABBIT_DONE, &event);
    rabbit_queue_declare(session_rabbit(session), 1, queue, true, table);
    bench_wait(session, RABBIT_DONE, &event);
    buffer_done(&arguments);
}

uint32_t
bench_queue_length(struct session *session, const char *queue)
{
    struct rabbit_event event;
    rabbit_queue_check(session_rabbit(session), 1, queue);
    bench_wait(session, RABBIT_DONE, &event);
    return rabbit_declared_count(session_rabbit(session));
}

/* The message that the relay makes from a row of the bench. */
struct rabbit_message
bench_message(struct buffer *headers)
{
    static const uint8_t payload[BENCH_PAYLOAD_BYTES] = {0x5a};
    struct table_writer writer;
    table_writer_init(&writer, headers);
    if (!table_put_string(&writer, span_of("x-outbox-source"), span_of("bench")) ||
        !table_put_int(&writer, span_of("x-outbox-id"), 100000) ||
        !table_put_string(&writer, span_of("x-outbox-key"), span_of("500"))) {
        bench_fail("no memory");
    }
    return (struct rabbit_message){
        .routing_key = span_of(BENCH_QUEUE),
        .message_id = span_of("0190163d-8694-739b-aea5-966c26f8ad91"),
        .app_id = span_of("outbox-relay"),
        .headers = {.data = buffer_front(headers), .size = buffer_size(headers)},
        .timestamp_s = clock_wall_us() / CLOCK_S_US,
        .delivery_mode = 2,
        .mandatory = true,
        .body = {.data = payload, .size = sizeof(payload)},
    };
}

void
bench_send(struct session *session, struct window *window, const struct rabbit_message *message)
{
    struct error error;
    if (!rabbit_publish(session_rabbit(session), 1, message, &error)) {
        bench_fail("%s", error.text);
    }
    window_push(window, &(struct window_entry){0});
}

void
bench_confirm(struct window *window, const struct rabbit_event *event)
{
    struct window_entry entry;
    if (event->type != RABBIT_CONFIRMED) {
        bench_fail("the broker sent event %d instead of a confirm", event->type);
    }
    for (uint64_t tag = event->multiple ? window_oldest(window) : event->tag; tag <= event->tag;
         tag++) {
        (void)window_take(window, tag, &entry); /* false if it was confirmed before */
    }
}
