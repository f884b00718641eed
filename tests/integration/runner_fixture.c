#include "tests/integration/runner_fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/queue_fixture.h"

#define DEADLINE_US (30 * CLOCK_S_US)

PGconn *runner_fixture_conn;
static inbox_runner *runner;
static pthread_t thread;
atomic_int runner_fixture_calls; /* of apply */
static atomic_int accidents;     /* how often something is still to go wrong */
static PGconn *other;            /* a connection for the accidents */
char runner_fixture_report[1100];
char runner_fixture_broker_lost[1100];
static char consumer[40];
static uint64_t warm_up; /* messages that do not count */

void
runner_fixture_setup(void)
{
    runner_fixture_setup_kind(&(struct queue_fixture_kind){.type = "quorum"});
}

void
runner_fixture_setup_kind(const struct queue_fixture_kind *kind)
{
    (void)snprintf(consumer, sizeof(consumer), "consumer-%ld", (long)getpid());
    runner_fixture_conn = pg_fixture_create();
    pg_fixture_load(runner_fixture_conn, "consumers/postgres/schema.sql");
    pg_exec(runner_fixture_conn,
            "create table applied (no bigserial primary key, message_id text not null, key "
            "text, body text);"
            "create table parent (id text primary key);"
            "create table child (id text references parent deferrable initially deferred)");
    queue_fixture_create_kind(kind);
}

void
runner_fixture_teardown(void)
{
    queue_fixture_delete();
    PQfinish(other);
    pg_fixture_drop(runner_fixture_conn);
}

static bool
insert(PGconn *tx, const char *sql, const struct inbox_delivery *delivery)
{
    const char *const values[] = {delivery->message_id, delivery->key, delivery->body};
    PGresult *result =
        PQexecParams(tx, sql, strchr(sql, '3') != NULL ? 3 : 1, NULL, values, NULL, NULL, 0);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

static bool
execute(PGconn *tx, const char *sql)
{
    PGresult *result = PQexec(tx, sql);
    const bool done =
        PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    return done;
}

static void
kill_backend(PGconn *tx)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 10000)", PQbackendPID(tx));
    PQclear(PQexec(other, sql));
}

/* As an operator would: by rabbitmqctl. Other tests use the same broker. */
static void
close_our_connection(void)
{
    char command[400];
    (void)snprintf(command, sizeof(command),
                   "pid=$(\"$OUTBOX_TEST_RABBITMQCTL\" -q list_connections pid client_properties |"
                   " grep -F '\"%s\"' | cut -f1); "
                   "test -n \"$pid\" && \"$OUTBOX_TEST_RABBITMQCTL\" -q close_connection \"$pid\" "
                   "'by the test'",
                   consumer);
    cr_assert_eq(system(command), 0);
}

static void
fail_with_deadlock(PGconn *tx)
{
    PQclear(PQexec(tx, "do $$ begin raise exception 'deadlock' using errcode = '40P01'; end $$"));
}

/* Accidents that a body asks for, before or after the effect; the effect is one row in `applied`. */
inbox_apply
runner_fixture_apply(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const char *body = delivery->body;
    const bool accident = atomic_load(&accidents) > 0;
    atomic_fetch_add(&runner_fixture_calls, 1);
    if (!insert(tx, "insert into applied (message_id, key, body) values ($1, $2, $3)", delivery)) {
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "reject") == 0) {
        return INBOX_APPLY_REJECT;
    }
    if (strcmp(body, "bad sql") == 0) {
        return insert(tx, "insert into nowhere values ($1) on conflict do nonsense", delivery)
                   ? INBOX_APPLY_OK
                   : INBOX_APPLY_OK;
    }
    if (strcmp(body, "bad at commit") == 0) {
        (void)insert(tx, "insert into child values ($1)", delivery);
    }
    if (strncmp(body, "sql: ", 5) == 0) {
        return execute(tx, body + 5) ? INBOX_APPLY_OK : INBOX_APPLY_RETRY;
    }
    if (strncmp(body, "accident", 8) != 0 || !accident) {
        return INBOX_APPLY_OK;
    }
    atomic_fetch_sub(&accidents, 1);
    if (strncmp(body, "accident sql: ", 14) == 0) {
        (void)execute(tx, body + 14);
        return INBOX_APPLY_OK;
    }
    if (strcmp(body, "accident: retry") == 0) {
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "accident: outage") == 0) {
        return INBOX_APPLY_OUTAGE;
    }
    if (strcmp(body, "accident: deadlock") == 0) {
        fail_with_deadlock(tx);
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "accident: deadlock, and more") == 0) {
        fail_with_deadlock(tx);
        PQclear(PQexec(tx, "select 1")); /* refused: the transaction has failed */
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "accident: backend") == 0) {
        kill_backend(tx);
    } else if (strcmp(body, "accident: commit") == 0) {
        PQclear(PQexec(tx, "commit"));
    } else if (strcmp(body, "accident: broker") == 0) {
        close_our_connection();
    } else if (strcmp(body, "accident: kill") == 0) {
        (void)kill(getpid(), SIGKILL);
    } else if (strcmp(body, "accident: stop") == 0) {
        inbox_runner_stop(runner);
    } else if (strcmp(body, "accident: slow") == 0) {
        (void)nanosleep(&(struct timespec){.tv_sec = 10},
                        NULL); /* this is the slowness, it waits for nothing */
    }
    return INBOX_APPLY_OK;
}

static struct {
    const char *name;
    atomic_int count;
} events[] = {{"database_outage", 0},
              {"session_changed", 0},
              {"transaction_ended", 0},
              {"given_back", 0},
              {"broker_lost", 0}};

int
runner_fixture_reports(const char *event)
{
    size_t i = 0;
    while (strcmp(events[i].name, event) != 0) {
        cr_assert_lt(++i, sizeof(events) / sizeof(events[0]));
    }
    return atomic_load(&events[i].count);
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context;
    (void)level;
    if (strcmp(event, "broker_lost") == 0) {
        (void)snprintf(runner_fixture_broker_lost, sizeof(runner_fixture_broker_lost), "%s",
                       text); /* before it counts */
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i].name, event) == 0) {
            atomic_fetch_add(&events[i].count, 1);
        }
    }
    (void)snprintf(runner_fixture_report, sizeof(runner_fixture_report), "%s: %s", event, text);
    (void)fprintf(stderr, "%s\n", runner_fixture_report);
}

struct inbox_runner_options
runner_fixture_options(void)
{
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    options.broker_uri = queue_fixture_uri();
    options.queue = queue_fixture_name();
    options.consumer = consumer;
    options.dsn = pg_fixture_dsn();
    options.apply = runner_fixture_apply;
    options.report = report;
    options.batch_wait_ms = 200;
    options.attempts_max = 3;
    options.retry_initial_ms = 10;
    options.retry_max_ms = 100;
    return options;
}

static void *
run(void *unused)
{
    struct inbox_error error;
    (void)unused;
    cr_assert_eq(inbox_runner_run(runner, &error), INBOX_OK);
    return NULL;
}

static void
make_runner(const struct inbox_runner_options *options)
{
    struct inbox_error error;
    cr_assert_eq(inbox_runner_new(options, &runner, &error), INBOX_OK, "%s", error.message);
}

void
runner_fixture_start(const struct inbox_runner_options *options)
{
    make_runner(options);
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

struct inbox_runner_counters
runner_fixture_counters(void)
{
    struct inbox_runner_counters result;
    inbox_runner_count(runner, &result, sizeof(result));
    result.delivered -= warm_up;
    result.applied -= warm_up;
    result.transactions -= warm_up;
    return result;
}

void
runner_fixture_warm_up(void)
{
    enum { MESSAGES = 2 };
    for (int i = 0; i < MESSAGES; i++) {
        runner_fixture_publish(i == 0 ? "first" : "second", NULL, "warm");
    }
    runner_fixture_wait(MESSAGES);
    warm_up = MESSAGES;
    pg_exec(runner_fixture_conn, "delete from applied where body = 'warm';"
                                 "delete from inbox where message_id in ('first', 'second')");
    atomic_store(&runner_fixture_calls, 0);
}

/* Until so many messages are dealt with. */
void
runner_fixture_wait(uint64_t count)
{
    const uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    struct inbox_runner_counters now = runner_fixture_counters();
    while (now.applied + now.duplicates + now.hinted + now.rejected < count) {
        cr_assert_lt(clock_monotonic_us(), deadline_us,
                     "applied %lu duplicates %lu rejected %lu after 30 s", now.applied,
                     now.duplicates, now.rejected);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        now = runner_fixture_counters();
    }
}

struct inbox_runner_counters
runner_fixture_stop(void)
{
    inbox_runner_stop(runner);
    return runner_fixture_join();
}

struct inbox_runner_counters
runner_fixture_join(void)
{
    cr_assert_eq(pthread_join(thread, NULL), 0);
    const struct inbox_runner_counters result = runner_fixture_counters();
    inbox_runner_free(runner);
    runner = NULL;
    warm_up = 0;
    return result;
}

void
runner_fixture_publish(const char *id, const char *key, const char *body)
{
    queue_fixture_publish(id, key, body, strlen(body));
}

void
runner_fixture_publish_many(int count)
{
    for (int i = 1; i <= count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "m%d", i);
        runner_fixture_publish(id, "key", "body");
    }
}

/* The ids that were applied, in order. */
const char *
runner_fixture_applied(void)
{
    return pg_query_text(
        runner_fixture_conn,
        "select coalesce(string_agg(message_id, ' ' order by no), '') from applied");
}

/* The queue gives this many messages to another consumer before one that is published now. */
void
runner_fixture_expect_left(uint64_t count)
{
    runner_fixture_publish("end", NULL, "x");
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(count + 1);
    cr_expect_eq(runner_fixture_stop().delivered, count + 1,
                 "what was dealt with is acknowledged, the rest is not");
}

static void
on_terminate(int number)
{
    (void)number;
    inbox_runner_stop(runner);
}

pid_t
runner_fixture_spawn(const struct inbox_runner_options *options)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        make_runner(options);
        (void)signal(SIGTERM, on_terminate);
        (void)run(NULL);
        _exit(0);
    }
    cr_assert_gt(child, 0);
    return child;
}

int
runner_fixture_reap(pid_t child)
{
    const uint64_t deadline_us = clock_monotonic_us() + 2 * DEADLINE_US;
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (clock_monotonic_us() > deadline_us) {
            (void)kill(child, SIGKILL);
            cr_assert_fail("a runner did not end within 60 s");
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return status;
}

void
runner_fixture_run_killed(const struct inbox_runner_options *options)
{
    const pid_t child = fork();
    if (child == 0) {
        make_runner(options);
        (void)run(NULL);
        _exit(1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void
runner_fixture_accidents(int count)
{
    if (other == NULL) {
        other = pg_fixture_connect();
    }
    atomic_store(&accidents, count);
}
