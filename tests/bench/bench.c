/* tests/bench/bench.c - how fast the relay is, beside what this machine could do at all. Absolute figures say little: other
 * machine, other figure. So everything is measured in one run, in turns, and the medians are compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define SECONDS 10 /* of a steady rate */

struct bench {
    const char *relay_path;
    int64_t messages;
    int rounds;
};

static double
since(uint64_t start_us)
{
    return (double)(clock_monotonic_us() - start_us) / 1e6;
}

static struct bench_result
run_limit(const struct bench *bench)
{
    struct rusage usage;
    const uint64_t start_us = clock_monotonic_us();
    const pid_t publisher = bench_start(bench_publish, bench->messages);
    const pid_t reader = bench_start(bench_read_and_delete, bench->messages);
    bench_finish(publisher, &usage);
    bench_finish(reader, &usage);
    return (struct bench_result){.seconds = since(start_us)};
}

static struct bench_result
run_handmade(const struct bench *bench)
{
    struct rusage usage;
    const uint64_t start_us = clock_monotonic_us();
    bench_finish(bench_start(bench_handmade, bench->messages), &usage);
    return (struct bench_result){
        .seconds = since(start_us),
        .cpu_us = bench_rusage_cpu_us(&usage) / (double)bench->messages,
        .rss_mib = (double)usage.ru_maxrss / 1024,
    };
}

static struct bench_result
run_relay(const struct bench *bench)
{
    return bench_relay(bench->messages, bench->relay_path);
}

static void
prepare(const struct bench *bench)
{
    PGconn *conn = bench_connect();
    struct session *session = bench_session();
    bench_fill(conn, bench->messages);
    bench_fresh_queue(session, BENCH_QUEUE);
    session_free(session);
    PQfinish(conn);
}

static void
say(const char *name, double rate)
{
    (void)printf("%-14s %8.0f messages/s\n", name, rate);
    (void)fflush(stdout);
}

struct series {
    double rate[BENCH_ROUNDS_MAX];
    double cpu_us[BENCH_ROUNDS_MAX];
    double rss_mib[BENCH_ROUNDS_MAX];
};

static void
note(struct series *series, int round, const struct bench *bench, const char *name,
     struct bench_result result)
{
    series->rate[round] = (double)bench->messages / result.seconds;
    series->cpu_us[round] = result.cpu_us;
    series->rss_mib[round] = result.rss_mib;
    say(name, series->rate[round]);
}

static void
run(struct series *series, int round, const struct bench *bench, const char *name,
    struct bench_result (*contestant)(const struct bench *))
{
    prepare(bench);
    note(series, round, bench, name, contestant(bench));
}

/* The ratios are taken within a round, so that a machine whose speed drifts does not decide. */
static void
print(const char *mode, struct series *series, const struct series *limit, int rounds)
{
    double ratio[BENCH_ROUNDS_MAX];
    double limits[BENCH_ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        ratio[i] = series->rate[i] / limit->rate[i];
        limits[i] = limit->rate[i];
    }
    (void)printf(
        "bench: mode=%s rate=%.0f limit=%.0f ratio=%.2f cpu_us_per_msg=%.2f rss_mib=%.1f\n", mode,
        bench_median(series->rate, rounds), bench_median(limits, rounds),
        bench_median(ratio, rounds), bench_median(series->cpu_us, rounds),
        bench_median(series->rss_mib, rounds));
    (void)fflush(stdout);
}

struct poison_series {
    double rate[BENCH_ROUNDS_MAX];
    double clean[BENCH_ROUNDS_MAX];
    double ratio[BENCH_ROUNDS_MAX];
    double held[BENCH_ROUNDS_MAX];
    double seconds_to_heal[BENCH_ROUNDS_MAX];
};

static void
run_poison(const struct bench *bench, struct poison_series *series, int round, double clean_rate)
{
    const struct bench_poison poison = bench_poison(bench->messages, bench->relay_path);
    say("poison", poison.rate);
    series->rate[round] = poison.rate;
    series->clean[round] = clean_rate;
    series->ratio[round] = poison.rate / clean_rate;
    series->held[round] = (double)poison.held;
    series->seconds_to_heal[round] = poison.seconds_to_heal;
}

/* A message lost or out of order would have ended the bench. */
static void
print_poison(struct poison_series *series, int rounds)
{
    (void)printf(
        "bench: mode=poison rate=%.0f clean=%.0f ratio=%.2f held=%.0f out_of_order=0 lost=0 "
        "seconds_to_heal=%.1f\n",
        bench_median(series->rate, rounds), bench_median(series->clean, rounds),
        bench_median(series->ratio, rounds), bench_median(series->held, rounds),
        bench_median(series->seconds_to_heal, rounds));
}

/* Limit, relay and hand-made loop in turns. */
static void
bench_poll(const struct bench *bench)
{
    struct series relay;
    struct series limit;
    struct series handmade;
    struct poison_series poison;
    for (int i = 0; i < bench->rounds; i++) {
        run(&limit, i, bench, "limit", run_limit);
        run(&relay, i, bench, "relay", run_relay);
        run_poison(bench, &poison, i, relay.rate[i]);
        run(&handmade, i, bench, "hand-made", run_handmade);
    }
    bench_latency(bench->relay_path, "poll", 500, SECONDS);
    bench_scheduled(bench->relay_path, 1000, SECONDS);
    print("handmade", &handmade, &limit, bench->rounds);
    print("poll", &relay, &limit, bench->rounds);
    print_poison(&poison, bench->rounds);
}

static void
bench_tailing(const struct bench *bench)
{
    static const char *const modes[] = {
        [BENCH_ONE_TRANSACTION] = "tail", [BENCH_TRANSACTION_PER_ROW] = "tail-small"};
    struct series relay[2];
    struct series limit[2];
    for (int i = 0; i < bench->rounds; i++) {
        for (int how = BENCH_ONE_TRANSACTION; how <= BENCH_TRANSACTION_PER_ROW; how++) {
            note(&limit[how], i, bench, "tail limit", bench_tail_limit(bench->messages, how));
            note(&relay[how], i, bench, modes[how],
                 bench_tail(bench->messages, bench->relay_path, how));
        }
    }
    print(modes[0], &relay[0], &limit[0], bench->rounds);
    print(modes[1], &relay[1], &limit[1], bench->rounds);
    bench_latency(bench->relay_path, "tail", 1000, SECONDS);
}

/* All of it, or the part that the name says. */
static void
run_parts(const struct bench *bench, const char *part, int64_t depth)
{
    const bool all = strcmp(part, "all") == 0;
    if (all || strcmp(part, "poll") == 0) {
        bench_poll(bench);
    }
    if (all || strcmp(part, "tail") == 0) {
        bench_tailing(bench);
    }
    if (all || strcmp(part, "depth") == 0) {
        bench_depth(bench->relay_path, depth, bench->rounds);
    }
}

static bool
is_part(const char *name)
{
    return strcmp(name, "poll") == 0 || strcmp(name, "tail") == 0 || strcmp(name, "depth") == 0;
}

int
main(int argc, char **argv)
{
    int next = 1;
    const char *relay_path = next < argc ? argv[next++] : NULL;
    const char *part = next < argc && is_part(argv[next]) ? argv[next++] : "all";
    const bool depth_only = strcmp(part, "depth") == 0;
    const int64_t number = next < argc ? strtoll(argv[next++], NULL, 10) : 0;
    const int rounds = next < argc ? (int)strtol(argv[next++], NULL, 10) : 3;
    if (relay_path == NULL || next < argc) {
        (void)fprintf(stderr, "usage: bench RELAY-BINARY [poll|tail] [MESSAGES [ROUNDS]]\n"
                              "       bench RELAY-BINARY depth [ROWS [ROUNDS]]\n");
        return 64;
    }
    const struct bench bench = {
        .relay_path = relay_path,
        .messages = depth_only || number == 0 ? 200000 : number,
        .rounds = rounds,
    };
    if (bench.messages < 1000 || bench.messages % 1000 != 0 || rounds < 1 ||
        rounds > BENCH_ROUNDS_MAX) {
        bench_fail("messages: a multiple of 1000; rounds: 1 to %d", BENCH_ROUNDS_MAX);
    }
    bench_create_database();
    run_parts(&bench, part, depth_only && number > 0 ? number : 1000000);
    bench_drop_database();
    return 0;
}
