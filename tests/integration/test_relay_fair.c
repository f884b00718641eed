/* Promise: of the sources of a relay that share a broker, one that writes at ten times its usual rate adds little to the times of the
 * others, and one that sends a large backlog does not keep them waiting for its end. What is measured is measured in one run, in
 * turns, so that a machine whose speed changes does not distort it; the figures are printed. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/broker_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

#define QUIET 3
#define NOISY QUIET
#define SOURCES (QUIET + 1)
/* The usual rate of each source, in messages a second. */
#define RATE 100
#define TIMES 10
#define PHASE_S 8
#define ROUNDS 3
#define MESSAGES (RATE * PHASE_S)
#define WRITERS_MAX 4
#define START_US (200 * CLOCK_MS_US) /* time for all to connect */
#define BACKLOG 300000
/* What ten times the rate may add to p99; a machine that is busy with other things is given some times as much as p99 is there
 * without the noise. */
#define ADDED_MS 10
#define CROWDED_TIMES 3
/* With a backlog nine of ten messages take at most so many times as long as without. */
#define BEHIND_TIMES 8

static struct db *db;
static struct broker *broker;
static pid_t relay;

static const char *
queue_of(int source)
{
    static char queues[SOURCES][32];
    (void)snprintf(queues[source], sizeof(queues[source]), "fair%d", source); /* fits */
    return queues[source];
}

static void
configure(void)
{
    char sql[100];
    FILE *const file = fopen("relay.conf", "we");
    cr_assert_not_null(file);
    (void)fprintf(file, "broker main { uri = \"%s\" }\n", test_env("OUTBOX_TEST_AMQP_URI"));
    for (int i = 0; i < SOURCES; i++) {
        (void)snprintf(sql, sizeof(sql), "create %s fair%d", db_is_mysql() ? "database" : "schema",
                       i); /* fits */
        db_exec(db, sql);
        broker_declare_queue(broker, queue_of(i));
        (void)fprintf(file,
                      "source fair%d { kind = %s mode = %s broker = main dsn = \"%s%s%d%s\" }\n", i,
                      db_kind(), relay_mode(), db_dsn(),
                      db_is_mysql() ? " dbname=fair" : " options='-c search_path=fair", i,
                      db_is_mysql() ? "" : "'");
    }
    cr_assert_eq(fclose(file), 0);
}

static bool
are_all_owned(void *context)
{
    char sql[100];
    bool all = true;
    (void)context; /* none needed */
    for (int i = 0; i < SOURCES; i++) {
        (void)snprintf(sql, sizeof(sql), "select count(*) > 0 from fair%d.outbox_relay",
                       i); /* fits */
        all = all && db_holds(db, sql);
    }
    return all;
}

static void
set_up(void)
{
    char services[64];
    (void)snprintf(services, sizeof(services), "%s rabbitmq", db_server()); /* fits */
    servers_start(services);
    cli_enter();
    db = db_create();
    broker = broker_open(NULL);
    configure();
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stderr());
    relay = cli_start("run -c relay.conf");
    await(are_all_owned, NULL, "all outboxes are owned", PATIENCE_S);
}

static void
tear_down(void)
{
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    broker_close(broker);
    db_drop(db);
    cli_leave();
    servers_stop();
}

TestSuite(relay_fair, .init = set_up, .fini = tear_down, .timeout = 1200);

/* ---- who writes at a steady rate ------------------------------------------------------------------ */

struct stream {
    int source;
    double rate;
    int messages;
    int writers;
    uint64_t start_us;
    uint64_t *sent_us; /* when the commit of each was answered; NULL: of no interest */
};

struct writer {
    const struct stream *stream;
    int first;
    pthread_t thread;
};

static void
wait_until(uint64_t at_us)
{
    const uint64_t now_us = clock_monotonic_us();
    if (now_us < at_us) {
        (void)usleep((useconds_t)(at_us - now_us)); /* a pace, not a synchronisation */
    }
}

static void *
write_share(void *argument)
{
    const struct writer *const writer = argument;
    const struct stream *const stream = writer->stream;
    struct db *const session = db_connect();
    char sql[300];
    for (int i = writer->first; i < stream->messages; i += stream->writers) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into fair%d.outbox (routing_key, \"key\", payload) "
                       "values ('fair%d', 'k%d', '%d')",
                       stream->source, stream->source, i % 50, i); /* fits */
        wait_until(stream->start_us + (uint64_t)((double)i / stream->rate * 1e6));
        db_exec(session, sql);
        if (stream->sent_us != NULL) {
            stream->sent_us[i] = clock_monotonic_us();
        }
    }
    db_close(session);
    return NULL;
}

static void
writers_start(struct writer *writers, const struct stream *stream)
{
    for (int i = 0; i < stream->writers; i++) {
        writers[i] = (struct writer){.stream = stream, .first = i};
        cr_assert_eq(pthread_create(&writers[i].thread, NULL, write_share, &writers[i]), 0);
    }
}

static void
writers_join(struct writer *writers, const struct stream *stream)
{
    for (int i = 0; i < stream->writers; i++) {
        (void)pthread_join(writers[i].thread, NULL); /* fails only for a thread that is none */
    }
}

/* ---- the quiet sources ---------------------------------------------------------------------------- */

struct quiet {
    struct stream stream;
    struct writer writers[1];
    pthread_t thread;
    uint64_t sent_us[MESSAGES];
    uint64_t delivered_us[MESSAGES];
};

static void *
consume(void *argument)
{
    struct quiet *const quiet = argument;
    struct consumer *const consumer = consumer_open(NULL, queue_of(quiet->stream.source));
    struct delivery delivery;
    for (int i = 0; i < MESSAGES; i++) {
        consumer_take(consumer, &delivery);
        quiet->delivered_us[strtol(delivery.body, NULL, 10)] = clock_monotonic_us();
    }
    consumer_close(consumer);
    return NULL;
}

static void
quiet_start(struct quiet *quiet, int source, uint64_t start_us)
{
    quiet->stream = (struct stream){.source = source,
                                    .rate = RATE,
                                    .messages = MESSAGES,
                                    .writers = 1,
                                    .start_us = start_us + (uint64_t)source * 1000,
                                    .sent_us = quiet->sent_us};
    cr_assert_eq(pthread_create(&quiet->thread, NULL, consume, quiet), 0);
    writers_start(quiet->writers, &quiet->stream);
}

static void
quiet_join(struct quiet *quiet)
{
    writers_join(quiet->writers, &quiet->stream);
    (void)pthread_join(quiet->thread, NULL); /* as above */
}

/* ---- phases --------------------------------------------------------------------------------------- */

enum { P50, P90, P99, PARTS };
static const double parts[PARTS] = {0.5, 0.9, 0.99};

/* Of one kind of phase: in each round how long half of the messages took at most, nine of ten, and 99 of 100. */
struct times {
    double ms[PARTS][ROUNDS];
};

static int
compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double
median(const double *values)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof(sorted));
    qsort(sorted, ROUNDS, sizeof(double), compare);
    return sorted[ROUNDS / 2];
}

/* By how much `times` exceeds `usual`, in the median of the rounds. */
static double
added_ms(const struct times *times, const struct times *usual)
{
    double added[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        added[i] = times->ms[P99][i] - usual->ms[P99][i];
    }
    return median(added);
}

static void
print(const char *what, const struct times *times)
{
    (void)printf("%s, %s, %s: p50 %.2f ms, p90 %.2f ms, p99 %.2f ms\n", db_kind(), relay_mode(),
                 what, median(times->ms[P50]), median(times->ms[P90]),
                 median(times->ms[P99])); /* a figure */
}

static bool
is_noisy_empty(void *context)
{
    (void)context; /* none needed */
    return db_holds(db, "select not exists (select 1 from fair3.outbox)");
}

/* Waits until all has come, and adds how long each message took. The commit's answer may come after the delivery. */
static void
quiet_end(struct quiet *quiet, double *waits_ms)
{
    quiet_join(quiet);
    for (int i = 0; i < MESSAGES; i++) {
        const uint64_t sent_us = quiet->sent_us[i];
        const uint64_t delivered_us = quiet->delivered_us[i];
        waits_ms[i] = delivered_us > sent_us ? (double)(delivered_us - sent_us) / 1e3 : 0;
    }
}

/* noise: how many times its usual rate the noisy source writes; 0: it does not. */
static void
run_phase(struct times *times, int round, int noise)
{
    static struct quiet quiet[QUIET];
    static double waits_ms[QUIET * MESSAGES];
    struct writer writers[WRITERS_MAX];
    const uint64_t start_us = clock_monotonic_us() + START_US;
    const struct stream noisy = {.source = NOISY,
                                 .rate = RATE * noise,
                                 .messages = MESSAGES * noise,
                                 .writers = noise > 1 ? WRITERS_MAX : noise,
                                 .start_us = start_us};
    for (int i = 0; i < QUIET; i++) {
        quiet_start(&quiet[i], i, start_us);
    }
    writers_start(writers, &noisy);
    for (int i = 0; i < QUIET; i++) {
        quiet_end(&quiet[i], &waits_ms[i * MESSAGES]);
    }
    writers_join(writers, &noisy);
    qsort(waits_ms, QUIET * MESSAGES, sizeof(double), compare);
    for (int i = 0; i < PARTS; i++) {
        times->ms[i][round] = waits_ms[(int)((QUIET * MESSAGES - 1) * parts[i])];
    }
    await(is_noisy_empty, NULL, "the noisy source has sent all", 600);
}

/* The relay is stopped meanwhile, so that all of it waits when it goes on. */
static void
write_backlog(void)
{
    char sql[300];
    cr_assert_eq(kill(relay, SIGSTOP), 0);
    (void)snprintf(sql, sizeof(sql),
                   "insert into fair3.outbox (routing_key, \"key\", payload) "
                   "select 'fair3', concat('k', mod(i, 50)), 'x' from " DB_SERIES("1", "%d"),
                   BACKLOG); /* fits */
    db_exec(db, sql);
    cr_assert_eq(kill(relay, SIGCONT), 0);
}

Test(relay_fair, a_noisy_source_adds_little_to_the_times_of_others)
{
    struct times usual;
    struct times noisy;
    struct times behind;
    run_phase(&usual, 0, 1); /* caches and windows grow */
    for (int i = 0; i < ROUNDS; i++) {
        run_phase(&usual, i, 1);
        run_phase(&noisy, i, TIMES);
        write_backlog();
        run_phase(&behind, i, 0);
    }
    print("all at their usual rate", &usual);
    print("one at ten times its rate", &noisy);
    print("one with a backlog", &behind);
    (void)printf("%s, %s: ten times the rate adds %.2f ms to p99, a backlog %.2f ms\n", db_kind(),
                 relay_mode(), added_ms(&noisy, &usual), added_ms(&behind, &usual)); /* a figure */
    cr_assert_leq(added_ms(&noisy, &usual), ADDED_MS + CROWDED_TIMES * median(usual.ms[P99]));
    cr_assert_leq(median(behind.ms[P90]), BEHIND_TIMES * median(usual.ms[P90]));
}
