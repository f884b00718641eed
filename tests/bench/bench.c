/* tests/bench/bench.c - how fast the relay is, compared with the limit of the machine. Absolute figures say little,
 * because every machine gives others. So everything is measured in one run, in turns, and the medians are compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define SECONDS 10 /* of a steady rate */
#define DEPTH_ROWS 1000000

struct bench {
    const char *relay_path;
    int64_t messages;
    int rounds;
    int64_t depth; /* rows behind */
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
    const pid_t reader = bench_start(bench_database()->read_and_delete, bench->messages);
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
    struct session *session = bench_session();
    bench_database()->fill(bench->messages);
    bench_fresh_queue(session, BENCH_QUEUE);
    session_free(session);
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
    bench_say(name, series->rate[round]);
}

static void
run(struct series *series, int round, const struct bench *bench, const char *name,
    struct bench_result (*contestant)(const struct bench *))
{
    prepare(bench);
    note(series, round, bench, name, contestant(bench));
}

/* The ratios are computed within a round, so that a machine whose speed changes does not distort them. */
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
        "bench: mode=%s%s rate=%.0f limit=%.0f ratio=%.2f cpu_us_per_msg=%.2f rss_mib=%.1f\n",
        bench_database()->prefix, mode, bench_median(series->rate, rounds),
        bench_median(limits, rounds), bench_median(ratio, rounds),
        bench_median(series->cpu_us, rounds), bench_median(series->rss_mib, rounds));
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
    bench_say("poison", poison.rate);
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

/* Runs limit, relay and hand-made loop in turns. */
static void
run_poll(const struct bench *bench)
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
    bench_scheduled(bench->relay_path, 1000, SECONDS);
    print("handmade", &handmade, &limit, bench->rounds);
    print("poll", &relay, &limit, bench->rounds);
    print_poison(&poison, bench->rounds);
}

static void
run_tail(const struct bench *bench)
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
}

static void
run_sink(const struct bench *bench)
{
    bench_sink(bench->relay_path, bench->messages, bench->rounds, BENCH_BOTH);
}

static void
run_mysql_poll(const struct bench *bench)
{
    struct series relay;
    struct series limit;
    for (int i = 0; i < bench->rounds; i++) {
        run(&limit, i, bench, "limit", run_limit);
        run(&relay, i, bench, "relay", run_relay);
    }
    print("poll", &relay, &limit, bench->rounds);
    bench_sink(bench->relay_path, bench->messages, bench->rounds, BENCH_POLL);
}

static void
run_mysql_tail(const struct bench *bench)
{
    run_tail(bench);
    bench_sink(bench->relay_path, bench->messages, bench->rounds, BENCH_TAIL);
}

static void
run_latency(const struct bench *bench)
{
    bench_latency(bench->relay_path, "poll", 500, SECONDS);
    bench_latency(bench->relay_path, "tail", 1000, SECONDS);
}

static void
run_depth(const struct bench *bench)
{
    bench_depth(bench->relay_path, bench->depth, bench->rounds, bench->messages);
}

/* A test: it measures nothing, and only shows that the bench works. */
static void
run_small(const struct bench *bench)
{
    bench_sink(bench->relay_path, 2000, 1, BENCH_BOTH);
    bench_depth(bench->relay_path, 1000, 2, 2000);
}

/* The log belongs to the whole server, and other tests begin new files of it. */
static void
run_small_mysql(const struct bench *bench)
{
    bench_sink(bench->relay_path, 2000, 1, BENCH_POLL);
}

static const struct part {
    const char *name;
    const struct bench_database *database;
    void (*run)(const struct bench *bench);
} parts[] = {
    {"latency", &bench_postgres, run_latency},    {"sink", &bench_postgres, run_sink},
    {"poll", &bench_postgres, run_poll},          {"tail", &bench_postgres, run_tail},
    {"depth", &bench_postgres, run_depth},        {"mysql-poll", &bench_mysql, run_mysql_poll},
    {"mysql-tail", &bench_mysql, run_mysql_tail}, {"small", &bench_postgres, run_small},
    {"small", &bench_mysql, run_small_mysql},
};

static bool
is_small(const char *name)
{
    return strcmp(name, "small") == 0;
}

/* Runs everything, or the part with this name. */
static void
run_parts(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct part *part = &parts[i];
        if (strcmp(name, part->name) == 0 || (strcmp(name, "all") == 0 && !is_small(part->name))) {
            bench_use_database(part->database);
            part->database->create();
            if (!is_small(name) && part->database->tune != NULL) {
                part->database->tune();
            }
            part->run(bench);
            part->database->drop();
        }
    }
}

static bool
is_part(const char *name)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(name, parts[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t
number_or(int argc, char **argv, int i, int64_t otherwise)
{
    return i < argc ? strtoll(argv[i], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
    const bool named = argc > 2 && is_part(argv[2]);
    const char *part = named ? argv[2] : "all";
    /* Its number of rows comes before the other arguments. */
    const bool depth = strcmp(part, "depth") == 0;
    const int at = named ? (depth ? 4 : 3) : 2;
    if (argc < 2 || argc > at + 2) {
        (void)fprintf(stderr,
                      "usage: bench RELAY-BINARY [poll|tail|latency|sink|mysql-poll|mysql-tail] "
                      "[MESSAGES [ROUNDS]]\n"
                      "       bench RELAY-BINARY depth [ROWS [MESSAGES [ROUNDS]]]\n"
                      "       bench RELAY-BINARY small\n");
        return 64;
    }
    const struct bench bench = {
        .relay_path = argv[1],
        .messages = number_or(argc, argv, at, 200000),
        .rounds = (int)number_or(argc, argv, at + 1, 3),
        .depth = depth ? number_or(argc, argv, 3, DEPTH_ROWS) : DEPTH_ROWS,
    };
    if (bench.messages < 1000 || bench.messages % 1000 != 0 || bench.depth < 1000 ||
        bench.rounds < 1 || bench.rounds > BENCH_ROUNDS_MAX) {
        bench_fail("messages: a multiple of 1000; rows: at least 1000; rounds: 1 to %d",
                   BENCH_ROUNDS_MAX);
    }
    run_parts(&bench, part);
    return 0;
}
