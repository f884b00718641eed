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
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/runner_fixture_private.h"

#define DEADLINE_US (30 * CLOCK_S_US)

struct db *runner_fixture_db;
struct runner_fixture_options runner_fixture_made;
static void *runner;
static pthread_t thread;
atomic_int runner_fixture_calls; /* of apply */
static atomic_int accidents;     /* how many accidents are left */
static struct db *other;         /* a connection for the accidents */
char runner_fixture_report[1100];
char runner_fixture_broker_lost[1100];
static char consumer[40];
static uint64_t warm_up; /* messages of the warm-up, which do not count */

static const struct runner_fixture_kind *
kind(void)
{
    return db_choose(&runner_fixture_postgres, &runner_fixture_mysql);
}

void
runner_fixture_setup(void)
{
    runner_fixture_setup_kind(&(struct queue_fixture_kind){.type = "quorum"});
}

void
runner_fixture_setup_kind(const struct queue_fixture_kind *queue)
{
    (void)snprintf(consumer, sizeof(consumer), "consumer-%ld", (long)getpid());
    runner_fixture_db = db_create();
    kind()->make_tables(runner_fixture_db);
    queue_fixture_create_kind(queue);
}

void
runner_fixture_teardown(void)
{
    queue_fixture_delete();
    db_close(other);
    kind()->clean_up(runner_fixture_db);
    db_drop(runner_fixture_db);
}

const char *
runner_fixture_sql(enum runner_fixture_sql which)
{
    return kind()->sql[which];
}

bool
runner_fixture_execute(struct db *tx, const char *sql)
{
    return kind()->execute(tx, sql);
}

void
runner_fixture_dawdle(struct db *tx)
{
    kind()->dawdle(tx);
}

bool
runner_fixture_create_narrow(struct db **ret_db, const char **ret_dsn)
{
    return kind()->create_narrow(ret_db, ret_dsn);
}

void
runner_fixture_drop_narrow(struct db *db)
{
    kind()->drop_narrow(db);
}

const char *
runner_fixture_own_server(void)
{
    return kind()->own_server;
}

void
runner_fixture_refuse_writes(bool refuse)
{
    kind()->refuse_writes(refuse);
}

bool
runner_fixture_waits(void)
{
    return kind()->waits();
}

void
runner_fixture_end_sessions(void)
{
    kind()->end_sessions();
}

inbox_apply
runner_fixture_call_apply(void *context, void *conn, const struct inbox_delivery *delivery)
{
    struct db *tx = db_wrap(conn);
    const inbox_apply answer = runner_fixture_made.apply(context, tx, delivery);
    (void)db_unwrap(tx);
    return answer;
}

void *
runner_fixture_call_connect(void *context)
{
    struct db *db = runner_fixture_made.connect(context);
    return db == NULL ? NULL : db_unwrap(db);
}

/* With rabbitmqctl, as an operator would. Other tests use the same broker. */
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

static inbox_apply
meet_accident(struct db *tx, const char *body)
{
    if (strncmp(body, "accident sql: ", 14) == 0) {
        (void)kind()->execute(tx, body + 14);
        return INBOX_APPLY_OK;
    }
    if (strcmp(body, "accident: retry") == 0) {
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "accident: outage") == 0) {
        return INBOX_APPLY_OUTAGE;
    }
    if (strncmp(body, "accident: deadlock", 18) == 0) {
        kind()->deadlock(tx, other);
        if (strcmp(body, "accident: deadlock, and more") == 0) {
            /* PostgreSQL refuses it, because the transaction has failed */
            (void)db_try(tx, "select 1");
        }
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "accident: backend") == 0) {
        db_end_session(other, db_session(tx));
    } else if (strcmp(body, "accident: commit") == 0) {
        (void)db_try(tx, "commit");
    } else if (strcmp(body, "accident: broker") == 0) {
        close_our_connection();
    } else if (strcmp(body, "accident: kill") == 0) {
        (void)kill(getpid(), SIGKILL);
    } else if (strcmp(body, "accident: stop") == 0) {
        kind()->stop(runner);
    } else if (strcmp(body, "accident: slow") == 0) {
        (void)nanosleep(&(struct timespec){.tv_sec = 10},
                        NULL); /* simulates slow work; waits for nothing */
    }
    return INBOX_APPLY_OK;
}

/* The accidents that a body asks for, before or after the effect, which is one row in `applied`. */
inbox_apply
runner_fixture_apply(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const char *body = delivery->body;
    const bool accident = atomic_load(&accidents) > 0;
    atomic_fetch_add(&runner_fixture_calls, 1);
    if (!kind()->insert(tx, delivery)) {
        return INBOX_APPLY_RETRY;
    }
    if (strcmp(body, "reject") == 0) {
        return INBOX_APPLY_REJECT;
    }
    if (strcmp(body, "bad sql") == 0) {
        return db_try(tx, "insert into parent values nonsense") ? INBOX_APPLY_OK
                                                                : kind()->after_ignored_failure;
    }
    /* Or at once, if the database has no deferred checks. */
    if (strcmp(body, "bad at commit") == 0) {
        return db_try(tx, "insert into child values ('nobody')") ? INBOX_APPLY_OK
                                                                 : INBOX_APPLY_RETRY;
    }
    if (strncmp(body, "sql: ", 5) == 0) {
        return kind()->execute(tx, body + 5) ? INBOX_APPLY_OK : INBOX_APPLY_RETRY;
    }
    if (strncmp(body, "accident", 8) != 0 || !accident) {
        return INBOX_APPLY_OK;
    }
    atomic_fetch_sub(&accidents, 1);
    return meet_accident(tx, body);
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
                       text); /* before it is counted */
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i].name, event) == 0) {
            atomic_fetch_add(&events[i].count, 1);
        }
    }
    (void)snprintf(runner_fixture_report, sizeof(runner_fixture_report), "%s: %s", event, text);
    (void)fprintf(stderr, "%s\n", runner_fixture_report);
}

struct runner_fixture_options
runner_fixture_options(void)
{
    return (struct runner_fixture_options){
        .broker_uri = queue_fixture_uri(),
        .queue = queue_fixture_name(),
        .consumer = consumer,
        .dsn = db_dsn(),
        .apply = runner_fixture_apply,
        .report = report,
        .batch_max = 100,
        .batch_wait_ms = 200,
        .attempts_max = 3,
        .retry_initial_ms = 10,
        .retry_max_ms = 100,
        .heartbeat_s = 30,
        .stop_timeout_ms = 20000,
    };
}

static void *
run(void *unused)
{
    (void)unused;
    cr_assert_eq(kind()->run(runner), INBOX_OK);
    return NULL;
}

static void
make_runner(const struct runner_fixture_options *options)
{
    runner_fixture_made = *options;
    runner = kind()->make(&runner_fixture_made);
    cr_assert_not_null(runner);
}

void
runner_fixture_start(const struct runner_fixture_options *options)
{
    make_runner(options);
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

struct inbox_runner_counters
runner_fixture_counters(void)
{
    struct inbox_runner_counters result;
    kind()->count(runner, &result);
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
    db_exec(runner_fixture_db, "delete from applied where body = 'warm'");
    db_exec(runner_fixture_db, "delete from inbox where message_id in ('first', 'second')");
    atomic_store(&runner_fixture_calls, 0);
}

/* Waits until so many messages are applied, duplicates or rejected. */
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
    kind()->stop(runner);
    return runner_fixture_join();
}

struct inbox_runner_counters
runner_fixture_join(void)
{
    cr_assert_eq(pthread_join(thread, NULL), 0);
    const struct inbox_runner_counters result = runner_fixture_counters();
    kind()->free(runner);
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

const char *
runner_fixture_applied(void)
{
    return db_text(runner_fixture_db, runner_fixture_sql(SQL_APPLIED));
}

void
runner_fixture_expect_left(uint64_t count)
{
    runner_fixture_publish("end", NULL, "x");
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(count + 1);
    cr_expect_eq(runner_fixture_stop().delivered, count + 1,
                 "what was dealt with is acknowledged, the rest is not");
}

static void
on_terminate(int number)
{
    (void)number;
    kind()->stop(runner);
}

pid_t
runner_fixture_spawn(const struct runner_fixture_options *options)
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
runner_fixture_run_killed(const struct runner_fixture_options *options)
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
        other = db_connect();
    }
    atomic_store(&accidents, count);
}
