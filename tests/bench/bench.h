/* tests/bench/bench.h - what the programs of the bench share: the private servers they run on, one queue, one database, and
 * the messages. Every failure ends the bench: a figure of half a run is worth nothing. */
#ifndef BENCH_H
#define BENCH_H

#include <libpq-fe.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "amqp/session.h"
#include "relay/window.h"

#define BENCH_PAYLOAD_BYTES 256
#define BENCH_KEYS 1000
#define BENCH_QUEUE "bench"
#define BENCH_DATABASE "outbox_bench"

/* What one run cost. */
struct bench_result {
    double seconds;
    double cpu_us; /* user + system */
    double rss_mib;
};

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *bench_env(const char *name);

/* The database: a connection to the bench's own, statements that must succeed, a number. */
const char *bench_dsn(void);
PGconn *bench_connect(void);
void bench_exec(PGconn *conn, const char *sql);
int64_t bench_number(PGconn *conn, const char *sql);
void bench_create_database(void);
void bench_drop_database(void);
void bench_fill(PGconn *conn, int64_t rows);

/* The broker: a connection with channel 1 open, events taken until one of the wanted type comes. */
struct session *bench_session(void);
void bench_wait(struct session *session, enum rabbit_event_type type,
                struct rabbit_event *ret_event);
void bench_fresh_queue(struct session *session);
uint32_t bench_queue_length(struct session *session);
struct rabbit_message bench_message(struct buffer *headers);

/* Publishes on channel 1 and notes it in the window. */
void bench_send(struct session *session, struct window *window,
                const struct rabbit_message *message);

/* Notes a confirm, which may be for many and out of order; any other event ends the bench. */
void bench_confirm(struct window *window, const struct rabbit_event *event);

/* The contestants. Each runs in a process of its own. */
void bench_publish(int64_t messages);     /* coalesced writes, a window of confirms; nothing else */
void bench_read_and_delete(int64_t rows); /* the same rows, read and deleted by a bare loop */
void bench_handmade(int64_t messages);    /* the loop that most teams write */
struct bench_result bench_relay(int64_t messages, const char *relay_path);
void bench_latency(const char *relay_path, double rate, double seconds);

/* Starts `outbox-relay run` on the bench's database and queue; ends it by SIGTERM and tells what it used. */
pid_t bench_relay_start(const char *relay_path);
void bench_relay_stop(pid_t relay, struct rusage *ret_usage);

double bench_rusage_cpu_us(const struct rusage *usage);

#endif
