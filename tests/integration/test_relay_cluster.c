/* A RabbitMQ cluster of three nodes (tests/services/cluster) and a quorum queue. A node is killed, drained as for an upgrade, and
 * cut off from the others, each time the one at which a connection of the relay is: the relay goes on with another, loses nothing,
 * and comes back to the node when that serves again. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define NODES 3
#define WINDOW 100
/* Starts that all begin with the same of three nodes: once in 3^19 runs. */
#define STARTS 20

static unsigned ports[NODES];

static void
cluster(const char *command, unsigned node)
{
    servers_shell("\"$(dirname '%s')\"/cluster '%s' %s %u", test_env("OUTBOX_TEST_SERVICES"),
                  servers_directory(), command, node + 1);
}

static void
find_nodes(void)
{
    char path[256];
    char uri[200];
    for (unsigned i = 0; i < NODES; i++) {
        (void)snprintf(path, sizeof(path), "%s/node-%u/rabbitmq.ports", servers_directory(),
                       i + 1); /* fits */
        FILE *file = fopen(path, "r");
        check(file != NULL && fscanf(file, "amqp=%u", &ports[i]) == 1, "no port in %s", path);
        (void)fclose(file);
    }
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u/",
                   ports[0], ports[1], ports[2]); /* fits */
    check(setenv("OUTBOX_TEST_AMQP_URI", uri, 1) == 0, "out of memory");
}

static void
open_cluster(void)
{
    servers_start(db_server());
    servers_shell("\"$(dirname '%s')\"/cluster '%s' start", test_env("OUTBOX_TEST_SERVICES"),
                  servers_directory());
    find_nodes();
    scene_open();
}

TestSuite(relay_cluster, .init = open_cluster, .fini = scene_close_own, .timeout = 280);

static const char *
at_node(unsigned lane, unsigned node)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "lane=%u peer=127.0.0.1:%u", lane, ports[node]); /* fits */
    return text;
}

/* Where a relay's lane first was. */
static unsigned
first_node(const struct relay *relay, unsigned lane)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (relay_logged(relay, at_node(lane, i)) > 0) {
            return i;
        }
    }
    fail_test("lane %u is at no node", lane);
}

/* The lanes of one relay are at different nodes: returns that of lane 1. */
static unsigned
check_spread(void)
{
    const unsigned first = first_node(scene.relay, 0);
    const unsigned second = first_node(scene.relay, 1);
    const unsigned third = first_node(scene.relay, 2);
    check(first != second && second != third && first != third, "lanes are at nodes %u, %u and %u",
          first + 1, second + 1, third + 1);
    return second;
}

/* Others begin with other nodes. */
static void
check_other_starts(void)
{
    bool differs = false;
    for (unsigned i = 0; i < STARTS && !differs; i++) {
        struct relay *other = relay_start(&(struct relay_options){0});
        (void)relay_await_log(other, "event=lane_ready", NULL); /* is enough */
        differs = first_node(other, 0) != first_node(scene.relay, 0);
        relay_drain(other);
        relay_free(other);
    }
    check(differs, "%u relays begin with the same node", STARTS);
}

static bool
has_confirmed(void *context)
{
    const int64_t *wanted = context;
    return scene_count("select coalesce(sum(confirmed), 0) from outbox_relay") >= *wanted;
}

/* So many more messages are confirmed. */
static void
await_confirms(int64_t more)
{
    int64_t wanted = scene_count("select coalesce(sum(confirmed), 0) from outbox_relay") + more;
    await(has_confirmed, &wanted, "messages are confirmed", PATIENCE_S);
}

/* A lane's node goes away and comes back. */
static void
disturb(const char *away, const char *back, unsigned lane, unsigned node)
{
    await_confirms(100);
    cluster(away, node);
    (void)relay_await_log(scene.relay, "event=lane_lost", at_node(lane, node)); /* is enough */
    await_confirms(200);
    cluster(back, node);
    (void)relay_await_log(scene.relay, "event=lane_moved", at_node(lane, node)); /* likewise */
}

Test(relay_cluster, a_node_that_is_killed_drained_or_cut_off)
{
    traffic_set_up(scene.db);
    scene.relay =
        relay_start(&(struct relay_options){.broker = "spread_interval = \"500ms\"\n",
                                            .source = "publishers = 3\nwindow_messages = 100\n"});
    for (unsigned i = 0; i < 3; i++) {
        (void)relay_await_log(scene.relay, "event=lane_ready", NULL); /* is enough */
    }
    const unsigned node = check_spread();
    check_other_starts();
    struct traffic *traffic = traffic_start_steady(scene.queue);
    disturb("kill", "bring-back", 1, node);
    disturb("drain", "revive", 1, node);
    disturb("cut", "mend", 1, node);
    traffic_end(traffic);
    scene_reconnect();
    const uint64_t repeated = ledger_check(NULL, scene.queue, scene.db);
    const unsigned lost = relay_logged(scene.relay, "event=lane_lost");
    (void)fprintf(stderr, "connections lost: %u, moved: %u; came twice: %llu\n", lost,
                  relay_logged(scene.relay, "event=lane_moved"), (unsigned long long)repeated);
    check(repeated <= (uint64_t)lost * WINDOW, "more came twice than was in flight");
    /* The leader of the queue is lost with its node, and what it had not agreed on is nacked: that costs no attempt. */
    check(relay_logged(scene.relay, "event=message_refused") ==
              relay_logged_with(scene.relay, "event=message_refused", "(basic.nack)"),
          "a message was refused for another reason than a lost leader");
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message was given up");
    relay_drain(scene.relay);
}
