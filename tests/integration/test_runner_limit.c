/* What a queue with a delivery limit drops: only the message that ends its consumer. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/runner_fixture.h"

static void
setup(void)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "quorum", .delivery_limit = 3, .single_active = true});
}

TestSuite(runner_limit, .init = setup, .fini = runner_fixture_teardown, .timeout = 300);

static const char *prefix;

static void
name_one(int index, char ret_id[32], char ret_key[32])
{
    (void)snprintf(ret_id, 32, "%s-%04d", prefix, index);
    (void)snprintf(ret_key, 32, "k%d", index % 7);
}

static void
publish(const char *name, int count)
{
    prefix = name;
    queue_fixture_publish_many(count, name_one);
}

Test(runner_limit, a_message_that_kills_the_process_is_the_only_one_that_is_dead_lettered)
{
    enum { BEFORE = 20, AFTER = 250, STARTS = 20 };
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 100;
    options.prefetch = 200;
    publish("before", BEFORE);
    runner_fixture_publish("poison", NULL, "accident: kill");
    publish("behind", AFTER);
    runner_fixture_accidents(1000);
    int starts = 0;
    int status = 0;
    do {
        const pid_t child = runner_fixture_spawn(&options);
        starts++;
        while (waitpid(child, &status, WNOHANG) == 0) {
            if (db_int(runner_fixture_db, "select count(*) from applied") == BEFORE + AFTER &&
                queue_fixture_count_dead() == 1) {
                cr_assert_eq(kill(child, SIGTERM), 0);
                status = runner_fixture_reap(child);
                break;
            }
            (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        }
    } while (WIFSIGNALED(status) && starts < STARTS);
    cr_expect_eq(starts, 5, "killed once in company and three times alone: %d", starts);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from applied"), BEFORE + AFTER);
    cr_expect_eq(queue_fixture_count_dead(), 1);
    cr_expect_str_eq(queue_fixture_take_dead(), "poison");
}

static void
stop_at_outage(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context, (void)level, (void)text;
    if (strcmp(event, "database_outage") == 0) {
        (void)raise(SIGTERM);
    }
}

static inbox_apply
note_again(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const enum inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    if (delivery->redelivered) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "update applied set body = 'again' where no = %s",
                       runner_fixture_sql(SQL_LAST_NUMBER)); /* fits */
        (void)db_try(tx, sql);
    }
    return answer;
}

Test(runner_limit, restarts_while_the_database_is_away_cost_nothing)
{
    struct runner_fixture_options options = runner_fixture_options();
    struct runner_fixture_options without = options;
    without.dsn = "host=/nonexistent dbname=x";
    without.report = stop_at_outage;
    publish("m", 100);
    for (int i = 0; i < 5; i++) {
        const int status = runner_fixture_reap(runner_fixture_spawn(&without));
        cr_expect(WIFEXITED(status));
    }
    options.apply = note_again;
    runner_fixture_start(&options);
    runner_fixture_wait(100);
    (void)runner_fixture_stop();
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from applied where body = 'again'"), 0);
    cr_expect_eq(queue_fixture_count_dead(), 0);
}

static atomic_bool away;

static struct db *
connect_unless_away(void *context)
{
    (void)context;
    return atomic_load(&away) ? NULL : db_connect();
}

/* The message "last" takes the database away; after that every call fails. */
static inbox_apply
apply_unless_away(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    if (strcmp(delivery->message_id, "last") == 0 && !delivery->redelivered) {
        atomic_store(&away, true);
        (void)db_try(tx, runner_fixture_sql(SQL_ENDS_ITS_SESSION));
    }
    return note_again(context, tx, delivery);
}

Test(runner_limit, a_database_that_stays_away_gets_nothing_twice)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_unless_away;
    options.apply = apply_unless_away;
    options.batch_wait_ms = 1000;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("last", "k", "x");
    runner_fixture_publish("behind", "k", "x");
    const uint64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_S_US;
    while (runner_fixture_reports("given_back") == 0) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    const uint64_t delivered = runner_fixture_counters().delivered;
    const uint64_t outages = runner_fixture_counters().database_outages;
    while (runner_fixture_counters().database_outages < outages + 3) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    cr_expect_eq(runner_fixture_counters().delivered, delivered, "nothing is taken meanwhile");
    atomic_store(&away, false);
    runner_fixture_wait(2);
    (void)runner_fixture_stop();
    cr_expect_str_eq(runner_fixture_applied(), "last behind");
    cr_expect_eq(runner_fixture_reports("given_back"), 1);
    cr_expect_eq(queue_fixture_count_dead(), 0);
}
