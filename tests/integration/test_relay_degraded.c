/* Promise: if the route refuses everything, no message is to blame. The relay reports it once, sets nothing aside,
 * counts no attempt for any message, and goes on by itself when the route is repaired. With ordering = "strict" the
 * order of each key is kept as well. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define STRICT "ordering = \"strict\"\n"
#define FEW_ATTEMPTS "max_attempts = 3\n"

TestSuite(relay_degraded, .init = scene_open_route, .fini = scene_close, .timeout = 240);

static struct traffic *
start_traffic(void)
{
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 4,
                                                   .keys = 50,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 1000,
                                                   .pause_us_max = 5000});
}

static bool
has_grown(void *context)
{
    const int64_t *wanted = context;
    return traffic_committed(scene.db) >= *wanted;
}

static void
await_traffic(int64_t more)
{
    int64_t wanted = traffic_committed(scene.db) + more;
    await(has_grown, &wanted, "the applications write", PATIENCE_S);
}

static void
expect_no_blame(void)
{
    check(relay_logged(scene.relay, "event=message_dead") == 0,
          "the route was blamed on a message");
    check(scene_count("select coalesce(max(attempts), 0) from outbox_held") <= 1,
          "the route cost messages attempts");
    check(scene_count("select count(*) from outbox_held where state = 'retrying'") <= 64,
          "the world was moved aside");
}

static void
await_paused(const char *reason)
{
    scene_await(
        "the relay tells why it is paused",
        "select coalesce(max(paused_reason) like 'degraded: %%%s%%', false) from outbox_relay",
        reason);
}

static void
expect_mended(void)
{
    (void)relay_await_log(scene.relay, "event=healed", NULL); /* is enough */
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates: where channels were closed */
    check(relay_logged(scene.relay, "event=message_dead") == 0,
          "the route was blamed on a message");
    scene_await("the relay tells that it works",
                "select count(*) = 1 from outbox_relay where paused_reason is null");
    scene_drain_relay();
}

static void
make_exchange_again(void)
{
    broker_declare_exchange(scene.broker, scene.exchange, "direct");
    scene_bind(scene.queue);
}

static void
lose_the_exchange(const char *source)
{
    traffic_set_up(scene.db);
    scene_start_relay(source);
    struct traffic *traffic = start_traffic();
    await_traffic(200);
    broker_delete_exchange(scene.broker, scene.exchange);
    (void)relay_await_log(scene.relay, "event=degraded", scene.exchange); /* is enough */
    await_paused("NOT_FOUND");
    await_traffic(500);
    expect_no_blame();
    make_exchange_again();
    await_traffic(200);
    traffic_end(traffic);
    expect_mended();
}

Test(relay_degraded, an_exchange_that_is_deleted_and_made_again)
{
    lose_the_exchange(STRICT FEW_ATTEMPTS);
}

Test(relay_degraded, an_exchange_that_is_deleted_and_made_again_with_four_connections)
{
    lose_the_exchange(STRICT FEW_ATTEMPTS "publishers = 4\nbatch_rows = 50\n");
}

/* Again and again, without waiting until the relay has noticed. */
Test(relay_degraded, an_exchange_that_comes_and_goes)
{
    traffic_set_up(scene.db);
    scene_start_relay(STRICT FEW_ATTEMPTS);
    struct traffic *traffic = start_traffic();
    for (unsigned i = 0; i < 10; i++) {
        await_traffic(20);
        broker_delete_exchange(scene.broker, scene.exchange);
        await_traffic(20);
        make_exchange_again();
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates: where channels were closed */
    check(relay_logged(scene.relay, "event=message_dead") == 0,
          "the route was blamed on a message");
    scene_drain_relay();
}

/* Everything is unroutable: nothing is lost, no message is blamed, nothing arrives twice. */
Test(relay_degraded, a_queue_that_is_unbound_and_bound_again)
{
    traffic_set_up(scene.db);
    scene_start_relay(STRICT FEW_ATTEMPTS);
    struct traffic *traffic = start_traffic();
    await_traffic(200);
    broker_unbind(scene.broker, scene.queue, scene.exchange, scene.queue);
    (void)relay_await_log(scene.relay, "event=degraded", "unroutable"); /* is enough */
    await_paused("unroutable");
    await_traffic(500);
    expect_no_blame();
    scene_bind(scene.queue);
    await_traffic(200);
    traffic_end(traffic);
    expect_mended();
}

/* Promise: it makes no difference that the route was bad before the relay started, nor that the relay is killed. */
Test(relay_degraded, a_relay_that_is_killed_while_the_route_is_bad)
{
    traffic_set_up(scene.db);
    broker_unbind(scene.broker, scene.queue, scene.exchange, scene.queue);
    traffic_burst(scene.db, scene.queue, 50, 20);
    scene_start_relay(STRICT FEW_ATTEMPTS);
    for (unsigned i = 0; i < 3; i++) {
        relay_kill(scene.relay);
        relay_start_again(scene.relay);
        (void)relay_await_log(scene.relay, "event=degraded", "unroutable"); /* is enough */
        await_paused("unroutable");
    }
    expect_no_blame();
    scene_bind(scene.queue);
    expect_mended();
}

/* Promise: the same for a queue that is full and refuses messages, while other messages go elsewhere. */
Test(relay_degraded, a_full_queue_that_is_drained_later)
{
    const char *small = broker_name("small");
    broker_declare_small_queue(scene.broker, small, 50);
    broker_bind(scene.broker, small, scene.exchange, "small");
    traffic_set_up(scene.db);
    scene_start_relay(STRICT FEW_ATTEMPTS);
    traffic_burst(scene.db, "small", 50, 20);
    (void)relay_await_log(scene.relay, "event=degraded", "a queue is full"); /* is enough */
    await_paused("a queue is full");
    traffic_burst(scene.db, "small", 50, 20);
    expect_no_blame();
    const uint64_t duplicates = ledger_check(NULL, small, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    check(relay_logged(scene.relay, "event=message_dead") == 0, "the full queue was their fault");
    scene_drain_relay();
    broker_delete_queue(scene.broker, small);
}

/* Writes `count` messages, each with its own key. Of every `nth` messages, in random order, one is unroutable until
 * "nowhere" is bound. (With all of them in random order, eight of the first ten were unroutable now and then, and the
 * relay rightly blamed the route.) */
static void
mix(unsigned count, unsigned nth)
{
    scene_exec(
        "insert into outbox (routing_key, \"key\", payload) "
        "select case when mod(i, %u) = 0 then 'nowhere' else '%s' end, concat('k', i), "
        "bytes(concat('k', i, ' 1')) from " DB_SERIES(
            "0", "%u") " order by floor(i / %u), digest(concat(i)); update account set seq = 1 "
                       "where number < %u",
        nth, scene.queue, count - 1, nth, count);
}

static void
refuse_some(unsigned count, unsigned nth)
{
    traffic_set_up(scene.db);
    scene_start_relay(NULL);
    mix(count, nth);
    scene_await("the bad ones are held, the others went",
                "select count(*) = %u and not exists (select 1 from outbox) from outbox_held",
                count / nth);
    scene_bind("nowhere");
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    scene_drain_relay();
}

/* Promise: one bad route does not affect messages with other routes: its messages are set aside, key by key. The bad
 * ones are known first: the broker returns a message at once, but confirms one only when it is on disk. */
Test(relay_degraded, one_of_two_messages)
{
    refuse_some(100, 2);
}

Test(relay_degraded, one_of_ten_messages)
{
    refuse_some(1000, 10);
}
