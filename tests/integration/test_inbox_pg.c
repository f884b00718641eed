#include <criterion/criterion.h>
#include <inbox/inbox_pg.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/fail_alloc.h"
#include "tests/integration/pg_fixture.h"

#define EURO "\xe2\x82\xac"

static PGconn *tx;
static PGconn *other;
static struct inbox_error error;

static void
set_up(void)
{
    tx = pg_fixture_create();
    other = pg_fixture_connect();
    pg_fixture_load(tx, "consumers/postgres/schema.sql");
}

static void
tear_down(void)
{
    PQfinish(other);
    pg_fixture_drop(tx);
}

TestSuite(inbox_pg, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
claim(PGconn *conn, const char *consumer, const char *id)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result = inbox_pg_claim(conn, consumer, id, strlen(id), &verdict, &error);
    cr_assert_eq(result == INBOX_OK, verdict != 0);
    cr_assert_eq(error.code, result);
    return verdict;
}

static void
expect_failure(inbox_verdict verdict, inbox_result code, const char *sqlstate, const char *words)
{
    cr_assert_eq(verdict, 0);
    cr_assert_eq(error.code, code, "%s: %s", inbox_result_name(error.code), error.message);
    cr_assert_str_eq(error.sqlstate, sqlstate);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
}

Test(inbox_pg, first_then_duplicate)
{
    pg_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_DUPLICATE, "in the same transaction");
    cr_assert_eq(claim(tx, "mailing", "m1"), INBOX_FIRST, "another consumer");
    cr_assert_eq(PQtransactionStatus(tx), PQTRANS_INTRANS);
    pg_exec(tx, "commit");
    pg_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_DUPLICATE);
    cr_assert_eq(claim(other, "billing", "m2"), INBOX_FIRST);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox where seen_at <= now()"), 2);
}

Test(inbox_pg, rolled_back_is_not_claimed)
{
    pg_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    pg_exec(tx, "rollback; begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
}

Test(inbox_pg, refuses_what_is_no_usable_transaction)
{
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "no transaction");
    pg_exec(tx, "begin");
    PQclear(PQexec(tx, "select 1 / 0"));
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "rolled back");
    pg_exec(tx, "rollback; begin");
    cr_assert(PQsendQuery(tx, "select 1"));
    expect_failure(claim(tx, "billing", "m1"), INBOX_INVALID, "", "busy");
    PQclear(PQgetResult(tx));
    cr_assert_null(PQgetResult(tx));
    cr_assert(PQenterPipelineMode(tx));
    expect_failure(claim(tx, "billing", "m1"), INBOX_INVALID, "", "pipeline");
    cr_assert(PQexitPipelineMode(tx));
    expect_failure(claim(tx, "", "m1"), INBOX_INVALID, "", "consumer");
    expect_failure(claim(tx, "billing", ""), INBOX_INVALID, "", "no id");
    cr_assert_eq(inbox_pg_claim(tx, "billing", "m1", 2, NULL, &error), INBOX_INVALID);
    cr_assert(strstr(error.message, "verdicts") != NULL, "%s", error.message);
    cr_assert_eq(inbox_pg_claim(tx, NULL, "m1", 2, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_claim_many(tx, "billing", NULL, 1, NULL, &error), INBOX_INVALID);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox"), 0);
}

static inbox_result
claim_many(PGconn *conn, const char *const *texts, size_t count, inbox_verdict *ret_verdicts)
{
    struct inbox_id ids[16];
    for (size_t i = 0; i < count; i++) {
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    return inbox_pg_claim_many(conn, "billing", ids, count, ret_verdicts, &error);
}

Test(inbox_pg, batch_in_any_order_with_doubles)
{
    static const char *const texts[] = {"z", "old", "a", "z", EURO, "a", "a"};
    static const inbox_verdict wanted[] = {INBOX_FIRST,     INBOX_DUPLICATE, INBOX_FIRST,
                                           INBOX_DUPLICATE, INBOX_FIRST,     INBOX_DUPLICATE,
                                           INBOX_DUPLICATE};
    inbox_verdict verdicts[7];
    pg_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "old"), INBOX_FIRST);
    cr_assert_eq(claim_many(tx, texts, 7, verdicts), INBOX_OK, "%s", error.message);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], wanted[i], "number %d", i);
    }
    cr_assert_eq(claim_many(tx, texts, 7, verdicts), INBOX_OK);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], INBOX_DUPLICATE, "number %d", i);
    }
    cr_assert_eq(claim_many(tx, texts, 0, NULL), INBOX_OK);
}

Test(inbox_pg, large_batch)
{
    enum { COUNT = 10000 };
    static char texts[COUNT][16];
    static struct inbox_id ids[COUNT];
    static inbox_verdict verdicts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "id-%d", (int)(i * 7919L % COUNT));
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    pg_exec(tx,
            "begin; insert into inbox select 'c', 'id-' || i * 3 from generate_series(0, 3333) i");
    cr_assert_eq(inbox_pg_claim_many(tx, "c", ids, COUNT, verdicts, &error), INBOX_OK);
    for (int i = 0; i < COUNT; i++) {
        const bool old = (i * 7919L % COUNT) % 3 == 0;
        cr_assert_eq(verdicts[i], old ? INBOX_DUPLICATE : INBOX_FIRST, "number %d", i);
    }
}

/* A claim in a thread of its own: it blocks. */
struct attempt {
    PGconn *conn;
    const char *const *texts;
    size_t count;
    inbox_verdict verdicts[16];
    inbox_result result;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result = claim_many(attempt->conn, attempt->texts, attempt->count, attempt->verdicts);
    return NULL;
}

static inbox_verdict
claim_while_open(const char *how_it_ends)
{
    static const char *const texts[] = {"m1"};
    struct attempt attempt = {.conn = other, .texts = texts, .count = 1};
    PGconn *watcher = pg_fixture_connect();
    pthread_t thread;
    pg_exec(tx, "begin");
    pg_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    cr_assert_eq(pthread_create(&thread, NULL, run_attempt, &attempt), 0);
    pg_wait_blocked(watcher, PQbackendPID(other));
    pg_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    PQfinish(watcher);
    cr_assert_eq(attempt.result, INBOX_OK, "%s", error.message);
    return attempt.verdicts[0];
}

Test(inbox_pg, waits_for_a_claim_that_commits)
{
    cr_assert_eq(claim_while_open("commit"), INBOX_DUPLICATE);
}

Test(inbox_pg, waits_for_a_claim_that_rolls_back)
{
    cr_assert_eq(claim_while_open("rollback"), INBOX_FIRST);
    pg_exec(other, "commit");
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox"), 1);
}

Test(inbox_pg, wait_is_bounded_by_lock_timeout)
{
    pg_exec(tx, "begin");
    pg_exec(other, "set lock_timeout = '20ms'; begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_failure(claim(other, "billing", "m1"), INBOX_RETRY, "55P03", "lock timeout");
}

/* Without the sort, {a, b} and {b, a} would each hold what the other waits for. A third transaction holds the one in the
 * middle until both have begun and wait, so that they overlap for sure. */
Test(inbox_pg, batches_that_overlap_do_not_deadlock)
{
    static const char *const forward[] = {"a", "m", "z"};
    static const char *const backward[] = {"z", "m", "a"};
    PGconn *third = pg_fixture_connect();
    PGconn *watcher = pg_fixture_connect();
    struct attempt attempts[2] = {{.conn = tx, .texts = forward, .count = 3},
                                  {.conn = other, .texts = backward, .count = 3}};
    pthread_t threads[2];
    pg_exec(third, "begin");
    cr_assert_eq(claim(third, "billing", "m"), INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        pg_exec(attempts[i].conn, "begin");
        cr_assert_eq(pthread_create(&threads[i], NULL, run_attempt, &attempts[i]), 0);
        pg_wait_blocked(watcher, PQbackendPID(attempts[i].conn));
    }
    pg_exec(third, "rollback");
    cr_assert_eq(pthread_join(threads[0], NULL), 0);
    pg_exec(tx, "commit");
    cr_assert_eq(pthread_join(threads[1], NULL), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(attempts[0].verdicts[i], INBOX_FIRST);
        cr_assert_eq(attempts[1].verdicts[i], INBOX_DUPLICATE);
    }
    PQfinish(third);
    PQfinish(watcher);
}

Test(inbox_pg, claim_that_the_snapshot_cannot_see_is_a_retry)
{
    pg_exec(tx, "begin isolation level repeatable read; select 1 from inbox");
    pg_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_FIRST);
    pg_exec(other, "commit");
    expect_failure(claim(tx, "billing", "m1"), INBOX_RETRY, "40001", "serialize");
}

Test(inbox_pg, schema_is_checked)
{
    pg_exec(tx, "update inbox_schema set version = 7; begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "",
                   "version 7, this library uses version 1");
    cr_assert_eq(inbox_pg_forget(tx, 1, 1, NULL, &error), INBOX_SCHEMA);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox"), 0);
    pg_exec(tx, "delete from inbox_schema");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "", "empty");
    pg_exec(tx, "drop table inbox");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "42P01", "inbox");
}

Test(inbox_pg, connection_lost)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 10000)", PQbackendPID(tx));
    pg_exec(tx, "begin");
    pg_exec(other, sql);
    cr_assert_eq(claim(tx, "billing", "m1"), 0);
    cr_assert_eq(error.code, INBOX_CONNECTION);
}

Test(inbox_pg, text_is_utf8_whatever_the_connection_says)
{
    cr_assert_eq(PQsetClientEncoding(tx, "LATIN1"), 0);
    pg_exec(tx, "begin");
    cr_assert_eq(claim(tx, EURO, EURO), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(tx, EURO, EURO), INBOX_DUPLICATE);
    cr_assert_eq(PQsetClientEncoding(tx, "UTF8"), 0);
    cr_assert_str_eq(pg_query_text(tx, "select consumer || message_id from inbox"), EURO EURO);
}

static void
forget_and_expect(uint64_t age_s, uint32_t limit, uint64_t wanted)
{
    uint64_t forgotten = UINT64_MAX;
    cr_assert_eq(inbox_pg_forget(tx, age_s, limit, &forgotten, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(forgotten, wanted);
}

Test(inbox_pg, forgets_the_oldest_up_to_a_limit)
{
    pg_exec(tx, "insert into inbox select 'c', i::text, now() - i * interval '1 hour'"
                " from generate_series(0, 10) as i");
    forget_and_expect(5 * 3600 + 1800, 3, 3);
    cr_assert_eq(pg_query_int(tx, "select max(message_id::int) from inbox"), 7);
    forget_and_expect(5 * 3600 + 1800, 3, 2);
    forget_and_expect(5 * 3600 + 1800, 3, 0);
    cr_assert_eq(pg_query_int(tx, "select max(message_id::int) from inbox"), 5);
    pg_exec(tx, "begin");
    forget_and_expect(1, UINT32_MAX, 5);
    pg_exec(tx, "rollback");
    forget_and_expect(1, UINT32_MAX, 5);
    forget_and_expect(UINT64_C(3155760000), 1, 0);
}

/* The table of README in another form: the same rows, and the same primary key unless `key` says otherwise. */
static void
partition_inbox(const char *key, const char *how)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "drop table inbox; create table inbox (consumer text not null, message_id text "
                   "not null, seen_at timestamptz not null default now(), primary key (%s)) "
                   "partition by %s; create index on inbox (seen_at)",
                   key, how);
    pg_exec(tx, sql);
}

/* A place in a table is one of a partition's: at each of them a fresh claim stands at the place of an old one. */
static void
expect_only_old_ones_forgotten(void)
{
    pg_exec(tx, "insert into inbox select c, 'new-' || i, now() from generate_series(1, 100) i, "
                "unnest(array['billing', 'mail']) c");
    pg_exec(tx, "insert into inbox select 'billing', 'old-' || i, now() - i * interval '1 day' "
                "from generate_series(1, 100) i");
    pg_exec(tx, "insert into inbox select 'mail', 'older-' || i, now() - interval '200 days' "
                "from generate_series(1, 100) i");
    forget_and_expect(3600, 150, 150);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox where message_id like 'older%'"), 0);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox where message_id like 'old-%' and "
                                  "seen_at > now() - interval '50 days' - interval '1 hour'"),
                 50);
    forget_and_expect(3600, 150, 50);
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox"), 200);
    pg_exec(tx, "begin");
    cr_assert_eq(claim(tx, "mail", "new-7"), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(claim(tx, "mail", "old-7"), INBOX_FIRST);
    pg_exec(tx, "commit");
}

Test(inbox_pg, forgets_in_partitions_by_list)
{
    partition_inbox("consumer, message_id", "list (consumer)");
    pg_exec(tx, "create table inbox_billing partition of inbox for values in ('billing');"
                "create table inbox_rest partition of inbox default");
    expect_only_old_ones_forgotten();
}

Test(inbox_pg, forgets_in_partitions_by_hash)
{
    partition_inbox("message_id, consumer", "hash (message_id)");
    pg_exec(tx, "create table inbox_0 partition of inbox for values with (modulus 3, remainder 0);"
                "create table inbox_1 partition of inbox for values with (modulus 3, remainder 1);"
                "create table inbox_2 partition of inbox for values with (modulus 3, remainder 2)");
    expect_only_old_ones_forgotten();
}

static void
expect_unguarded(void)
{
    pg_exec(tx, "begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "42P10",
                   "no unique index on inbox (consumer, message_id)");
    cr_assert(strstr(error.message, "not by seen_at") != NULL, "cut: %s", error.message);
    pg_exec(tx, "rollback");
}

/* The primary key must have the column that partitions, and so lets an id in twice. */
Test(inbox_pg, partitions_by_time_guard_no_id)
{
    partition_inbox("consumer, message_id, seen_at", "range (seen_at)");
    pg_exec(tx, "create table inbox_all partition of inbox default");
    expect_unguarded();
    pg_exec(tx, "insert into inbox select c, i::text, now() - i * interval '1 day' from "
                "generate_series(0, 9) i, unnest(array['billing', 'mail']) c");
    forget_and_expect(3600, 100, 18);
}

Test(inbox_pg, without_its_key_a_table_guards_no_id)
{
    pg_exec(tx, "alter table inbox drop constraint inbox_pkey");
    expect_unguarded();
}

/* Another rule of somebody's is no sign that the message was applied. */
Test(inbox_pg, only_its_own_id_makes_a_duplicate)
{
    pg_exec(tx, "create unique index on inbox (message_id); begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_failure(claim(tx, "mail", "m1"), INBOX_DATABASE, "23505", "duplicate key");
}

Test(inbox_pg, forget_has_rules)
{
    uint64_t forgotten = 42;
    cr_assert_eq(inbox_pg_forget(tx, 0, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_forget(tx, UINT64_MAX, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_pg_forget(tx, 1, 0, &forgotten, &error), INBOX_INVALID);
    pg_exec(tx, "begin");
    PQclear(PQexec(tx, "select 1 / 0"));
    cr_assert_eq(inbox_pg_forget(tx, 1, 1, &forgotten, &error), INBOX_NO_TRANSACTION);
    cr_assert_eq(forgotten, 42u);
}

Test(inbox_pg, rights_needed_are_few)
{
    pg_exec(tx, "create role inbox_test_consumer; grant select, insert, delete on inbox to "
                "inbox_test_consumer;"
                "set role inbox_test_consumer; begin");
    const inbox_verdict verdict = claim(tx, "billing", "m1");
    const inbox_result result = inbox_pg_forget(tx, 1, 1, NULL, &error);
    pg_exec(tx,
            "commit; reset role; drop owned by inbox_test_consumer; drop role inbox_test_consumer");
    cr_assert_eq(verdict, INBOX_FIRST);
    cr_assert_eq(result, INBOX_OK, "%s", error.message);
}

Test(inbox_pg, no_memory)
{
    pg_exec(tx, "begin");
    fail_alloc_arm(1);
    const inbox_verdict verdict = claim(tx, "billing", "m1");
    cr_assert(fail_alloc_happened());
    expect_failure(verdict, INBOX_NO_MEMORY, "", "no memory");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
}
