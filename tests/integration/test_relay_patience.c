/* Minutes in which nothing happens: an idle connection must be kept by its heartbeats, and a broker that accepts
 * nothing must be waited for. Each test takes more than a minute, so they run in parallel. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* A minute is ten of these heartbeats, and a machine that is busy does not miss them. */
#define SHORT_HEARTBEAT "heartbeat = \"6s\"\n"
#define LONG_WAIT_S 65

TestSuite(relay_patience, .timeout = 280);

static void
expect_no_trouble(void)
{
    check(relay_logged(scene.relay, "event=lane_lost") == 0, "the connection was lost");
    check(relay_logged(scene.relay, "event=confirm_timeout") == 0, "it did not wait");
    check(relay_logged(scene.relay, "event=source_lost") == 0, "the database was lost");
    check(relay_logged(scene.relay, "event=lane_ready") == 1, "it connected more than once");
}

/* Promise: a connection without messages is kept by its heartbeats, and the next message is sent at once. */
Test(relay_patience, an_idle_connection_lives, .init = scene_open, .fini = scene_close)
{
    scene.relay = relay_start(
        &(struct relay_options){.broker = SHORT_HEARTBEAT, .source = "takeover = \"10s\"\n"});
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'first')", scene.queue);
    consumer_expect(consumer, "first");
    const uint64_t until_us = clock_monotonic_us() + LONG_WAIT_S * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* the wait itself is tested */
        expect_no_trouble();
        (void)usleep(500000);
    }
    const uint64_t start_us = clock_monotonic_us();
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'last')", scene.queue);
    consumer_expect(consumer, "last");
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    check(took_ms < 10000 * SANITIZED_FACTOR, "it took %llu ms", (unsigned long long)took_ms);
    expect_no_trouble();
    consumer_close(consumer);
    relay_drain(scene.relay);
}

static void
open_own_scene(void)
{
    servers_start("rabbitmq");
    scene_open();
}

static void
close_own_scene(void)
{
    scene_close();
    servers_stop();
}

struct stillness {
    uint32_t count;
    uint64_t since_us;
};

/* The number of messages in the queue has not changed for some seconds. */
static bool
is_still(void *context)
{
    struct stillness *stillness = context;
    const uint32_t count = broker_count(scene.broker, scene.queue);
    if (count != stillness->count) {
        *stillness = (struct stillness){count, clock_monotonic_us()};
    }
    return clock_monotonic_us() - stillness->since_us > 5 * CLOCK_S_US;
}

static uint32_t
await_stillness(void)
{
    struct stillness stillness = {0, clock_monotonic_us()};
    await(is_still, &stillness, "the broker is blocked and nothing comes", PATIENCE_S);
    return stillness.count;
}

/* Promise: while the broker is blocked, nothing is published or lost and the connection is kept; afterwards the relay
 * goes on at once, and no message arrives twice. */
Test(relay_patience, a_blocked_broker_is_waited_for, .init = open_own_scene,
     .fini = close_own_scene)
{
    traffic_set_up(scene.db);
    scene.relay = relay_start(&(struct relay_options){.broker = SHORT_HEARTBEAT});
    relay_await_work(scene.relay);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 20, .pause_us_max = 200000});
    servers_do("alarm on");
    (void)relay_await_log(scene.relay, "event=lane_blocked", NULL); /* likewise */
    const uint32_t count = await_stillness();
    const uint64_t until_us = clock_monotonic_us() + LONG_WAIT_S * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* the wait itself is tested */
        expect_no_trouble();
        check(broker_count(scene.broker, scene.queue) == count, "something was published");
        (void)usleep(500000);
    }
    traffic_end(traffic);
    servers_do("alarm off");
    (void)relay_await_log(scene.relay, "event=lane_unblocked", NULL); /* is enough */
    const uint64_t start_us = clock_monotonic_us();
    await_empty_outbox(scene.db);
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    check(took_ms < 20000 * SANITIZED_FACTOR, "it took %llu ms", (unsigned long long)took_ms);
    expect_no_trouble();
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    relay_drain(scene.relay);
}

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 20, .pause_us_max = 100000});
}

/* Promise: a minute without a broker costs no message an attempt: none is set aside or dead, and afterwards all are
 * sent in order. */
Test(relay_patience, an_outage_of_a_minute_is_no_messages_fault, .init = open_own_scene,
     .fini = close_own_scene)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay("max_attempts = 3\n");
    servers_do("stop --keep rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL); /* is enough */
    const uint64_t until_us = clock_monotonic_us() + LONG_WAIT_S * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* the wait itself is tested */
        check(scene_count("select count(*) from outbox_held") == 0, "a message was set aside");
        (void)usleep(500000);
    }
    traffic_end(traffic);
    servers_do("start rabbitmq");
    broker_close(scene.broker);
    scene.broker = broker_open(NULL);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    check(relay_logged(scene.relay, "event=message_refused") == 0,
          "the outage was blamed on a message");
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message is dead");
    relay_drain(scene.relay);
}
