/* An owner is killed, told to end, or cut off from the broker, from the database or from both, alive and without a word:
 * the standby goes on, and nothing is lost or out of order. How long it took is printed. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* With these, an owner that is cut off is replaced within a few seconds (docs/OPERATIONS.md). */
#define QUICK_BROKER "heartbeat = \"1s\"\nconfirm_timeout = \"2s\"\n"
#define QUICK_SOURCE "takeover = \"3s\"\nyield_after = \"1s\"\n"

static struct slow_link *broker_link;
static struct slow_link *database_link;
static struct relay *standby;
static struct traffic *traffic;

static void
open_scene(void)
{
    scene_open();
    traffic_set_up(scene.db);
    broker_link = NULL;
    database_link = NULL;
}

static void
close_scene(void)
{
    relay_free(scene.relay);
    relay_free(standby);
    scene.relay = NULL;
    if (broker_link != NULL) {
        slow_link_close(broker_link);
    }
    if (database_link != NULL) {
        slow_link_close(database_link);
    }
    scene_close();
}

TestSuite(relay_takeover, .init = open_scene, .fini = close_scene, .timeout = 240);

/* The broker's URI by way of a link. */
static const char *
uri_by_link(void)
{
    static char uri[200];
    const char *amqp = test_env("OUTBOX_TEST_AMQP_URI");
    const char *port = strrchr(amqp, ':');
    check(port != NULL, "no port in %s", amqp);
    broker_link = slow_link_open((int)strtol(port + 1, NULL, 10), UINT64_MAX);
    (void)snprintf(uri, sizeof(uri), "%.*s:%d/", (int)(port - amqp), amqp,
                   slow_link_port(broker_link)); /* fits */
    return uri;
}

static const char *
dsn_by_link(void)
{
    static char dsn[2000];
    database_link = slow_link_open(db_port(), UINT64_MAX);
    (void)snprintf(dsn, sizeof(dsn), "%s host=127.0.0.1 port=%d sslmode=disable", db_dsn(),
                   slow_link_port(database_link)); /* fits */
    return dsn;
}

static struct relay *
start(const char *dsn, const char *uri)
{
    return relay_start(&(struct relay_options){
        .dsn = dsn, .uri = uri, .broker = QUICK_BROKER, .source = QUICK_SOURCE});
}

struct words {
    const struct relay *relay;
    const char *first;
    const char *second;
};

static bool
has_said_both(void *context)
{
    const struct words *words = context;
    return relay_logged(words->relay, words->first) > 0 &&
           relay_logged(words->relay, words->second) > 0;
}

/* In any order. */
static void
await_both(const struct relay *relay, const char *first, const char *second)
{
    struct words words = {relay, first, second};
    await(has_said_both, &words, second, PATIENCE_S);
}

/* An owner with these addresses, and a standby that reaches everything, or nothing that the owner does not. */
static void
start_relays(const char *dsn, const char *uri, bool alike)
{
    scene.relay = start(dsn, uri);
    relay_await_work(scene.relay);
    standby = start(alike ? dsn : NULL, alike ? uri : NULL);
    await_both(standby, "event=source_standby", "event=lane_ready");
    traffic = traffic_start_steady(scene.queue);
}

static bool
queue_grows(void *context)
{
    const uint32_t *before = context;
    return broker_count(scene.broker, scene.queue) > *before;
}

static void
await_messages(void)
{
    uint32_t count = broker_count(scene.broker, scene.queue);
    await(queue_grows, &count, "messages arrive", PATIENCE_S);
}

static void
print_time(const char *what, uint64_t since_us)
{
    (void)fprintf(stderr, "takeover after %s: %llu ms\n", what,
                  (unsigned long long)((clock_monotonic_us() - since_us) / CLOCK_MS_US));
}

/* From when on the standby's messages arrive. */
static void
await_takeover(const char *what, uint64_t since_us)
{
    (void)relay_await_log(standby, "event=source_owned", NULL); /* is enough */
    await_messages();
    print_time(what, since_us);
}

static void
drain_both(void)
{
    relay_drain(scene.relay);
    relay_drain(standby);
}

/* Everything arrived, in order; returns how many came twice. */
static uint64_t
settle_accounts(void)
{
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    (void)fprintf(stderr, "came twice: %llu\n", (unsigned long long)duplicates);
    return duplicates;
}

Test(relay_takeover, an_owner_that_is_killed)
{
    start_relays(NULL, NULL, false);
    await_messages();
    const uint64_t since_us = clock_monotonic_us();
    relay_kill(scene.relay);
    await_takeover("kill -9", since_us);
    (void)settle_accounts(); /* what was in flight comes again */
    relay_drain(standby);
}

Test(relay_takeover, an_owner_that_is_told_to_end)
{
    start_relays(NULL, NULL, false);
    await_messages();
    const uint64_t since_us = clock_monotonic_us();
    relay_signal(scene.relay, SIGTERM);
    await_takeover("SIGTERM", since_us);
    check(relay_await_exit(scene.relay, PATIENCE_S) == 0, "it did not drain");
    check(settle_accounts() == 0, "a drain makes no duplicates");
    relay_drain(standby);
}

static void
cut_off(void)
{
    if (broker_link != NULL) {
        slow_link_rate(broker_link, 0);
    }
    if (database_link != NULL) {
        slow_link_rate(database_link, 0);
    }
}

static void
let_back(void)
{
    if (broker_link != NULL) {
        slow_link_rate(broker_link, UINT64_MAX);
    }
    if (database_link != NULL) {
        slow_link_rate(database_link, UINT64_MAX);
    }
}

/* The owner is cut off, and let back when the standby works. Then it stands by. */
static void
cut_the_owner_off(const char *what)
{
    await_messages();
    const uint64_t since_us = clock_monotonic_us();
    cut_off();
    await_takeover(what, since_us);
    let_back();
    (void)relay_await_log(scene.relay, "event=source_standby", NULL); /* is enough */
    (void)settle_accounts(); /* what was in flight comes again */
    check(relay_logged(standby, "event=source_owned") == 1, "the standby lost it again");
    check(relay_logged(scene.relay, "event=source_owned") == 1, "the owner got it back");
    drain_both();
}

Test(relay_takeover, an_owner_that_is_cut_off_from_the_broker)
{
    start_relays(NULL, uri_by_link(), false);
    cut_the_owner_off("a silent cut from the broker");
    check(relay_logged(scene.relay, "event=source_yielded") == 1, "it did not give it up");
}

Test(relay_takeover, an_owner_that_is_cut_off_from_the_database)
{
    start_relays(dsn_by_link(), NULL, false);
    cut_the_owner_off("a silent cut from the database");
}

Test(relay_takeover, an_owner_that_is_cut_off_from_both)
{
    start_relays(dsn_by_link(), uri_by_link(), false);
    cut_the_owner_off("a silent cut from both");
}

static bool
both_miss_the_broker(void *context)
{
    const uint64_t *until_us = context;
    (void)usleep(10000); /* some turns of both relays */
    return clock_monotonic_us() > *until_us && relay_logged(scene.relay, "event=lane_lost") > 0 &&
           relay_logged(standby, "event=lane_lost") > 0;
}

/* Promise: where no relay reaches the broker, the ownership stays where it is. */
Test(relay_takeover, an_outage_of_the_broker_moves_nothing)
{
    start_relays(NULL, uri_by_link(), true);
    await_messages();
    cut_off();
    uint64_t until_us = clock_monotonic_us() + 8 * CLOCK_S_US; /* several times yield_after */
    await(both_miss_the_broker, &until_us, "both miss the broker", PATIENCE_S);
    let_back();
    (void)settle_accounts(); /* what was in flight comes again */
    check(relay_logged(scene.relay, "event=source_yielded") == 0, "it was given up");
    check(relay_logged(standby, "event=source_owned") == 0, "the standby has it");
    drain_both();
}
