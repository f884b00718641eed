/* The slot with which PostgreSQL keeps its log for the relay: read by others, invalidated by the server, and dropped by
 * the relay before the disk is full. MariaDB and MySQL have no slots. Applications write all the time. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define NO_SWEEP "sweep_interval = \"1h\"\n"
#define OUR_SLOT "from pg_replication_slots where database = current_database()"

static void
open_own_server(void)
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

TestSuite(relay_tail_slots, .init = scene_open_tail, .fini = scene_close, .timeout = 280);
TestSuite(relay_tail_slots_server, .init = open_own_server, .fini = scene_close_own,
          .timeout = 280);
TestSuite(relay_tail_slots_broker, .init = open_with_broker, .fini = scene_close_own,
          .timeout = 280);

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start_steady(scene.queue);
}

static void
finish(struct traffic *traffic, bool may_repeat)
{
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0 || may_repeat, "%llu came twice without a reason",
          (unsigned long long)duplicates);
    scene_drain_relay();
}

static void
expect_event(const char *event, const char *words)
{
    (void)relay_await_log(scene.relay, event, words); /* is enough */
}

/* Reads the slot like a program that is not a relay. */
static PGconn *
read_slot(void)
{
    char text[512];
    char slot[64];
    scene_await("nobody reads the slot", "select bool_and(not active) " OUR_SLOT);
    (void)snprintf(slot, sizeof(slot), "%s", db_text(scene.db, "select slot_name " OUR_SLOT));
    (void)snprintf(text, sizeof(text), "%s replication=database application_name=stranger",
                   pg_fixture_dsn());
    PGconn *conn = PQconnectdb(text);
    check(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    (void)snprintf(text, sizeof(text),
                   "START_REPLICATION SLOT \"%s\" LOGICAL 0/0 (proto_version '1', "
                   "publication_names 'outbox_relay_public')",
                   slot);
    PGresult *result = PQexec(conn, text);
    check(PQresultStatus(result) == PGRES_COPY_BOTH, "%s", PQerrorMessage(conn));
    PQclear(result);
    return conn;
}

Test(relay_tail_slots, a_slot_that_a_stranger_reads_is_left_to_him)
{
    scene_start_relay(NO_SWEEP);
    struct traffic *traffic = start_traffic();
    relay_drain(scene.relay);
    PGconn *stranger = read_slot();
    relay_start_again(scene.relay);
    expect_event("event=not_tailing", "(stranger): end it, or set `slot` to another name");
    scene_expect_no_pause();
    check(scene_count("select count(*) " OUR_SLOT " and active_pid = %d", PQbackendPID(stranger)) ==
              1,
          "the stranger was thrown out");
    PQfinish(stranger);
    scene_await_tailing();
    finish(traffic, false);
}

/* Promise: a slot whose log the server has removed, while the relay did not run or was stopped, is made again. */
Test(relay_tail_slots_server, a_slot_that_the_server_has_given_up)
{
    scene_start_relay(NO_SWEEP);
    relay_drain(scene.relay);
    db_forget_log(scene.db);
    struct traffic *traffic = start_traffic();
    relay_start_again(scene.relay);
    expect_event("event=source_notice",
                 "the server has removed log that it needs (max_slot_wal_keep_size)");
    scene_await_tailing();
    relay_signal(scene.relay, SIGSTOP);
    db_forget_log(scene.db);
    relay_signal(scene.relay, SIGCONT);
    /* It may notice while it reads the log, or while it polls because a commit is not visible yet. */
    expect_event("event=source_notice", "max_slot_wal_keep_size");
    scene_await_tailing();
    finish(traffic, true);
}

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

static bool
tails_again(void *context)
{
    (void)context;
    return relay_logged(scene.relay, "event=tailing") == 2;
}

/* Promise: the server's disk is more important: a slot that makes it keep too much, because the broker is away, is
 * dropped, and made again a minute later or more. */
Test(relay_tail_slots_broker, away_while_the_log_grows_the_slot_is_dropped)
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
    finish(traffic, true);
}
