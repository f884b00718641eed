/* Something between relay and broker closes connections: for a certain message, each time, or now and then for no
 * reason. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define POISON "what nobody may say"
#define KEYS 20
/* The first cut starts no search. Then the window of 256 is halved down to one message, which is sent alone three
 * times. */
#define CUTS_MOST 16

static struct slow_link *slow;

static void
open_scene(void)
{
    const char *amqp = test_env("OUTBOX_TEST_AMQP_URI");
    const char *port = strrchr(amqp, ':');
    check(port != NULL, "no port in %s", amqp);
    scene_open();
    traffic_set_up(scene.db);
    slow = slow_link_open((int)strtol(port + 1, NULL, 10), UINT64_MAX);
}

static void
close_scene(void)
{
    relay_free(scene.relay);
    scene.relay = NULL;
    slow_link_close(slow);
    scene_close();
}

TestSuite(relay_cut, .init = open_scene, .fini = close_scene, .timeout = 240);

static void
start_relay(void)
{
    const char *amqp = test_env("OUTBOX_TEST_AMQP_URI");
    char uri[200];
    (void)snprintf(uri, sizeof(uri), "%.*s:%d/", (int)(strrchr(amqp, ':') - amqp), amqp,
                   slow_link_port(slow)); /* fits */
    scene.relay = relay_start(
        &(struct relay_options){.uri = uri, .source = "max_attempts = 2\nheld_max = 100\n"});
    relay_await_work(scene.relay);
}

static struct traffic *
start_traffic(void)
{
    return traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 2, .keys = KEYS, .pause_us_max = 10000});
}

/* The next message of its key, committed with others before and after it. */
static void
write_poison(void)
{
    scene_exec("begin");
    traffic_add(scene.db, scene.queue, KEYS, 5);
    scene_exec("update account set seq = seq + 1 where number = 3; "
               "insert into outbox (routing_key, \"key\", payload) "
               "select '%s', \"key\", bytes(concat(\"key\", ' ', seq, ' %s')) from account "
               "where number = 3",
               scene.queue, POISON);
    traffic_add(scene.db, scene.queue, KEYS, 5);
    scene_exec("commit");
}

/* Promise: a message at which the connection is cut each time stops only its own key. */
Test(relay_cut, a_message_that_something_between_does_not_let_pass)
{
    slow_link_cut_at(slow, POISON);
    start_relay();
    write_poison();
    const char *line =
        relay_await_log(scene.relay, "event=message_refused", "alone was on its way");
    check(strstr(line, " attempt=0 ") != NULL, "it costs an attempt at once: %s", line);
    check(slow_link_cuts(slow) <= CUTS_MOST, "it took %d cuts", slow_link_cuts(slow));
    struct traffic *traffic = start_traffic();
    line = relay_await_log(scene.relay, "event=message_dead", "others pass");
    traffic_end(traffic);
    scene_await("all others are through",
                "select (select count(*) from outbox) = 0 and (select count(*) from outbox_held "
                "where state <> 'waiting') = 1");
    check(scene_count("select count(*) from outbox_held where \"key\" <> 'k3'") == 0,
          "others are held");
    slow_link_cut_at(slow, NULL);
    operator_retry("state = 'dead'");
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

static bool
have_cut_enough(void *context)
{
    static int rounds;
    (void)context; /* unused, but a condition has it */
    (void)usleep((useconds_t)(50000 + 10000 * (rounds++ % 10))); /* the rate of cuts */
    slow_link_cut(slow);
    return slow_link_cuts(slow) >= 30;
}

/* Promise: a network that cuts connections all the time makes no message dead. */
Test(relay_cut, a_network_that_fails_now_and_then)
{
    start_relay();
    struct traffic *traffic = start_traffic();
    await(have_cut_enough, NULL, "connections are cut", PATIENCE_S);
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* likewise */
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message is dead");
    check(relay_logged(scene.relay, "event=message_refused") ==
              relay_logged(scene.relay, " attempt=0 "),
          "a message was blamed");
    relay_drain(scene.relay);
}
