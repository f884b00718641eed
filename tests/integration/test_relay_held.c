/* Promise: one bad message stops only its own key. Its key waits behind it, in order, through kills and takeovers, for as
 * long as it takes; whoever mends the cause, or tells the relay what to do with it, sees the key go on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define STRICT "ordering = \"strict\"\n"
#define NO_SWEEP "sweep_interval = \"1h\"\n"

TestSuite(relay_held, .init = scene_open_route, .fini = scene_close, .timeout = 240);

static void
insert_message(const char *routing_key, const char *key, const char *payload)
{
    scene_exec("insert into outbox (routing_key, key, payload) values ('%s', '%s', '%s')",
               routing_key, key, payload);
}

/* A message of each of the keys 0 to keys - 1 that is unroutable until this is bound. */
static void
insert_poison(const char *routing_key, unsigned keys)
{
    traffic_burst(scene.conn, routing_key, keys, 1);
}

static void
burst(unsigned keys, unsigned per_key)
{
    traffic_burst(scene.conn, scene.queue, keys, per_key);
}

static void
await_held(const char *state, int64_t count)
{
    scene_await("so many messages are held", "select count(*) = %lld from outbox_held where state = '%s'",
                (long long)count, state);
}

static void
expect_ledger(bool duplicates_allowed)
{
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.conn);
    check(duplicates == 0 || duplicates_allowed, "%llu came twice without a reason",
          (unsigned long long)duplicates);
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message died");
}

/* ---- the cause is mended -------------------------------------------------------------------------- */

/* Promise: a message that is unroutable holds back its key and no other, and goes once it is bound; its key follows to the
 * last message, those written meanwhile among them. */
Test(relay_held, an_unroutable_message_goes_once_it_is_bound_and_its_key_follows)
{
    traffic_set_up(scene.conn);
    scene_start_relay(NO_SWEEP);
    burst(20, 5);
    await_empty_outbox(scene.conn);
    insert_poison("later", 1);
    await_held("retrying", 1);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 10, .pause_us_max = 3000});
    burst(20, 50);
    (void)relay_await_log(scene.relay, "attempt=4 ", "unroutable"); /* the line says enough */
    scene_await("nothing but its key is left",
                "select not exists (select from outbox_held where key <> 'k0')");
    scene_bind("later");
    (void)relay_await_log(scene.relay, "event=message_sent", NULL); /* likewise */
    traffic_end(traffic);
    expect_ledger(false);
    scene_drain_relay();
}

/* The healthy keys are those from 10 on: so many of their messages have come, and none of the others' behind the poison. */
static void
take_healthy(struct ledger *ledger, struct consumer *consumer, uint64_t count)
{
    struct delivery delivery;
    while (ledger_distinct(ledger) < count) {
        consumer_take(consumer, &delivery);
        ledger_note(ledger, &delivery);
    }
}

static void
poison_among_ten_thousand(const char *source, bool apart)
{
    struct ledger *ledger = ledger_new();
    traffic_set_up(scene.conn);
    if (!apart) {
        burst(100, 50);
        insert_poison("later", 10);
        burst(100, 50);
    }
    scene_start_relay(source);
    if (apart) {
        burst(100, 50);
        await_empty_outbox(scene.conn);
        insert_poison("later", 10);
        await_held("retrying", 10);
        burst(100, 50);
    }
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    take_healthy(ledger, consumer, 10000 - 10 * 50);
    await_held("waiting", 10 * 50);
    await_held("retrying", 10);
    check(scene_count("select count(*) from outbox") == 0, "the outbox does not drain");
    scene_bind("later");
    ledger_balance(ledger, consumer, scene.conn);
    check(ledger_duplicates(ledger) == 0, "messages came twice without a reason");
    consumer_close(consumer);
    ledger_free(ledger);
    scene_drain_relay();
}

/* Promise: all that can go goes while the poison waits, and what waits is in order once it has gone. */
Test(relay_held, poison_among_ten_thousand)
{
    poison_among_ten_thousand(NO_SWEEP, true);
}

/* Promise: the same with all of it on its way at once, if nothing may pass. */
Test(relay_held, poison_among_ten_thousand_in_strict_order)
{
    poison_among_ten_thousand(NO_SWEEP STRICT "publishers = 2\n", false);
}

/* Promise: many keys that were held at once, with thousands waiting, go on in order; in more steps than one. */
Test(relay_held, many_keys_with_thousands_waiting_go_on_in_order)
{
    traffic_set_up(scene.conn);
    for (unsigned i = 0; i < 5; i++) {
        burst(400, 1); /* good ones, so that the route is not to blame */
    }
    scene_start_relay(NO_SWEEP "batch_rows = 100\n");
    await_empty_outbox(scene.conn);
    for (unsigned keys = 15; keys <= 150; keys += 15) { /* never most of what goes */
        burst(400, 1);
        await(/* all of them went or wait */
              (bool (*)(void *))NULL, NULL, "", 0);
        insert_poison("later", keys);
    }
}
