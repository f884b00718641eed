#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"

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

TestSuite(inbox_mysql_advance, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
advance(MYSQL *conn, const char *consumer, const char *key, int64_t version)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result =
        inbox_mysql_advance(inbox, conn, consumer, key, strlen(key), version, &verdict, &error);
    cr_assert_eq(result == INBOX_OK, verdict != 0);
    cr_assert_eq(error.code, result);
    return verdict;
}

static void
expect_failure(inbox_verdict verdict, inbox_result code, const char *sqlstate, const char *words)
{
    cr_assert_eq(verdict, 0);
    cr_assert_eq(error.code, code, "%s: %s", inbox_result_name(error.code), error.message);
    cr_assert_str_eq(error.sqlstate, sqlstate, "%s", error.message);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
    cr_assert_lt(strlen(error.message) + 1, sizeof(error.message), "cut: %s", error.message);
}

Test(inbox_mysql_advance, newer_same_older)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_DUPLICATE, "in the same transaction");
    mysql_fixture_exec(tx, "commit");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_DUPLICATE);
    cr_assert_eq(advance(other, "billing", "k1", 6), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "billing", "k1", 9), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(other, "billing", "k1", 8), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "mailing", "k1", 1), INBOX_FIRST, "another consumer");
    cr_assert_eq(advance(other, "billing", "k2", 1), INBOX_FIRST, "another key");
    mysql_fixture_exec(other, "commit");
    cr_assert_eq(mysql_fixture_int(tx, "select sum(version) from inbox_newest"), 11);
}

Test(inbox_mysql_advance, lowest_and_highest)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", -1), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", 0), INBOX_OUTDATED);
}

Test(inbox_mysql_advance, rolled_back_is_not_advanced)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    mysql_fixture_exec(tx, "rollback");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 6), INBOX_FIRST);
}

Test(inbox_mysql_advance, rules_are_told)
{
    static char key[1025];
    memset(key, 'k', sizeof(key));
    expect_failure(advance(tx, "billing", "k1", 1), INBOX_NO_TRANSACTION, "", "no transaction");
    mysql_fixture_exec(tx, "begin");
    expect_failure(advance(tx, "", "k1", 1), INBOX_INVALID, "", "consumer");
    expect_failure(advance(tx, "billing", "", 1), INBOX_INVALID, "", "no key");
    expect_failure(advance(tx, "billing", "\xff", 1), INBOX_INVALID, "", "UTF-8");
    expect_failure(advance(NULL, "billing", "k1", 1), INBOX_CONNECTION, "", "not open");
    inbox_verdict verdict = 0;
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "c", key, 1025, 1, &verdict, &error),
                 INBOX_INVALID);
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "c", NULL, 1, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_advance(NULL, tx, "c", "k", 1, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "c", "k", 1, 1, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(verdict, INBOX_DUPLICATE);
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from inbox_newest"), 1);
}

Test(inbox_mysql_advance, keys_are_bytes)
{
    static const char *const keys[] = {"a", "A", "a ", "\xc3\xa4", "'\\"};
    mysql_fixture_exec(tx, "set names latin1");
    mysql_fixture_exec(tx, "begin");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_FIRST, "key %d", i);
    }
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_DUPLICATE, "key %d", i);
    }
}

Test(inbox_mysql_advance, found_rows_do_not_matter)
{
    MYSQL *conn = mysql_fixture_connect_with(CLIENT_FOUND_ROWS);
    mysql_fixture_exec(conn, "set sql_select_limit = 0");
    mysql_fixture_exec(conn, "begin");
    cr_assert_eq(advance(conn, "billing", "k1", 7), INBOX_FIRST);
    cr_assert_eq(advance(conn, "billing", "k1", 7), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(advance(conn, "billing", "k1", 6), INBOX_OUTDATED);
    cr_assert_eq(advance(conn, "billing", "k1", 8), INBOX_FIRST);
    mysql_close(conn);
}

/* An advance in a thread of its own: it blocks. */
struct attempt {
    MYSQL *conn;
    int64_t version;
    inbox_verdict verdict;
    inbox_result result;
    struct inbox_error error;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result = inbox_mysql_advance(inbox, attempt->conn, "billing", "k1", 2,
                                          attempt->version, &attempt->verdict, &attempt->error);
    mysql_thread_end();
    return NULL;
}

/* Another transaction is at version 5 of the same key, and ends in some way while this one waits. */
static void
expect_while_open(int64_t version, const char *how_it_ends, inbox_verdict wanted)
{
    struct attempt attempt = {.conn = other, .version = version};
    MYSQL *watcher = mysql_fixture_connect();
    pthread_t thread;
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 5), INBOX_FIRST);
    cr_assert_eq(pthread_create(&thread, NULL, run_attempt, &attempt), 0);
    mysql_fixture_wait_blocked(watcher, mysql_thread_id(other));
    mysql_fixture_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    cr_assert_eq(attempt.verdict, wanted, "version %" PRId64 " after %s", version, how_it_ends);
    mysql_fixture_exec(other, "rollback");
    mysql_fixture_exec(tx, "delete from inbox_newest");
    mysql_close(watcher);
}

Test(inbox_mysql_advance, waits_for_another_transaction)
{
    expect_while_open(4, "commit", INBOX_OUTDATED);
    expect_while_open(5, "commit", INBOX_DUPLICATE);
    expect_while_open(6, "commit", INBOX_FIRST);
    expect_while_open(4, "rollback", INBOX_FIRST);
}

Test(inbox_mysql_advance, what_the_snapshot_cannot_see)
{
    mysql_fixture_plain_isolation(tx);
    mysql_fixture_exec(tx, "set session transaction isolation level repeatable read");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from inbox_newest"), 0);
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_FIRST);
    mysql_fixture_exec(other, "commit");
    cr_assert_eq(advance(tx, "billing", "k1", 6), INBOX_OUTDATED, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", 8), INBOX_FIRST, "%s", error.message);
}

enum { KEYS = 100 };

/* A consumer that gets one version of each key, at the same moment as another gets another. */
struct consumer {
    MYSQL *conn;
    int version;
    pthread_barrier_t *barrier;
    int failures;
    pthread_t thread;
};

/* As a consumer does: what is newer is written into a table. */
static inbox_result
apply(MYSQL *conn, const char *key, int version)
{
    char sql[128];
    inbox_verdict verdict = 0;
    (void)snprintf(sql, sizeof(sql), "replace into state values ('%s', %d)", key, version);
    mysql_fixture_exec(conn, "begin");
    const inbox_result result =
        inbox_mysql_advance(inbox, conn, "billing", key, strlen(key), version, &verdict, NULL);
    if (result == INBOX_OK && verdict == INBOX_FIRST) {
        mysql_fixture_exec(conn, sql);
    }
    mysql_fixture_exec(conn, result == INBOX_OK ? "commit" : "rollback");
    return result;
}

static void *
run_consumer(void *argument)
{
    struct consumer *consumer = argument;
    mysql_fixture_exec(consumer->conn, "set session transaction isolation level read committed");
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        inbox_result result = INBOX_RETRY;
        (void)snprintf(key, sizeof(key), "key-%d", i);
        (void)pthread_barrier_wait(consumer->barrier);
        while (result == INBOX_RETRY) {
            result = apply(consumer->conn, key, consumer->version);
        }
        consumer->failures += result != INBOX_OK;
    }
    mysql_thread_end();
    return NULL;
}

/* For some keys one has found no row to update, and then meets the other's when it inserts its own. */
Test(inbox_mysql_advance, two_at_once_leave_the_newer)
{
    pthread_barrier_t barrier;
    struct consumer consumers[2] = {{.conn = tx, .version = 1, .barrier = &barrier},
                                    {.conn = other, .version = 2, .barrier = &barrier}};
    mysql_fixture_exec(tx, "create table state (name varchar(20) primary key, version int)");
    cr_assert_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&consumers[i].thread, NULL, run_consumer, &consumers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(consumers[i].thread, NULL), 0);
        cr_assert_eq(consumers[i].failures, 0);
    }
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from state where version = 2"), KEYS);
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from inbox_newest where version = 2"),
                 KEYS);
    (void)pthread_barrier_destroy(&barrier);
}

/* The version never changes: that must end. */
Test(inbox_mysql_advance, a_trigger_cannot_keep_it_for_ever)
{
    mysql_fixture_exec(tx, "create trigger keep before update on inbox_newest for each row set "
                           "new.version = old.version, new.advanced_at = old.advanced_at");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    expect_failure(advance(tx, "billing", "k1", 8), INBOX_RETRY, "", "trigger");
}

Test(inbox_mysql_advance, only_its_own_key_makes_an_older_one)
{
    mysql_fixture_exec(tx, "create unique index somebodys on inbox_newest (message_key)");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    expect_failure(advance(tx, "mail", "k1", 8), INBOX_DATABASE, "23000", "somebodys");
}

static void
expect_no_inbox(const char *words)
{
    inbox_mysql *another = NULL;
    const inbox_result result = inbox_mysql_new(tx, &another, &error);
    cr_assert_null(another);
    cr_assert_eq(result, INBOX_SCHEMA);
    expect_failure(0, INBOX_SCHEMA, "", words);
}

Test(inbox_mysql_advance, schema_is_checked)
{
    mysql_fixture_exec(tx, "update inbox_schema set version = 7");
    mysql_fixture_exec(tx, "begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "", "version 7");
    mysql_fixture_exec(tx, "update inbox_schema set version = 1");
    mysql_fixture_exec(tx, "alter table inbox_newest drop primary key, engine = MyISAM");
    expect_no_inbox("alter table inbox_newest engine = InnoDB");
    mysql_fixture_exec(tx, "alter table inbox_newest engine = InnoDB, "
                           "add primary key (consumer, message_key, version)");
    expect_no_inbox("(consumer, message_key, version)");
    mysql_fixture_exec(tx, "alter table inbox_newest drop primary key, modify message_key "
                           "varbinary(1023) not null, add primary key (consumer, message_key)");
    expect_no_inbox("varbinary(1024)");
    mysql_fixture_exec(tx, "drop table inbox_newest");
    mysql_fixture_exec(tx, "begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "42S02", "schema");
    inbox_mysql_free(inbox);
    cr_assert_eq(inbox_mysql_new(tx, &inbox, &error), INBOX_OK, "who does not ask needs no table");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "", "schema_newest.sql");
}

Test(inbox_mysql_advance, rights_needed_are_few)
{
    mysql_fixture_grant(tx, "select, insert", "inbox");
    mysql_fixture_grant(tx, "select", "inbox_schema");
    mysql_fixture_grant(tx, "select, insert, update", "inbox_newest");
    MYSQL *user = mysql_fixture_connect_as_user();
    mysql_fixture_exec(user, "begin");
    cr_assert_eq(advance(user, "billing", "k1", 7), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(user, "billing", "k1", 7), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(advance(user, "billing", "k1", 8), INBOX_FIRST, "%s", error.message);
    mysql_fixture_exec(user, "commit");
    mysql_close(user);
}

/* What docs/CONSUMING.md says for other languages: 1 if it is newer, 0 if not. */
static int
advance_by_hand(int version)
{
    char update[256];
    char insert[256];
    (void)snprintf(update, sizeof(update),
                   "update inbox_newest set version = %d, advanced_at = utc_timestamp(6) where "
                   "consumer = 'shipping' and message_key = 'k1' and version < %d",
                   version, version);
    (void)snprintf(insert, sizeof(insert),
                   "insert into inbox_newest (consumer, message_key, version) values ('shipping', "
                   "'k1', %d)",
                   version);
    mysql_fixture_exec(tx, update);
    if (mysql_affected_rows(tx) == 1) {
        return 1;
    }
    const unsigned int number = mysql_fixture_try(tx, insert);
    if (number == 1062) {
        mysql_fixture_exec(tx, update);
        return (int)mysql_affected_rows(tx);
    }
    cr_assert_eq(number, 0u);
    return 1;
}

Test(inbox_mysql_advance, plain_sql_advances_the_same)
{
    mysql_fixture_exec(tx, "start transaction");
    cr_assert_eq(advance_by_hand(7), 1);
    cr_assert_eq(advance_by_hand(7), 0);
    cr_assert_eq(advance_by_hand(6), 0);
    cr_assert_eq(advance_by_hand(8), 1);
    cr_assert_eq(advance(tx, "shipping", "k1", 8), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "shipping", "k1", 9), INBOX_FIRST);
    cr_assert_eq(advance_by_hand(9), 0);
}

/* Each file as it stands there. */
Test(inbox_mysql_advance, statements_run_by_hand)
{
    mysql_fixture_exec(tx, "set @consumer = 'billing', @message_key = 'k1', @version = 7");
    mysql_fixture_load(tx, "consumers/mysql/advance_first.sql");
    mysql_fixture_load(tx, "consumers/mysql/newest.sql");
    mysql_fixture_exec(tx, "set @version = 8");
    mysql_fixture_load(tx, "consumers/mysql/advance.sql");
    cr_assert_eq(mysql_fixture_int(tx, "select version from inbox_newest"), 8);
}
