#include <criterion/criterion.h>
#include <inbox/inbox_pg.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/pg_fixture.h"

static PGconn *tx;
static PGconn *other;
static struct inbox_error error;

static void
set_up(void)
{
    tx = pg_fixture_create();
    other = pg_fixture_connect();
    pg_fixture_load(tx, "consumers/postgres/schema.sql");
    pg_fixture_load(tx, "consumers/postgres/schema_newest.sql");
}

static void
tear_down(void)
{
    PQfinish(other);
    pg_fixture_drop(tx);
}

TestSuite(inbox_pg_advance, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
advance(PGconn *conn, const char *consumer, const char *key, int64_t version)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result =
        inbox_pg_advance(conn, consumer, key, strlen(key), version, &verdict, &error);
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
}

Test(inbox_pg_advance, newer_same_older)
{
    pg_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_DUPLICATE, "in the same transaction");
    pg_exec(tx, "commit");
    pg_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_DUPLICATE);
    cr_assert_eq(advance(other, "billing", "k1", 6), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "billing", "k1", 9), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(other, "billing", "k1", 8), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "mailing", "k1", 1), INBOX_FIRST, "another consumer");
    cr_assert_eq(advance(other, "billing", "k2", 1), INBOX_FIRST, "another key");
    pg_exec(other, "commit");
    cr_assert_eq(pg_query_int(tx, "select sum(version) from inbox_newest"), 11);
}

Test(inbox_pg_advance, lowest_and_highest)
{
    pg_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", -1), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", 0), INBOX_OUTDATED);
}

Test(inbox_pg_advance, rolled_back_is_not_advanced)
{
    pg_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    pg_exec(tx, "rollback; begin");
    cr_assert_eq(advance(tx, "billing", "k1", 6), INBOX_FIRST);
}

Test(inbox_pg_advance, rules_are_told)
{
    static char key[1025];
    memset(key, 'k', sizeof(key));
    expect_failure(advance(tx, "billing", "k1", 1), INBOX_NO_TRANSACTION, "", "no transaction");
    pg_exec(tx, "begin");
    expect_failure(advance(tx, "", "k1", 1), INBOX_INVALID, "", "consumer");
    expect_failure(advance(tx, "billing", "", 1), INBOX_INVALID, "", "no key");
    expect_failure(advance(tx, "billing", "\xff", 1), INBOX_INVALID, "", "UTF-8");
    expect_failure(advance(NULL, "billing", "k1", 1), INBOX_CONNECTION, "", "not open");
    inbox_verdict verdict = 0;
    cr_assert_eq(inbox_pg_advance(tx, "c", key, 1025, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_advance(tx, "c", NULL, 1, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_advance(tx, "c", "k", 1, 1, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_advance(tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(inbox_pg_advance(tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(verdict, INBOX_DUPLICATE);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox_newest"), 1);
}

Test(inbox_pg_advance, keys_are_utf8_whatever_the_connection_says)
{
    static const char *const keys[] = {"a", "A", "a ", "\xc3\xa4", "'\\"};
    cr_assert_eq(PQsetClientEncoding(tx, "LATIN1"), 0);
    pg_exec(tx, "begin");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_FIRST, "key %d", i);
    }
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_DUPLICATE, "key %d", i);
    }
    cr_assert_eq(
        pg_query_int(tx, "select count(*) from inbox_newest where message_key = U&'\\00e4'"), 1);
}

/* An advance in a thread of its own: it blocks. */
struct attempt {
    PGconn *conn;
    int64_t version;
    inbox_verdict verdict;
    inbox_result result;
    struct inbox_error error;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result = inbox_pg_advance(attempt->conn, "billing", "k1", 2, attempt->version,
                                       &attempt->verdict, &attempt->error);
    return NULL;
}

/* Another transaction is at version 5 of the same key, and ends in some way while this one waits. */
static void
expect_while_open(int64_t version, const char *how_it_ends, inbox_verdict wanted)
{
    struct attempt attempt = {.conn = other, .version = version};
    PGconn *watcher = pg_fixture_connect();
    pthread_t thread;
    pg_exec(tx, "begin");
    pg_exec(other, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 5), INBOX_FIRST);
    cr_assert_eq(pthread_create(&thread, NULL, run_attempt, &attempt), 0);
    pg_wait_blocked(watcher, PQbackendPID(other));
    pg_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    cr_assert_eq(attempt.verdict, wanted, "version %" PRId64 " after %s", version, how_it_ends);
    pg_exec(other, "rollback");
    pg_exec(tx, "delete from inbox_newest");
    PQfinish(watcher);
}

Test(inbox_pg_advance, waits_for_another_transaction)
{
    expect_while_open(4, "commit", INBOX_OUTDATED);
    expect_while_open(5, "commit", INBOX_DUPLICATE);
    expect_while_open(6, "commit", INBOX_FIRST);
    expect_while_open(4, "rollback", INBOX_FIRST);
}

Test(inbox_pg_advance, what_the_snapshot_cannot_see_is_a_retry)
{
    pg_exec(tx, "begin isolation level repeatable read; select 1 from inbox_newest");
    pg_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_FIRST);
    pg_exec(other, "commit");
    expect_failure(advance(tx, "billing", "k1", 6), INBOX_RETRY, "40001", "serialize");
}

Test(inbox_pg_advance, only_its_own_key_makes_an_older_one)
{
    pg_exec(tx, "create unique index on inbox_newest (message_key); begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    expect_failure(advance(tx, "mail", "k1", 8), INBOX_DATABASE, "23505", "duplicate key");
}

/* Somebody's trigger leaves the row out. */
Test(inbox_pg_advance, a_row_that_is_left_out_is_no_verdict)
{
    pg_exec(tx, "create function leave_out() returns trigger language plpgsql as $$ begin return "
                "null; end $$; create trigger leave_out before insert on inbox_newest for each "
                "row execute function leave_out(); begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_DATABASE, "", "trigger");
}

Test(inbox_pg_advance, schema_is_checked)
{
    pg_exec(tx, "update inbox_schema set version = 7; begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "", "version 7");
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox_newest"), 0);
    pg_exec(tx, "rollback; update inbox_schema set version = 1;"
                "alter table inbox_newest drop constraint inbox_newest_pkey; begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "42P10",
                   "no unique index on inbox_newest (consumer, message_key)");
    pg_exec(tx, "rollback; drop table inbox_newest; begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "42P01", "inbox_newest");
}

Test(inbox_pg_advance, rights_needed_are_few)
{
    pg_exec(tx, "create role inbox_test_advance; grant select, insert, update on inbox_newest to "
                "inbox_test_advance; set role inbox_test_advance; begin");
    const inbox_verdict first = advance(tx, "billing", "k1", 7);
    const inbox_verdict second = advance(tx, "billing", "k1", 6);
    pg_exec(tx,
            "commit; reset role; drop owned by inbox_test_advance; drop role inbox_test_advance");
    cr_assert_eq(first, INBOX_FIRST, "%s", error.message);
    cr_assert_eq(second, INBOX_OUTDATED);
}

/* What docs/CONSUMING.md says for other languages: the number of rows. */
static int
advance_by_hand(int version)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into inbox_newest as newest (consumer, message_key, version) values "
                   "('shipping', 'k1', %d) on conflict (consumer, message_key) do update set "
                   "version = excluded.version, advanced_at = now() where newest.version < "
                   "excluded.version",
                   version);
    PGresult *result = PQexec(tx, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(tx));
    const int rows = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return rows;
}

Test(inbox_pg_advance, plain_sql_advances_the_same)
{
    pg_exec(tx, "begin");
    cr_assert_eq(advance_by_hand(7), 1);
    cr_assert_eq(advance_by_hand(7), 0);
    cr_assert_eq(advance_by_hand(6), 0);
    cr_assert_eq(advance_by_hand(8), 1);
    cr_assert_eq(advance(tx, "shipping", "k1", 8), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "shipping", "k1", 9), INBOX_FIRST);
    cr_assert_eq(advance_by_hand(9), 0);
}
