/* The relay and the bare loops against the sink. The rate is measured between the first and the last tenth, by the
 * sink, so that start and end do not count. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tests/bench/bench.h"
#include "tests/bench/sink.h"

#define LOOK_MS 2

struct contest {
    const char *relay_path;
    int64_t messages;
    struct sink sink;
};

struct figures {
    double rate;
    double cpu_us; /* of the relay, for a message */
    double server_cpu_us;
    double rss_mib;
};

enum contestant {
    BARE_POLL,
    RELAY_POLL,
    BARE_TAIL,
    RELAY_TAIL,
    BARE_TAIL_SMALL,
    RELAY_TAIL_SMALL,
    CONTESTANTS,
};

static void
wait_until_through(const struct contest *contest)
{
    struct bench_progress progress = {0};
    int64_t came;
    while ((came = atomic_load(&contest->sink.tally->came)) < contest->messages) {
        bench_expect_progress(&progress, came, "messages at the sink");
        (void)poll(NULL, 0, LOOK_MS);
    }
    bench_wait_until_empty();
    if (atomic_load(&contest->sink.tally->twice) > 0) {
        bench_fail("%lld messages came twice", (long long)atomic_load(&contest->sink.tally->twice));
    }
}

static double
rate_of(const struct contest *contest)
{
    const struct sink_tally *tally = contest->sink.tally;
    const int64_t counted = contest->messages - 2 * (contest->messages / 10);
    return (double)counted / ((double)(tally->ended_us - tally->begun_us) / 1e6);
}

static struct figures
sum_up(const struct contest *contest, double server_cpu_us, const struct bench_cost *cost)
{
    const double messages = (double)contest->messages;
    return (struct figures){.rate = rate_of(contest),
                            .cpu_us = cost->cpu_us / messages,
                            .server_cpu_us =
                                (bench_database()->server_cpu_us() - server_cpu_us) / messages,
                            .rss_mib = cost->rss_mib};
}

static struct figures
run_bare(const struct contest *contest, void (*loop)(int64_t))
{
    struct rusage usage;
    const double server_cpu_us = bench_database()->server_cpu_us();
    const pid_t process = bench_start(loop, contest->messages);
    wait_until_through(contest);
    bench_finish(process, &usage);
    const struct bench_cost cost = {.cpu_us = bench_rusage_cpu_us(&usage)};
    return sum_up(contest, server_cpu_us, &cost);
}

static struct figures
run_poll(const struct contest *contest, bool bare)
{
    bench_database()->fill(contest->messages);
    if (bare) {
        return run_bare(contest, bench_database()->bare_poll);
    }
    const double server_cpu_us = bench_database()->server_cpu_us();
    const pid_t relay = bench_relay_start(contest->relay_path, "poll", NULL);
    wait_until_through(contest);
    const struct bench_cost cost = bench_relay_stop(relay);
    return sum_up(contest, server_cpu_us, &cost);
}

static struct figures
run_bare_tail(const struct contest *contest, enum bench_transactions transactions)
{
    bench_database()->mark_log();
    bench_database()->write_log(contest->messages, transactions);
    return run_bare(contest, bench_database()->bare_tail);
}

static struct figures
run_relay_tail(const struct contest *contest, enum bench_transactions transactions)
{
    const pid_t relay = bench_relay_start_live(contest->relay_path);
    const pid_t holder = bench_hold_log(relay);
    bench_database()->write_log(contest->messages, transactions);
    const double server_cpu_us = bench_database()->server_cpu_us();
    bench_release_log(holder);
    wait_until_through(contest);
    const struct bench_cost cost = bench_relay_stop(relay);
    return sum_up(contest, server_cpu_us, &cost);
}

static struct figures
run_one(struct contest *contest, enum contestant contestant)
{
    static char uri[60];
    struct figures figures = {0};
    const bool small = contestant >= BARE_TAIL_SMALL;
    bench_database()->empty();
    contest->sink = sink_start(contest->messages);
    (void)snprintf(uri, sizeof(uri), "amqp://sink:sink@127.0.0.1:%u/", contest->sink.port);
    bench_use_broker(uri);
    switch (contestant) {
    case BARE_POLL:
    case RELAY_POLL:
        figures = run_poll(contest, contestant == BARE_POLL);
        break;
    case BARE_TAIL:
    case BARE_TAIL_SMALL:
        figures = run_bare_tail(contest, small ? BENCH_TRANSACTION_PER_ROW : BENCH_ONE_TRANSACTION);
        break;
    case RELAY_TAIL:
    case RELAY_TAIL_SMALL:
        figures =
            run_relay_tail(contest, small ? BENCH_TRANSACTION_PER_ROW : BENCH_ONE_TRANSACTION);
        break;
    case CONTESTANTS:
        break;
    }
    sink_stop(&contest->sink);
    bench_database()->empty();
    bench_use_broker(NULL);
    return figures;
}

/* The ratio is computed within each round. */
static double
ratio(struct figures figures[][CONTESTANTS], int rounds, enum contestant above,
      enum contestant below)
{
    double ratios[BENCH_ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        ratios[i] = figures[i][above].rate / figures[i][below].rate;
    }
    return bench_median(ratios, rounds);
}

static struct figures
median(struct figures figures[][CONTESTANTS], int rounds, enum contestant contestant)
{
    double rate[BENCH_ROUNDS_MAX];
    double cpu_us[BENCH_ROUNDS_MAX];
    double server_cpu_us[BENCH_ROUNDS_MAX];
    double rss_mib[BENCH_ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        rate[i] = figures[i][contestant].rate;
        cpu_us[i] = figures[i][contestant].cpu_us;
        server_cpu_us[i] = figures[i][contestant].server_cpu_us;
        rss_mib[i] = figures[i][contestant].rss_mib;
    }
    return (struct figures){.rate = bench_median(rate, rounds),
                            .cpu_us = bench_median(cpu_us, rounds),
                            .server_cpu_us = bench_median(server_cpu_us, rounds),
                            .rss_mib = bench_median(rss_mib, rounds)};
}

static void
print(const char *mode, struct figures figures[][CONTESTANTS], int rounds, enum contestant bare,
      enum contestant relay)
{
    const struct figures limit = median(figures, rounds, bare);
    const struct figures own = median(figures, rounds, relay);
    const char *server = bench_database()->kind;
    (void)printf("bench: mode=sink-%s%s rate=%.0f limit=%.0f ratio=%.2f of_poll=%.2f "
                 "cpu_us_per_msg=%.2f limit_cpu_us=%.2f %s_cpu_us=%.2f limit_%s_cpu_us=%.2f "
                 "rss_mib=%.1f\n",
                 bench_database()->prefix, mode, own.rate, limit.rate,
                 ratio(figures, rounds, relay, bare), ratio(figures, rounds, relay, RELAY_POLL),
                 own.cpu_us, limit.cpu_us, server, own.server_cpu_us, server, limit.server_cpu_us,
                 own.rss_mib);
    (void)fflush(stdout);
}

/* The polling relay always takes part, for comparison. */
static bool
is_wanted(enum contestant contestant, enum bench_reading reading)
{
    const enum bench_reading its = contestant <= RELAY_POLL ? BENCH_POLL : BENCH_TAIL;
    return contestant == RELAY_POLL || (reading & its) != 0;
}

void
bench_sink(const char *relay_path, int64_t messages, int rounds, enum bench_reading reading)
{
    static const char *const names[CONTESTANTS] = {"bare poll", "sink-poll",  "bare tail",
                                                   "sink-tail", "bare small", "sink-small"};
    struct figures figures[BENCH_ROUNDS_MAX][CONTESTANTS];
    struct contest contest = {.relay_path = relay_path, .messages = messages};
    for (int i = 0; i < rounds; i++) {
        for (enum contestant one = BARE_POLL; one < CONTESTANTS; one++) {
            if (is_wanted(one, reading)) {
                figures[i][one] = run_one(&contest, one);
                bench_say(names[one], figures[i][one].rate);
            }
        }
    }
    if ((reading & BENCH_POLL) != 0) {
        print("poll", figures, rounds, BARE_POLL, RELAY_POLL);
    }
    if ((reading & BENCH_TAIL) != 0) {
        print("tail", figures, rounds, BARE_TAIL, RELAY_TAIL);
        print("tail-small", figures, rounds, BARE_TAIL_SMALL, RELAY_TAIL_SMALL);
    }
}
