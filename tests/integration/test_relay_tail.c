/* Rows are read from the database's log: what is committed is sent, however it was written, in the order of the
 * commits, once, and nothing else. The relay must tail all the time: a test fails if it goes back to the table
 * meanwhile. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

static void
open_own(void)
{
    scene_tail();
    scene_open_own();
}

static void
open_large(void)
{
    scene_tail();
    scene_open_large();
}

TestSuite(relay_tail, .init = scene_open_tail, .fini = scene_close, .timeout = 280);
TestSuite(relay_tail_large, .init = open_large, .fini = scene_close_own, .timeout = 280);
TestSuite(relay_tail_alone, .init = open_own, .fini = scene_close_own, .timeout = 280);

#define NO_SWEEP "sweep_interval = \"1h\"\n"

static struct consumer *consumer;

static void
start(void)
{
    scene_start_relay(NO_SWEEP);
    consumer = consumer_open(NULL, scene.queue);
}

static void
expect_log_only(void)
{
    /* If this machine takes too long to make a commit visible, the relay looks for it in the table, which is right. */
    const unsigned looked = relay_logged(scene.relay, "is in the log and perhaps not visible");
    const unsigned tailing = relay_logged(scene.relay, "event=tailing");
    check(tailing >= 1 && tailing <= 1 + looked, "it has not read the log all the time");
    check(relay_logged(scene.relay, "event=polling") == looked, "it has polled");
    check(relay_logged(scene.relay, "event=not_tailing") == 0, "it has polled");
    scene_drain_relay();
}

static void
finish(void)
{
    struct delivery delivery;
    await_empty_outbox(scene.db);
    check(!consumer_take_within(consumer, CLOCK_S_US / 4, &delivery), "\"%s\" came on top",
          delivery.body);
    consumer_close(consumer);
    expect_log_only();
}

static void
expect_once(void)
{
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
}

static void
finish_traffic(void)
{
    expect_once();
    expect_log_only();
}

static void
finish_changed_traffic(void)
{
    expect_once();
    check(relay_logged(scene.relay, "the definition of table outbox") > 0, "the log was read on");
    scene_drain_relay();
}

static void
insert(const char *key, const char *payload)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', %s, '%s')",
               scene.queue, key, payload);
}

/* ---- where rows come from -------------------------------------------------------------------------- */

struct looks {
    int64_t count;
    uint64_t since_us;
};

/* Nobody has read the table for five seconds. (A session reports its reads to the server's statistics once a second.) */
static bool
is_left_alone(void *context)
{
    struct looks *looks = context;
    const int64_t count = db_looks(scene.db);
    if (count != looks->count) {
        *looks = (struct looks){count, clock_monotonic_us()};
    }
    return clock_monotonic_us() - looks->since_us > 5 * CLOCK_S_US;
}

/* Promise: an idle outbox is not read, and what is written then is sent all the same. */
Test(relay_tail_alone, an_idle_table_is_left_alone)
{
    struct looks looks = {-1, 0};
    db_count_looks(scene.db);
    start();
    await(is_left_alone, &looks, "nobody looks at the table", PATIENCE_S);
    insert("null", "first");
    consumer_expect(consumer, "first");
    await(is_left_alone, &looks, "nobody looks at the table", PATIENCE_S);
    insert("'k'", "second");
    consumer_expect(consumer, "second");
    finish();
}

/* ---- the order of the commits ---------------------------------------------------------------------- */

enum { SESSIONS = 12, ROUNDS = 25 };

static void
open_sessions(struct db **sessions)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        sessions[i] = db_connect();
    }
}

static void
close_sessions(struct db **sessions)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        db_close(sessions[i]);
    }
}

static void
begin_all(struct db *const *sessions, unsigned round)
{
    char sql[256];
    for (unsigned i = 0; i < SESSIONS; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "begin; insert into outbox (routing_key, payload) values ('%s', '%u of %u')",
                       scene.queue, i, round);
        db_exec(sessions[i], sql);
    }
}

static void
shuffle(unsigned *numbers, struct random *random)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        const unsigned j = (unsigned)random_between(random, 0, i);
        numbers[i] = numbers[j];
        numbers[j] = i;
    }
}

/* Promise: messages without a key are also sent in the order of the commits, whatever the order of their ids. */
Test(relay_tail, the_order_is_that_of_the_commits)
{
    static unsigned order[ROUNDS][SESSIONS];
    struct db *sessions[SESSIONS];
    struct random random;
    char body[32];
    random_seed(&random, clock_wall_us());
    start();
    open_sessions(sessions);
    for (unsigned round = 0; round < ROUNDS; round++) {
        begin_all(sessions, round);
        shuffle(order[round], &random);
        for (unsigned i = 0; i < SESSIONS; i++) {
            db_exec(sessions[order[round][i]], "commit");
        }
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < SESSIONS; i++) {
            (void)snprintf(body, sizeof(body), "%u of %u", order[round][i], round);
            consumer_expect(consumer, body);
        }
    }
    close_sessions(sessions);
    finish();
}

/* ---- small and large ------------------------------------------------------------------------------- */

Test(relay_tail, thousands_of_tiny_transactions)
{
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = SESSIONS, .keys = 20, .transactions = 1000});
    traffic_end(traffic);
    finish_traffic();
}

/* Promise: the relay's memory stays small with a transaction of any size. OUTBOX_TEST_ROWS makes it larger. On its own
 * server, because the log of MariaDB and MySQL also has large rows of other tests. */
Test(relay_tail_alone, one_huge_transaction)
{
    const char *rows = getenv("OUTBOX_TEST_ROWS");
    const unsigned long per_key = (rows != NULL ? strtoul(rows, NULL, 10) : 200000) / 200;
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    traffic_burst(scene.db, scene.queue, 200, (unsigned)per_key);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    const uint64_t peak_kib = relay_peak_kib(scene.relay);
    (void)fprintf(stderr, "peak memory: %llu KiB\n", (unsigned long long)peak_kib);
    check(peak_kib <= 32 * 1024 * SANITIZED_FACTOR, "peak memory: %llu KiB",
          (unsigned long long)peak_kib);
    expect_log_only();
}

#define LARGE_BYTES ((size_t)64 << 20)

Test(relay_tail_large, a_payload_of_64_mib)
{
    struct delivery delivery;
    start();
    scene_exec("insert into outbox (routing_key, payload) "
               "select '%s', bytes(repeat('0123456789abcdef', %zu))",
               scene.queue, LARGE_BYTES / 16);
    consumer_take(consumer, &delivery);
    const struct span body = delivery.message.body;
    check(body.size == LARGE_BYTES, "%zu bytes came", body.size);
    for (size_t i = 0; i < body.size; i += 16) {
        check(memcmp((const char *)body.data + i, "0123456789abcdef", 16) == 0,
              "byte %zu is another", i);
    }
    finish();
}

/* ---- ways to write --------------------------------------------------------------------------------- */

static void
expect_numbers(unsigned from, unsigned to)
{
    char body[16];
    for (unsigned i = from; i <= to; i++) {
        (void)snprintf(body, sizeof(body), "%u", i);
        consumer_expect(consumer, body);
    }
}

/* Written as the server loads files: by COPY or LOAD DATA. */
static void
load_numbers(unsigned from, unsigned to)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&lines, &size);
    check(out != NULL, "out of memory");
    for (unsigned i = from; i <= to; i++) {
        (void)fprintf(out, "%s,k,%u\n", scene.queue, i);
    }
    check(fclose(out) == 0, "out of memory");
    db_load_rows(scene.db, "outbox (routing_key, \"key\", payload)", lines);
    free(lines);
}

Test(relay_tail, loaded_rows_and_inserts_of_many)
{
    start();
    load_numbers(1, 5000);
    expect_numbers(1, 5000);
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', 'k', bytes(concat(i)) from " DB_SERIES("5001", "9000"),
               scene.queue);
    load_numbers(9001, 9010);
    scene_exec("insert into outbox (routing_key, \"key\", payload) values "
               "('%s', 'k', '9011'), ('%s', 'k', '9012')",
               scene.queue, scene.queue);
    expect_numbers(5001, 9012);
    finish();
}

/* ---- what is not sent ------------------------------------------------------------------------------ */

Test(relay_tail, what_was_rolled_back_to_a_savepoint_is_not_sent)
{
    start();
    db_exec(scene.db, "begin");
    insert("'k'", "1");
    db_exec(scene.db, "savepoint outer_one");
    insert("'k'", "never");
    db_exec(scene.db, "savepoint inner_one");
    insert("'k'", "never");
    db_exec(scene.db, "release savepoint inner_one");
    db_exec(scene.db, "rollback to savepoint outer_one");
    insert("'k'", "2");
    db_exec(scene.db, "savepoint kept");
    insert("'k'", "3");
    db_exec(scene.db, "release savepoint kept");
    db_exec(scene.db, "commit");
    expect_numbers(1, 3);
    finish();
}

Test(relay_tail, what_its_own_transaction_deleted_is_not_sent)
{
    start();
    db_exec(scene.db, "begin");
    insert("'k'", "never");
    insert("'k'", "1");
    db_exec(scene.db, "delete from outbox where payload = 'never'");
    db_exec(scene.db, "commit");
    expect_numbers(1, 1);
    finish();
}

/* In MariaDB and MySQL the ids of a truncated table begin again, which docs/OPERATIONS.md warns of. So here the rows
 * are deleted. */
static void
remove_all(void)
{
    db_exec(scene.db, db_is_mysql() ? "delete from outbox" : "truncate outbox");
}

/* Promise: a row that is in the log but no longer in the table is not sent: here the relay comes too late. */
Test(relay_tail, what_was_truncated_is_not_sent)
{
    start();
    insert("'k'", "1");
    expect_numbers(1, 1);
    await_empty_outbox(scene.db);
    relay_signal(scene.relay, SIGSTOP);
    scene_exec("insert into outbox (routing_key, \"key\", payload) select '%s', 'k', 'never' "
               "from " DB_SERIES("1", "1000"),
               scene.queue);
    remove_all();
    insert("'k'", "2");
    relay_signal(scene.relay, SIGCONT);
    expect_numbers(2, 2);
    finish();
}

/* ---- while the table changes ----------------------------------------------------------------------- */

/* Waits until the relay has sent a hundred more messages. */
static void
let_go_on(void)
{
    const int64_t target = traffic_committed(scene.db) + 100;
    scene_await("applications go on", "select sum(seq) >= %lld from account", (long long)target);
}

Test(relay_tail, the_table_may_be_altered_meanwhile)
{
    static const char *const changes[] = {
        "alter table outbox add column note varchar(20)",
        "alter table outbox add column counted int not null default 7",
        "create index outbox_created on outbox (created_at)",
        "alter table outbox alter column note set default 'none'",
        "alter table outbox drop column counted",
        "alter table outbox drop column note",
    };
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 20, .pause_us_max = 2000});
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        let_go_on();
        db_exec(scene.db, changes[i]);
    }
    db_drop_index(scene.db, "outbox", "outbox_created");
    let_go_on();
    db_rewrite(scene.db, "outbox");
    let_go_on();
    traffic_end(traffic);
    if (db_is_mysql()) { /* the relay reads on behind each change */
        finish_changed_traffic();
    } else {
        finish_traffic();
    }
}

/* ---- prepared transactions ------------------------------------------------------------------------- */

/* On its own server, because while a prepared transaction is open no slot can be made there; if this test fails, the
 * transaction stays. */
static void
prepare(const char *payload, const char *name)
{
    struct db *conn = db_connect();
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (routing_key, \"key\", payload) "
                   "values ('%s', 'prepared', '%s')",
                   scene.queue, payload); /* fits */
    db_prepare(conn, name, sql);
    db_close(conn);
}

TestSuite(relay_tail_prepared, .init = open_own, .fini = scene_close_own, .timeout = 280);

Test(relay_tail_prepared, prepared_transactions)
{
    start();
    prepare("kept", "one");
    prepare("never", "other");
    insert("null", "between");
    consumer_expect(consumer, "between");
    db_end_prepared(scene.db, "other", false);
    db_end_prepared(scene.db, "one", true);
    consumer_expect(consumer, "kept");
    finish();
}

/* Promise: a transaction that was prepared before the relay started is not lost; until it ends, the relay does not know
 * up to where the table is complete, and polls. */
Test(relay_tail_prepared, a_prepared_transaction_survives_the_relay)
{
    start();
    prepare("kept", "one");
    relay_kill(scene.relay);
    relay_start_again(scene.relay);
    insert("null", "between");
    consumer_expect(consumer, "between");
    db_end_prepared(scene.db, "one", true);
    consumer_expect(consumer, "kept");
    (void)relay_await_log(scene.relay, "event=tailing", NULL); /* is enough */
    insert("null", "after");
    consumer_expect(consumer, "after");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

/* ---- set aside ------------------------------------------------------------------------------------- */

Test(relay_tail, scheduled_messages_stand_in_the_order_of_their_key)
{
    start();
    scene_exec("insert into outbox (routing_key, \"key\", payload, deliver_after) "
               "values ('%s', 'k', '2', from_now(2)), ('%s', 'k', '1', null)",
               scene.queue, scene.queue);
    expect_numbers(1, 2);
    insert("'k'", "3");
    expect_numbers(3, 3);
    finish();
}

Test(relay_tail, held_messages_and_those_behind_them_keep_their_order)
{
    start();
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', 'k', '1')",
               broker_name("nowhere"));
    (void)relay_await_log(scene.relay, "event=message_refused", NULL); /* is enough */
    for (unsigned i = 2; i <= 500; i++) {
        char payload[16];
        (void)snprintf(payload, sizeof(payload), "%u", i);
        insert("'k'", payload);
    }
    insert("'other'", "passes");
    consumer_expect(consumer, "passes");
    scene_exec("update outbox_held set routing_key = '%s' where payload = '1'", scene.queue);
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', 'k', bytes(concat(i)) from " DB_SERIES("501", "3000"),
               scene.queue);
    expect_numbers(1, 3000);
    finish();
}
