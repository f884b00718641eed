/* Scheduled messages at a steady rate: how late they reach a consumer. The database, which decides what is due, and the
 * consumer use the same clock. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define MESSAGES_MAX 100000
#define FIRST_DUE_US (4 * CLOCK_S_US) /* gives the relay time to start and to set them aside */

/* Each message contains the microsecond at which it is due. */
static void
schedule(PGconn *conn, int64_t messages, double due_per_s)
{
    char sql[600];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (routing_key, key, payload, deliver_after) "
        "select '" BENCH_QUEUE "', (i %% %d)::text, int8send(due_us) || "
        "decode(repeat('5a', %d), 'hex'), 'epoch'::timestamptz + due_us * interval '1 microsecond' "
        "from (select i, (%llu + i * %.3f)::int8 as due_us from generate_series(1, %lld) i) as due",
        BENCH_KEYS, BENCH_PAYLOAD_BYTES - 8, (unsigned long long)(clock_wall_us() + FIRST_DUE_US),
        1e6 / due_per_s, (long long)messages);
    bench_empty(conn);
    bench_exec(conn, sql);
    bench_exec(conn, "analyze outbox");
}

static double
late_ms(const struct rabbit_message *message, uint64_t arrived_us)
{
    uint64_t due_us;
    if (message->body.size != BENCH_PAYLOAD_BYTES) {
        bench_fail("a message of %zu bytes came", message->body.size);
    }
    memcpy(&due_us, message->body.data, sizeof(due_us));
    due_us = be64toh(due_us);
    if (arrived_us < due_us) {
        bench_fail("a message came before it was due");
    }
    return (double)(arrived_us - due_us) / 1e3;
}

static void
consume(struct session *session, int64_t messages, double *late)
{
    struct rabbit_event event;
    rabbit_consume(session_rabbit(session), 1, BENCH_QUEUE, "bench");
    bench_wait(session, RABBIT_CONSUMING, &event);
    for (int64_t i = 0; i < messages; i++) {
        bench_wait(session, RABBIT_DELIVERED, &event);
        late[i] = late_ms(&event.message, clock_wall_us());
        rabbit_ack(session_rabbit(session), 1, event.tag, false);
    }
    session_flush(session, clock_monotonic_us());
}

void
bench_scheduled(const char *relay_path, double due_per_s, double seconds)
{
    static double late[MESSAGES_MAX];
    const int64_t messages = (int64_t)(due_per_s * seconds);
    struct session *session = bench_session();
    PGconn *conn = bench_connect();
    bench_fresh_queue(session, BENCH_QUEUE);
    schedule(conn, messages, due_per_s);
    const pid_t relay = bench_relay_start(relay_path, "poll", NULL);
    consume(session, messages, late);
    (void)bench_relay_stop(relay);
    if (bench_number(conn, "select (select count(*) from outbox) + "
                           "(select count(*) from outbox_held)") != 0) {
        bench_fail("all came, the relay drained, and rows are left");
    }
    PQfinish(conn);
    session_free(session);
    bench_sort(late, messages);
    (void)printf("bench: mode=scheduled due_per_s=%.0f late_p50_ms=%.2f late_p99_ms=%.2f "
                 "late_max_ms=%.2f\n",
                 due_per_s, late[messages / 2], late[messages * 99 / 100], late[messages - 1]);
}
