/* The runner and an apply function that does what it must not: fails in ways that look like an outage of everybody's, ends the
 * transaction, leaves the session changed, lets the runner wait when it is to stop. Nothing is lost, and others go on. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/runner_fixture.h"

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
    return pg_query_int(runner_fixture_conn, sql);
}

/* The first message is at fault, the others are not, and those of its key wait for it. */
static void
expect_rejected(const struct inbox_runner_options *options, const char *id, const char *body)
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
expect_sql_rejected(const char *body)
{
    const struct inbox_runner_options options = runner_fixture_options();
    expect_rejected(&options, "bad", body);
}

Test(runner_culprit, a_right_that_only_one_message_lacks)
{
    expect_sql_rejected(
        "sql: do $$ begin raise exception 'not this tenant' using errcode = '42501'; end $$");
}

Test(runner_culprit, a_table_that_only_one_message_misses)
{
    expect_sql_rejected("sql: insert into events_2031_01 values (1)");
}

Test(runner_culprit, a_limit_that_only_one_message_meets)
{
    expect_sql_rejected(
        "sql: do $$ begin raise exception 'too much' using errcode = '53400'; end $$");
}

Test(runner_culprit, a_file_that_only_one_message_wants)
{
    expect_sql_rejected("sql: select pg_read_file('nosuch')");
}

Test(runner_culprit, a_message_that_ends_its_session_each_time)
{
    expect_sql_rejected("sql: select pg_terminate_backend(pg_backend_pid())");
}

/* It costs itself no attempt, so it waits for ever; but it is the first of a new channel, and the others must not wait with it. */
Test(runner_culprit, a_message_that_always_meets_a_lock)
{
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_publish(
        "bad", "key", "sql: do $$ begin raise exception 'locked' using errcode = '55P03'; end $$");
    publish_good(1, 4);
    runner_fixture_start(&options);
    runner_fixture_wait(4);
    cr_expect_eq(runner_fixture_stop().rejected, 0);
    cr_expect_eq(applied("good%"), 4);
    cr_expect_eq(applied("bad"), 0);
}

static inbox_apply
dawdle(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    if (strcmp(delivery->body, "dawdle") == 0) {
        struct pollfd end = {.fd = PQsocket(tx), .events = POLLIN};
        PQclear(PQexec(tx, "set local idle_in_transaction_session_timeout = 1"));
        cr_assert_eq(poll(&end, 1, 30000), 1, "the server does not end the session");
    }
    return runner_fixture_apply(context, tx, delivery);
}

Test(runner_culprit, a_message_that_is_idle_in_its_transaction_for_too_long)
{
    struct inbox_runner_options options = runner_fixture_options();
    options.apply = dawdle;
    expect_rejected(&options, "bad", "dawdle");
}

Test(runner_culprit, an_id_that_the_databases_encoding_lacks)
{
    char dsn[600], sql[200];
    pg_exec(runner_fixture_conn, "select 1"); /* connected: its name is known */
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_latin1 encoding LATIN1 locale 'C' template template0",
                   PQdb(runner_fixture_conn));
    pg_exec(runner_fixture_conn, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", pg_fixture_dsn(),
                   PQdb(runner_fixture_conn));
    PGconn *conn = PQconnectdb(dsn);
    pg_fixture_load(conn, "consumers/postgres/schema.sql");
    pg_exec(conn, "create table applied (no bigserial primary key, message_id text not null, key "
                  "text, body text)");
    struct inbox_runner_options options = runner_fixture_options();
    options.dsn = dsn;
    runner_fixture_publish("price-\u20ac", "key", "x");
    publish_good(1, 4);
    runner_fixture_start(&options);
    runner_fixture_wait(5);
    cr_expect_eq(runner_fixture_stop().rejected, 1);
    cr_expect_str_eq(queue_fixture_take_dead(), "price-\u20ac");
    cr_expect_eq(pg_query_int(conn, "select count(*) from applied"), 4);
    PQfinish(conn);
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1 with (force)",
                   PQdb(runner_fixture_conn));
    pg_exec(runner_fixture_conn, sql);
}

/* ---- the transaction ------------------------------------------------------------------------------------------------- */

enum { CLAIMED = 100 };

static void
name_good(int index, char ret_id[32], char ret_key[32])
{
    (void)snprintf(ret_id, 32, "good%d", index);
    (void)snprintf(ret_key, 32, "k%d", index % 7);
}

/* The culprit is the first of a whole batch. */
static void
expect_all_applied(const char *body)
{
    struct inbox_runner_options options = runner_fixture_options();
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
    cr_expect_eq(pg_query_int(runner_fixture_conn, "select count(*) from inbox"), CLAIMED);
    cr_expect_eq(applied("culprit"), 1);
    cr_expect_eq(
        pg_query_int(runner_fixture_conn, "select count(distinct message_id) from applied"),
        CLAIMED);
    cr_expect_eq(pg_query_int(runner_fixture_conn, "select count(*) from applied"), CLAIMED);
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
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 2);
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 0);
    cr_expect_eq(pg_query_int(runner_fixture_conn, "select count(*) from parent"), 0);
}

/* ---- the session ----------------------------------------------------------------------------------------------------- */

static void
expect_new_session(const char *body)
{
    runner_fixture_publish("changes", "a", body);
    publish_good(1, 5);
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 6);
    cr_expect_eq(result.database_outages, 0);
    cr_expect_eq(runner_fixture_reports("session_changed"), 1);
    cr_expect_eq(pg_query_int(runner_fixture_conn, "select count(*) from inbox"), 6);
}

Test(runner_culprit, another_search_path)
{
    expect_new_session("sql: set search_path = pg_catalog");
}

Test(runner_culprit, another_role)
{
    expect_new_session("sql: set role pg_monitor");
}

Test(runner_culprit, a_temporary_table_of_the_inboxs_name)
{
    expect_new_session("sql: create temporary table inbox (a integer)");
}

Test(runner_culprit, a_session_that_only_reads)
{
    expect_new_session("sql: set default_transaction_read_only = on");
}

Test(runner_culprit, a_time_limit_that_nobody_can_keep)
{
    expect_new_session("sql: set statement_timeout = 1");
}

/* As behind a pool that gives each transaction another session. */
Test(runner_culprit, prepared_statements_that_are_gone)
{
    runner_fixture_publish("changes", "a", "sql: deallocate all");
    publish_good(1, 5);
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 6);
    cr_expect_eq(result.database_outages, 0);
    cr_expect_eq(runner_fixture_reports("session_changed"), 0);
}

static atomic_int connections;

static PGconn *
connect_read_only_first(void *context)
{
    (void)context;
    PGconn *conn = pg_fixture_connect();
    if (atomic_fetch_add(&connections, 1) == 0) {
        pg_exec(conn, "set default_transaction_read_only = on");
    }
    return conn;
}

Test(runner_culprit, a_server_that_takes_no_writes_is_not_kept)
{
    struct inbox_runner_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_read_only_first;
    publish_good(1, 3);
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    cr_expect_eq(runner_fixture_stop().database_outages, 1);
    cr_expect_eq(atomic_load(&connections), 2);
}

Test(runner_culprit, a_server_that_takes_no_writes_is_waited_for)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "alter database %s set default_transaction_read_only = on",
                   PQdb(runner_fixture_conn));
    pg_exec(runner_fixture_conn, sql);
    publish_good(1, 3);
    const struct inbox_runner_options options = runner_fixture_options();
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (runner_fixture_counters().database_outages < 3) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    cr_expect_eq(runner_fixture_counters().delivered, 0, "nothing is taken that cannot be applied");
    (void)snprintf(sql, sizeof(sql), "alter database %s reset default_transaction_read_only",
                   PQdb(runner_fixture_conn));
    pg_exec(runner_fixture_conn, sql);
    runner_fixture_wait(3);
    cr_expect_eq(runner_fixture_stop().applied, 3);
}

/* ---- the stop -------------------------------------------------------------------------------------------------------- */

static void
expect_stop_in_time(const char *body)
{
    struct inbox_runner_options options = runner_fixture_options();
    options.stop_timeout_ms = 200;
    runner_fixture_accidents(1);
    runner_fixture_publish("m1", "a", body);
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (pg_query_int(
               runner_fixture_conn,
               "select count(*) from pg_stat_activity where datname = current_database() and "
               "application_name = 'inbox-runner' and wait_event_type in ('Lock', 'Timeout')") ==
           0) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "the runner waits for the database");
    }
    (void)
        runner_fixture_stop(); /* without an end of its own, the test would run into its time limit */
    cr_expect_str_eq(runner_fixture_applied(), "");
}

Test(runner_culprit, a_stop_does_not_wait_for_a_statement)
{
    expect_stop_in_time("accident sql: select pg_sleep(3600)");
    runner_fixture_expect_left(2);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 end");
}

Test(runner_culprit, a_stop_does_not_wait_for_somebody_elses_lock)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "begin; insert into inbox (consumer, message_id) values ('%s', 'm1')",
                   runner_fixture_options().consumer);
    PGconn *holder = pg_fixture_connect();
    pg_exec(holder, sql);
    expect_stop_in_time("x");
    PQfinish(holder);
    runner_fixture_expect_left(2);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 end");
}
