/* The log is lost with its server, or by the way that server is set up: each test has servers of its own. The relay says what is
 * wrong and what to do, goes on by polling, and reads the log again as soon as it can; nothing is lost. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/standby_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define NO_SWEEP "sweep_interval = \"1h\"\n"

static void
open_own_scene(void)
{
    servers_start("postgres");
    scene_open_tail();
}

static void
open_with_broker(void)
{
    servers_start("postgres rabbitmq");
    scene_open_tail();
}

static void
open_with_standby(void)
{
    servers_start("postgres");
    standby_follow();
    scene_open_tail();
}

static void
close_own_scene(void)
{
    scene_close();
    servers_stop();
}

TestSuite(relay_tail_servers, .init = open_own_scene, .fini = close_own_scene, .timeout = 280);
TestSuite(relay_tail_broker, .init = open_with_broker, .fini = close_own_scene, .timeout = 280);
TestSuite(relay_tail_standby, .init = open_with_standby, .fini = close_own_scene, .timeout = 280);

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 4,
                                                   .keys = 20,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 2000,
                                                   .pause_us_max = 20000});
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
    (void)relay_await_log(scene.relay, event, words); /* the words are what counts */
}

static void
await_tailing(void)
{
    (void)relay_await_log(scene.relay, "event=tailing", NULL); /* the line says no more */
}

static void
set(const char *setting, const char *value)
{
    scene_exec("alter system set %s = '%s'", setting, value);
    db_exec(scene.db, "select pg_reload_conf()");
    scene_await("the setting holds", "select current_setting('%s') = '%s'", setting, value);
}

static void
insert(const char *payload)
{
    scene_exec("insert into outbox (routing_key, key, payload) values ('%s', 'k', '%s')",
               scene.queue, payload);
}

/* ---- the server's settings ------------------------------------------------------------------------- */

static void
set_wal_level(const char *level)
{
    scene_exec("alter system set wal_level = '%s'", level);
    servers_do("restart postgres");
    scene_reconnect();
}

static void
expect_polling_relay(const char *mode, const char *level)
{
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene.relay = relay_start(&(struct relay_options){.mode = mode});
    const char *line =
        relay_await_log(scene.relay, "event=not_tailing",
                        "wal_level is replica: set wal_level = logical and restart the server");
    check(strstr(line, level) != NULL, "not %s: %s", level, line);
    insert(mode);
    consumer_expect(consumer, mode);
    consumer_close(consumer);
}

/* Promise: where the server is not set up for it, the relay polls, and says what to set; set, it tails. */
Test(relay_tail_servers, without_logical_decoding_it_polls)
{
    set_wal_level("replica");
    expect_polling_relay("auto", "level=info");
    relay_drain(scene.relay);
    relay_free(scene.relay);
    expect_polling_relay("tail", "level=warning");
    set_wal_level("logical");
    await_tailing();
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert("by the log");
    consumer_expect(consumer, "by the log");
    consumer_close(consumer);
    scene_drain_relay();
}

/* More log than the server may keep, and a checkpoint that takes it away. */
static void
outgrow_slot(void)
{
    for (unsigned i = 0; i < 4; i++) {
        db_exec(scene.db, "select pg_logical_emit_message(false, 'test', repeat('x', 1 << 20)) "
                          "from generate_series(1, 10)");
        db_exec(scene.db, "select pg_switch_wal()");
    }
    db_exec(scene.db, "checkpoint");
    scene_await("the slot is lost", "select wal_status = 'lost' from pg_replication_slots limit 1");
}

/* Promise: a slot from which the server has taken the log, while the relay was away or while it stood still, is made anew. */
Test(relay_tail_servers, a_slot_that_the_server_has_given_up)
{
    set("max_slot_wal_keep_size", "16MB");
    scene_start_relay(NO_SWEEP);
    relay_drain(scene.relay);
    outgrow_slot();
    struct traffic *traffic = start_traffic();
    relay_start_again(scene.relay);
    expect_event("event=source_notice",
                 "the server has removed log that it needs (max_slot_wal_keep_size)");
    await_tailing();
    relay_signal(scene.relay, SIGSTOP);
    outgrow_slot();
    relay_signal(scene.relay, SIGCONT);
    /* Whether it has noticed while it read the log, or meanwhile polled for a commit that took long to be visible. */
    expect_event("event=source_notice", "max_slot_wal_keep_size");
    await_tailing();
    finish(traffic);
}

static void
send(PGconn *conn, const char *sql)
{
    check(PQsendQuery(conn, sql) == 1, "%s", PQerrorMessage(conn));
}

/* Commits something of no interest, again and again, until that waits for a standby: the server learns of it a little later than
 * its sessions do. */
static bool
commits_wait(void *context)
{
    PGconn *conn = context;
    check(PQconsumeInput(conn) == 1, "%s", PQerrorMessage(conn));
    while (!PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            send(conn, "select pg_logical_emit_message(true, 'test', '')");
        }
        PQclear(result);
    }
    return scene_count("select count(*) from pg_stat_activity where pid = %d and "
                       "wait_event = 'SyncRep'",
                       PQbackendPID(conn)) == 1;
}

/* Promise: what is in the log, but not committed for anybody else since a synchronous standby has not answered, is not sent
 * before it is. */
Test(relay_tail_servers, a_commit_that_waits_for_a_standby_is_not_sent)
{
    struct delivery delivery;
    char sql[256];
    scene_start_relay(NO_SWEEP);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    PGconn *probe = pg_fixture_connect();
    PGconn *writer = pg_fixture_connect();
    set("synchronous_standby_names", "missing");
    await(commits_wait, probe, "commits wait for the standby", PATIENCE_S);
    (void)snprintf(sql, sizeof(sql), "insert into outbox (routing_key, payload) values ('%s', '1')",
                   scene.queue);
    send(writer, sql);
    expect_event("event=polling", "a synchronous standby does not answer");
    check(!consumer_take_within(consumer, 3 * CLOCK_S_US, &delivery), "it was sent");
    set("synchronous_standby_names", "");
    consumer_expect(consumer, "1");
    await_tailing();
    insert("2");
    consumer_expect(consumer, "2");
    PQfinish(probe);
    PQfinish(writer);
    consumer_close(consumer);
    scene_drain_relay();
}

/* ---- another server -------------------------------------------------------------------------------- */

/* Promise: a dump that is restored into a new server at the same address is a table to be polled, and then a log of its own: no
 * position of the old one means anything. What was sent and deleted behind the dump comes again. */
Test(relay_tail_servers, a_dump_in_a_new_cluster)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    scene_await("applications write", "select sum(seq) > 200 from account");
    traffic_end(traffic);
    relay_signal(scene.relay, SIGSTOP); /* with its back to the server, as at night */
    traffic_burst(scene.db, scene.queue, 20, 50);
    standby_restore();
    relay_signal(scene.relay, SIGCONT);
    (void)relay_await_log(scene.relay, "event=source_lost", NULL); /* that it is told counts */
    expect_event("event=source_notice", "another database cluster than before");
    expect_event("event=source_notice", "does not exist");
    await_tailing();
    scene_reconnect();
    traffic_burst(scene.db, scene.queue, 20, 10);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}

/* Promise: after a failover to a standby that has everything, the relay finds the new primary by itself and makes its slot there;
 * nothing is lost. */
Test(relay_tail_standby, a_standby_that_is_promoted)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    scene_await("applications write", "select sum(seq) > 200 from account");
    standby_promote();
    (void)relay_await_log(scene.relay, "event=source_lost", NULL); /* that it is told counts */
    expect_event("event=source_notice", "has been promoted or restored since (timeline 00000002");
    expect_event("event=source_notice", "does not exist");
    await_tailing();
    scene_reconnect();
    scene_await("applications write on",
                "select count(*) = 1 from pg_replication_slots where active");
    finish(traffic);
}

/* ---- a broker that is away ------------------------------------------------------------------------- */

static void
stop_broker(void)
{
    servers_do("stop --keep rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL); /* that it is told counts */
}

static void
start_broker(void)
{
    servers_do("start rabbitmq");
    broker_close(scene.broker);
    scene.broker = broker_open(NULL);
}

/* Promise: a server that shuts down waits for those who read its log; the relay does not let it wait for the broker. */
Test(relay_tail_broker, away_for_long_it_does_not_keep_the_database_from_its_end)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    stop_broker();
    traffic_burst(scene.db, scene.queue, 20, 2000);
    expect_event("event=polling", "the server must not wait for that");
    const uint64_t start_us = clock_monotonic_us();
    servers_do("stop --keep postgres");
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    /* The server waits for ever for who does not read; after 30 s tests/services would kill it. */
    check(took_ms < 25000, "the database took %llu ms to end", (unsigned long long)took_ms);
    servers_do("start postgres");
    start_broker();
    await_tailing();
    scene_reconnect();
    finish(traffic);
}

static bool
tails_again(void *context)
{
    (void)context;
    return relay_logged(scene.relay, "event=tailing") == 2;
}

/* Promise: the disk of the server comes first: a slot that holds back too much, because the broker is away, is dropped, and made
 * again a minute later or more. */
Test(relay_tail_broker, away_while_the_log_grows_the_slot_is_dropped)
{
    scene_start_relay(NO_SWEEP "wal_retain_max = \"32MiB\"\n");
    struct traffic *traffic = start_traffic();
    stop_broker();
    db_exec(scene.db, "select pg_logical_emit_message(false, 'test', repeat('x', 1 << 20)) "
                      "from generate_series(1, 48)");
    expect_event("event=not_tailing", "held back more than wal_retain_max of log");
    scene_await("the slot is dropped", "select not exists (select from pg_replication_slots)");
    start_broker();
    scene_await("messages go", "select count(*) < 100 from outbox");
    await(tails_again, NULL, "it tails again", 120);
    finish(traffic);
}
