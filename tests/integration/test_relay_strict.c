/* Refusals and the order of a key. With ordering = "key", later messages of its key that are already in flight pass a
 * message that is refused; with "strict" none ever passes another. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define STRICT "ordering = \"strict\"\n"

TestSuite(relay_strict, .init = scene_open_route, .fini = scene_close, .timeout = 240);

/* Two messages of a key, the first of which is refused. A relay that starts afterwards reads and sends them together. */
static void
insert_pair(const char *routing_key)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) values "
               "('%s', 'k', 'first'), ('%s', 'k', 'second')",
               routing_key, scene.queue);
}

static void
expect_pair(const char *one, const char *two)
{
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, one);
    consumer_expect(consumer, two);
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

static bool
has_one(void *context)
{
    (void)context; /* unused, but a condition has it */
    return broker_count(scene.broker, scene.queue) == 1;
}

static void
await_one(void)
{
    await(has_one, NULL, "the second message is taken", PATIENCE_S);
}

/* What docs/GUARANTEES.md says about "key": the only way in which its order can break. */
Test(relay_strict, with_key_a_message_passes_one_that_is_returned)
{
    insert_pair("later");
    scene_start_relay(NULL);
    await_one();
    scene_bind("later");
    expect_pair("second", "first");
}

Test(relay_strict, with_strict_none_passes_one_that_is_returned)
{
    scene_start_relay(STRICT);
    insert_pair("later");
    (void)relay_await_log(scene.relay, "attempt=3 ", "unroutable"); /* is enough */
    scene_await("the second waits behind the first",
                "select count(*) = 1 from outbox_held where state = 'waiting'");
    check(broker_count(scene.broker, scene.queue) == 0, "the second came first");
    scene_bind("later");
    expect_pair("first", "second");
}

/* A queue that is full, bound with the routing key "full". */
static const char *
declare_full_queue(void)
{
    const char *full = broker_name("full");
    broker_declare_small_queue(scene.broker, full, 1);
    broker_bind(scene.broker, full, scene.exchange, "full");
    scene_exec("insert into outbox (routing_key, payload) values ('full', 'fills it')");
    await_empty_outbox(scene.db);
    return full;
}

static void
make_room(const char *full)
{
    scene_bind("full"); /* bound first, so that it is never unroutable */
    broker_delete_queue(scene.broker, full);
}

Test(relay_strict, with_key_a_message_passes_one_that_is_nacked)
{
    scene_start_relay(NULL);
    const char *full = declare_full_queue();
    scene_drain_relay();
    insert_pair("full");
    scene_start_relay(NULL);
    await_one();
    make_room(full);
    struct delivery delivery;
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "second");
    consumer_take(consumer, &delivery); /* "first", or more than once if it was nacked again */
    check(delivery.body[0] == 'f', "\"%s\" came", delivery.body);
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

/* The full queue makes the broker nack the first message, although another queue takes it each time, and so has it
 * several times. */
Test(relay_strict, with_strict_none_passes_one_that_is_nacked)
{
    scene_start_relay(STRICT "max_attempts = 1\n");
    const char *full = declare_full_queue();
    insert_pair("full");
    for (unsigned i = 0; i < 3; i++) {
        (void)relay_await_log(scene.relay, "event=message_refused", "attempt=0 "); /* is enough */
    }
    check(broker_count(scene.broker, scene.queue) == 0, "the second came first");
    make_room(full);
    struct delivery delivery;
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "first");
    do { /* "first" is nacked and taken until the full queue is gone */
        consumer_take(consumer, &delivery);
    } while (delivery.body[0] == 'f');
    check(delivery.body[0] == 's', "\"%s\" came", delivery.body);
    await_empty_outbox(scene.db);
    check(relay_logged(scene.relay, "event=message_dead") == 0, "the full queue was its fault");
    consumer_close(consumer);
    scene_drain_relay();
}

/* Promise: order is kept with many keys, two connections, and a queue that is full most of the time. No message is
 * blamed. */
Test(relay_strict, a_thousand_keys_and_a_full_queue)
{
    const char *small = broker_name("small");
    broker_declare_small_queue(scene.broker, small, 100);
    broker_bind(scene.broker, small, scene.exchange, "small");
    traffic_set_up(scene.db);
    scene_start_relay(STRICT "publishers = 2\nmax_attempts = 3\n");
    struct traffic *traffic = traffic_start(&(struct traffic_options){.routing_key = "small",
                                                                      .writers = 4,
                                                                      .keys = 1000,
                                                                      .transactions = 250,
                                                                      .rollback_percent = 5,
                                                                      .open_us_max = 2000});
    traffic_burst(scene.db, "small", 1000, 4);
    traffic_end(traffic);
    (void)relay_await_log(scene.relay, "event=degraded", "a queue is full"); /* is enough */
    const uint64_t duplicates = ledger_check(NULL, small, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    check(relay_logged(scene.relay, "event=message_dead") == 0, "the full queue was its fault");
    scene_drain_relay();
    broker_delete_queue(scene.broker, small);
}

/* Promise: the same without trouble at the broker; and no message waits for a sweep or a retry. */
Test(relay_strict, a_thousand_keys_one_at_a_time_each)
{
    traffic_set_up(scene.db);
    scene_start_relay(STRICT "publishers = 2\nsweep_interval = \"1h\"\n");
    traffic_burst(scene.db, scene.queue, 1000, 10);
    traffic_burst(scene.db, scene.queue, 3, 500);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    scene_drain_relay();
}
