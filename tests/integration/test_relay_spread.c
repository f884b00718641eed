/* The connections of a source, over two hosts of the broker's URI: two links to the one broker, each of which can be down for a while.
 * What happens to a cluster of brokers: test_relay_cluster.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/traffic_fixture.h"

static struct slow_link *links[2];

static void
open_scene(void)
{
    const int port = (int)strtol(test_env("OUTBOX_TEST_AMQP_PORT"), NULL, 10);
    scene_open();
    links[0] = slow_link_open(port, UINT64_MAX);
    links[1] = slow_link_open(port, UINT64_MAX);
}

static void
close_scene(void)
{
    scene_close();
    slow_link_close(links[0]);
    slow_link_close(links[1]);
}

TestSuite(relay_spread, .init = open_scene, .fini = close_scene, .timeout = 280);

/* A client's first bytes are the name of the protocol. */
static void
take_down(struct slow_link *link)
{
    slow_link_cut_at(link, "AMQP");
    slow_link_cut(link);
}

static void
bring_back(struct slow_link *link)
{
    slow_link_cut_at(link, NULL);
}

static void
start_relay(const char *broker)
{
    char uri[128];
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@127.0.0.1:%d,127.0.0.1:%d/",
                   slow_link_port(links[0]), slow_link_port(links[1])); /* fits */
    scene.relay = relay_start(&(struct relay_options){
        .uri = uri, .broker = broker, .source = "publishers = 2\nwindow_messages = 100\n"});
    relay_await_work(scene.relay);
}

static bool
each_has_been_used(void *context)
{
    (void)context;
    return slow_link_connections(links[0]) > 0 && slow_link_connections(links[1]) > 0;
}

static void
await_more(int64_t more)
{
    scene_await("applications write", "select sum(seq) >= %lld from account",
                (long long)(traffic_committed(scene.db) + more));
}

/* Whether a lane comes to it again. */
static void
await_move_to(const struct slow_link *link)
{
    char peer[64];
    (void)snprintf(peer, sizeof(peer), " peer=127.0.0.1:%d", slow_link_port(link)); /* fits */
    (void)relay_await_log(scene.relay, "event=lane_moved", peer);                   /* is enough */
}

/* Promises: each of two connections is at a host of its own. When one host is down, both are at the other; when it is back, one
 * returns to it, while messages go all the time, and nothing is sent twice for that. */
Test(relay_spread, a_lane_returns_to_its_host_and_repeats_nothing)
{
    start_relay("spread_interval = \"200ms\"\n");
    await(each_has_been_used, NULL, "there is a connection to each host", PATIENCE_S);
    for (unsigned i = 0; i < 2; i++) {
        take_down(links[i]);
        (void)relay_await_log(scene.relay, "event=lane_lost", NULL);  /* is enough */
        (void)relay_await_log(scene.relay, "event=lane_ready", NULL); /* likewise */
        if (i == 0) {
            traffic_set_up(scene.db);
        }
        struct traffic *traffic = traffic_start_steady(scene.queue);
        await_more(100);
        bring_back(links[i]);
        await_move_to(links[i]);
        await_more(100);
        traffic_end(traffic);
        await_empty_outbox(scene.db);
    }
    const uint64_t repeats = ledger_check(NULL, scene.queue, scene.db);
    check(repeats == 0, "%llu messages came twice", (unsigned long long)repeats);
    check(relay_logged(scene.relay, "event=lane_lost") == 2, "a lane was lost that should not be");
    relay_drain(scene.relay);
}

/* Promise: spread_interval = 0 leaves the connections where they are. */
Test(relay_spread, lanes_stay_where_they_are_if_asked_to)
{
    start_relay("spread_interval = \"0\"\n");
    await(each_has_been_used, NULL, "there is a connection to each host", PATIENCE_S);
    take_down(links[0]);
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL);  /* is enough */
    (void)relay_await_log(scene.relay, "event=lane_ready", NULL); /* likewise */
    bring_back(links[0]);
    const int before = slow_link_connections(links[0]);
    traffic_set_up(scene.db);
    struct traffic *traffic = traffic_start_steady(scene.queue);
    await_more(300);
    traffic_end(traffic);
    check(slow_link_connections(links[0]) == before, "it connected again");
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}
