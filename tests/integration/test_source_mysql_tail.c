/* The log of a MySQL source: columns, which have no names there, two-phase transactions, whose rows are where they were
 * prepared, and statements instead of rows. The rest: test_source_tail.c. Tests that change the server's settings or its
 * log: test_source_tail_server.c and test_source_mysql_tail_server.c. */
#include <criterion/criterion.h>
#include <mysql.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_tail_fixture.h"

TestSuite(source_mysql_tail, .init = tail_create, .fini = tail_drop, .timeout = 120);

/* It does not come by the log, because the table was read after its commit (relay/mysql/source_watermark.h). */
Test(source_mysql_tail, a_transaction_that_was_prepared_before_does_not_come)
{
    struct db *session = db_connect();
    db_prepare(session, "tail", "insert into outbox (payload) values ('1')");
    db_close(session);
    (void)source_fixture_tail(source, 0);
    db_end_prepared(admin, "tail", true);
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

Test(source_mysql_tail, a_transaction_of_two_phases_that_is_committed_in_one)
{
    char sql[200];
    const char *const name = mysql_fixture_database(); /* such names are the server's */
    (void)source_fixture_tail(source, 0);
    (void)snprintf(sql, sizeof(sql),
                   "xa start '%s'; insert into outbox (payload) values ('1'); xa end '%s'; "
                   "xa commit '%s' one phase",
                   name, name, name); /* fits */
    tail_run(sql);
    tail_expect_rows(1, 1, 1);
}

/* The log has only the places of columns, and these change. So reading begins again after the change. */
Test(source_mysql_tail, columns_may_come_and_go)
{
    const log_position before = source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    tail_run("alter table outbox add column tenant varchar(10) default 'x' after id");
    const struct error error = source_fixture_end_of_log(source, ERROR_TRANSIENT);
    tail_expect_words(&error, "the definition of table outbox");
    cr_assert_gt(source_fixture_tail(source, before), before);
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

/* As gh-ost and pt-online-schema-change do: a copy that takes the name. */
Test(source_mysql_tail, a_table_that_takes_the_name)
{
    (void)source_fixture_tail(source, 0);
    tail_run("create table _outbox_gho like outbox");
    (void)source_fixture_end_of_log(source, ERROR_TRANSIENT);
    const log_position behind = tail_log_end();
    tail_run("alter table _outbox_gho add column tenant varchar(10) first");
    cr_assert_eq(source_fixture_tail(source, behind), behind);
    tail_run("insert into outbox (payload) values ('1')");
    tail_run(
        "insert into _outbox_gho (id, message_id, routing_key, payload, created_at) select id, "
        "message_id, routing_key, payload, created_at from outbox");
    tail_expect_rows(1, 1, 1);
    (void)tail_expect_position(tail_log_end());
    tail_run("rename table outbox to _outbox_del, _outbox_gho to outbox");
    (void)source_fixture_end_of_log(source, ERROR_TRANSIENT);
    (void)source_fixture_tail(source, tail_log_end());
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

static void
run_in_a_session(const char *setting, const char *sql)
{
    struct db *session = db_connect();
    db_exec(session, setting);
    db_exec(session, sql);
    db_close(session);
}

static void
expect_end(const char *words)
{
    const struct error error = source_fixture_end_of_log(source, ERROR_CONFIG);
    tail_expect_words(&error, words);
}

/* Begins to read behind the event that ended the reading. */
static void
expect_begun_behind(int64_t next_id)
{
    (void)source_fixture_tail(source, tail_log_end());
    tail_run("insert into outbox (payload) values ('x')");
    tail_expect_rows(next_id, 1, 1);
}

Test(source_mysql_tail, statements_and_rows_in_part)
{
    (void)source_fixture_tail(source, 0);
    run_in_a_session("set session binlog_format = 'STATEMENT'",
                     "insert into outbox (message_id, payload) values (unhex(repeat('0a', 16)), "
                     "'1')");
    expect_end("let all sessions have binlog_format = ROW");
    expect_begun_behind(2);
    run_in_a_session("set session binlog_row_image = 'MINIMAL'",
                     "insert into outbox (payload) values ('3')");
    expect_end("rows of the outbox are not whole in the log");
    expect_begun_behind(4);
}

/* Grants these rights on `where` to an account. */
static void
grant(const char *user, const char *rights, const char *where)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "grant %s on %s to '%s'@'%%'", rights, where, user); /* fits */
    tail_run(sql);
}

Test(source_mysql_tail, an_account_that_may_not_read_the_log_is_told_how_it_may)
{
    char user[64];
    const bool is_mariadb = mysql_fixture_is_mariadb(db_conn(admin));
    const char *const monitor = is_mariadb ? "binlog monitor" : "replication client";
    (void)snprintf(user, sizeof(user), "source_tail_%ld", (long)getpid()); /* fits */
    db_create_user(admin, user, "secret");
    db_grant_relay(admin, user);
    if (!is_mariadb) { /* to see who writes the outbox */
        grant(user, "select", "performance_schema.*");
    }
    source_fixture_close(source, &config);
    config = source_fixture_here_as(user, TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
    tail_expect_refused("may not ask where the log ends", monitor);
    grant(user, monitor, "*.*");
    tail_expect_refused("may not read the log", "replication slave");
    grant(user, "replication slave", "*.*");
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    tail_reopen();
    db_drop_user(admin, user);
}

Test(source_mysql_tail, a_column_in_another_character_set)
{
    tail_run(
        "alter table outbox modify routing_key varchar(256) character set latin1 not null default "
        "''");
    tail_expect_refused("column \"routing_key\"", "utf8mb4");
}

static void
await_wait_for_table(void)
{
    const uint64_t deadline_us = clock_monotonic_us() + WAIT_US;
    while (db_int(admin, "select count(*) from " MYSQL_SESSIONS " "
                         "where db = database() "
                         "and state = 'Waiting for table metadata lock'") == 0) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "nobody waits for a table");
        (void)usleep(5000); /* shorter is fine */
    }
}

static void
ask_who_writes(void)
{
    source->ops->watermark(source, clock_monotonic_us());
}

/* The look waits for a lock here. */
Test(source_mysql_tail, the_log_begins_while_a_look_at_who_writes_is_out)
{
    struct db *other = db_connect();
    ask_who_writes();
    (void)source_fixture_expect(source, SOURCE_FINAL);
    db_exec(other, "lock tables outbox write");
    ask_who_writes();
    await_wait_for_table();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    db_exec(other, "unlock tables");
    (void)source_fixture_expect(source, SOURCE_FINAL);
    (void)source_fixture_expect(source, SOURCE_TAILING);
    db_close(other);
}
