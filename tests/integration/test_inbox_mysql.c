#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/fail_alloc.h"
#include "tests/integration/mysql_fixture.h"

#define EURO "\xe2\x82\xac"

/* What only MariaDB, MySQL and their clients have: settings of sessions and of connections, other ways to begin a
 * transaction, and an inbox object that is made in advance. */
static MYSQL *tx;
static MYSQL *other;
static inbox_mysql *inbox;
static struct inbox_error error;

static void
set_up(void)
{
    tx = mysql_fixture_create();
    other = mysql_fixture_connect();
    mysql_fixture_load(tx, "consumers/mysql/schema.sql");
    mysql_fixture_load(tx, "consumers/mysql/schema_newest.sql");
    cr_assert_eq(inbox_mysql_new(tx, &inbox, &error), INBOX_OK, "%s", error.message);
}

static void
tear_down(void)
{
    inbox_mysql_free(inbox);
    mysql_close(other);
    mysql_fixture_drop(tx);
}

TestSuite(inbox_mysql, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
claim_bytes(MYSQL *conn, const char *consumer, const char *id, size_t length)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result =
        inbox_mysql_claim(inbox, conn, consumer, id, length, &verdict, &error);
    cr_assert_eq(result == INBOX_OK, verdict != 0);
    cr_assert_eq(error.code, result);
    return verdict;
}

static inbox_verdict
claim(MYSQL *conn, const char *consumer, const char *id)
{
    return claim_bytes(conn, consumer, id, strlen(id));
}

static void
expect_error(inbox_result code, const char *sqlstate, const char *words)
{
    cr_assert_eq(error.code, code, "%s: %s", inbox_result_name(error.code), error.message);
    cr_assert_str_eq(error.sqlstate, sqlstate, "%s", error.message);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
    cr_assert_lt(strlen(error.message) + 1, sizeof(error.message), "cut: %s", error.message);
}

static void
expect_failure(inbox_verdict verdict, inbox_result code, const char *sqlstate, const char *words)
{
    cr_assert_eq(verdict, 0);
    expect_error(code, sqlstate, words);
}

static int64_t
count_rows(void)
{
    return mysql_fixture_int(tx, "select count(*) from inbox");
}

Test(inbox_mysql, refuses_without_an_inbox)
{
    inbox_verdict verdict = 0;
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(inbox_mysql_claim(NULL, tx, "billing", "m1", 2, NULL, &error), INBOX_INVALID);
    expect_error(INBOX_INVALID, "", "inbox is NULL");
    cr_assert_eq(inbox_mysql_advance(NULL, tx, "c", "k", 1, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_forget(NULL, tx, 1, 1, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_new(tx, NULL, &error), INBOX_INVALID);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "the transaction was as it was");
}

Test(inbox_mysql, refuses_a_busy_connection)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(mysql_query(tx, "select 1"), 0);
    expect_failure(claim(tx, "billing", "m1"), INBOX_INVALID, "", "busy");
    mysql_free_result(mysql_store_result(tx));
    cr_assert_eq(mysql_set_server_option(tx, MYSQL_OPTION_MULTI_STATEMENTS_ON), 0);
    cr_assert_eq(mysql_query(tx, "select 1; select 2"), 0);
    mysql_free_result(mysql_store_result(tx));
    expect_failure(claim(tx, "billing", "m1"), INBOX_INVALID, "", "busy");
    cr_assert_eq(mysql_next_result(tx), 0);
    mysql_free_result(mysql_store_result(tx));
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "with several statements allowed: %s",
                 error.message);
}

/* Without strict mode, the server would shorten an id that is too long, and so make it equal to another one. */
Test(inbox_mysql, nothing_is_cut)
{
    char longest[256];
    memset(longest, 'x', sizeof(longest));
    mysql_fixture_exec(tx, "set sql_mode = ''");
    mysql_fixture_exec(tx, "begin");
    expect_failure(claim_bytes(tx, "billing", longest, 256), INBOX_INVALID, "", "255 bytes");
    cr_assert_eq(claim_bytes(tx, "billing", longest, 255), INBOX_FIRST, "%s", error.message);
    longest[255] = '\0';
    longest[254] = 'y';
    cr_assert_eq(claim_bytes(tx, longest, longest, 255), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim_bytes(tx, longest, longest, 255), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(mysql_fixture_int(tx, "select sum(length(message_id)) from inbox"), 510);
}

Test(inbox_mysql, with_autocommit_off_there_is_a_transaction)
{
    mysql_fixture_exec(tx, "set autocommit = 0");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    mysql_fixture_exec(tx, "rollback");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    mysql_fixture_exec(tx, "rollback");
    cr_assert_eq(count_rows(), 0);
}

Test(inbox_mysql, an_xa_transaction_is_one)
{
    mysql_fixture_exec(tx, "xa start 'inbox_test'");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    mysql_fixture_exec(tx, "xa end 'inbox_test'");
    mysql_fixture_exec(tx, "xa commit 'inbox_test' one phase");
    cr_assert_eq(count_rows(), 1);
}

static inbox_result
claim_many(MYSQL *conn, const char *const *texts, size_t count, inbox_verdict *ret_verdicts,
           struct inbox_error *reterr)
{
    struct inbox_id ids[16];
    for (size_t i = 0; i < count; i++) {
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    return inbox_mysql_claim_many(inbox, conn, "billing", ids, count, ret_verdicts, reterr);
}

/* A claim in its own thread, because it blocks. */
struct attempt {
    MYSQL *conn;
    const char *const *texts;
    size_t count;
    inbox_verdict verdicts[16];
    inbox_result result;
    struct inbox_error error;
    pthread_t thread;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result = claim_many(attempt->conn, attempt->texts, attempt->count, attempt->verdicts,
                                 &attempt->error);
    mysql_thread_end();
    return NULL;
}

/* Returns when the attempt waits for a lock. */
static void
start_attempt(struct attempt *attempt)
{
    MYSQL *watcher = mysql_fixture_connect();
    cr_assert_eq(pthread_create(&attempt->thread, NULL, run_attempt, attempt), 0);
    mysql_fixture_wait_blocked(watcher, mysql_thread_id(attempt->conn));
    mysql_close(watcher);
}

Test(inbox_mysql, with_snapshot_isolation_it_is_a_retry)
{
    if (!mysql_fixture_is_mariadb(tx)) {
        return; /* MySQL does not have this */
    }
    mysql_fixture_exec(tx, "set innodb_snapshot_isolation = on");
    mysql_fixture_exec(tx, "set session transaction isolation level repeatable read");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(count_rows(), 0);
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_FIRST);
    mysql_fixture_exec(other, "commit");
    expect_failure(claim(tx, "billing", "m1"), INBOX_RETRY, "HY000", "run all of it again");
}

/* Reads after the wait for another claim must show that claim's effect. */
Test(inbox_mysql, claim_does_not_fix_what_the_transaction_sees)
{
    static const char *const texts[] = {"m1", "m2"};
    struct attempt attempt = {.conn = other, .texts = texts, .count = 2};
    mysql_fixture_exec(tx, "create table account (amount int)");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    mysql_fixture_exec(tx, "insert into account values (10)");
    mysql_fixture_exec(other, "set session transaction isolation level repeatable read");
    mysql_fixture_exec(other, "begin");
    start_attempt(&attempt);
    mysql_fixture_exec(tx, "commit");
    cr_assert_eq(pthread_join(attempt.thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    cr_assert_eq(attempt.verdicts[0], INBOX_DUPLICATE);
    cr_assert_eq(attempt.verdicts[1], INBOX_FIRST);
    cr_assert_eq(mysql_fixture_int(other, "select count(*) from account"), 1);
}

Test(inbox_mysql, another_database_is_another_inbox)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "create database %s_b", mysql_fixture_database());
    mysql_fixture_exec(tx, sql);
    (void)snprintf(sql, sizeof(sql), "%s_b", mysql_fixture_database());
    cr_assert_eq(mysql_select_db(tx, sql), 0);
    mysql_fixture_exec(tx, "begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "42S02", "schema.sql");
    mysql_fixture_exec(tx, "rollback");
    mysql_fixture_load(tx, "consumers/mysql/schema.sql");
    mysql_fixture_exec(tx, "begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "", "was made for");
    mysql_fixture_exec(tx, "rollback");
    (void)snprintf(sql, sizeof(sql), "drop database %s_b", mysql_fixture_database());
    mysql_fixture_exec(tx, sql);
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "3D000", "default database");
}

/* The client reconnects by itself, to a session with autocommit. The claim must not be committed there. */
Test(inbox_mysql, a_client_that_reconnects_claims_nothing_outside)
{
    const bool reconnect = true;
    mysql_fixture_exec(tx, "set autocommit = 0");
    cr_assert_eq(mysql_options(tx, MYSQL_OPT_RECONNECT, &reconnect), 0);
    mysql_fixture_kill(other, mysql_thread_id(tx));
    cr_assert_eq(claim(tx, "billing", "m1"), 0);
    cr_assert(error.code == INBOX_NO_TRANSACTION || error.code == INBOX_CONNECTION, "%s: %s",
              inbox_result_name(error.code), error.message);
    cr_assert_eq(mysql_fixture_int(other, "select count(*) from inbox"), 0);
}

static void
expect_inbox_found(void)
{
    inbox_mysql *another = NULL;
    cr_assert_eq(inbox_mysql_new(tx, &another, &error), INBOX_OK, "%s", error.message);
    inbox_mysql_free(another);
}

/* Claims and forgets with this setting of the session. */
static void
expect_the_same_with(const char *setting)
{
    static const char *const name = EURO "'\"\\` \\' -- ";
    mysql_fixture_exec(tx, setting);
    expect_inbox_found();
    mysql_fixture_exec(tx, "start transaction"); /* ORACLE has another `begin` */
    cr_assert_eq(claim(tx, name, name), INBOX_FIRST, "%s: %s", setting, error.message);
    cr_assert_eq(claim(tx, name, name), INBOX_DUPLICATE, "%s", setting);
    mysql_fixture_exec(tx, "commit");
    cr_assert_eq(mysql_fixture_int(other, "select count(*) from inbox where message_id = "
                                          "x'e282ac27225c60205c27202d2d20'"),
                 1, "%s", setting);
    cr_assert_eq(inbox_mysql_forget(inbox, tx, 1, 1, NULL, &error), INBOX_OK, "%s: %s", setting,
                 error.message);
    mysql_fixture_exec(tx, "delete from inbox");
}

Test(inbox_mysql, character_set_and_sql_mode_do_not_matter)
{
    static const char *const settings[] = {
        "set names latin1",
        "set names gbk",
        "set names sjis",
        "set names utf8mb4",
        "set sql_mode = ''",
        "set sql_mode = 'ANSI'",
        "set sql_mode = 'NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,TRADITIONAL'"};
    static const char *const mariadbs[] = {
        "set sql_mode = 'ORACLE'",
        "set sql_mode = 'EMPTY_STRING_IS_NULL,SIMULTANEOUS_ASSIGNMENT,HIGH_NOT_PRECEDENCE'"};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        expect_the_same_with(settings[i]);
    }
    for (size_t i = 0; mysql_fixture_is_mariadb(tx) && i < 2; i++) {
        expect_the_same_with(mariadbs[i]);
    }
}

/* Settings that an application may have made in its session. */
Test(inbox_mysql, settings_of_the_session_do_not_matter)
{
    static const char *const texts[] = {"a", "b", "c"};
    static const char *const settings[] = {"set sql_select_limit = 0", "set sql_select_limit = 1",
                                           "set sql_safe_updates = 1", "set unique_checks = 0",
                                           "set time_zone = '-09:00'"};
    inbox_verdict verdicts[3];
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        MYSQL *conn = mysql_fixture_connect();
        mysql_fixture_exec(tx, "delete from inbox");
        mysql_fixture_exec(conn, settings[i]);
        mysql_fixture_exec(conn, "begin");
        cr_assert_eq(claim(conn, "billing", "b"), INBOX_FIRST, "%s: %s", settings[i],
                     error.message);
        cr_assert_eq(claim(conn, "billing", "c"), INBOX_FIRST);
        cr_assert_eq(claim_many(conn, texts, 3, verdicts, &error), INBOX_OK, "%s: %s", settings[i],
                     error.message);
        cr_assert_eq(verdicts[0], INBOX_FIRST, "%s", settings[i]);
        cr_assert_eq(verdicts[1], INBOX_DUPLICATE, "%s", settings[i]);
        cr_assert_eq(verdicts[2], INBOX_DUPLICATE, "%s", settings[i]);
        mysql_fixture_exec(conn, "commit");
        cr_assert_eq(mysql_fixture_int(tx, "select count(*) from inbox where seen_at between "
                                           "utc_timestamp(6) - interval 5 minute and "
                                           "utc_timestamp(6)"),
                     3, "seen_at is not in UTC: %s", settings[i]);
        mysql_close(conn);
    }
}

static inbox_verdict
advance(MYSQL *conn, int64_t version)
{
    inbox_verdict verdict = 0;
    cr_assert_eq(inbox_mysql_advance(inbox, conn, "billing", "k1", 2, version, &verdict, &error),
                 INBOX_OK, "%s", error.message);
    return verdict;
}

/* Connections on which an update that changes nothing counts as one row. */
Test(inbox_mysql, found_rows_do_not_matter)
{
    MYSQL *conn = mysql_fixture_connect_with(CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS);
    mysql_fixture_exec(conn, "set sql_select_limit = 0");
    mysql_fixture_exec(conn, "begin");
    cr_assert_eq(claim(conn, "billing", "m1"), INBOX_FIRST);
    cr_assert_eq(claim(conn, "billing", "m1"), INBOX_DUPLICATE);
    cr_assert_eq(advance(conn, 7), INBOX_FIRST);
    cr_assert_eq(advance(conn, 7), INBOX_DUPLICATE);
    cr_assert_eq(advance(conn, 6), INBOX_OUTDATED);
    cr_assert_eq(advance(conn, 8), INBOX_FIRST);
    mysql_close(conn);
}

Test(inbox_mysql, no_memory_for_an_inbox)
{
    unsigned nth = 1;
    for (;; nth++) {
        inbox_mysql *another = NULL;
        fail_alloc_arm(nth);
        const inbox_result result = inbox_mysql_new(tx, &another, &error);
        inbox_mysql_free(another);
        if (!fail_alloc_happened()) {
            break;
        }
        cr_assert_eq(result, INBOX_NO_MEMORY, "allocation %u", nth);
    }
    cr_assert_gt(nth, 1);
}
