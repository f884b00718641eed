#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/fail_alloc.h"
#include "tests/integration/mysql_fixture.h"

#define EURO "\xe2\x82\xac"

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

Test(inbox_mysql, first_then_duplicate)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_DUPLICATE, "in the same transaction");
    cr_assert_eq(claim(tx, "mailing", "m1"), INBOX_FIRST, "another consumer");
    mysql_fixture_exec(tx, "commit");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_DUPLICATE);
    cr_assert_eq(claim(other, "billing", "m2"), INBOX_FIRST, "%s", error.message);
    mysql_fixture_exec(other, "rollback");
    cr_assert_eq(count_rows(), 2);
}

Test(inbox_mysql, rolled_back_is_not_claimed)
{
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    mysql_fixture_exec(tx, "rollback");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
}

Test(inbox_mysql, refuses_without_a_transaction)
{
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(inbox_mysql_claim_many(inbox, tx, "billing", NULL, 0, NULL, &error),
                 INBOX_NO_TRANSACTION);
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(inbox_mysql_claim_many(inbox, tx, "billing", NULL, 0, NULL, &error), INBOX_OK);
    mysql_fixture_exec(tx, "commit");
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(count_rows(), 0);
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

Test(inbox_mysql, refuses_broken_rules_in_words)
{
    mysql_fixture_exec(tx, "begin");
    expect_failure(claim(NULL, "billing", "m1"), INBOX_CONNECTION, "", "not open");
    expect_failure(claim(tx, "", "m1"), INBOX_INVALID, "", "consumer");
    expect_failure(claim(tx, NULL, "m1"), INBOX_INVALID, "", "consumer");
    expect_failure(claim(tx, "billing", ""), INBOX_INVALID, "", "no id");
    expect_failure(claim_bytes(tx, "billing", NULL, 2), INBOX_INVALID, "", "no id");
    expect_failure(claim_bytes(tx, "billing", "a\xff", 2), INBOX_INVALID, "", "UTF-8");
    cr_assert_eq(inbox_mysql_claim(inbox, tx, "billing", "m1", 2, NULL, &error), INBOX_INVALID);
    expect_error(INBOX_INVALID, "", "verdicts");
    cr_assert_eq(inbox_mysql_claim_many(inbox, tx, "billing", NULL, 1, NULL, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_claim(NULL, tx, "billing", "m1", 2, NULL, &error), INBOX_INVALID);
    expect_error(INBOX_INVALID, "", "inbox is NULL");
    cr_assert_eq(inbox_mysql_new(tx, NULL, &error), INBOX_INVALID);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "the transaction was as it was");
}

/* What is longer than the column would be cut without strict mode, and then be the same id as another. */
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

Test(inbox_mysql, batch_in_any_order_with_doubles)
{
    static const char *const texts[] = {"z", "old", "a", "z", EURO, "a", "a"};
    static const inbox_verdict wanted[] = {INBOX_FIRST,     INBOX_DUPLICATE, INBOX_FIRST,
                                           INBOX_DUPLICATE, INBOX_FIRST,     INBOX_DUPLICATE,
                                           INBOX_DUPLICATE};
    inbox_verdict verdicts[7];
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "old"), INBOX_FIRST);
    cr_assert_eq(claim_many(tx, texts, 7, verdicts, &error), INBOX_OK, "%s", error.message);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], wanted[i], "number %d", i);
    }
    cr_assert_eq(claim_many(tx, texts, 7, verdicts, &error), INBOX_OK);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], INBOX_DUPLICATE, "number %d", i);
    }
    cr_assert_eq(count_rows(), 4);
}

Test(inbox_mysql, large_batch)
{
    enum { COUNT = 10000 };
    static char texts[COUNT][16];
    static struct inbox_id ids[COUNT];
    static inbox_verdict verdicts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "id-%d", (int)(i * 7919L % COUNT));
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(tx, "insert into inbox (consumer, message_id) with recursive n (i) as "
                           "(select 0 union all select i + 3 from n where i < 998) "
                           "select 'c', concat('id-', i) from n");
    cr_assert_eq(inbox_mysql_claim_many(inbox, tx, "c", ids, COUNT, verdicts, &error), INBOX_OK,
                 "%s", error.message);
    for (int i = 0; i < COUNT; i++) {
        const long number = i * 7919L % COUNT;
        const bool old = number % 3 == 0 && number < 1000;
        cr_assert_eq(verdicts[i], old ? INBOX_DUPLICATE : INBOX_FIRST, "number %d", i);
    }
    cr_assert_eq(count_rows(), COUNT);
}

/* The longest statement that there is. */
Test(inbox_mysql, batch_of_the_longest_names)
{
    enum { COUNT = 201 };
    static char texts[COUNT][INBOX_NAME_MAX_BYTES + 1];
    static char consumer[INBOX_NAME_MAX_BYTES + 1];
    static struct inbox_id ids[COUNT];
    static inbox_verdict verdicts[COUNT];
    memset(consumer, 'c', INBOX_NAME_MAX_BYTES);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%0255d", i);
        ids[i] = (struct inbox_id){texts[i], INBOX_NAME_MAX_BYTES};
    }
    mysql_fixture_exec(tx, "begin");
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(inbox_mysql_claim_many(inbox, tx, consumer, ids, COUNT, verdicts, &error),
                     INBOX_OK, "%s", error.message);
        for (int i = 0; i < COUNT; i++) {
            cr_assert_eq(verdicts[i], round == 0 ? INBOX_FIRST : INBOX_DUPLICATE, "number %d", i);
        }
    }
}

/* A claim in a thread of its own: it blocks. */
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

/* Returns when it waits. */
static void
start_attempt(struct attempt *attempt)
{
    MYSQL *watcher = mysql_fixture_connect();
    cr_assert_eq(pthread_create(&attempt->thread, NULL, run_attempt, attempt), 0);
    mysql_fixture_wait_blocked(watcher, mysql_thread_id(attempt->conn));
    mysql_close(watcher);
}

static inbox_verdict
claim_while_open(const char *isolation, const char *how_it_ends)
{
    static const char *const texts[] = {"m1"};
    struct attempt attempt = {.conn = other, .texts = texts, .count = 1};
    mysql_fixture_exec(other, isolation);
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    start_attempt(&attempt);
    mysql_fixture_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(attempt.thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    mysql_fixture_exec(other, "commit");
    cr_assert_eq(count_rows(), 1);
    mysql_fixture_exec(tx, "delete from inbox");
    return attempt.verdicts[0];
}

Test(inbox_mysql, waits_for_a_claim_at_every_isolation_level)
{
    static const char *const levels[] = {"set session transaction isolation level read uncommitted",
                                         "set session transaction isolation level read committed",
                                         "set session transaction isolation level repeatable read",
                                         "set session transaction isolation level serializable"};
    mysql_fixture_plain_isolation(other);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(claim_while_open(levels[i], "commit"), INBOX_DUPLICATE, "%s", levels[i]);
        cr_assert_eq(claim_while_open(levels[i], "rollback"), INBOX_FIRST, "%s", levels[i]);
    }
}

/* One of them is the first. The server takes the other for a deadlock, or it waits for that one. */
Test(inbox_mysql, one_of_several_that_wait_is_the_first)
{
    static const char *const texts[] = {"m1"};
    MYSQL *third = mysql_fixture_connect();
    struct attempt attempts[2] = {{.conn = other, .texts = texts, .count = 1},
                                  {.conn = third, .texts = texts, .count = 1}};
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        mysql_fixture_exec(attempts[i].conn, "set innodb_lock_wait_timeout = 5");
        mysql_fixture_exec(attempts[i].conn, "begin");
        start_attempt(&attempts[i]);
    }
    mysql_fixture_exec(tx, "rollback");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(attempts[i].thread, NULL), 0);
    }
    const int first = attempts[0].result == INBOX_OK ? 0 : 1;
    cr_assert_eq(attempts[first].result, INBOX_OK, "%s", attempts[first].error.message);
    cr_assert_eq(attempts[first].verdicts[0], INBOX_FIRST);
    cr_assert_eq(attempts[1 - first].result, INBOX_RETRY, "%s", attempts[1 - first].error.message);
    mysql_close(third);
}

/* A batch in which one is committed and another is claimed by an open transaction: it must not be believed before that ends. */
Test(inbox_mysql, waits_for_a_claim_beside_a_duplicate)
{
    static const char *const texts[] = {"a", "b"};
    struct attempt attempt = {.conn = other, .texts = texts, .count = 2};
    mysql_fixture_exec(tx, "insert into inbox (consumer, message_id) values ('billing', 'a')");
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "set session transaction isolation level read uncommitted");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "b"), INBOX_FIRST);
    start_attempt(&attempt);
    mysql_fixture_exec(tx, "rollback");
    cr_assert_eq(pthread_join(attempt.thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    cr_assert_eq(attempt.verdicts[0], INBOX_DUPLICATE);
    cr_assert_eq(attempt.verdicts[1], INBOX_FIRST);
}

/* To find what is there it reads the ids it was asked about and no others, or it would wait for other messages' claims. */
Test(inbox_mysql, a_duplicate_waits_for_no_other_message)
{
    static const char *const texts[] = {"a", "c"};
    inbox_verdict verdicts[2];
    mysql_fixture_exec(tx, "insert into inbox (consumer, message_id) values ('billing', 'a')");
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "set session transaction isolation level read committed");
    mysql_fixture_exec(other, "set innodb_lock_wait_timeout = 1");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "b"), INBOX_FIRST);
    cr_assert_eq(claim_many(other, texts, 2, verdicts, &error), INBOX_OK, "%s", error.message);
    cr_assert_eq(verdicts[0], INBOX_DUPLICATE);
    cr_assert_eq(verdicts[1], INBOX_FIRST);
}

Test(inbox_mysql, wait_is_bounded_by_lock_wait_timeout)
{
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "set innodb_lock_wait_timeout = 1");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_failure(claim(other, "billing", "m1"), INBOX_RETRY, "HY000", "this statement only");
}

/* Each holds what the other asks for. The server takes one of them as the victim, and rolls it back. */
static MYSQL *
make_deadlock(struct inbox_error *ret_error)
{
    static const char *const texts[] = {"b"};
    struct attempt attempt = {.conn = tx, .texts = texts, .count = 1};
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "a"), INBOX_FIRST);
    cr_assert_eq(claim(other, "billing", "b"), INBOX_FIRST);
    start_attempt(&attempt);
    const bool other_lost = claim(other, "billing", "a") == 0;
    *ret_error = error;
    cr_assert_eq(pthread_join(attempt.thread, NULL), 0);
    cr_assert_neq(other_lost, attempt.result != INBOX_OK, "%s", attempt.error.message);
    if (!other_lost) {
        *ret_error = attempt.error;
    }
    return other_lost ? other : tx;
}

/* The client goes on to say that a transaction is open: an error brings no news of that. */
Test(inbox_mysql, a_deadlock_ends_the_transaction)
{
    MYSQL *victim = make_deadlock(&error);
    expect_error(INBOX_RETRY, "40001", "rolled back the whole transaction");
    cr_assert((victim->server_status & SERVER_STATUS_IN_TRANS) != 0,
              "this test proves nothing: the client knows");
    expect_failure(claim(victim, "billing", "m1"), INBOX_NO_TRANSACTION, "", "deadlock");
    mysql_fixture_exec(victim, "rollback");
    mysql_fixture_exec(victim == tx ? other : tx, "rollback");
    cr_assert_eq(mysql_fixture_int(tx, "select count(*) from inbox where message_id = 'm1'"), 0);
}

/* Without the sort, {a, b} and {b, a} would each hold what the other waits for. A third transaction holds the one in the
 * middle until both have begun and wait, so that they overlap for sure. */
Test(inbox_mysql, batches_that_overlap_do_not_deadlock)
{
    static const char *const forward[] = {"a", "m", "z"};
    static const char *const backward[] = {"z", "m", "a"};
    MYSQL *third = mysql_fixture_connect();
    struct attempt attempts[2] = {{.conn = tx, .texts = forward, .count = 3},
                                  {.conn = other, .texts = backward, .count = 3}};
    mysql_fixture_exec(third, "begin");
    cr_assert_eq(claim(third, "billing", "m"), INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        mysql_fixture_exec(attempts[i].conn, "begin");
        start_attempt(&attempts[i]);
    }
    mysql_fixture_exec(third, "rollback");
    cr_assert_eq(pthread_join(attempts[0].thread, NULL), 0);
    cr_assert_eq(attempts[0].result, INBOX_OK, "%s", attempts[0].error.message);
    mysql_fixture_exec(tx, "commit");
    cr_assert_eq(pthread_join(attempts[1].thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(attempts[0].verdicts[i], INBOX_FIRST);
        cr_assert_eq(attempts[1].verdicts[i], INBOX_DUPLICATE);
    }
    mysql_close(third);
}

/* Also in a batch, where the others are claimed nevertheless. */
Test(inbox_mysql, duplicate_that_the_snapshot_cannot_see)
{
    static const char *const texts[] = {"m2", "m1"};
    inbox_verdict verdicts[2];
    mysql_fixture_plain_isolation(tx);
    mysql_fixture_exec(tx, "set session transaction isolation level repeatable read");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(count_rows(), 0);
    mysql_fixture_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_FIRST);
    mysql_fixture_exec(other, "commit");
    cr_assert_eq(count_rows(), 0, "this test proves nothing: the transaction sees it");
    cr_assert_eq(claim_many(tx, texts, 2, verdicts, &error), INBOX_OK, "%s", error.message);
    cr_assert_eq(verdicts[0], INBOX_FIRST);
    cr_assert_eq(verdicts[1], INBOX_DUPLICATE);
}

Test(inbox_mysql, with_snapshot_isolation_it_is_a_retry)
{
    if (!mysql_fixture_is_mariadb(tx)) {
        return; /* MySQL has no such thing */
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

/* What is read after the wait for another claim must be as new as that claim's effect. */
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

Test(inbox_mysql, schema_is_checked)
{
    mysql_fixture_exec(tx, "update inbox_schema set version = 7");
    mysql_fixture_exec(tx, "begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "",
                   "version 7, this library uses version 1");
    cr_assert_eq(inbox_mysql_forget(inbox, tx, 1, 1, NULL, &error), INBOX_SCHEMA);
    cr_assert_eq(count_rows(), 0);
    mysql_fixture_exec(tx, "delete from inbox_schema");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "", "empty");
    mysql_fixture_exec(tx, "drop table inbox_schema");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "42S02", "schema.sql");
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

Test(inbox_mysql, connection_lost)
{
    mysql_fixture_exec(tx, "begin");
    mysql_fixture_kill(other, mysql_thread_id(tx));
    cr_assert_eq(claim(tx, "billing", "m1"), 0);
    cr_assert_eq(error.code, INBOX_CONNECTION, "%s", error.message);
    cr_assert(strstr(error.message, "rolls the transaction back") != NULL, "%s", error.message);
}

/* The client connects anew by itself, to a session with autocommit. The claim must not be committed there. */
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

Test(inbox_mysql, names_are_bytes)
{
    static const char *const names[] = {"a", "A", "a ", "a\t", EURO, "\xc3\xa4", "a\xcc\x88"};
    mysql_fixture_exec(tx, "begin");
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(claim(tx, names[i], "m1"), INBOX_FIRST, "consumer %zu", i);
        cr_assert_eq(claim(tx, "billing", names[i]), INBOX_FIRST, "id %zu", i);
    }
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(claim(tx, names[i], "m1"), INBOX_DUPLICATE, "consumer %zu", i);
        cr_assert_eq(claim(tx, "billing", names[i]), INBOX_DUPLICATE, "id %zu", i);
    }
}

static void
expect_inbox_found(void)
{
    inbox_mysql *another = NULL;
    cr_assert_eq(inbox_mysql_new(tx, &another, &error), INBOX_OK, "%s", error.message);
    inbox_mysql_free(another);
}

/* Claims and forgets with a setting of the session. */
static void
expect_the_same_with(const char *setting)
{
    static const char *const name = EURO "'\"\\` \\' -- ";
    mysql_fixture_exec(tx, setting);
    expect_inbox_found();
    mysql_fixture_exec(tx, "start transaction"); /* `begin` is another thing to ORACLE */
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

/* What an application may have set in its session. */
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

/* Where an update that changes nothing counts as one row. */
Test(inbox_mysql, found_rows_do_not_matter)
{
    MYSQL *conn = mysql_fixture_connect_with(CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS);
    mysql_fixture_exec(conn, "begin");
    cr_assert_eq(claim(conn, "billing", "m1"), INBOX_FIRST);
    cr_assert_eq(claim(conn, "billing", "m1"), INBOX_DUPLICATE);
    mysql_close(conn);
}

/* Another rule of somebody's is no sign that the message was applied. */
Test(inbox_mysql, only_its_own_id_makes_a_duplicate)
{
    mysql_fixture_exec(tx, "create unique index somebodys on inbox (message_id)");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_failure(claim(tx, "mail", "m1"), INBOX_DATABASE, "23000", "somebodys");
}

Test(inbox_mysql, what_the_server_refuses_is_told)
{
    mysql_fixture_exec(tx, "start transaction read only");
    expect_failure(claim(tx, "billing", "m1"), INBOX_DATABASE, "25006", "READ ONLY");
}

/* What docs/CONSUMING.md says for other languages; it is one inbox with the library's. */
Test(inbox_mysql, plain_sql_claims_the_same)
{
    static const char *const sql =
        "insert into inbox (consumer, message_id) values ('shipping', 'm1')";
    mysql_fixture_exec(tx, "start transaction");
    cr_assert_eq(mysql_fixture_try(tx, sql), 0u);
    mysql_fixture_exec(tx, "commit");
    mysql_fixture_exec(tx, "start transaction");
    cr_assert_eq(mysql_fixture_try(tx, sql), 1062u);
    cr_assert_eq(claim(tx, "shipping", "m1"), INBOX_DUPLICATE, "the transaction goes on");
    cr_assert_eq(claim(tx, "shipping", "m2"), INBOX_FIRST);
    mysql_fixture_exec(tx, "commit");
    cr_assert_eq(mysql_fixture_try(other, "insert into inbox (consumer, message_id) values "
                                          "('shipping', 'm2')"),
                 1062u);
}

Test(inbox_mysql, no_memory)
{
    mysql_fixture_exec(tx, "begin");
    unsigned nth = 1;
    for (;; nth++) {
        fail_alloc_arm(nth);
        const inbox_verdict verdict = claim(tx, "billing", "m1");
        if (!fail_alloc_happened()) {
            cr_assert_eq(verdict, INBOX_FIRST);
            break;
        }
        expect_failure(verdict, INBOX_NO_MEMORY, "", "no memory");
    }
    cr_assert_eq(nth, 3, "the entries and the text, then none");
    for (nth = 1;; nth++) {
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
