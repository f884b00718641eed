/* An owner is killed, told to end, or cut off from the broker, from the database or from both, alive and without a word:
 * the standby goes on, and nothing is lost or out of order. How long it took is printed.
 *
 * What cuts it off is a proxy that carries nothing. With OUTBOX_TEST_NAMESPACE the owner is in a network namespace, as on a host of
 * its own, and its packets are dropped: then neither kernel answers for it. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/namespace_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* With these, an owner that is cut off is replaced within a few seconds (docs/OPERATIONS.md). */
#define QUICK_BROKER "heartbeat = \"1s\"\nconfirm_timeout = \"2s\"\n"
#define QUICK_SOURCE "takeover = \"3s\"\nyield_after = \"1s\"\n"

/* How the owner reaches a server. */
struct way {
    int port;               /* of the server */
    struct slow_link *link; /* the proxy, where there is one */
    bool is_cut;            /* by cut_off */
};

static struct way to_broker;
static struct way to_database;
static struct relay *standby;
static struct traffic *traffic;

static bool
in_namespace(void)
{
    return getenv("OUTBOX_TEST_NAMESPACE") != NULL;
}

static int
broker_port(void)
{
    const char *port = strrchr(test_env("OUTBOX_TEST_AMQP_URI"), ':');
    check(port != NULL, "no port in the broker's URI");
    return (int)strtol(port + 1, NULL, 10);
}

static void
open_scene(void)
{
    scene_open();
    traffic_set_up(scene.db);
    to_broker = (struct way){.port = broker_port()};
    to_database = (struct way){.port = db_port()};
    if (in_namespace()) {
        namespace_open();
    }
}

static void
close_way(struct way *way)
{
    if (way->link != NULL) {
        slow_link_close(way->link);
    }
}

static void
close_scene(void)
{
    relay_free(scene.relay);
    relay_free(standby);
    scene.relay = NULL;
    close_way(&to_broker);
    close_way(&to_database);
    if (in_namespace()) {
        namespace_close();
    }
    scene_close();
}

TestSuite(relay_takeover, .init = open_scene, .fini = close_scene, .timeout = 240);

static const char *
host(void)
{
    return in_namespace() ? namespace_servers() : "127.0.0.1";
}

static int
port_of(const struct way *way)
{
    return way->link != NULL ? slow_link_port(way->link) : way->port;
}

static void
may_be_cut(struct way *way)
{
    way->is_cut = true;
    if (!in_namespace()) {
        way->link = slow_link_open(way->port, UINT64_MAX);
    }
}

static struct relay *
start_owner(void)
{
    char uri[200];
    char dsn[2000];
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@%s:%d/", host(),
                   port_of(&to_broker)); /* fits */
    (void)snprintf(dsn, sizeof(dsn), "%s host=%s port=%d sslmode=disable", db_dsn(), host(),
                   port_of(&to_database)); /* fits */
    return relay_start(
        &(struct relay_options){.dsn = dsn,
                                .uri = uri,
                                .broker = QUICK_BROKER,
                                .source = QUICK_SOURCE,
                                .network = in_namespace() ? namespace_file() : NULL});
}

static struct relay *
start_standby(void)
{
    return relay_start(&(struct relay_options){.broker = QUICK_BROKER, .source = QUICK_SOURCE});
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

/* An owner that may be cut off from these, and a standby that reaches everything, or nothing that the owner does not. */
static void
start_relays(bool from_broker, bool from_database, bool alike)
{
    if (from_broker) {
        may_be_cut(&to_broker);
    }
    if (from_database) {
        may_be_cut(&to_database);
    }
    scene.relay = start_owner();
    relay_await_work(scene.relay);
    standby = alike ? start_owner() : start_standby();
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
    start_relays(false, false, false);
    await_messages();
    const uint64_t since_us = clock_monotonic_us();
    relay_kill(scene.relay);
    await_takeover("kill -9", since_us);
    (void)settle_accounts(); /* what was in flight comes again */
    relay_drain(standby);
}

Test(relay_takeover, an_owner_that_is_told_to_end)
{
    start_relays(false, false, false);
    await_messages();
    const uint64_t since_us = clock_monotonic_us();
    relay_signal(scene.relay, SIGTERM);
    await_takeover("SIGTERM", since_us);
    check(relay_await_exit(scene.relay, PATIENCE_S) == 0, "it did not drain");
    check(settle_accounts() == 0, "a drain makes no duplicates");
    relay_drain(standby);
}

static void
cut(const struct way *way)
{
    if (way->is_cut && in_namespace()) {
        namespace_cut(way->port);
    } else if (way->is_cut) {
        slow_link_rate(way->link, 0);
    }
}

static void
mend(const struct way *way)
{
    if (way->is_cut && in_namespace()) {
        namespace_mend(); /* both */
    } else if (way->is_cut) {
        slow_link_rate(way->link, UINT64_MAX);
    }
}

static void
cut_off(void)
{
    cut(&to_broker);
    cut(&to_database);
}

static void
let_back(void)
{
    mend(&to_broker);
    mend(&to_database);
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
    start_relays(true, false, false);
    cut_the_owner_off("a silent cut from the broker");
    check(relay_logged(scene.relay, "event=source_yielded") == 1, "it did not give it up");
}

Test(relay_takeover, an_owner_that_is_cut_off_from_the_database)
{
    start_relays(false, true, false);
    cut_the_owner_off("a silent cut from the database");
}

Test(relay_takeover, an_owner_that_is_cut_off_from_both)
{
    start_relays(true, true, false);
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
    start_relays(true, false, true);
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
