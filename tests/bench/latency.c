/* The time from commit to delivery, compared with a direct publish of the same messages, at a steady rate. Writers and
 * consumer use the same clock. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define MESSAGES_MAX 100000
#define WINDOW 8192
#define WRITERS 4
#define START_US (50 * CLOCK_MS_US) /* time for all to connect */

static uint64_t sent_us[MESSAGES_MAX];
static uint64_t delivered_us[MESSAGES_MAX];

struct consumer {
    pthread_t thread;
    struct session *session;
    int64_t messages;
};

static void *
consume(void *argument)
{
    struct consumer *consumer = argument;
    for (int64_t i = 0; i < consumer->messages; i++) {
        struct rabbit_event event;
        uint32_t number;
        bench_wait(consumer->session, RABBIT_DELIVERED, &event);
        memcpy(&number, event.message.body.data, sizeof(number));
        delivered_us[number] = clock_monotonic_us();
        rabbit_ack(session_rabbit(consumer->session), 1, event.tag, false);
        session_flush(consumer->session, clock_monotonic_us());
    }
    return NULL;
}

static void
consumer_start(struct consumer *consumer, int64_t messages)
{
    struct rabbit_event event;
    consumer->messages = messages;
    consumer->session = bench_session();
    bench_fresh_queue(consumer->session, BENCH_QUEUE);
    rabbit_consume(session_rabbit(consumer->session), 1, BENCH_QUEUE, "bench");
    bench_wait(consumer->session, RABBIT_CONSUMING, &event);
    if (pthread_create(&consumer->thread, NULL, consume, consumer) != 0) {
        bench_fail("no thread");
    }
}

static void
consumer_join(struct consumer *consumer)
{
    (void)pthread_join(consumer->thread, NULL); /* fails only for a thread that is none */
    session_free(consumer->session);
}

static void
wait_until(uint64_t at_us)
{
    const uint64_t now_us = clock_monotonic_us();
    if (now_us < at_us) {
        (void)usleep((useconds_t)(at_us - now_us)); /* a pace, not a synchronisation */
    }
}

static void
insert_one(PGconn *conn, const char *payload, size_t size)
{
    const char *values[] = {payload};
    PGresult *result = PQexecParams(
        conn, "insert into outbox (routing_key, payload) values ('" BENCH_QUEUE "', $1::bytea)", 1,
        NULL, values, (const int[]){(int)size}, (const int[]){1}, 1);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        bench_fail("%s", PQerrorMessage(conn));
    }
    PQclear(result);
}

struct writer {
    pthread_t thread;
    PGconn *conn;
    int64_t first; /* the first message; then every WRITERS-th */
    int64_t messages;
    uint64_t start_us;
    double rate;
    bool timed; /* its commits are the beginning of the measurement */
};

static void *
write_share(void *argument)
{
    const struct writer *writer = argument;
    char payload[BENCH_PAYLOAD_BYTES] = {0};
    for (int64_t i = writer->first; i < writer->messages; i += WRITERS) {
        const uint32_t number = (uint32_t)i;
        memcpy(payload, &number, sizeof(number));
        wait_until(writer->start_us + (uint64_t)((double)i / writer->rate * 1e6));
        insert_one(writer->conn, payload, sizeof(payload));
        if (writer->timed) {
            sent_us[i] = clock_monotonic_us();
        }
    }
    return NULL;
}

/* Several writers, so that a slow commit does not delay the others. */
static void
writers_start(struct writer *writers, int64_t messages, double rate, bool timed)
{
    const uint64_t start_us = clock_monotonic_us() + START_US;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.conn = bench_connect(),
                                     .first = i,
                                     .messages = messages,
                                     .start_us = start_us,
                                     .rate = rate,
                                     .timed = timed};
        if (pthread_create(&writers[i].thread, NULL, write_share, &writers[i]) != 0) {
            bench_fail("no thread");
        }
    }
}

static void
writers_join(struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i].thread, NULL); /* fails only for a thread that is none */
        PQfinish(writers[i].conn);
    }
}

/* Takes the confirms so far; waits up to wait_ms for one. */
static void
take_confirms(struct session *session, struct window *window, int wait_ms)
{
    struct rabbit_event event;
    struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
    (void)poll(&fd, 1, wait_ms); /* the caller's loop ends with the last message */
    session_process(session, fd.revents, clock_monotonic_us());
    while (session_next(session, &event)) {
        bench_confirm(window, &event);
    }
}

static void
write_directly(int64_t messages, double rate)
{
    struct session *session = bench_session();
    struct buffer headers;
    char payload[BENCH_PAYLOAD_BYTES] = {0};
    buffer_init(&headers, 256, 1024);
    struct rabbit_message message = bench_message(&headers);
    message.body = (struct span){.data = payload, .size = sizeof(payload)};
    struct window window;
    window_init(&window, WINDOW);
    const uint64_t start_us = clock_monotonic_us();
    for (int64_t i = 0; i < messages; i++) {
        const uint32_t number = (uint32_t)i;
        memcpy(payload, &number, sizeof(number));
        wait_until(start_us + (uint64_t)((double)i / rate * 1e6));
        sent_us[i] = clock_monotonic_us();
        bench_send(session, &window, &message);
        session_flush(session, clock_monotonic_us());
        take_confirms(session, &window, window_is_full(&window) ? 1000 : 0);
    }
    while (window.open > 0) {
        take_confirms(session, &window, 1000);
    }
    session_free(session);
    window_done(&window);
    buffer_done(&headers);
}

static void
through_relay(const char *relay_path, const char *mode, int64_t messages, double rate)
{
    struct consumer consumer;
    PGconn *conn = bench_connect();
    bench_empty(conn);
    consumer_start(&consumer, messages);
    const pid_t relay = strcmp(mode, "tail") == 0 ? bench_relay_start_live(relay_path)
                                                  : bench_relay_start(relay_path, mode, NULL);
    struct writer writers[WRITERS];
    writers_start(writers, messages, rate, true);
    writers_join(writers);
    consumer_join(&consumer);
    (void)bench_relay_stop(relay);
    bench_drop_slots(conn);
    PQfinish(conn);
}

/* beside_writers: while the same rows are committed to a table that nobody reads, which uses disk and processors as
 * with the relay. */
static void
directly(int64_t messages, double rate, bool beside_writers)
{
    struct consumer consumer;
    struct writer writers[WRITERS];
    consumer_start(&consumer, messages);
    if (beside_writers) {
        writers_start(writers, messages, rate, false);
    }
    write_directly(messages, rate);
    if (beside_writers) {
        writers_join(writers);
    }
    consumer_join(&consumer);
}

struct percentiles {
    double p50_ms;
    double p99_ms;
};

static struct percentiles
percentiles(int64_t messages)
{
    static double waits_ms[MESSAGES_MAX];
    for (int64_t i = 0; i < messages; i++) {
        /* The commit's answer may reach the writer after the delivery reached the consumer. */
        waits_ms[i] =
            delivered_us[i] > sent_us[i] ? (double)(delivered_us[i] - sent_us[i]) / 1e3 : 0;
    }
    bench_sort(waits_ms, messages);
    return (struct percentiles){.p50_ms = waits_ms[messages / 2],
                                .p99_ms = waits_ms[messages * 99 / 100]};
}

void
bench_latency(const char *relay_path, const char *mode, double rate, double seconds)
{
    const int64_t messages = (int64_t)(rate * seconds);
    through_relay(relay_path, mode, messages, rate);
    const struct percentiles relay = percentiles(messages);
    directly(messages, rate, true);
    const struct percentiles busy = percentiles(messages);
    directly(messages, rate, false);
    const struct percentiles direct = percentiles(messages);
    (void)printf("bench: mode=%s rate=%.0f relay_p50_ms=%.2f relay_p99_ms=%.2f direct_p50_ms=%.2f "
                 "direct_p99_ms=%.2f direct_beside_writers_p50_ms=%.2f "
                 "direct_beside_writers_p99_ms=%.2f\n",
                 strcmp(mode, "tail") == 0 ? "tail-latency" : "latency", rate, relay.p50_ms,
                 relay.p99_ms, direct.p50_ms, direct.p99_ms, busy.p50_ms, busy.p99_ms);
    (void)fflush(stdout);
}
