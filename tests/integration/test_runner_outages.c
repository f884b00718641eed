/* The runner while servers, connections and the process itself are lost: each message is applied once. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/runner_fixture.h"
#include "tests/integration/servers_fixture.h"

TestSuite(runner_outages, .init = runner_fixture_setup, .fini = runner_fixture_teardown,
          .timeout = 120);

static void
outages(const char *body, int count)
{
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", body);
    runner_fixture_publish("m3", "a", "x");
    runner_fixture_accidents(count);
    struct runner_fixture_options options = runner_fixture_options();
    options.attempts_max = 1;
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3");
    runner_fixture_expect_left(0);
}

Test(runner_outages, a_database_that_goes_away_costs_no_attempt)
{
    outages("accident: backend", 5);
}

Test(runner_outages, an_outage_of_the_application_costs_no_attempt)
{
    outages("accident: outage", 5);
}

Test(runner_outages, a_deadlock_costs_no_attempt)
{
    outages("accident: deadlock", 5);
}

Test(runner_outages, a_deadlock_is_recognised_though_the_application_goes_on)
{
    outages("accident: deadlock, and more", 5);
}

Test(runner_outages, a_transaction_ended_by_the_application_is_not_applied_twice)
{
    runner_fixture_publish("m1", "a", "accident: commit");
    runner_fixture_accidents(1);
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    cr_expect_eq(runner_fixture_stop().duplicates, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

static inbox_apply
look_at_session(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    cr_expect_str_eq(db_text(tx, runner_fixture_sql(SQL_SILENCE)),
                     runner_fixture_sql(SQL_SILENCE_ANSWER));
    return runner_fixture_apply(context, tx, delivery);
}

/* If the consumer's machine goes silent inside a transaction, its claims must not block others for hours. */
Test(runner_outages, the_server_looks_whether_the_consumer_still_lives)
{
    runner_fixture_publish("m1", "a", "x");
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = look_at_session;
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    (void)runner_fixture_stop();
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

static atomic_int refusals;

static struct db *
connect_late(void *context)
{
    (void)context;
    return atomic_fetch_sub(&refusals, 1) > 0 ? NULL : db_connect();
}

Test(runner_outages, a_connection_of_the_applications_making_is_waited_for)
{
    runner_fixture_publish("m1", "a", "x");
    atomic_store(&refusals, 5);
    struct runner_fixture_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_late;
    options.attempts_max = 1;
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    cr_expect_eq(runner_fixture_stop().database_outages, 5);
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

/* The commit succeeds, but the ack cannot be sent. */
Test(runner_outages, a_closed_broker_connection_is_opened_again_and_nothing_is_applied_twice)
{
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "accident: broker");
    runner_fixture_publish("m3", "a", "x");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_accidents(1);
    runner_fixture_start(&options);
    runner_fixture_wait(4);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 3);
    cr_expect_eq(result.duplicates, 1, "what was in hand, alone");
    cr_expect_geq(result.broker_outages, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3");
    runner_fixture_expect_left(0);
}

/* Kills the process between the commit and the ack, when only `remember` runs. */
static void
kill_self(void *hint, const char *const *ids, size_t count)
{
    (void)hint, (void)ids, (void)count;
    (void)kill(getpid(), SIGKILL);
}

static void
see_nothing(void *hint, const char *const *ids, size_t count, bool *ret_seen)
{
    (void)hint, (void)ids, (void)count, (void)ret_seen;
}

Test(runner_outages, killed_between_commit_and_ack)
{
    runner_fixture_publish_many(3);
    struct runner_fixture_options options = runner_fixture_options();
    struct runner_fixture_options deadly = options;
    deadly.hint = (struct inbox_runner_hint){NULL, see_nothing, kill_self};
    runner_fixture_run_killed(&deadly); /* with one message unacknowledged */
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    cr_expect_eq(runner_fixture_stop().duplicates, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3");
}

Test(runner_outages, killed_before_the_commit)
{
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "accident: kill");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_accidents(1);
    runner_fixture_run_killed(&options);
    runner_fixture_accidents(0);
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    cr_expect_eq(runner_fixture_stop().duplicates, 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2");
}

Test(runner_outages, stopping_finishes_what_is_in_hand_and_takes_no_more)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 2;
    options.prefetch = 4;
    options.batch_wait_ms = 10000;
    runner_fixture_accidents(1);
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("m1", "a", "accident: slow"); /* with m2; meanwhile the others come */
    runner_fixture_publish("m2", "a", "x");
    for (int i = 3; i <= 6; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "m%d", i);
        runner_fixture_publish(id, "a", "x");
    }
    (void)runner_fixture_stop();
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4");
    runner_fixture_expect_left(2);
}

/* 10 s of work with a heartbeat of 2 s, while more data than a socket buffer holds is waiting. */
Test(runner_outages, slow_work_does_not_lose_the_connection)
{
    enum { LARGE = 1 << 20 };
    char *large = calloc(1, LARGE);
    memset(large, 'x', LARGE - 1);
    runner_fixture_publish("m1", "a", "accident: slow");
    queue_fixture_publish("m2", "a", large, LARGE);
    queue_fixture_publish("m3", "a", large, LARGE);
    queue_fixture_publish("m4", "a", large, LARGE);
    free(large);
    runner_fixture_accidents(1);
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 1;
    options.prefetch = 4;
    options.heartbeat_s = 2;
    runner_fixture_start(&options);
    runner_fixture_wait(4);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.broker_outages, 0);
    cr_expect_eq(result.applied, 4);
    runner_fixture_expect_left(0);
}

static void
see_even(void *hint, const char *const *ids, size_t count, bool *ret_seen)
{
    (void)hint;
    for (size_t i = 0; i < count; i++) {
        ret_seen[i] = (ids[i][1] - '0') % 2 == 0;
    }
}

static void
note_ids(void *hint, const char *const *ids, size_t count)
{
    char *end = (char *)hint + strlen(hint);
    for (size_t i = 0; i < count; i++) {
        end += snprintf(end, sizeof("m1"), "%s", ids[i]);
    }
}

Test(runner_outages, a_hint_saves_the_transaction_and_learns_after_the_commit)
{
    char remembered[100] = "";
    struct runner_fixture_options options = runner_fixture_options();
    options.hint = (struct inbox_runner_hint){remembered, see_even, note_ids};
    options.batch_max = 4;
    options.batch_wait_ms = 10000;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    remembered[0] = '\0';
    runner_fixture_publish_many(4);
    runner_fixture_wait(4);
    runner_fixture_publish("m6", "a", "x");
    runner_fixture_wait(5);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.hinted, 3);
    cr_expect_eq(result.transactions, 1);
    cr_expect_str_eq(remembered, "m1m3");
    cr_expect_str_eq(runner_fixture_applied(), "m1 m3");
    runner_fixture_expect_left(0);
}

Test(runner_outages, a_missing_queue_is_waited_for)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.queue = "no-such-queue";
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (runner_fixture_counters().broker_outages < 2) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    (void)runner_fixture_stop();
    cr_expect(strstr(runner_fixture_report, "draining") != NULL);
}

/* Crashes the channel of the queue's consumer inside the broker, which ends the connection with code 541. RabbitMQ 3.10
 * itself has such a crash if a consumer is cancelled before its creation is confirmed. */
static void
crash_channel(void)
{
    char line[600];
    (void)snprintf(
        line, sizeof(line),
        "exec \"$OUTBOX_TEST_RABBITMQCTL\" --quiet eval "
        "'{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"%s\">>)), "
        "[exit(element(1, C), for_the_test) || C <- rabbit_amqqueue:consumers(Q)].'",
        queue_fixture_name()); /* fits */
    cr_assert_eq(system(line), 0);
}

static void
await_broker_lost(int count)
{
    const uint64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_S_US;
    while (runner_fixture_reports("broker_lost") < count) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "the broker's end is not told");
        (void)usleep(5000);
    }
}

Test(runner_outages, a_broker_with_internal_errors)
{
    char expected[200] = "";
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    for (int i = 0; i < 3; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "m%d", i); /* fits */
        (void)snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s%s",
                       i > 0 ? " " : "", id); /* likewise */
        runner_fixture_publish(id, "a", "x");
        runner_fixture_wait((uint64_t)i + 1);
        crash_channel();
        await_broker_lost(i + 1);
        cr_expect_not_null(strstr(runner_fixture_broker_lost, "541 INTERNAL_ERROR"), "%s",
                           runner_fixture_broker_lost);
    }
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0);
    cr_expect_str_eq(runner_fixture_applied(), expected);
    runner_fixture_expect_left(0);
}

/* ---- a server of the test's own ------------------------------------------------------------------------------------- */

static void
setup_server(void)
{
    servers_start(db_server());
    runner_fixture_setup();
}

TestSuite(runner_outages_server, .init = setup_server, .fini = runner_fixture_teardown,
          .timeout = 240);

Test(runner_outages_server, the_databases_server_crashes_and_comes_back)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.attempts_max = 1;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish_many(3);
    runner_fixture_wait(3);
    servers_do_database("kill");
    runner_fixture_publish("m4", "key", "x");
    runner_fixture_publish("m5", "key", "x");
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (runner_fixture_counters().database_outages < 2) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    servers_do_database("start");
    runner_fixture_wait(5);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0);
    db_close(runner_fixture_db);
    runner_fixture_db = db_connect();
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4 m5");
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from inbox"), 5);
    runner_fixture_expect_left(0);
}
