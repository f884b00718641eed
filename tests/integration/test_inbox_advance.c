#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/inbox_fixture.h"

static struct db *home; /* no test leaves it in a transaction or disconnected */
static struct db *tx;
static struct db *other;
static struct inbox_error error;

static void
set_up(void)
{
    home = inbox_fixture_create();
    tx = db_connect();
    other = db_connect();
}

static void
tear_down(void)
{
    db_close(other);
    db_close(tx);
    inbox_fixture_drop(home);
}

TestSuite(inbox_advance, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
advance(struct db *db, const char *consumer, const char *key, int64_t version)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result =
        inbox_fixture_advance(db, consumer, key, strlen(key), version, &verdict, &error);
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

static void
expect_words(inbox_verdict verdict, inbox_result code, enum inbox_fixture_error which)
{
    const struct inbox_fixture_words wanted = inbox_fixture_words(which);
    expect_failure(verdict, code, wanted.sqlstate, wanted.words);
}

Test(inbox_advance, newer_same_older)
{
    db_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_DUPLICATE, "in the same transaction");
    db_exec(tx, "commit");
    db_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_DUPLICATE);
    cr_assert_eq(advance(other, "billing", "k1", 6), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "billing", "k1", 9), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(other, "billing", "k1", 8), INBOX_OUTDATED);
    cr_assert_eq(advance(other, "mailing", "k1", 1), INBOX_FIRST, "another consumer");
    cr_assert_eq(advance(other, "billing", "k2", 1), INBOX_FIRST, "another key");
    db_exec(other, "commit");
    cr_assert_eq(db_int(tx, "select sum(version) from inbox_newest"), 11);
}

Test(inbox_advance, lowest_and_highest)
{
    db_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MIN), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", -1), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(tx, "billing", "k1", INT64_MAX), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "billing", "k1", 0), INBOX_OUTDATED);
}

Test(inbox_advance, rolled_back_is_not_advanced)
{
    db_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    db_exec(tx, "rollback");
    db_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 6), INBOX_FIRST);
}

Test(inbox_advance, rules_are_told)
{
    static char key[1025];
    memset(key, 'k', sizeof(key));
    expect_failure(advance(tx, "billing", "k1", 1), INBOX_NO_TRANSACTION, "", "no transaction");
    db_exec(tx, "begin");
    expect_failure(advance(tx, "", "k1", 1), INBOX_INVALID, "", "consumer");
    expect_failure(advance(tx, "billing", "", 1), INBOX_INVALID, "", "no key");
    expect_failure(advance(tx, "billing", "\xff", 1), INBOX_INVALID, "", "UTF-8");
    expect_failure(advance(NULL, "billing", "k1", 1), INBOX_CONNECTION, "", "not open");
    inbox_verdict verdict = 0;
    cr_assert_eq(inbox_fixture_advance(tx, "c", key, 1025, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_advance(tx, "c", NULL, 1, 1, &verdict, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_advance(tx, "c", "k", 1, 1, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_advance(tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(inbox_fixture_advance(tx, "c", key, 1024, 1, &verdict, &error), INBOX_OK);
    cr_assert_eq(verdict, INBOX_DUPLICATE);
    cr_assert_eq(db_int(tx, "select count(*) from inbox_newest"), 1);
}

Test(inbox_advance, keys_are_utf8_whatever_the_connection_says)
{
    static const char *const keys[] = {"a", "A", "a ", "\xc3\xa4", "'\\"};
    db_exec(tx, "set names 'latin1'");
    db_exec(tx, "begin");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_FIRST, "key %d", i);
    }
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(advance(tx, "billing", keys[i], 7), INBOX_DUPLICATE, "key %d", i);
    }
    db_exec(tx, "commit");
    cr_assert_eq(db_int(other, "select count(*) from inbox_newest where message_key = '\xc3\xa4'"),
                 1);
}

/* An advance in its own thread, because it blocks. */
struct attempt {
    struct db *db;
    int64_t version;
    inbox_verdict verdict;
    inbox_result result;
    struct inbox_error error;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result = inbox_fixture_advance(attempt->db, "billing", "k1", 2, attempt->version,
                                            &attempt->verdict, &attempt->error);
    inbox_fixture_end_thread();
    return NULL;
}

/* Another transaction has applied version 5 of the same key, and ends as told while this one waits for it. */
static void
expect_while_open(int64_t version, const char *how_it_ends, inbox_verdict wanted)
{
    struct attempt attempt = {.db = other, .version = version};
    struct db *watcher = db_connect();
    const int64_t session = db_session(other);
    pthread_t thread;
    db_exec(tx, "begin");
    db_exec(other, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 5), INBOX_FIRST);
    cr_assert_eq(pthread_create(&thread, NULL, run_attempt, &attempt), 0);
    db_wait_blocked(watcher, session);
    db_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", attempt.error.message);
    cr_assert_eq(attempt.verdict, wanted, "version %" PRId64 " after %s", version, how_it_ends);
    db_exec(other, "rollback");
    db_exec(tx, "delete from inbox_newest");
    db_close(watcher);
}

Test(inbox_advance, waits_for_another_transaction)
{
    expect_while_open(4, "commit", INBOX_OUTDATED);
    expect_while_open(5, "commit", INBOX_DUPLICATE);
    expect_while_open(6, "commit", INBOX_FIRST);
    expect_while_open(4, "rollback", INBOX_FIRST);
}

Test(inbox_advance, what_the_snapshot_cannot_see)
{
    db_begin_at(tx, "repeatable read");
    cr_assert_eq(db_int(tx, "select count(*) from inbox_newest"), 0);
    db_exec(other, "begin");
    cr_assert_eq(advance(other, "billing", "k1", 7), INBOX_FIRST);
    db_exec(other, "commit");
    if (inbox_fixture_sees_all()) {
        cr_assert_eq(advance(tx, "billing", "k1", 6), INBOX_OUTDATED, "%s", error.message);
        cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_DUPLICATE, "%s", error.message);
        cr_assert_eq(advance(tx, "billing", "k1", 8), INBOX_FIRST, "%s", error.message);
    } else {
        expect_failure(advance(tx, "billing", "k1", 6), INBOX_RETRY, "40001", "serialize");
    }
}

enum { KEYS = 100 };

/* One of two consumers that get different versions of each key at the same time. */
struct consumer {
    struct db *db;
    int version;
    pthread_barrier_t *barrier;
    int failures;
    pthread_t thread;
};

/* Like a consumer: writes the version into a table if it is newer. */
static inbox_result
apply(struct db *db, const char *key, int version)
{
    char sql[128];
    inbox_verdict verdict = 0;
    (void)snprintf(sql, sizeof(sql), "update state set version = %d where name = '%s'", version,
                   key);
    db_begin_at(db, "read committed");
    const inbox_result result =
        inbox_fixture_advance(db, "billing", key, strlen(key), version, &verdict, NULL);
    if (result == INBOX_OK && verdict == INBOX_FIRST) {
        db_exec(db, sql);
    }
    db_exec(db, result == INBOX_OK ? "commit" : "rollback");
    return result;
}

static void *
run_consumer(void *argument)
{
    struct consumer *consumer = argument;
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        inbox_result result = INBOX_RETRY;
        (void)snprintf(key, sizeof(key), "key-%d", i);
        (void)pthread_barrier_wait(consumer->barrier);
        while (result == INBOX_RETRY) {
            result = apply(consumer->db, key, consumer->version);
        }
        consumer->failures += result != INBOX_OK;
    }
    inbox_fixture_end_thread();
    return NULL;
}

/* For some keys, one consumer finds no row to update, and then its insert meets the row of the other one. */
Test(inbox_advance, two_at_once_leave_the_newer)
{
    pthread_barrier_t barrier;
    struct consumer consumers[2] = {{.db = tx, .version = 1, .barrier = &barrier},
                                    {.db = other, .version = 2, .barrier = &barrier}};
    db_exec(tx, "create table state (name varchar(20) primary key, version int)");
    db_exec(tx, "insert into state select 'key-' || i, 0 from " DB_SERIES("0", "99"));
    cr_assert_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&consumers[i].thread, NULL, run_consumer, &consumers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(consumers[i].thread, NULL), 0);
        cr_assert_eq(consumers[i].failures, 0);
    }
    cr_assert_eq(db_int(tx, "select count(*) from state where version = 2"), KEYS);
    cr_assert_eq(db_int(tx, "select count(*) from inbox_newest where version = 2"), KEYS);
    (void)pthread_barrier_destroy(&barrier);
}

Test(inbox_advance, only_its_own_key_makes_an_older_one)
{
    db_exec(tx, "create unique index somebodys on inbox_newest (message_key)");
    db_exec(tx, "begin");
    cr_assert_eq(advance(tx, "billing", "k1", 7), INBOX_FIRST);
    expect_words(advance(tx, "mail", "k1", 8), INBOX_DATABASE, INBOX_WORDS_ANOTHER_INDEX);
}

Test(inbox_advance, schema_is_checked)
{
    db_exec(tx, "update inbox_schema set version = 7");
    db_exec(tx, "begin");
    expect_failure(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, "", "version 7");
    cr_assert_eq(db_int(tx, "select count(*) from inbox_newest"), 0);
    db_exec(tx, "rollback");
    db_exec(tx, "update inbox_schema set version = 1");
    db_exec(tx, inbox_fixture_sql(INBOX_SQL_NEWEST_WITHOUT_KEY));
    cr_assert_eq(inbox_fixture_look(tx, &error), INBOX_SCHEMA);
    expect_words(0, INBOX_SCHEMA, INBOX_WORDS_NEWEST_WITHOUT_KEY);
    db_exec(tx, "drop table inbox_newest");
    db_exec(tx, "begin");
    expect_words(advance(tx, "billing", "k1", 7), INBOX_SCHEMA, INBOX_WORDS_NO_INBOX_TABLE);
}

Test(inbox_advance, rights_needed_are_few)
{
    db_allow(tx, "select, insert, update", "inbox_newest");
    db_allow(tx, "select", "inbox_schema");
    struct db *user = db_connect_allowed();
    db_exec(user, "begin");
    cr_assert_eq(advance(user, "billing", "k1", 7), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(advance(user, "billing", "k1", 7), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(advance(user, "billing", "k1", 6), INBOX_OUTDATED, "%s", error.message);
    cr_assert_eq(advance(user, "billing", "k1", 8), INBOX_FIRST, "%s", error.message);
    db_exec(user, "commit");
    db_close(user);
}

static bool
advance_by_hand(int version)
{
    return inbox_fixture_advance_by_hand(tx, "shipping", "k1", version);
}

Test(inbox_advance, plain_sql_advances_the_same)
{
    db_exec(tx, "start transaction");
    cr_assert(advance_by_hand(7));
    cr_assert_not(advance_by_hand(7));
    cr_assert_not(advance_by_hand(6));
    cr_assert(advance_by_hand(8));
    cr_assert_eq(advance(tx, "shipping", "k1", 8), INBOX_DUPLICATE);
    cr_assert_eq(advance(tx, "shipping", "k1", 9), INBOX_FIRST);
    cr_assert_not(advance_by_hand(9));
}
