#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/fail_alloc.h"
#include "tests/integration/inbox_fixture.h"

#define EURO "\xe2\x82\xac"

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

TestSuite(inbox, .init = set_up, .fini = tear_down, .timeout = 120);

/* 0 on failure: no verdict has that value. */
static inbox_verdict
claim_bytes(struct db *db, const char *consumer, const char *id, size_t length)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result result = inbox_fixture_claim(db, consumer, id, length, &verdict, &error);
    cr_assert_eq(result == INBOX_OK, verdict != 0);
    cr_assert_eq(error.code, result);
    return verdict;
}

static inbox_verdict
claim(struct db *db, const char *consumer, const char *id)
{
    return claim_bytes(db, consumer, id, strlen(id));
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

static void
expect_words(inbox_verdict verdict, inbox_result code, enum inbox_fixture_error which)
{
    const struct inbox_fixture_words wanted = inbox_fixture_words(which);
    expect_failure(verdict, code, wanted.sqlstate, wanted.words);
}

static int64_t
count_rows(struct db *db)
{
    return db_int(db, "select count(*) from inbox");
}

Test(inbox, first_then_duplicate)
{
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_DUPLICATE, "in the same transaction");
    cr_assert_eq(claim(tx, "mailing", "m1"), INBOX_FIRST, "another consumer");
    db_exec(tx, "commit"); /* the duplicate has not ended the transaction */
    db_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_DUPLICATE);
    cr_assert_eq(claim(other, "billing", "m2"), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(db_int(tx, "select count(*) from inbox where seen_at <= from_now(0)"), 2);
    db_exec(other, "rollback");
    cr_assert_eq(count_rows(tx), 2);
}

Test(inbox, rolled_back_is_not_claimed)
{
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    db_exec(tx, "rollback");
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
}

Test(inbox, refuses_without_a_transaction)
{
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(inbox_fixture_claim_many(tx, "billing", NULL, 0, NULL, &error),
                 INBOX_NO_TRANSACTION);
    db_exec(tx, "begin");
    cr_assert_eq(inbox_fixture_claim_many(tx, "billing", NULL, 0, NULL, &error), INBOX_OK);
    db_exec(tx, "commit");
    expect_failure(claim(tx, "billing", "m1"), INBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(count_rows(tx), 0);
}

Test(inbox, refuses_broken_rules_in_words)
{
    char longest[256];
    memset(longest, 'x', sizeof(longest));
    db_exec(tx, "begin");
    expect_failure(claim(NULL, "billing", "m1"), INBOX_CONNECTION, "", "not open");
    expect_failure(claim(tx, "", "m1"), INBOX_INVALID, "", "consumer");
    expect_failure(claim(tx, NULL, "m1"), INBOX_INVALID, "", "consumer");
    expect_failure(claim(tx, "billing", ""), INBOX_INVALID, "", "no id");
    expect_failure(claim_bytes(tx, "billing", NULL, 2), INBOX_INVALID, "", "no id");
    expect_failure(claim_bytes(tx, "billing", "a\xff", 2), INBOX_INVALID, "", "UTF-8");
    expect_failure(claim_bytes(tx, "billing", longest, 256), INBOX_INVALID, "", "255 bytes");
    cr_assert_eq(inbox_fixture_claim(tx, "billing", "m1", 2, NULL, &error), INBOX_INVALID);
    expect_error(INBOX_INVALID, "", "verdicts");
    cr_assert_eq(inbox_fixture_claim(tx, NULL, "m1", 2, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_claim_many(tx, "billing", NULL, 1, NULL, NULL), INBOX_INVALID);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST, "the transaction was as it was");
    cr_assert_eq(count_rows(tx), 1);
}

static inbox_result
claim_many(struct db *db, const char *const *texts, size_t count, inbox_verdict *ret_verdicts,
           struct inbox_error *reterr)
{
    struct inbox_id ids[16];
    for (size_t i = 0; i < count; i++) {
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    return inbox_fixture_claim_many(db, "billing", ids, count, ret_verdicts, reterr);
}

Test(inbox, batch_in_any_order_with_doubles)
{
    static const char *const texts[] = {"z", "old", "a", "z", EURO, "a", "a"};
    static const inbox_verdict wanted[] = {INBOX_FIRST,     INBOX_DUPLICATE, INBOX_FIRST,
                                           INBOX_DUPLICATE, INBOX_FIRST,     INBOX_DUPLICATE,
                                           INBOX_DUPLICATE};
    inbox_verdict verdicts[7];
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "old"), INBOX_FIRST);
    cr_assert_eq(claim_many(tx, texts, 7, verdicts, &error), INBOX_OK, "%s", error.message);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], wanted[i], "number %d", i);
    }
    cr_assert_eq(claim_many(tx, texts, 7, verdicts, &error), INBOX_OK);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(verdicts[i], INBOX_DUPLICATE, "number %d", i);
    }
    cr_assert_eq(claim_many(tx, texts, 0, NULL, &error), INBOX_OK);
    cr_assert_eq(count_rows(tx), 4);
}

Test(inbox, large_batch)
{
    enum { COUNT = 10000 };
    static char texts[COUNT][16];
    static struct inbox_id ids[COUNT];
    static inbox_verdict verdicts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "id-%d", (int)(i * 7919L % COUNT));
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    db_exec(tx, "begin");
    db_exec(tx,
            "insert into inbox (consumer, message_id) select 'c', 'id-' || (i * 3) from " DB_SERIES(
                "0", "3333"));
    cr_assert_eq(inbox_fixture_claim_many(tx, "c", ids, COUNT, verdicts, &error), INBOX_OK, "%s",
                 error.message);
    for (int i = 0; i < COUNT; i++) {
        const bool old = (i * 7919L % COUNT) % 3 == 0;
        cr_assert_eq(verdicts[i], old ? INBOX_DUPLICATE : INBOX_FIRST, "number %d", i);
    }
    cr_assert_eq(count_rows(tx), COUNT);
}

/* The longest possible statement. */
Test(inbox, batch_of_the_longest_names)
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
    db_exec(tx, "begin");
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(inbox_fixture_claim_many(tx, consumer, ids, COUNT, verdicts, &error), INBOX_OK,
                     "%s", error.message);
        for (int i = 0; i < COUNT; i++) {
            cr_assert_eq(verdicts[i], round == 0 ? INBOX_FIRST : INBOX_DUPLICATE, "number %d", i);
        }
    }
}

/* A claim in its own thread, because it blocks. At its end the attempt is written to `ends`. */
struct attempt {
    struct db *db;
    const char *const *texts;
    size_t count;
    inbox_verdict verdicts[16];
    inbox_result result;
    struct inbox_error error;
    int ends;
    pthread_t thread;
};

static void *
run_attempt(void *argument)
{
    struct attempt *attempt = argument;
    attempt->result =
        claim_many(attempt->db, attempt->texts, attempt->count, attempt->verdicts, &attempt->error);
    inbox_fixture_end_thread();
    if (attempt->ends != 0) {
        (void)!write(attempt->ends, &attempt, sizeof(attempt)); /* too few to be split */
    }
    return NULL;
}

/* Returns when the attempt waits for a lock. */
static void
start_attempt(struct attempt *attempt)
{
    struct db *watcher = db_connect();
    const int64_t session = db_session(attempt->db);
    cr_assert_eq(pthread_create(&attempt->thread, NULL, run_attempt, attempt), 0);
    db_wait_blocked(watcher, session);
    db_close(watcher);
}

/* A transaction of this isolation level claims a message that another transaction has claimed; then the other one ends
 * as told. */
static void
claim_while_open(const char *level, const char *how_it_ends, struct attempt *ret_attempt)
{
    static const char *const texts[] = {"m1"};
    *ret_attempt = (struct attempt){.db = other, .texts = texts, .count = 1};
    db_exec(tx, "begin");
    db_begin_at(other, level);
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    start_attempt(ret_attempt);
    db_exec(tx, how_it_ends);
    cr_assert_eq(pthread_join(ret_attempt->thread, NULL), 0);
    db_exec(other, "commit");
    cr_assert_eq(count_rows(tx), 1);
    db_exec(tx, "delete from inbox");
}

/* The transaction began to read before the other one's commit: whether it sees that claim depends on the kind of
 * database. */
static void
expect_unseen(inbox_result result, inbox_verdict verdict)
{
    if (inbox_fixture_sees_all()) {
        cr_assert_eq(result, INBOX_OK, "%s", error.message);
        cr_assert_eq(verdict, INBOX_DUPLICATE);
    } else {
        cr_assert_eq(result, INBOX_RETRY, "%s", error.message);
        expect_error(INBOX_RETRY, "40001", "serialize");
    }
}

Test(inbox, waits_for_a_claim_at_every_isolation_level)
{
    static const char *const levels[] = {"read uncommitted", "read committed", "repeatable read",
                                         "serializable"};
    for (int i = 0; i < 4; i++) {
        struct attempt attempt;
        claim_while_open(levels[i], "commit", &attempt);
        error = attempt.error;
        if (i < 2) {
            cr_assert_eq(attempt.result, INBOX_OK, "%s: %s", levels[i], error.message);
            cr_assert_eq(attempt.verdicts[0], INBOX_DUPLICATE, "%s", levels[i]);
        } else {
            expect_unseen(attempt.result, attempt.verdicts[0]);
        }
        claim_while_open(levels[i], "rollback", &attempt);
        cr_assert_eq(attempt.result, INBOX_OK, "%s: %s", levels[i], attempt.error.message);
        cr_assert_eq(attempt.verdicts[0], INBOX_FIRST, "%s", levels[i]);
    }
}

/* The other ones have claimed nothing: each waits for the first one, or is told to run everything again. */
Test(inbox, one_of_several_that_wait_is_the_first)
{
    static const char *const texts[] = {"m1"};
    struct db *third = db_connect();
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct attempt attempts[2] = {{.db = other, .texts = texts, .count = 1, .ends = ends[1]},
                                  {.db = third, .texts = texts, .count = 1, .ends = ends[1]}};
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        db_exec(attempts[i].db, "begin");
        start_attempt(&attempts[i]);
    }
    db_exec(tx, "rollback");
    int firsts = 0;
    for (int i = 0; i < 2; i++) {
        struct attempt *ended;
        cr_assert_eq(read(ends[0], &ended, sizeof(ended)), (ssize_t)sizeof(ended));
        cr_assert_eq(pthread_join(ended->thread, NULL), 0);
        cr_assert(ended->result == INBOX_OK || ended->result == INBOX_RETRY, "%s",
                  ended->error.message);
        firsts += ended->result == INBOX_OK && ended->verdicts[0] == INBOX_FIRST;
        db_exec(ended->db, ended->result == INBOX_OK ? "commit" : "rollback");
    }
    cr_assert_eq(firsts, 1);
    cr_assert_eq(count_rows(tx), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    db_close(third);
}

Test(inbox, wait_is_bounded)
{
    db_exec(tx, "begin");
    db_limit_waits(other);
    db_exec(other, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_words(claim(other, "billing", "m1"), INBOX_RETRY, INBOX_WORDS_LOCKED);
}

/* Each transaction holds what the other one waits for. The server chooses one of them as the victim; returns that one
 * and its error. */
static struct db *
make_deadlock(struct inbox_error *ret_error)
{
    static const char *const texts[] = {"b"};
    struct attempt attempt = {.db = tx, .texts = texts, .count = 1};
    db_exec(tx, "begin");
    db_exec(other, "begin");
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

/* MariaDB's client library goes on to say that a transaction is open, because an error does not update its state. */
Test(inbox, a_deadlock_ends_the_transaction)
{
    struct db *victim = make_deadlock(&error);
    expect_words(0, INBOX_RETRY, INBOX_WORDS_DEADLOCK);
    expect_failure(claim(victim, "billing", "m1"), INBOX_NO_TRANSACTION, "", "transaction");
    db_exec(victim, "rollback");
    db_exec(victim == tx ? other : tx, "rollback");
    cr_assert_eq(count_rows(tx), 0);
}

/* Without the sort, {a, b} and {b, a} would each hold what the other one waits for. A third transaction holds the id in
 * the middle until both have begun and wait, so that they certainly overlap. */
Test(inbox, batches_that_overlap_do_not_deadlock)
{
    static const char *const forward[] = {"a", "m", "z"};
    static const char *const backward[] = {"z", "m", "a"};
    struct db *third = db_connect();
    struct attempt attempts[2] = {{.db = tx, .texts = forward, .count = 3},
                                  {.db = other, .texts = backward, .count = 3}};
    db_exec(third, "begin");
    cr_assert_eq(claim(third, "billing", "m"), INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        db_exec(attempts[i].db, "begin");
        start_attempt(&attempts[i]);
    }
    db_exec(third, "rollback");
    cr_assert_eq(pthread_join(attempts[0].thread, NULL), 0);
    cr_assert_eq(attempts[0].result, INBOX_OK, "%s", attempts[0].error.message);
    db_exec(tx, "commit");
    cr_assert_eq(pthread_join(attempts[1].thread, NULL), 0);
    cr_assert_eq(attempts[1].result, INBOX_OK, "%s", attempts[1].error.message);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(attempts[0].verdicts[i], INBOX_FIRST);
        cr_assert_eq(attempts[1].verdicts[i], INBOX_DUPLICATE);
    }
    db_close(third);
}

/* Also in a batch; if the claim succeeds, the other messages of the batch are claimed. */
Test(inbox, duplicate_that_the_snapshot_cannot_see)
{
    static const char *const texts[] = {"m2", "m1"};
    inbox_verdict verdicts[2];
    db_begin_at(tx, "repeatable read");
    cr_assert_eq(count_rows(tx), 0);
    db_exec(other, "begin");
    cr_assert_eq(claim(other, "billing", "m1"), INBOX_FIRST);
    db_exec(other, "commit");
    cr_assert_eq(count_rows(tx), 0, "this test proves nothing: the transaction sees it");
    const inbox_result result = claim_many(tx, texts, 2, verdicts, &error);
    expect_unseen(result, verdicts[1]);
    cr_assert(result != INBOX_OK || verdicts[0] == INBOX_FIRST);
}

Test(inbox, schema_is_checked)
{
    db_exec(tx, "update inbox_schema set version = 7");
    db_exec(tx, "begin");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "",
                   "version 7, this library uses version 1");
    cr_assert_eq(inbox_fixture_forget(tx, 1, 1, NULL, &error), INBOX_SCHEMA);
    cr_assert_eq(count_rows(tx), 0);
    db_exec(tx, "delete from inbox_schema");
    expect_failure(claim(tx, "billing", "m1"), INBOX_SCHEMA, "", "empty");
    db_exec(tx, "insert into inbox_schema (version) values (1)");
    db_exec(tx, "drop table inbox");
    db_exec(tx, "commit");
    db_exec(tx, "begin");
    expect_words(claim(tx, "billing", "m1"), INBOX_SCHEMA, INBOX_WORDS_NO_INBOX_TABLE);
    db_exec(tx, "rollback");
    db_exec(tx, "drop table inbox_schema");
    db_exec(tx, "begin");
    expect_words(claim(tx, "billing", "m1"), INBOX_SCHEMA, INBOX_WORDS_NO_INBOX_TABLE);
}

Test(inbox, connection_lost)
{
    db_exec(tx, "begin");
    db_end_session(other, db_session(tx));
    cr_assert_eq(claim(tx, "billing", "m1"), 0);
    cr_assert_eq(error.code, INBOX_CONNECTION, "%s", error.message);
    cr_assert(strstr(error.message, inbox_fixture_words(INBOX_WORDS_LOST).words) != NULL, "%s",
              error.message);
}

Test(inbox, text_is_utf8_whatever_the_connection_says)
{
    db_exec(tx, "set names 'latin1'");
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, EURO, EURO), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(tx, EURO, EURO), INBOX_DUPLICATE);
    db_exec(tx, "commit");
    cr_assert_str_eq(db_text(other, "select consumer || message_id from inbox"), EURO EURO);
}

Test(inbox, names_are_bytes)
{
    static const char *const names[] = {"a", "A", "a ", "a\t", EURO, "\xc3\xa4", "a\xcc\x88"};
    db_exec(tx, "begin");
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(claim(tx, names[i], "m1"), INBOX_FIRST, "consumer %zu", i);
        cr_assert_eq(claim(tx, "billing", names[i]), INBOX_FIRST, "id %zu", i);
    }
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(claim(tx, names[i], "m1"), INBOX_DUPLICATE, "consumer %zu", i);
        cr_assert_eq(claim(tx, "billing", names[i]), INBOX_DUPLICATE, "id %zu", i);
    }
}

/* A conflict with an index that somebody else added does not mean that the message was applied. */
Test(inbox, only_its_own_id_makes_a_duplicate)
{
    db_exec(tx, "create unique index somebodys on inbox (message_id)");
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "billing", "m1"), INBOX_FIRST);
    expect_words(claim(tx, "mail", "m1"), INBOX_DATABASE, INBOX_WORDS_ANOTHER_INDEX);
}

Test(inbox, what_the_server_refuses_is_told)
{
    db_exec(tx, "start transaction read only");
    expect_words(claim(tx, "billing", "m1"), INBOX_DATABASE, INBOX_WORDS_READ_ONLY);
}

/* The statements that docs/CONSUMING.md has for other languages, on the same inbox as the library. */
Test(inbox, plain_sql_claims_the_same)
{
    db_exec(tx, "start transaction");
    cr_assert(inbox_fixture_claim_by_hand(tx, "shipping", "m1"));
    db_exec(tx, "commit");
    db_exec(tx, "start transaction");
    cr_assert_not(inbox_fixture_claim_by_hand(tx, "shipping", "m1"));
    cr_assert_eq(claim(tx, "shipping", "m1"), INBOX_DUPLICATE, "the transaction goes on");
    cr_assert_eq(claim(tx, "shipping", "m2"), INBOX_FIRST);
    db_exec(tx, "commit");
    cr_assert_not(inbox_fixture_claim_by_hand(other, "shipping", "m2"));
}

static void
forget_and_expect(uint64_t age_s, uint32_t limit, uint64_t wanted)
{
    uint64_t forgotten = UINT64_MAX;
    cr_assert_eq(inbox_fixture_forget(tx, age_s, limit, &forgotten, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(forgotten, wanted, "%lu", (unsigned long)forgotten);
}

static int64_t
oldest(void)
{
    return db_int(tx, "select message_id from inbox order by seen_at limit 1");
}

Test(inbox, forgets_the_oldest_up_to_a_limit)
{
    db_exec(tx, "insert into inbox (consumer, message_id, seen_at) select 'c', '' || i, "
                "from_now(-3600 * i) from " DB_SERIES("0", "10"));
    db_change_zone(tx);
    forget_and_expect(5 * 3600 + 1800, 3, 3);
    cr_assert_eq(oldest(), 7);
    forget_and_expect(5 * 3600 + 1800, 3, 2);
    forget_and_expect(5 * 3600 + 1800, 3, 0);
    cr_assert_eq(oldest(), 5);
    db_exec(tx, "begin");
    forget_and_expect(1, UINT32_MAX, 5);
    db_exec(tx, "rollback");
    forget_and_expect(1, UINT32_MAX, 5);
    forget_and_expect(UINT64_C(3155760000), 1, 0);
}

static void
expect_usable(void)
{
    cr_assert_eq(inbox_fixture_look(tx, &error), INBOX_OK, "%s", error.message);
}

/* 100 claims, each `seconds` older than the one before it, and all older by `more`. */
static void
fill(const char *consumer, const char *name, int seconds, int more)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into inbox (consumer, message_id, seen_at) select '%s', '%s' || i, "
                   "from_now(-%d * i - %d) from " DB_SERIES("1", "100"),
                   consumer, name, seconds, more);
    db_exec(tx, sql);
}

/* A row's position is unique only within a partition: here, fresh claims in one partition have the positions of old
 * ones in the other. */
static void
expect_only_old_ones_forgotten(void)
{
    const int day_s = 86400;
    expect_usable();
    fill("billing", "new-", 0, 0);
    fill("mail", "new-", 0, 0);
    fill("billing", "old-", day_s, 0);
    fill("mail", "older-", 0, 200 * day_s);
    forget_and_expect(3600, 150, 150);
    cr_assert_eq(db_int(tx, "select count(*) from inbox where message_id like 'older%'"), 0);
    cr_assert_eq(db_int(tx, "select count(*) from inbox where message_id like 'old-%' and seen_at "
                            "> from_now(-50 * 86400 - 3600)"),
                 50);
    forget_and_expect(3600, 150, 50);
    cr_assert_eq(count_rows(tx), 200);
    db_exec(tx, "begin");
    cr_assert_eq(claim(tx, "mail", "new-7"), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(claim(tx, "billing", "old-7"), INBOX_FIRST, "%s", error.message);
    db_exec(tx, "commit");
}

Test(inbox, forgets_in_partitions_by_list)
{
    db_exec(tx, inbox_fixture_sql(INBOX_SQL_PARTITIONS_BY_LIST));
    expect_only_old_ones_forgotten();
}

Test(inbox, forgets_in_partitions_by_hash)
{
    db_exec(tx, inbox_fixture_sql(INBOX_SQL_PARTITIONS_BY_HASH));
    expect_only_old_ones_forgotten();
}

static void
expect_unguarded(enum inbox_fixture_error why)
{
    memset(&error, 0, sizeof(error));
    cr_assert_eq(inbox_fixture_look(tx, &error), INBOX_SCHEMA);
    expect_words(0, INBOX_SCHEMA, why);
}

/* The primary key must contain the partitioning column, seen_at, and so accepts an id twice. */
Test(inbox, partitions_by_time_guard_no_id)
{
    db_exec(tx, inbox_fixture_sql(INBOX_SQL_PARTITIONS_BY_TIME));
    expect_unguarded(INBOX_WORDS_PARTITIONS_BY_TIME);
    fill("billing", "old-", 86400, 0);
    fill("mail", "new-", 0, 0);
    forget_and_expect(3600, 1000, 100);
}

Test(inbox, without_its_key_a_table_guards_no_id)
{
    db_exec(tx, inbox_fixture_sql(INBOX_SQL_WITHOUT_KEY));
    expect_unguarded(INBOX_WORDS_WITHOUT_KEY);
}

Test(inbox, forget_has_rules)
{
    uint64_t forgotten = 42;
    cr_assert_eq(inbox_fixture_forget(tx, 0, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_forget(tx, UINT64_MAX, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_forget(tx, 1, 0, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_fixture_forget(NULL, 1, 1, &forgotten, &error), INBOX_CONNECTION);
    cr_assert_eq(forgotten, 42u);
}

Test(inbox, rights_needed_are_few)
{
    db_allow(tx, "select, insert", "inbox");
    db_allow(tx, "select", "inbox_schema");
    struct db *user = db_connect_allowed();
    db_exec(user, "begin");
    cr_assert_eq(claim(user, "billing", "m1"), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(claim(user, "billing", "m1"), INBOX_DUPLICATE, "%s", error.message);
    db_exec(user, "commit");
    cr_assert_eq(inbox_fixture_forget(user, 1, 1, NULL, &error), INBOX_DATABASE);
    expect_words(0, INBOX_DATABASE, INBOX_WORDS_DENIED);
    db_allow(tx, "delete", "inbox");
    db_close(user);
    user = db_connect_allowed();
    cr_assert_eq(inbox_fixture_forget(user, 1, 1, NULL, &error), INBOX_OK, "%s", error.message);
    db_close(user);
}

Test(inbox, no_memory)
{
    unsigned nth = 0;
    inbox_verdict verdict;
    db_exec(tx, "begin");
    for (;;) {
        fail_alloc_arm(++nth);
        verdict = claim(tx, "billing", "m1");
        if (!fail_alloc_happened()) {
            break;
        }
        expect_failure(verdict, INBOX_NO_MEMORY, "", "no memory");
    }
    cr_assert_eq(verdict, INBOX_FIRST, "%s", error.message);
    cr_assert_gt(nth, 1);
}
