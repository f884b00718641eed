/* tests/bench/bench.c - how fast the relay is, beside what this machine could do at all. Absolute figures say little: other
 * machine, other figure. So everything is measured in one run, in turns, and the medians are compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define ROUNDS_MAX 9

struct bench {
    const char *relay_path;
    int64_t messages;
    int rounds;
};

static pid_t
start(void (*contestant)(int64_t), int64_t messages)
{
    const pid_t pid = fork();
    if (pid == 0) {
        contestant(messages);
        _exit(0);
    }
    if (pid < 0) {
        bench_fail("cannot fork");
    }
    return pid;
}

static void
finish(pid_t pid, struct rusage *ret_usage)
{
    int status;
    if (wait4(pid, &status, 0, ret_usage) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        bench_fail("a contestant failed");
    }
}

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
    const pid_t publisher = start(bench_publish, bench->messages);
    const pid_t reader = start(bench_read_and_delete, bench->messages);
    finish(publisher, &usage);
    finish(reader, &usage);
    return (struct bench_result){.seconds = since(start_us)};
}

static struct bench_result
run_handmade(const struct bench *bench)
{
    struct rusage usage;
    const uint64_t start_us = clock_monotonic_us();
    finish(start(bench_handmade, bench->messages), &usage);
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

static struct bench_result
run(const struct bench *bench, const char *name,
    struct bench_result (*contestant)(const struct bench *))
{
    prepare(bench);
    const struct bench_result result = contestant(bench);
    (void)printf("%-9s %8.0f messages/s\n", name, (double)bench->messages / result.seconds);
    (void)fflush(stdout);
    return result;
}

static double
median(double *values, int count)
{
    bench_sort(values, count);
    return values[count / 2];
}

struct series {
    double rate[ROUNDS_MAX];
    double cpu_us[ROUNDS_MAX];
    double rss_mib[ROUNDS_MAX];
};

static void
note(struct series *series, int round, const struct bench *bench, const struct bench_result *result)
{
    series->rate[round] = (double)bench->messages / result->seconds;
    series->cpu_us[round] = result->cpu_us;
    series->rss_mib[round] = result->rss_mib;
}

static void
print(const char *mode, struct series *series, const double *ratios_in, double limit, int rounds)
{
    double ratios[ROUNDS_MAX];
    memcpy(ratios, ratios_in, sizeof(ratios));
    (void)printf(
        "bench: mode=%s rate=%.0f limit=%.0f ratio=%.2f cpu_us_per_msg=%.2f rss_mib=%.1f\n", mode,
        median(series->rate, rounds), limit, median(ratios, rounds), median(series->cpu_us, rounds),
        median(series->rss_mib, rounds));
}

struct poison_series {
    double rate[ROUNDS_MAX];
    double clean[ROUNDS_MAX];
    double ratio[ROUNDS_MAX];
    double held[ROUNDS_MAX];
    double seconds_to_heal[ROUNDS_MAX];
};

static void
run_poison(const struct bench *bench, struct poison_series *series, int round, double clean_rate)
{
    const struct bench_poison poison = bench_poison(bench->messages, bench->relay_path);
    (void)printf("%-9s %8.0f messages/s\n", "poison", poison.rate);
    (void)fflush(stdout);
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
        median(series->rate, rounds), median(series->clean, rounds), median(series->ratio, rounds),
        median(series->held, rounds), median(series->seconds_to_heal, rounds));
}

/* Relay, limit and hand-made loop in turns; the ratios are taken within a round, so that a machine whose speed drifts does
 * not decide. */
static void
bench_rates(const struct bench *bench)
{
    struct series relay;
    struct series limit;
    struct series handmade;
    struct poison_series poison;
    double relay_ratio[ROUNDS_MAX] = {0};
    double handmade_ratio[ROUNDS_MAX] = {0};
    for (int i = 0; i < bench->rounds; i++) {
        struct bench_result result = run(bench, "limit", run_limit);
        note(&limit, i, bench, &result);
        result = run(bench, "relay", run_relay);
        note(&relay, i, bench, &result);
        run_poison(bench, &poison, i, relay.rate[i]);
        result = run(bench, "hand-made", run_handmade);
        note(&handmade, i, bench, &result);
        relay_ratio[i] = relay.rate[i] / limit.rate[i];
        handmade_ratio[i] = handmade.rate[i] / limit.rate[i];
    }
    const double limit_rate = median(limit.rate, bench->rounds);
    bench_latency(bench->relay_path, 500, 10);
    bench_scheduled(bench->relay_path, 1000, 10);
    print("handmade", &handmade, handmade_ratio, limit_rate, bench->rounds);
    print("poll", &relay, relay_ratio, limit_rate, bench->rounds);
    print_poison(&poison, bench->rounds);
}

int
main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        (void)fprintf(stderr, "usage: bench RELAY-BINARY [MESSAGES [ROUNDS]]\n");
        return 64;
    }
    struct bench bench = {.relay_path = argv[1], .messages = 200000, .rounds = 3};
    if (argc > 2) {
        bench.messages = strtoll(argv[2], NULL, 10);
    }
    if (argc > 3) {
        bench.rounds = (int)strtol(argv[3], NULL, 10);
    }
    if (bench.messages < 1000 || bench.messages % 1000 != 0 || bench.rounds < 1 ||
        bench.rounds > ROUNDS_MAX) {
        bench_fail("messages: a multiple of 1000; rounds: 1 to %d", ROUNDS_MAX);
    }
    bench_create_database();
    bench_rates(&bench);
    bench_drop_database();
    return 0;
}
