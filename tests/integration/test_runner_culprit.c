/* The runner with an apply function that does what it must not do: it fails in ways that look like an outage, ends the
 * transaction, leaves the session changed, or blocks the runner when it must stop. Nothing is lost, and other messages
 * go on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/runner_fixture.h"
#include "tests/integration/servers_fixture.h"

TestSuite(runner_culprit, .init = runner_fixture_setup, .fini = runner_fixture_teardown,
          .timeout = 120);

static void
publish_good(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "good%d", i);
        runner_fixture_publish(id, NULL, "x");
    }
}

static int64_t
applied(const char *id)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select count(*) from applied where message_id like '%s'", id);
    return db_int(runner_fixture_db, sql);
}

/* Only the first message is rejected; the later one of its key waits for that, and the others are applied. */
static void
expect_rejected(const struct runner_fixture_options *options, const char *id, const char *body)
{
    runner_fixture_publish(id, "key", body);
    runner_fixture_publish("later", "key", "x");
    publish_good(1, 4);
    runner_fixture_start(options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 1);
    cr_expect_eq(result.applied, 5);
    cr_expect_str_eq(queue_fixture_take_dead(), id);
    cr_expect_eq(applied("good%"), 4);
    cr_expect_eq(applied("later"), 1);
}

static void
expect_sql_rejected(const char *sql)
{
    char body[200];
    const struct runner_fixture_options options = runner_fixture_options();
    (void)snprintf(body, sizeof(body), "sql: %s", sql); /* fits */
    expect_rejected(&options, "bad", body);
}

Test(runner_culprit, a_right_that_only_one_message_lacks)
{
    expect_sql_rejected(runner_fixture_sql(SQL_LACKS_A_RIGHT));
}

Test(runner_culprit, a_table_that_only_one_message_misses)
{
    expect_sql_rejected("insert into events_2031_01 values (1)");
}

Test(runner_culprit, a_limit_that_only_one_message_meets)
{
    expect_sql_rejected(runner_fixture_sql(SQL_MEETS_A_LIMIT));
}

Test(runner_culprit, a_file_that_only_one_message_wants)
{
    expect_sql_rejected(runner_fixture_sql(SQL_WANTS_A_FILE));
}

Test(runner_culprit, a_message_that_ends_its_session_each_time)
{
    expect_sql_rejected(runner_fixture_sql(SQL_ENDS_ITS_SESSION));
}

/* A lock costs no attempt, so this message waits for ever. It is the first on each new channel, and the others must not
 * wait for it. */
Test(runner_culprit, a_message_that_always_meets_a_lock)
{
    char body[200];
    const struct runner_fixture_options options = runner_fixture_options();
    (void)snprintf(body, sizeof(body), "sql: %s", runner_fixture_sql(SQL_MEETS_A_LOCK)); /* fits */
    runner_fixture_publish("bad", "key", body);
    publish_good(1, 4);
    runner_fixture_start(&options);
    runner_fixture_wait(4);
    cr_expect_eq(runner_fixture_stop().rejected, 0);
    cr_expect_eq(applied("good%"), 4);
    cr_expect_eq(applied("bad"), 0);
}

static inbox_apply
dawdle(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    if (strcmp(delivery->body, "dawdle") == 0) {
        runner_fixture_dawdle(tx);
    }
    return runner_fixture_apply(context, tx, delivery);
}

Test(runner_culprit, a_message_that_is_idle_in_its_transaction_for_too_long)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = dawdle;
    expect_rejected(&options, "bad", "dawdle");
}

Test(runner_culprit, an_id_that_the_databases_encoding_lacks)
{
    struct db *narrow;
    struct runner_fixture_options options = runner_fixture_options();
    const unsigned lacks = runner_fixture_create_narrow(&narrow, &options.dsn) ? 1 : 0;
    runner_fixture_publish("price-\u20ac", "key", "x");
    publish_good(1, 4);
    runner_fixture_start(&options);
    runner_fixture_wait(5);
    cr_expect_eq(runner_fixture_stop().rejected, lacks);
    cr_expect(lacks == 0 || strcmp(queue_fixture_take_dead(), "price-\u20ac") == 0);
    cr_expect_eq(db_int(narrow, "select count(*) from applied"), 5 - lacks);
    cr_expect_eq(db_int(narrow, "select count(*) from inbox"), 5 - lacks);
    runner_fixture_drop_narrow(narrow);
}

/* ---- the transaction ------------------------------------------------------------------------------------------------- */

enum { CLAIMED = 100 };

static void
name_good(int index, char ret_id[32], char ret_key[32])
{
    (void)snprintf(ret_id, 32, "good%d", index);
    (void)snprintf(ret_key, 32, "k%d", index % 7);
}

/* The message with this body is the first of a whole batch. */
static void
expect_all_applied(const char *body)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = CLAIMED;
    options.batch_wait_ms = 10000;
    runner_fixture_accidents(1);
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("culprit", "k0", body);
    queue_fixture_publish_many(CLAIMED - 1, name_good);
    runner_fixture_wait(CLAIMED);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 1);
    cr_expect_eq(result.rejected, 0);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from inbox"), CLAIMED);
    cr_expect_eq(applied("culprit"), 1);
    cr_expect_eq(db_int(runner_fixture_db, "select count(distinct message_id) from applied"),
                 CLAIMED);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from applied"), CLAIMED);
    runner_fixture_expect_left(0);
}

Test(runner_culprit, apply_commits)
{
    expect_all_applied("accident sql: commit");
}

Test(runner_culprit, apply_commits_and_begins)
{
    expect_all_applied("accident sql: commit; begin");
}

Test(runner_culprit, apply_commits_and_chains)
{
    expect_all_applied("accident sql: commit and chain");
}

Test(runner_culprit, apply_rolls_back)
{
    expect_all_applied("accident sql: rollback");
}

Test(runner_culprit, apply_rolls_back_and_begins)
{
    expect_all_applied("accident sql: rollback; begin");
}

Test(runner_culprit, apply_rolls_back_and_chains)
{
    expect_all_applied("accident sql: rollback and chain");
}

Test(runner_culprit, apply_may_roll_back_to_a_savepoint_of_its_own)
{
    runner_fixture_publish("m1", "a",
                           "sql: savepoint s; insert into parent values ('x'); rollback to s");
    runner_fixture_publish("m2", "a", "x");
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 2);
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 0);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from parent"), 0);
}

/* ---- the session ----------------------------------------------------------------------------------------------------- */

static void
expect_new_session(const char *sql)
{
    char body[200];
    (void)snprintf(body, sizeof(body), "sql: %s", sql); /* fits */
    runner_fixture_publish("changes", "a", body);
    publish_good(1, 5);
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 6);
    cr_expect_eq(result.database_outages, 0);
    cr_expect_eq(runner_fixture_reports("session_changed"), 1);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from inbox"), 6);
}

Test(runner_culprit, names_that_mean_other_tables)
{
    expect_new_session(runner_fixture_sql(SQL_CHANGES_NAMES));
}

Test(runner_culprit, another_role)
{
    expect_new_session(runner_fixture_sql(SQL_CHANGES_RIGHTS));
}

Test(runner_culprit, a_temporary_table_of_the_inboxs_name)
{
    expect_new_session(runner_fixture_sql(SQL_SHADOWS_THE_INBOX));
}

Test(runner_culprit, a_session_that_only_reads)
{
    expect_new_session(runner_fixture_sql(SQL_ONLY_READS));
}

Test(runner_culprit, a_time_limit_that_nobody_can_keep)
{
    expect_new_session(runner_fixture_sql(SQL_LIMITS_TIME));
}

/* Like a pool that gives each transaction another session. */
Test(runner_culprit, prepared_statements_that_are_gone)
{
    char body[100];
    (void)snprintf(body, sizeof(body), "sql: %s", runner_fixture_sql(SQL_FORGETS_STATEMENTS));
    runner_fixture_publish("changes", "a", body);
    publish_good(1, 5);
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 6);
    cr_expect_eq(result.database_outages, 0);
    cr_expect_eq(runner_fixture_reports("session_changed"), 0);
}

static atomic_int connections;

static struct db *
connect_read_only_first(void *context)
{
    (void)context;
    struct db *db = db_connect();
    if (atomic_fetch_add(&connections, 1) == 0) {
        db_exec(db, runner_fixture_sql(SQL_ONLY_READS));
    }
    return db;
}

Test(runner_culprit, a_server_that_takes_no_writes_is_not_kept)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_read_only_first;
    publish_good(1, 3);
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    cr_expect_eq(runner_fixture_stop().database_outages, 1);
    cr_expect_eq(atomic_load(&connections), 2);
}

static void
setup_server(void)
{
    if (runner_fixture_own_server() != NULL) {
        servers_start(runner_fixture_own_server());
    }
    runner_fixture_setup();
}

TestSuite(runner_culprit_server, .init = setup_server, .fini = runner_fixture_teardown,
          .timeout = 120);

Test(runner_culprit_server, a_server_that_takes_no_writes_is_waited_for)
{
    runner_fixture_refuse_writes(true);
    publish_good(1, 3);
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (runner_fixture_counters().database_outages < 3) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    cr_expect_eq(runner_fixture_counters().delivered, 0, "nothing is taken that cannot be applied");
    runner_fixture_refuse_writes(false);
    runner_fixture_wait(3);
    cr_expect_eq(runner_fixture_stop().applied, 3);
}

/* ---- the stop -------------------------------------------------------------------------------------------------------- */

static void
expect_stop_in_time(const char *body)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.stop_timeout_ms = 200;
    runner_fixture_accidents(1);
    runner_fixture_publish("m1", "a", body);
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (!runner_fixture_waits()) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "the runner waits for the database");
    }
    (void)runner_fixture_stop(); /* otherwise this would not end before the test's time limit */
    cr_expect_str_eq(runner_fixture_applied(), "");
}

Test(runner_culprit, a_stop_does_not_wait_for_a_statement)
{
    char body[100];
    (void)snprintf(body, sizeof(body), "accident sql: %s", runner_fixture_sql(SQL_SLEEPS));
    expect_stop_in_time(body);
    runner_fixture_expect_left(2);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 end");
}

Test(runner_culprit, a_stop_does_not_wait_for_somebody_elses_lock)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "begin; insert into inbox (consumer, message_id) values ('%s', 'm1')",
                   runner_fixture_options().consumer);
    struct db *holder = db_connect();
    db_exec(holder, sql);
    expect_stop_in_time("x");
    db_close(holder);
    runner_fixture_expect_left(2);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 end");
}
