/* Commits in any order, and the order of each key: writers overlap, wait for each other, roll back and commit late.
 * sweep_interval is as long as possible, so that the sweep cannot repair what the regular reading has missed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define NO_SWEEP "sweep_interval = \"1h\"\n"

TestSuite(relay_order, .init = scene_open, .fini = scene_close, .timeout = 240);

static struct db *
open_late_transaction(const char *key, const char *payload)
{
    char sql[512];
    struct db *conn = db_connect();
    (void)snprintf(
        sql, sizeof(sql),
        "begin; insert into outbox (routing_key, \"key\", payload) values ('%s', %s, '%s')",
        scene.queue, key, payload);
    db_exec(conn, sql);
    return conn;
}

static void
close_transaction(struct db *conn, const char *how)
{
    db_exec(conn, how);
    db_close(conn);
}

static void
insert_many(unsigned from, unsigned to)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', concat('k', mod(i, 10)), bytes(concat('n', i)) "
               "from " DB_SERIES("%u", "%u"),
               scene.queue, from, to);
}

/* Takes messages of insert_many, with the keys in any order. */
static void
take_many(struct consumer *consumer, unsigned count)
{
    struct delivery delivery;
    for (unsigned i = 0; i < count; i++) {
        consumer_take(consumer, &delivery);
        check(delivery.body[0] == 'n', "\"%s\" came too early", delivery.body);
    }
}

/* Promise: a transaction that takes its id first and commits last is not lost, however many others passed it meanwhile,
 * and does not delay them. One that is rolled back is not sent. */
Test(relay_order, a_transaction_that_stays_open_for_long_is_not_lost)
{
    scene_start_relay(NO_SWEEP);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    struct db *first = open_late_transaction("null", "late");
    struct db *keyed = open_late_transaction("'late'", "late");
    struct db *rolled_back = open_late_transaction("null", "never");
    for (unsigned i = 0; i < 20; i++) {
        insert_many(250 * i, 250 * i + 249);
    }
    take_many(consumer, 5000);
    await_empty_outbox(scene.db);
    close_transaction(rolled_back, "rollback");
    close_transaction(first, "commit");
    consumer_expect(consumer, "late");
    insert_many(5000, 5999);
    take_many(consumer, 1000);
    close_transaction(keyed, "commit");
    consumer_expect(consumer, "late");
    await_empty_outbox(scene.db);
    check(relay_logged(scene.relay, "event=rows_swept") == 0, "it was the sweep that found it");
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* Promise: nothing is lost while ids are always taken in one order and committed in another. */
Test(relay_order, many_late_committers_lose_nothing)
{
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue,
        .writers = 12,
        .keys = 64, /* so many that few transactions meet */
        .transactions = 150,
        .open_us_max = 60000,
    });
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    check(relay_logged(scene.relay, "event=rows_swept") == 0, "the sweep found what was missed");
    relay_drain(scene.relay);
}

static void
write_and_check_order(const char *source)
{
    traffic_set_up(scene.db);
    scene_start_relay(source);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue,
        .writers = 8,
        .keys = 20,
        .transactions = 400,
        .rollback_percent = 10,
        .open_us_max = 3000,
    });
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    relay_drain(scene.relay);
}

/* Promise: the order of a key is the order of its commits, and what is rolled back is never sent. */
Test(relay_order, each_key_keeps_its_order_with_many_writers)
{
    write_and_check_order(NO_SWEEP);
}

/* Promise: the same with several publishing connections, and with a window and batches so small that they are always
 * full. */
Test(relay_order, each_key_keeps_its_order_on_four_connections)
{
    write_and_check_order(NO_SWEEP "publishers = 4\nwindow_messages = 16\nbatch_rows = 7\n");
}

/* Promise: a message with deliver_after never passes messages of its key that were written before it without
 * deliver_after: neither if it is due at once, nor if it becomes due while the relay works on a backlog. */
Test(relay_order, a_message_that_is_due_passes_none_of_its_key)
{
    struct delivery delivery;
    insert_many(1, 5000);
    scene_exec("insert into outbox (routing_key, \"key\", payload, deliver_after) values "
               "('%s', 'k1', 'first', null), ('%s', 'k1', 'then', from_now(-1))",
               scene.queue, scene.queue);
    scene_start_relay("window_messages = 16\nbatch_rows = 16\n"); /* slow */
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    do {
        consumer_take(consumer, &delivery);
    } while (delivery.body[0] == 'n');
    check(strcmp(delivery.body, "first") == 0, "\"%s\" came first", delivery.body);
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* ---- prepared ------------------------------------------------------------------------------------- */

/* On its own server, because while a prepared transaction is open no slot can be made there; if this test fails, the
 * transaction stays. */
TestSuite(relay_order_prepared, .init = scene_open_own, .fini = scene_close_own, .timeout = 240);

/* Promise: the same for a prepared transaction, which has no session. */
Test(relay_order_prepared, a_prepared_transaction_is_not_lost)
{
    scene_start_relay(NO_SWEEP);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    struct db *conn = db_connect();
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (routing_key, payload) values ('%s', 'late')", scene.queue);
    db_prepare(conn, "late", sql);
    db_close(conn);
    insert_many(0, 1999);
    take_many(consumer, 2000);
    await_empty_outbox(scene.db);
    db_end_prepared(scene.db, "late", true);
    consumer_expect(consumer, "late");
    check(relay_logged(scene.relay, "event=rows_swept") == 0, "it was the sweep that found it");
    consumer_close(consumer);
}
