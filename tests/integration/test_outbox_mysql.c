/* What only MariaDB, MySQL and their clients have, for liboutbox-mysql: settings of sessions, other ways to begin and
 * end transactions, reconnects, and the packets of the protocol. The rest: test_outbox.c. */
#include <criterion/criterion.h>
#include <outbox/outbox_mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mysql/client.h"
#include "tests/integration/message_fixture.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

static MYSQL *tx;
static struct outbox_error error;

static void
set_up(void)
{
    tx = mysql_fixture_create();
    outbox_mysql_fixture_load(tx);
}

static void
tear_down(void)
{
    mysql_fixture_drop(tx);
}

TestSuite(outbox_mysql, .init = set_up, .fini = tear_down, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(tx, sql);
}

static outbox_result
write_one(const char *payload)
{
    const struct outbox_message message = message_fixture_of(payload);
    memset(&error, 0, sizeof(error));
    return outbox_mysql_write(tx, &message, NULL, &error);
}

static void
expect_written(const char *payload)
{
    cr_assert_eq(write_one(payload), OUTBOX_OK, "%s", error.message);
}

static int64_t
row_count(void)
{
    return mysql_fixture_int(tx, "select count(*) from outbox");
}

static void
expect(outbox_result result, outbox_result wanted, const char *sqlstate, const char *words)
{
    message_fixture_expect(&error, result, wanted, sqlstate, words);
}

/* ---- what it writes ---- */

static void
expect_everything(void)
{
    cr_assert_str_eq(
        mysql_fixture_text(
            tx, "select concat_ws('|', hex(exchange), hex(routing_key), hex(`key`), hex(type), "
                "hex(content_type), hex(payload), deliver_after, "
                "json_unquote(json_extract(headers, '$.tenant')), "
                "hex(json_unquote(json_extract(headers, '$.note'))), payload_text is null) "
                "from outbox"),
        "6F726465727320|6F726465722E277061696427|6B657920E282ACF09F98805C|4F72646572225061696422|"
        "6170706C69636174696F6E2F6A736F6E3B205C27202D2D|7B00FF5C27BF27815C7D|"
        "2030-01-01 00:00:00.123456|7|6120226222205C200109E282AC|1");
}

static void
expect_everything_arrives(const char *settings)
{
    const struct outbox_message message = message_fixture_with_everything();
    run("delete from outbox");
    run(settings);
    run("begin");
    cr_assert_eq(outbox_mysql_write(tx, &message, NULL, &error), OUTBOX_OK, "%s: %s", settings,
                 error.message);
    run("commit");
    run("set names utf8mb4");
    run("set sql_mode = 'STRICT_TRANS_TABLES', time_zone = '+00:00', sql_select_limit = default");
    expect_everything();
}

Test(outbox_mysql, every_field_arrives_whatever_the_session_says)
{
    expect_everything_arrives("do 0");
    expect_everything_arrives("set sql_mode = ''");
    expect_everything_arrives("set sql_mode = 'ANSI'");
    expect_everything_arrives("set sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'");
    expect_everything_arrives("set sql_mode = 'TRADITIONAL,NO_AUTO_VALUE_ON_ZERO'");
    expect_everything_arrives("set sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION'");
    expect_everything_arrives("set time_zone = '+13:00'");
    expect_everything_arrives("set names latin1");
    expect_everything_arrives("set names gbk");
    expect_everything_arrives("set names sjis");
    expect_everything_arrives("set names big5");
    expect_everything_arrives("set names binary");
    expect_everything_arrives("set names utf8mb4 collate utf8mb4_general_ci");
    expect_everything_arrives("set sql_select_limit = 0");
    expect_everything_arrives("set session binlog_format = 'STATEMENT'");
    expect_everything_arrives("set session binlog_format = 'MIXED'");
}

Test(outbox_mysql, times_from_the_first_to_the_last)
{
    struct outbox_message message = message_fixture_of("x");
    run("set time_zone = '+05:30'");
    run("begin");
    message.deliver_after_us = 1;
    cr_assert_eq(outbox_mysql_write(tx, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    message.deliver_after_us = INT64_C(253402300799999999);
    cr_assert_eq(outbox_mysql_write(tx, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    cr_assert_str_eq(
        mysql_fixture_text(tx, "select group_concat(deliver_after order by id) from outbox"),
        "1970-01-01 00:00:00.000001,9999-12-31 23:59:59.999999");
    message.deliver_after_us++;
    expect(outbox_mysql_write(tx, &message, NULL, &error), OUTBOX_INVALID, "",
           "message 0: deliver_after_us is after the year 9999");
}

/* The library sends two questions for any number of messages, and prepares nothing. */
static int64_t
status_value(const char *name)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "show session status like '%s'", name); /* fits */
    cr_assert_eq(mysql_query(tx, sql), 0);
    MYSQL_RES *rows = mysql_store_result(tx);
    const int64_t value = strtoll(mysql_fetch_row(rows)[1], NULL, 10);
    mysql_free_result(rows);
    return value;
}

Test(outbox_mysql, two_round_trips_and_nothing_left_behind)
{
    struct outbox_message messages[100];
    for (int i = 0; i < 100; i++) {
        messages[i] = message_fixture_of("payload");
    }
    run("begin");
    const int64_t questions = status_value("Questions");
    cr_assert_eq(outbox_mysql_write_many(tx, messages, 100, NULL, &error), OUTBOX_OK);
    cr_assert_eq(status_value("Questions") - questions, 2 + 1, "the last is the question itself");
    cr_assert_eq(status_value("Com_stmt_prepare"), 0);
}

/* ---- transactions ---- */

Test(outbox_mysql, refuses_after_a_statement_that_commits)
{
    run("begin");
    run("create table commits_implicitly (a int)");
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(row_count(), 0);
}

Test(outbox_mysql, autocommit_off_is_a_transaction)
{
    run("set autocommit = 0");
    expect_written("gone");
    run("rollback");
    expect_written("stays");
    run("commit");
    run("set autocommit = 1");
    cr_assert_str_eq(mysql_fixture_text(tx, "select group_concat(payload) from outbox"), "stays");
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "no transaction");
}

static void
run_prepared(const char *sql)
{
    MYSQL_STMT *statement = mysql_stmt_init(tx);
    cr_assert_eq(mysql_stmt_prepare(statement, sql, strlen(sql)), 0, "%s",
                 mysql_stmt_error(statement));
    cr_assert_eq(mysql_stmt_execute(statement), 0, "%s", mysql_stmt_error(statement));
    (void)mysql_stmt_close(statement);
}

/* Like a driver that prepares every statement. (MySQL cannot prepare START TRANSACTION.) */
Test(outbox_mysql, what_prepared_statements_do_to_the_transaction_counts)
{
    run_prepared("set autocommit = 0");
    expect_written("x");
    run_prepared("commit");
    run_prepared("set autocommit = 1");
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(row_count(), 1);
}

/* A plain read would begin the snapshot, and the transaction would not see later commits. */
Test(outbox_mysql, does_not_begin_the_snapshot_of_the_transaction)
{
    MYSQL *other = mysql_fixture_connect();
    run("create table thing (n int)");
    run("set transaction isolation level repeatable read");
    run("begin");
    expect_written("x");
    mysql_fixture_exec(other, "insert into thing values (1)");
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from thing"), 1);
    mysql_close(other);
}

/* ---- what fails, and what has been rolled back then ---- */

/* Two transactions wait for each other. The server ends the one that has changed fewer rows, which is ours. The
 * caller's next statements close the circle. */
static MYSQL *
begin_deadlock(void)
{
    MYSQL *other = mysql_fixture_connect();
    run("create table thing (id int primary key, n int not null) engine = InnoDB");
    run("insert into thing values (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)");
    run("begin");
    run("update thing set n = 1 where id = 1");
    mysql_fixture_exec(other, "begin");
    mysql_fixture_exec(other, "update thing set n = 2 where id > 1");
    return other;
}

static void
end_deadlock(MYSQL *other)
{
    cr_assert_eq(mysql_read_query_result(other), 0, "it was the victim: %s", mysql_error(other));
    mysql_fixture_exec(other, "rollback");
    mysql_close(other);
}

#define LOCK_ROW_1 "update thing set n = 2 where id = 1"

static void
overlook_a_deadlock(void)
{
    MYSQL *other = begin_deadlock();
    cr_assert_eq(mysql_send_query(other, LOCK_ROW_1, strlen(LOCK_ROW_1)), 0);
    cr_assert_eq(mysql_fixture_try(tx, "update thing set n = 1 where id = 2"), 1213);
    cr_assert_neq(tx->server_status & SERVER_STATUS_IN_TRANS, 0, "as far as the client knows");
    end_deadlock(other);
}

/* Why the library asks the server before it writes: an application that ignored the error of its own statement has no
 * transaction any more. */
Test(outbox_mysql, a_deadlock_that_the_application_overlooked_is_noticed)
{
    overlook_a_deadlock();
    expect(write_one("lost"), OUTBOX_NO_TRANSACTION, "", "has rolled back the transaction");
    cr_assert_eq(row_count(), 0);
}

Test(outbox_mysql, it_is_noticed_with_autocommit_off_too)
{
    run("set autocommit = 0");
    overlook_a_deadlock();
    expect(write_one("lost"), OUTBOX_NO_TRANSACTION, "", "has rolled back the transaction");
    run("commit");
    cr_assert_eq(row_count(), 0);
    expect_written("x");
    run("commit");
}

/* Writers block a change of the tables' version, and it blocks them. */
Test(outbox_mysql, a_change_of_the_version_is_waited_for)
{
    MYSQL *other = mysql_fixture_connect();
    run("begin");
    expect_written("x");
    mysql_fixture_exec(other, "set innodb_lock_wait_timeout = 1");
    cr_assert_eq(mysql_fixture_try(other, "update outbox_schema set version = 2"), 1205);
    run("commit");
    mysql_fixture_exec(other, "update outbox_schema set version = 2");
    mysql_close(other);
    run("begin");
    expect(write_one("x"), OUTBOX_SCHEMA, "", "have version 2, this library writes version 1");
}

static void
kill_session(void)
{
    MYSQL *other = mysql_fixture_connect();
    mysql_fixture_kill(other, mysql_thread_id(tx));
    mysql_close(other);
}

static void
expect_lost(void)
{
    const outbox_result result = write_one("x");
    cr_assert_eq(result, OUTBOX_CONNECTION, "%s: %s", outbox_result_name(result), error.message);
    cr_assert_not_null(strstr(error.message, "the server rolls back the transaction"), "%s",
                       error.message);
}

/* Without any answer from the server. */
Test(outbox_mysql, connection_lost)
{
    run("begin");
    cr_assert_eq(shutdown(mysql_client_socket(tx), SHUT_RDWR), 0);
    expect(write_one("x"), OUTBOX_CONNECTION, "", "the server rolls back the transaction");
}

static void
allow_reconnect(void)
{
    const bool on = true;
    cr_assert_eq(mysql_options(tx, MYSQL_OPT_RECONNECT, &on), 0);
}

Test(outbox_mysql, a_transaction_does_not_go_on_on_another_connection)
{
    allow_reconnect();
    run("begin");
    kill_session();
    expect_lost();
    mysql_close(tx);
    tx = mysql_fixture_connect();
    cr_assert_eq(row_count(), 0);
}

/* With autocommit off, the client knows of no transaction before the first statement. If it cannot send, it reconnects
 * by itself: to a session with autocommit on, or off if an option asks for that. */
static void
expect_no_other_connection(void)
{
    allow_reconnect();
    run("set autocommit = 0");
    cr_assert_eq(shutdown(mysql_client_socket(tx), SHUT_RDWR), 0);
    expect(write_one("x"), OUTBOX_CONNECTION, "", "made anew");
    run("commit");
    cr_assert_eq(row_count(), 0);
}

Test(outbox_mysql, a_connection_made_anew_is_noticed)
{
    expect_no_other_connection();
    cr_assert_eq(mysql_options(tx, MYSQL_INIT_COMMAND, "set autocommit = 0"), 0);
    expect_no_other_connection();
}

Test(outbox_mysql, refuses_a_connection_that_is_busy)
{
    run("begin");
    cr_assert_eq(mysql_query(tx, "select 1"), 0);
    expect(write_one("x"), OUTBOX_INVALID, "", "busy");
    MYSQL_RES *rows = mysql_store_result(tx);
    cr_assert_not_null(rows, "the result of the caller was taken away");
    cr_assert_str_eq(mysql_fetch_row(rows)[0], "1");
    mysql_free_result(rows);
    expect_written("x");
    /* Also if further results of several statements are waiting. */
    cr_assert_eq(mysql_set_server_option(tx, MYSQL_OPTION_MULTI_STATEMENTS_ON), 0);
    cr_assert_eq(mysql_query(tx, "select 1; select 2"), 0);
    mysql_free_result(mysql_store_result(tx));
    expect(write_one("x"), OUTBOX_INVALID, "", "busy");
    cr_assert_eq(mysql_next_result(tx), 0);
    mysql_free_result(mysql_store_result(tx));
    expect_written("x");
}

/* Other answers of a server, as far as a trigger can produce them. */
Test(outbox_mysql, errors_say_what_to_do)
{
    static const struct {
        unsigned number;
        outbox_result result;
        const char *words;
    } cases[] = {
        {1213, OUTBOX_RETRY, "rolled back the whole transaction"},
        {1205, OUTBOX_RETRY, "only this statement"},
        {1020, OUTBOX_RETRY, "roll back, and run"},
        {1613, OUTBOX_RETRY, "roll back the XA transaction"},
        {1614, OUTBOX_RETRY, "roll back the XA transaction"},
        {1053, OUTBOX_CONNECTION, "connect, and run all of it again"},
        {1077, OUTBOX_CONNECTION, "connect, and run all of it again"},
        {1927, OUTBOX_CONNECTION, "connect, and run all of it again"},
        {3169, OUTBOX_CONNECTION, "connect, and run all of it again"},
        {4031, OUTBOX_CONNECTION, "connect, and run all of it again"},
        {1153, OUTBOX_CONNECTION, "raise max_allowed_packet"},
        {1449, OUTBOX_SCHEMA, "make it again"},
        {1142, OUTBOX_DATABASE, "made to fail (1142)"},
        {1062, OUTBOX_DATABASE, "made to fail (1062)"},
        {1317, OUTBOX_DATABASE, "made to fail (1317)"},
        {3819, OUTBOX_INVALID, "made to fail (3819)"},
        {4025, OUTBOX_INVALID, "made to fail (4025)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sql[300];
        (void)snprintf(sql, sizeof(sql),
                       "create trigger fail before insert on outbox for each row signal sqlstate "
                       "'45678' set message_text = 'made to fail', mysql_errno = %u",
                       cases[i].number); /* fits */
        run(sql);
        run("begin");
        expect(write_one("x"), cases[i].result, "45678", cases[i].words);
        run("rollback");
        run("drop trigger fail");
    }
}

/* ---- how much fits ---- */

static outbox_result
write_zeros(const void *zeros, size_t length)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.payload = zeros;
    message.payload_length = length;
    return outbox_mysql_write(tx, &message, NULL, &error);
}

/* The library and the server have the same limit, to the byte. What is larger is refused before it is sent, and the
 * transaction goes on. */
Test(outbox_mysql, max_allowed_packet_is_named_before_it_is_reached)
{
    const size_t packet = (size_t)mysql_fixture_int(tx, "select @@max_allowed_packet");
    size_t good = packet / 4;
    size_t bad = packet / 2;
    unsigned char *zeros = calloc(bad, 1);
    cr_assert_not_null(zeros);
    run("begin");
    run("savepoint s");
    cr_assert_eq(write_zeros(zeros, good), OUTBOX_OK, "%s", error.message);
    while (bad - good > 1) {
        const size_t middle = good + (bad - good) / 2;
        const outbox_result result = write_zeros(zeros, middle);
        cr_assert(result == OUTBOX_OK || result == OUTBOX_INVALID, "%zu of %zu: %s", middle, packet,
                  error.message);
        *(result == OUTBOX_OK ? &good : &bad) = middle;
        run("rollback to s");
    }
    expect(write_zeros(zeros, bad), OUTBOX_INVALID, "", "max_allowed_packet, 16777216 bytes");
    cr_assert_gt(2 * good, packet - 1000);
    expect_written("x");
    free(zeros);
}

/* ---- the tables ---- */

Test(outbox_mysql, no_database_chosen)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "drop database %s", mysql_fixture_database()); /* fits */
    run(sql);
    run("begin");
    expect(write_one("x"), OUTBOX_SCHEMA, "3D000", "choose the database");
    (void)snprintf(sql, sizeof(sql), "create database %s", mysql_fixture_database()); /* fits */
    run(sql);
}

Test(outbox_mysql, raw_headers_stay_as_they_are)
{
    struct outbox_message message = message_fixture_of("x");
    message.headers_json = " {\"n\": 1, \"b\": true}";
    run("begin");
    cr_assert_eq(outbox_mysql_write(tx, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    cr_assert_str_eq(mysql_fixture_text(tx, "select headers from outbox"), message.headers_json);
}
