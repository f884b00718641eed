/* The size of the backlog must influence neither rate nor memory. The relay starts with a backlog, which keeps its
 * size, because the rows that it deletes are written again. */
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define SHALLOW 10000
#define CHUNK 1000
/* Before the clock starts, this percentage of the measured messages must have come. */
#define WARM_SHARE 10
#define LOOK_MS 2

struct supply {
    PGconn *conn;
    struct session *session;
    int64_t rows;
    int64_t taken;        /* how many were written again */
    int64_t least_behind; /* rows that are written again late are missing meanwhile */
};

/* Waits until so many messages are in the queue, and writes deleted rows again. */
static void
supply_until(struct supply *supply, int64_t messages)
{
    struct bench_progress progress = {0};
    int64_t length;
    while ((length = bench_queue_length(supply->session, BENCH_QUEUE)) < messages) {
        const int64_t behind = supply->rows + supply->taken - length;
        supply->least_behind = behind < supply->least_behind ? behind : supply->least_behind;
        bench_expect_progress(&progress, length, "messages in the queue");
        for (; supply->taken + CHUNK <= length; supply->taken += CHUNK) {
            bench_insert(supply->conn, CHUNK);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

struct depth {
    const char *relay_path;
    int64_t rows;
    int64_t measured;
};

struct depth_result {
    double rate;
    double rss_mib;
    double least_behind;
};

static struct depth_result
measure(const struct depth *depth, PGconn *conn)
{
    struct supply supply = {
        .conn = conn, .session = bench_session(), .rows = depth->rows, .least_behind = depth->rows};
    bench_fresh_queue(supply.session, BENCH_QUEUE);
    const pid_t relay = bench_relay_start(depth->relay_path, "tail", NULL);
    supply_until(&supply, depth->measured * WARM_SHARE / 100);
    const uint64_t start_us = clock_monotonic_us();
    const int64_t before = bench_queue_length(supply.session, BENCH_QUEUE);
    supply_until(&supply, before + depth->measured);
    const int64_t after = bench_queue_length(supply.session, BENCH_QUEUE);
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    const struct bench_cost cost = bench_relay_stop(relay);
    session_free(supply.session);
    return (struct depth_result){.rate = (double)(after - before) / seconds,
                                 .rss_mib = cost.rss_mib,
                                 .least_behind = (double)supply.least_behind};
}

/* Writes the rows again that the round before deleted at its end. */
static void
fill_up(PGconn *conn, int64_t rows)
{
    const int64_t missing = rows - bench_number(conn, "select count(*) from outbox");
    if (missing > 0) {
        bench_insert(conn, missing);
    }
    bench_settle_tables(conn);
}

static struct depth_result
run(const struct depth *depth, int rounds)
{
    double rate[BENCH_ROUNDS_MAX];
    double rss_mib[BENCH_ROUNDS_MAX];
    double least_behind[BENCH_ROUNDS_MAX];
    PGconn *conn = bench_connect();
    bench_drop_slots(conn);
    bench_empty(conn);
    bench_exec(conn, "set synchronous_commit = off");
    for (int i = 0; i < rounds; i++) {
        fill_up(conn, depth->rows);
        const struct depth_result result = measure(depth, conn);
        rate[i] = result.rate;
        rss_mib[i] = result.rss_mib;
        least_behind[i] = result.least_behind;
    }
    bench_empty(conn);
    bench_drop_slots(conn);
    PQfinish(conn);
    return (struct depth_result){.rate = bench_median(rate, rounds),
                                 .rss_mib = bench_median(rss_mib, rounds),
                                 .least_behind = bench_median(least_behind, rounds)};
}

void
bench_depth(const char *relay_path, int64_t rows, int rounds, int64_t measured)
{
    struct depth depth = {.relay_path = relay_path, .rows = SHALLOW, .measured = measured};
    const struct depth_result shallow = run(&depth, rounds);
    (void)printf("bench: mode=depth rows=%d rate=%.0f rss_mib=%.1f least_behind=%.0f\n", SHALLOW,
                 shallow.rate, shallow.rss_mib, shallow.least_behind);
    (void)fflush(stdout);
    depth.rows = rows;
    const struct depth_result deep = run(&depth, rounds);
    (void)printf(
        "bench: mode=depth rows=%lld rate=%.0f rss_mib=%.1f least_behind=%.0f ratio=%.2f\n",
        (long long)rows, deep.rate, deep.rss_mib, deep.least_behind, deep.rate / shallow.rate);
    (void)fflush(stdout);
}
