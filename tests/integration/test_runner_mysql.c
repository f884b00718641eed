/* The runner with what only MariaDB and MySQL have: statements that commit implicitly, errors after which a transaction
 * goes on, sessions that the server ends. What is the same in PostgreSQL: test_runner*.c. */
#include <criterion/criterion.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/runner_fixture.h"

static struct db *other; /* a session of others */

static void
setup(void)
{
    runner_fixture_setup();
    db_exec(runner_fixture_db, "create table marks (mark varchar(100))");
    other = db_connect();
}

static void
teardown(void)
{
    db_close(other);
    runner_fixture_teardown();
}

TestSuite(runner_mysql, .init = setup, .fini = teardown, .timeout = 120);

static MYSQL *
conn_of(struct db *db)
{
    return db_conn(db);
}

static int64_t
marks(void)
{
    return db_int(runner_fixture_db, "select count(*) from marks");
}

/* ---- the transaction ends ---------------------------------------------------------------------------------------------- */

/* The first message of a batch ends the transaction; all are applied, once. */
static void
expect_ended(const char *body)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 5;
    options.batch_wait_ms = 10000;
    runner_fixture_accidents(1);
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("m1", "a", body);
    for (int i = 2; i <= 5; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "m%d", i); /* fits */
        runner_fixture_publish(id, "a", "x");
    }
    runner_fixture_wait(5);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0);
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4 m5");
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from inbox"), 5);
    runner_fixture_expect_left(0);
}

Test(runner_mysql, a_table_is_made)
{
    expect_ended("accident sql: create table made (a int)");
}

Test(runner_mysql, a_table_is_made_and_filled)
{
    expect_ended("accident sql: create table made (a int); insert into made values (1)");
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from made"), 1);
}

Test(runner_mysql, a_transaction_is_begun_within_it)
{
    expect_ended("accident sql: start transaction; insert into marks values ('x')");
    cr_expect_eq(marks(), 1);
}

Test(runner_mysql, autocommit_is_turned_on)
{
    expect_ended("accident sql: set autocommit = 1");
}

static inbox_apply
begin_and_fail(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    if (strcmp(delivery->body, "begins") == 0 && delivery->attempt == 1) {
        (void)runner_fixture_execute(tx, "start transaction; insert into marks values ('x')");
        return INBOX_APPLY_RETRY;
    }
    return answer;
}

/* Its `begin` commits the messages before it, and those after it are not lost, although all are in the inbox already. */
Test(runner_mysql, a_transaction_is_begun_within_it_and_fails)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 4;
    options.batch_wait_ms = 10000;
    options.apply = begin_and_fail;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "begins");
    runner_fixture_publish("m3", "a", "x");
    runner_fixture_publish("m4", "a", "x");
    runner_fixture_wait(4);
    (void)runner_fixture_stop();
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4");
    cr_expect_eq(marks(), 0, "what it has done after that is rolled back");
}

static inbox_apply
make_and_fail(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    return strcmp(delivery->body, "fails") == 0 && delivery->attempt == 1 ? INBOX_APPLY_RETRY
                                                                          : answer;
}

/* The implicit commit is noticed before the next transaction begins, so the messages between it and the failure are not
 * lost. */
Test(runner_mysql, a_table_is_made_and_a_later_message_fails)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 4;
    options.batch_wait_ms = 10000;
    options.apply = make_and_fail;
    runner_fixture_accidents(1);
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("m1", "a", "accident sql: create table made (a int)");
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_publish("m3", "a", "fails");
    runner_fixture_publish("m4", "a", "x");
    runner_fixture_wait(4);
    (void)runner_fixture_stop();
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4");
}

/* ---- errors after which the server goes on -------------------------------------------------------------------------------- */

static atomic_int deadlocks;

/* Ignores a deadlock and continues. */
static inbox_apply
ignore_deadlock(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    if (atomic_fetch_sub(&deadlocks, 1) > 0) {
        struct inbox_delivery unlucky = *delivery;
        unlucky.body = "accident: deadlock";
        runner_fixture_accidents(1);
        (void)runner_fixture_apply(context, tx, &unlucky);
        (void)db_try(tx, "insert into marks values ('after the deadlock')");
        return INBOX_APPLY_OK;
    }
    return runner_fixture_apply(context, tx, delivery);
}

Test(runner_mysql, what_follows_a_deadlock_that_nobody_looks_at_is_undone)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = ignore_deadlock;
    options.attempts_max = 1;
    atomic_store(&deadlocks, 3);
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0);
    cr_expect_eq(marks(), 0);
    cr_expect_eq(runner_fixture_reports("transaction_ended"), 0, "it was the server");
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2");
}

/* Like an application that prepares a statement for each use: it is closed before `apply` returns. */
static bool
update_prepared(MYSQL *conn)
{
    static const char sql[] = "update locks set taken = taken + 1 where id = 1";
    MYSQL_STMT *statement = mysql_stmt_init(conn);
    const bool done = mysql_stmt_prepare(statement, sql, sizeof(sql) - 1) == 0 &&
                      mysql_stmt_execute(statement) == 0;
    (void)mysql_stmt_close(statement);
    return done;
}

static inbox_apply
take_lock(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    db_exec(tx, "set session innodb_lock_wait_timeout = 1");
    const bool done = strcmp(delivery->body, "prepared") == 0
                          ? update_prepared(conn_of(tx))
                          : db_try(tx, "update locks set taken = taken + 1 where id = 1");
    db_exec(other, "rollback");
    return done ? runner_fixture_apply(context, tx, delivery) : INBOX_APPLY_RETRY;
}

static struct db *
connect_impatient(void *context)
{
    (void)context;
    struct db *db = db_connect();
    db_exec(db, "set session innodb_lock_wait_timeout = 1");
    return db;
}

static void
expect_lock_costs_nothing(const char *body)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = take_lock;
    options.dsn = NULL;
    options.connect = connect_impatient;
    options.attempts_max = 1;
    db_exec(other, "begin; update locks set taken = taken + 1 where id = 1");
    runner_fixture_publish("m1", "a", body);
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 0, "%s", runner_fixture_report);
    cr_expect_eq(result.applied, 1);
    cr_expect_eq(result.retried, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

Test(runner_mysql, a_lock_wait_timeout_costs_no_attempt)
{
    expect_lock_costs_nothing("x");
}

Test(runner_mysql, a_lock_wait_timeout_of_a_statement_that_is_closed_by_now)
{
    expect_lock_costs_nothing("prepared");
}

/* PostgreSQL would refuse all further statements. Here the application decides. */
static inbox_apply
tolerate(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    cr_expect_not(db_try(tx, "insert into applied (no) select no from applied"));
    return answer;
}

Test(runner_mysql, an_error_that_apply_lives_with_is_none)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = tolerate;
    options.attempts_max = 1;
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    cr_expect_eq(runner_fixture_stop().applied, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

/* ---- the session -------------------------------------------------------------------------------------------------------------- */

static char rejection[300];

static void
note_rejection(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context, (void)level;
    if (strcmp(event, "message_rejected") == 0) {
        (void)snprintf(rejection, sizeof(rejection), "%s", text);
    }
}

static inbox_apply
leave_results(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    if (strcmp(delivery->body, "leaves") == 0) {
        cr_expect_eq(mysql_query(conn_of(tx), "select 1"), 0);
    }
    return answer;
}

Test(runner_mysql, results_that_are_left_unread_are_the_messages_fault)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = leave_results;
    options.report = note_rejection;
    runner_fixture_publish("m1", "a", "leaves");
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 1);
    cr_expect_str_eq(runner_fixture_applied(), "m2");
    cr_expect_str_eq(queue_fixture_take_dead(), "m1");
    cr_expect_not_null(strstr(rejection, "left a statement unfinished"), "%s", rejection);
}

/* The server ends idle sessions after wait_timeout: eight hours by default, but often only minutes. */
Test(runner_mysql, a_session_that_was_idle_for_too_long_is_no_outage)
{
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    for (int i = 2; i <= 4; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "m%d", i); /* fits */
        runner_fixture_end_sessions();
        runner_fixture_publish(id, "a", "x");
        runner_fixture_wait((uint64_t)i);
    }
    cr_expect_eq(runner_fixture_stop().database_outages, 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2 m3 m4");
}

static struct db *
connect_persistently(void *context)
{
    (void)context;
    const bool on = true;
    struct db *db = db_connect();
    (void)mysql_options(conn_of(db), MYSQL_OPT_RECONNECT, &on);
    return db;
}

static atomic_int losses;

/* The session ends, and `apply` ignores the error. */
static inbox_apply
go_on_in_another(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const inbox_apply answer = runner_fixture_apply(context, tx, delivery);
    if (atomic_fetch_sub(&losses, 1) > 0) {
        db_end_session(other, db_session(tx));
        (void)db_try(tx, "insert into marks values ('in another session')");
        (void)db_try(tx, "insert into marks values ('in another session')");
    }
    return answer;
}

Test(runner_mysql, a_connection_that_would_come_back_by_itself_stays_lost)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_persistently;
    options.apply = go_on_in_another;
    options.attempts_max = 1;
    atomic_store(&losses, 2);
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.database_outages, 2);
    cr_expect_eq(marks(), 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1");
}

/* Each new connection checks the form of the inbox table, and a wrong one is reported. */
Test(runner_mysql, an_inbox_that_guards_nothing_is_waited_for)
{
    db_exec(runner_fixture_db, "alter table inbox drop primary key");
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_start(&options);
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (runner_fixture_counters().database_outages < 2) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
    }
    cr_expect_eq(runner_fixture_counters().delivered, 0);
    db_exec(runner_fixture_db, "alter table inbox add primary key (consumer, message_id)");
    runner_fixture_wait(1);
    cr_expect_eq(runner_fixture_stop().applied, 1);
}
