/* Promise: no more messages go than rate_max allows, whatever they are; the others stay in the outbox, nothing is lost, the order of
 * a key holds, and the relay says that its limit is why they wait. Only the shortest times are checked: no machine is too slow for
 * them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/http_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define RATE 50
/* What may go at once where nothing went before. */
#define BURST (1 + RATE / 10)
#define LIMIT "rate_max = 50\n"

TestSuite(relay_rate, .init = scene_open_route, .fini = scene_close, .timeout = 240);

static void
start(void)
{
    scene.relay = relay_start(&(struct relay_options){
        .global = http_section("stuck_unready = true"),
        .exchange = scene.exchange,
        .retry_initial = "100ms",
        .retry_max = "100ms",
        .source = LIMIT "max_attempts = 0\n",
    });
    relay_await_work(scene.relay);
    if (relay_tails()) {
        scene_await_tailing();
    }
}

/* So many messages have gone since then; `burst` of them at once. */
static void
expect_no_more_than_allowed(uint64_t since_us, unsigned messages, unsigned burst)
{
    const uint64_t took_us = clock_monotonic_us() - since_us;
    const uint64_t least_us = (messages - burst) * CLOCK_S_US / RATE;
    (void)fprintf(stderr, "%u messages took %.2f s, at least %.2f\n", messages,
                  (double)took_us / 1e6, (double)least_us / 1e6);
    check(took_us >= least_us, "they took %llu us", (unsigned long long)took_us);
}

static void
expect_what_operators_see(void)
{
    scene_await("its state says why they wait",
                "select count(*) = 1 from outbox_relay where paused_reason = "
                "'no more than 50 messages a second are sent (rate_max)'");
    (void)http_await("/readyz", 200, "test: publishing\n"); /* is enough */
    check(http_metric("outbox_relay_rate_limited_seconds_total{source=\"test\"}") > 0,
          "the metric does not tell");
    check(http_metric("outbox_relay_paused{source=\"test\",reason=\"broker\"}") == 0,
          "it is not paused");
    check(scene_count("select count(*) from outbox") > 0, "nothing waits in the outbox");
}

/* 500 messages take ten seconds: time enough to look. */
Test(relay_rate, a_backlog_goes_as_fast_as_allowed)
{
    traffic_set_up(scene.db);
    start();
    const uint64_t began_us = clock_monotonic_us();
    traffic_burst(scene.db, scene.queue, 10, 50);
    expect_what_operators_see();
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    expect_no_more_than_allowed(began_us, 500, BURST);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    scene_await("the state is good again",
                "select count(*) = 1 from outbox_relay where paused_reason is null");
    scene_drain_relay();
}

/* A relay that is started anew has no burst, so nobody gains by it. */
Test(relay_rate, a_backlog_that_it_finds_and_leaves)
{
    traffic_set_up(scene.db);
    traffic_burst(scene.db, scene.queue, 10, 20);
    const uint64_t began_us = clock_monotonic_us();
    start();
    relay_drain(scene.relay);
    relay_start_again(scene.relay);
    relay_await_work(scene.relay);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    expect_no_more_than_allowed(began_us, 200, 2);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    scene_drain_relay();
}

Test(relay_rate, scheduled_messages_count)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    struct delivery delivery;
    start();
    const uint64_t due_us = clock_monotonic_us() + CLOCK_S_US;
    scene_exec("insert into outbox (routing_key, payload, deliver_after) "
               "select '%s', 'x', from_now(1) from " DB_SERIES("1", "100"),
               scene.queue);
    for (unsigned i = 0; i < 100; i++) {
        consumer_take(consumer, &delivery);
    }
    expect_no_more_than_allowed(due_us, 100, BURST);
    consumer_close(consumer);
    await_empty_outbox(scene.db);
    scene_drain_relay();
}

static double
published(void)
{
    return http_metric("outbox_relay_published_messages_total{source=\"test\"}");
}

static bool
has_published(void *context)
{
    return published() >= *(const double *)context;
}

/* Nothing is bound to their routing key: each of them is refused, and tried again ten times a second if it may. */
Test(relay_rate, messages_that_are_tried_again_count)
{
    start();
    /* As many that are taken: else the route would count as bad, and none would be set aside. */
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select case when mod(i, 2) = 0 then '%s' else 'later' end, concat('k', i), 'x' "
               "from " DB_SERIES("1", "80"),
               scene.queue);
    scene_await("they are held", "select count(*) = 40 from outbox_held");
    const double before = published();
    double after = before + 200;
    const uint64_t began_us = clock_monotonic_us();
    await(has_published, &after, "they are tried again", PATIENCE_S);
    after = published();
    /* The first number may be a second old. */
    expect_no_more_than_allowed(began_us, (unsigned)(after - before), RATE + BURST);
    scene_bind("later");
    scene_await("all are sent", "select not exists (select 1 from outbox_held)");
    check(broker_count(scene.broker, scene.queue) == 80, "not all came, or some came twice");
    relay_drain(scene.relay);
}
