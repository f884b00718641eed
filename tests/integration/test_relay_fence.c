/* The second fence, at the broker: an exclusive queue that each publishing connection of the owner has (relay/rabbit/fence.h). */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/rabbit/fence.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/source_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define TAKEOVER_US (3 * CLOCK_S_US)

static struct relay *other;

/* The queues of two connections. */
static char fences[2][FENCE_QUEUE_BYTES];

/* Owns the outbox for a moment, before there is a relay. */
static void
name_fences(void)
{
    struct source_config config = source_fixture_here(TAKEOVER_US);
    struct source *const source = source_fixture_open(&config);
    const struct source_owned owned = source_fixture_await_owned(source).owned;
    source_fixture_close(source, &config);
    check(owned.outbox[0] != '\0', "the server does not say which it is");
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(fences[i], sizeof(fences[i]), "outbox-relay.%s.%u", owned.outbox,
                       i); /* fits */
    }
}

static void
open_scene(void)
{
    scene_open();
    name_fences();
}

static void
close_scene(void)
{
    relay_free(other);
    other = NULL;
    scene_close();
}

TestSuite(relay_fence, .init = open_scene, .fini = close_scene, .timeout = 240);

static struct relay *
start(const char *uri)
{
    return relay_start(
        &(struct relay_options){.uri = uri, .source = "publishers = 2\ntakeover = \"3s\"\n"});
}

static bool
both_are_taken(void *context)
{
    (void)context;
    return broker_is_taken(scene.broker, fences[0]) && broker_is_taken(scene.broker, fences[1]);
}

static void
await_fences(void)
{
    await(both_are_taken, NULL, "each connection has its fence", PATIENCE_S);
}

static bool
none_is_taken(void *context)
{
    (void)context;
    return !broker_is_taken(scene.broker, fences[0]) && !broker_is_taken(scene.broker, fences[1]);
}

static void
expect_message(const char *payload)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', '%s')", scene.queue,
               payload);
    consumer_expect(consumer, payload);
    consumer_close(consumer);
    await_empty_outbox(scene.db);
}

/* Promise: each connection of the owner has a fence, and nobody has when it has ended. A relay that was told to end has given it up
 * when the next one owns the outbox. */
Test(relay_fence, the_owner_has_it_and_hands_it_over)
{
    scene.relay = start(NULL);
    relay_await_work(scene.relay);
    await_fences();
    expect_message("of the first");
    other = start(NULL);
    (void)relay_await_log(other, "event=source_standby", NULL); /* is enough */
    relay_drain(scene.relay);
    (void)relay_await_log(other, "event=source_owned", NULL); /* likewise */
    expect_message("of the second");
    await_fences();
    check(relay_logged(other, "event=fence_") == 0, "the fence was not given up in time");
    relay_drain(other);
    await(none_is_taken, NULL, "the fences are gone", PATIENCE_S);
}

/* Promise: while another connection has the fence, nothing is published for a second; then it is, and the log says so once. A
 * connection that is made later tries again. */
Test(relay_fence, a_taken_one_is_waited_for_but_not_for_ever)
{
    struct slow_link *const link =
        slow_link_open((int)strtol(test_env("OUTBOX_TEST_AMQP_PORT"), NULL, 10), UINT64_MAX);
    char uri[100];
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@127.0.0.1:%d/",
                   slow_link_port(link)); /* fits */
    struct broker *const holder = broker_open(NULL);
    broker_take_queue(holder, fences[0]);
    broker_take_queue(holder, fences[1]);
    const uint64_t started_us = clock_monotonic_us();
    scene.relay = start(uri);
    expect_message("without");
    check(clock_monotonic_us() - started_us >= FENCE_WAIT_US, "it did not wait");
    (void)relay_await_log(scene.relay, "level=warning event=fence_late", "locked queue");
    check(relay_logged(scene.relay, "event=fence_") == 1, "it says it more than once");
    broker_close(holder);
    slow_link_cut(link);
    await_fences();
    expect_message("with");
    relay_drain(scene.relay);
    slow_link_close(link);
}

/* Promise: an owner that is stopped for longer than its lease keeps its fence; the next owner goes on without, and says so. */
Test(relay_fence, an_owner_that_is_stopped_does_not_stop_the_next)
{
    scene.relay = start(NULL);
    relay_await_work(scene.relay);
    await_fences();
    other = start(NULL);
    (void)relay_await_log(other, "event=source_standby", NULL); /* is enough */
    relay_signal(scene.relay, SIGSTOP);
    (void)relay_await_log(other, "event=source_owned", NULL); /* likewise */
    expect_message("of the second");
    (void)relay_await_log(other, "level=warning event=fence_late", "locked queue");
    check(relay_logged(other, "event=fence_") == 1, "it says it more than once");
    relay_signal(scene.relay, SIGCONT);
    (void)relay_await_log(scene.relay, "event=source_standby", NULL); /* likewise */
    await(none_is_taken, NULL, "the first gives its fences up", PATIENCE_S);
    expect_message("of the second, again");
    relay_drain(other);
    relay_drain(scene.relay);
}

/* Promise: a user who may not have one publishes without, and the log says so once, with the permission that it takes. */
Test(relay_fence, a_user_who_may_not_have_one_goes_on)
{
    char words[200];
    char uri[400];
    const char *const at = strchr(test_env("OUTBOX_TEST_AMQP_URI"), '@');
    check(at != NULL, "the broker's URI has no user");
    (void)snprintf(uri, sizeof(uri), "amqp://fence_%d:word%s", (int)getpid(), at); /* these fit */
    (void)snprintf(words, sizeof(words), "add_user fence_%d word", (int)getpid());
    servers_rabbitmqctl(words);
    (void)snprintf(words, sizeof(words), "set_permissions fence_%d '^$' '.*' '^$'", (int)getpid());
    servers_rabbitmqctl(words);
    scene.relay = start(uri);
    expect_message("x");
    (void)relay_await_log(scene.relay, "level=info event=fence_none", "^outbox-relay");
    check(relay_logged(scene.relay, "event=fence_") == 1, "it says it more than once");
    check(relay_logged(scene.relay, "event=lane_lost") == 0, "it lost a connection");
    relay_drain(scene.relay);
    (void)snprintf(words, sizeof(words), "delete_user fence_%d", (int)getpid());
    servers_rabbitmqctl(words);
}

static bool
has_been_used(void *context)
{
    return slow_link_connections(context) > 0;
}

/* Promise: a connection that moves to another host gives the fence up there, and has it here. */
Test(relay_fence, a_lane_that_moves_has_it)
{
    struct slow_link *links[2];
    char uri[128];
    for (unsigned i = 0; i < 2; i++) {
        links[i] =
            slow_link_open((int)strtol(test_env("OUTBOX_TEST_AMQP_PORT"), NULL, 10), UINT64_MAX);
    }
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@127.0.0.1:%d,127.0.0.1:%d/",
                   slow_link_port(links[0]), slow_link_port(links[1])); /* fits */
    slow_link_cut_at(links[0], "AMQP"); /* a client's first bytes: this host is down */
    scene.relay = relay_start(&(struct relay_options){
        .uri = uri, .broker = "spread_interval = \"200ms\"\n", .source = "publishers = 2\n"});
    relay_await_work(scene.relay);
    await(has_been_used, links[0], "a connection to the first host is tried", PATIENCE_S);
    await_fences();
    slow_link_cut_at(links[0], NULL);
    (void)relay_await_log(scene.relay, "event=lane_moved", NULL); /* is enough */
    expect_message("x");
    await_fences();
    check(relay_logged(scene.relay, "event=fence_") == 0, "it went on without");
    relay_drain(scene.relay);
    slow_link_close(links[0]);
    slow_link_close(links[1]);
}
