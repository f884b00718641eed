/* How much is behind must not matter: neither to the rate nor to the memory. So many rows are behind when the relay starts,
 * and as many stay behind, because what it takes away is written again. */
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define SHALLOW 10000
#define CHUNK 1000
#define WARM 20000      /* messages that come before the clock starts */
#define MEASURED 200000 /* and these while it runs */
#define LOOK_MS 2
#define RUN_MAX_US (600 * CLOCK_S_US)

struct supply {
    PGconn *conn;
    struct session *session;
    int64_t taken; /* written again up to here */
    uint64_t start_us;
};

/* Waits until so many messages are in the queue, and writes what has gone from the table. */
static void
supply_until(struct supply *supply, int64_t messages)
{
    int64_t length;
    while ((length = bench_queue_length(supply->session, BENCH_QUEUE)) < messages) {
        if (clock_monotonic_us() - supply->start_us > RUN_MAX_US) {
            bench_fail("the relay is not done after ten minutes");
        }
        for (; supply->taken + CHUNK <= length; supply->taken += CHUNK) {
            bench_insert(supply->conn, CHUNK);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

static struct bench_result
measure(PGconn *conn, const char *relay_path)
{
    struct supply supply = {
        .conn = conn, .session = bench_session(), .start_us = clock_monotonic_us()};
    bench_fresh_queue(supply.session, BENCH_QUEUE);
    const pid_t relay = bench_relay_start(relay_path, "tail", NULL);
    supply_until(&supply, WARM);
    const uint64_t start_us = clock_monotonic_us();
    const int64_t before = bench_queue_length(supply.session, BENCH_QUEUE);
    supply_until(&supply, before + MEASURED);
    const int64_t after = bench_queue_length(supply.session, BENCH_QUEUE);
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    const struct bench_cost cost = bench_relay_stop(relay);
    session_free(supply.session);
    return (struct bench_result){.seconds = seconds * MEASURED / (double)(after - before),
                                 .rss_mib = cost.rss_mib};
}

static double
run(const char *relay_path, int64_t rows, int rounds, double *ret_rss_mib)
{
    double rate[BENCH_ROUNDS_MAX];
    double rss_mib[BENCH_ROUNDS_MAX];
    PGconn *conn = bench_connect();
    bench_drop_slots(conn);
    bench_fill(conn, rows);
    bench_exec(conn, "set synchronous_commit = off");
    for (int i = 0; i < rounds; i++) {
        const struct bench_result result = measure(conn, relay_path);
        rate[i] = MEASURED / result.seconds;
        rss_mib[i] = result.rss_mib;
    }
    bench_empty(conn);
    bench_drop_slots(conn);
    PQfinish(conn);
    *ret_rss_mib = bench_median(rss_mib, rounds);
    return bench_median(rate, rounds);
}

void
bench_depth(const char *relay_path, int64_t rows, int rounds)
{
    double rss_mib;
    const double shallow = run(relay_path, SHALLOW, rounds, &rss_mib);
    (void)printf("bench: mode=depth rows=%d rate=%.0f rss_mib=%.1f\n", SHALLOW, shallow, rss_mib);
    (void)fflush(stdout);
    const double deep = run(relay_path, rows, rounds, &rss_mib);
    (void)printf("bench: mode=depth rows=%lld rate=%.0f rss_mib=%.1f ratio=%.2f\n", (long long)rows,
                 deep, rss_mib, deep / shallow);
    (void)fflush(stdout);
}
