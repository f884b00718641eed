/* The log is lost together with its server, or is missing because of the server's configuration: each test has its own
 * servers. The relay says what is wrong and what to do, polls, and reads the log again as soon as it can; nothing is
 * lost. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/log_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/standby_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define NO_SWEEP "sweep_interval = \"1h\"\n"

static void
open_own_scene(void)
{
    scene_tail();
    scene_open_own();
}

static void
open_with_broker(void)
{
    char services[64];
    (void)snprintf(services, sizeof(services), "%s rabbitmq", db_server()); /* fits */
    servers_start(services);
    scene_open_tail();
}

static void
open_with_standby(void)
{
    servers_start(db_server());
    standby_follow(true);
    scene_open_tail();
}

TestSuite(relay_tail_servers, .init = open_own_scene, .fini = scene_close_own, .timeout = 280);
TestSuite(relay_tail_broker, .init = open_with_broker, .fini = scene_close_own, .timeout = 280);
TestSuite(relay_tail_standby, .init = open_with_standby, .fini = scene_close_own, .timeout = 280);

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start_steady(scene.queue);
}

static void
finish(struct traffic *traffic)
{
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}

static void
expect_event(const char *event, const char *words)
{
    (void)relay_await_log(scene.relay, event, words); /* is enough */
}

static void
insert(const char *payload)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', 'k', '%s')",
               scene.queue, payload);
}

/* ---- the server's settings ------------------------------------------------------------------------- */

static void
expect_polling_relay(const char *mode, const char *level)
{
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene.relay = relay_start(&(struct relay_options){.mode = mode});
    const char *line = log_await_told(LOG_SWITCHED_OFF);
    check(strstr(line, level) != NULL, "not %s: %s", level, line);
    insert(mode);
    consumer_expect(consumer, mode);
    consumer_close(consumer);
}

/* Promise: if the server is not configured for it, the relay polls, and says what to set; when it is set, it tails. */
Test(relay_tail_servers, without_a_log_it_polls)
{
    log_harm(LOG_SWITCHED_OFF);
    expect_polling_relay("auto", "level=info");
    relay_drain(scene.relay);
    relay_free(scene.relay);
    expect_polling_relay("tail", "level=warning");
    log_mend(LOG_SWITCHED_OFF);
    scene_await_tailing();
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert("by the log");
    consumer_expect(consumer, "by the log");
    consumer_close(consumer);
    scene_drain_relay();
}

/* Promise: a commit that is in the log, but not visible because a synchronous standby has not answered, is not sent
 * before it is visible. */
Test(relay_tail_servers, a_commit_that_waits_for_a_standby_is_not_sent)
{
    struct delivery delivery;
    char sql[256];
    scene_start_relay(NO_SWEEP);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    struct db *writer = db_connect();
    standby_hold_commits();
    (void)snprintf(sql, sizeof(sql), "insert into outbox (routing_key, payload) values ('%s', '1')",
                   scene.queue); /* fits */
    db_send(writer, sql);
    expect_event("event=polling", "a synchronous standby does not answer");
    check(!consumer_take_within(consumer, 3 * CLOCK_S_US, &delivery), "it was sent");
    standby_let_commits_go();
    consumer_expect(consumer, "1");
    scene_await_tailing();
    insert("2");
    consumer_expect(consumer, "2");
    db_await_end(writer);
    db_close(writer);
    consumer_close(consumer);
    scene_drain_relay();
}

/* ---- another server -------------------------------------------------------------------------------- */

/* Promise: if a dump is restored into a new server at the same address, the relay polls the table, and then reads the
 * new log from its own beginning: positions of the old log mean nothing. What was sent and deleted after the dump comes
 * again. */
Test(relay_tail_servers, a_dump_in_a_new_server)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    scene_await("applications write", "select sum(seq) > 200 from account");
    traffic_end(traffic);
    relay_signal(scene.relay, SIGSTOP); /* so that it reads no more of this one */
    traffic_burst(scene.db, scene.queue, 20, 50);
    standby_restore();
    relay_signal(scene.relay, SIGCONT);
    (void)relay_await_log(scene.relay, "event=source_lost", NULL); /* is enough */
    standby_await_restored();
    scene_await_tailing();
    scene_reconnect();
    traffic_burst(scene.db, scene.queue, 20, 10);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}

/* Promise: after a failover to a standby that has everything, the relay finds the new primary by itself and reads its
 * log; nothing is lost. */
Test(relay_tail_standby, a_standby_that_is_promoted)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    scene_await("applications write", "select sum(seq) > 200 from account");
    standby_await_place();
    standby_promote();
    (void)relay_await_log(scene.relay, "event=source_lost", NULL); /* is enough */
    standby_await_promoted();
    scene_await_tailing();
    scene_reconnect();
    const int64_t written = scene_count("select sum(seq) from account");
    scene_await("applications write on", "select sum(seq) > %lld from account",
                (long long)written + 100);
    finish(traffic);
    check(!standby_knows_place() || relay_logged(scene.relay, "does not exist") == 1,
          "the log is read from another place"); /* once, at the start */
}

/* ---- a broker that is away ------------------------------------------------------------------------- */

static void
stop_broker(void)
{
    servers_do("stop --keep rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL); /* is enough */
}

static void
start_broker(void)
{
    servers_do("start rabbitmq");
    broker_close(scene.broker);
    scene.broker = broker_open(NULL);
}

/* Promise: a server that shuts down waits for the readers of its log; the relay does not make it wait for the broker. */
Test(relay_tail_broker, away_for_long_it_does_not_keep_the_database_from_its_end)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    stop_broker();
    traffic_burst(scene.db, scene.queue, 20, 2000);
    expect_event("event=polling", "the server must not wait for that");
    const uint64_t start_us = clock_monotonic_us();
    servers_do_database("stop --keep");
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    /* The server waits for ever for a reader that does not read; after 30 s tests/services would kill it. */
    check(took_ms < 25000, "the database took %llu ms to end", (unsigned long long)took_ms);
    servers_do_database("start");
    start_broker();
    scene_await_tailing();
    scene_reconnect();
    finish(traffic);
}
