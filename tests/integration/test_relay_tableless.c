/* Messages that are only in the database's log: what is committed is sent, in the order of the commits, like rows of
 * the table; and whatever happens to the relay, nothing is lost. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_tableless, .init = scene_open_tail, .fini = scene_close, .timeout = 280);

#define TABLELESS "tableless = true\n"

static struct consumer *consumer;

static void
start(void)
{
    scene_start_relay(TABLELESS);
    consumer = consumer_open(NULL, scene.queue);
}

static void
emit(const char *payload)
{
    scene_exec("select outbox_emit(convert_to('%s', 'UTF8'), '%s', key => 'k')", payload,
               scene.queue);
}

static void
finish(void)
{
    struct delivery delivery;
    await_empty_outbox(scene.db);
    check(!consumer_take_within(consumer, CLOCK_S_US / 4, &delivery), "\"%s\" came on top",
          delivery.body);
    consumer_close(consumer);
    scene_drain_relay();
}

static void
expect_span(struct span span, const char *bytes, size_t size)
{
    check(span.size == size && memcmp(span.data, bytes, size) == 0,
          "\"%.*s\" came instead of \"%s\"", (int)span.size, (const char *)span.data, bytes);
}

/* Promise: a message is the same as if it had been written into the table. */
Test(relay_tableless, every_field_arrives)
{
    struct delivery delivery;
    start();
    scene_exec("select outbox_emit('\\x007b7d', '%s', 'k', 'OrderPaid', '', 'application/json', "
               "'{\"tenant\": \"7\"}', null, '0190163d-8694-739b-aea5-966c26f8ad91')",
               scene.queue);
    consumer_take(consumer, &delivery);
    const struct rabbit_message *message = &delivery.message;
    expect_span(message->body, "\0{}", 3);
    expect_span(message->type, "OrderPaid", strlen("OrderPaid"));
    expect_span(message->content_type, "application/json", strlen("application/json"));
    check(message->headers.size > 0, "no headers came");
    check(strcmp(delivery.message_id, "0190163d-8694-739b-aea5-966c26f8ad91") == 0, "%s",
          delivery.message_id);
    scene_exec(
        "select pg_logical_emit_message(true, 'outbox.public', json_build_object('routing_key', "
        "'%s', "
        "'payload', encode('plain', 'base64'))::text)",
        scene.queue);
    consumer_expect(consumer, "plain");
    scene_exec("select outbox_emit('later', '%s', deliver_after => now() + '5s')", scene.queue);
    scene_await("it waits for its time",
                "select exists (select from outbox_held where state = 'scheduled')");
    consumer_expect(consumer, "later");
    finish();
}

/* Emitted and written messages are numbered separately: this must be the next one of its kind. */
static void
note(const char *body, unsigned *emitted, unsigned *written)
{
    const unsigned number = (unsigned)strtoul(body + 1, NULL, 10);
    unsigned *last = body[0] == 'e' ? emitted : written;
    check(number == *last + 1, "%s came after %u", body, *last);
    *last = number;
}

/* Promise: they are sent in the order of the commits, once, and without those that were rolled back. */
Test(relay_tableless, in_order_and_once_beside_rows_of_the_table)
{
    enum { COUNT = 500 };
    unsigned emitted = 0;
    unsigned written = 0;
    start();
    for (unsigned i = 1; i <= COUNT; i++) {
        db_exec(scene.db, "begin");
        emit("never");
        db_exec(scene.db, "rollback; begin; savepoint s");
        emit("never");
        db_exec(scene.db, "rollback to s");
        scene_exec("select outbox_emit('e%u', '%s', 'k')", i, scene.queue);
        scene_exec("insert into outbox (routing_key, key, payload) values ('%s', 'w', 'w%u')",
                   scene.queue, i);
        db_exec(scene.db, "commit");
    }
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        struct delivery delivery;
        consumer_take(consumer, &delivery);
        note(delivery.body, &emitted, &written);
    }
    finish();
}

/* Promise: a transaction of any size is sent, in parts. */
Test(relay_tableless, one_large_transaction)
{
    enum { COUNT = 20000 };
    unsigned emitted = 0;
    start();
    scene_exec("select outbox_emit(convert_to('e' || i, 'UTF8'), '%s', 'k') "
               "from generate_series(1, %d) as i",
               scene.queue, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct delivery delivery;
        consumer_take(consumer, &delivery);
        note(delivery.body, &emitted, &emitted);
    }
    finish();
}

/* ---- crashes --------------------------------------------------------------------------------------- */

/* Each message is a transaction that increments an account, like those of traffic_fixture.h. */
static void
begin_traffic(PGconn *session, unsigned count)
{
    char sql[500];
    (void)snprintf(sql, sizeof(sql),
                   "do $$ declare k text; s bigint; begin for i in 1..%u loop "
                   "update account set seq = seq + 1 where key = 'k' || i %% 20 "
                   "returning key, seq into k, s; "
                   "perform outbox_emit(convert_to(k || ' ' || s, 'UTF8'), '%s', k); "
                   "commit; end loop; end $$",
                   count, scene.queue);
    check(PQsendQuery(session, sql) == 1, "%s", PQerrorMessage(session));
}

static void
end_traffic(PGconn *session)
{
    for (PGresult *result = PQgetResult(session); result != NULL; result = PQgetResult(session)) {
        check(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(session));
        PQclear(result);
    }
    PQfinish(session);
}

/* Promise: kill -9 of the relay at any moment loses nothing. A message that is written twice has the same message id. */
Test(relay_tableless, killed_again_and_again_it_loses_nothing)
{
    enum { SESSIONS = 4, KILLS = 10 };
    PGconn *sessions[SESSIONS];
    struct random random;
    random_seed(&random, clock_wall_us());
    traffic_set_up(scene.db);
    scene_start_relay(TABLELESS);
    for (unsigned i = 0; i < SESSIONS; i++) {
        sessions[i] = pg_fixture_connect();
        begin_traffic(sessions[i], 5000);
    }
    for (unsigned i = 0; i < KILLS; i++) {
        (void)usleep((useconds_t)random_between(&random, 0, 400000)); /* the random moment */
        relay_kill(scene.relay);
        relay_start_again(scene.relay);
        (void)relay_await_log(scene.relay, "event=tailing", NULL); /* is enough */
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        end_traffic(sessions[i]);
    }
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}

/* ---- what can't be a message ----------------------------------------------------------------------- */

static void
expect_dead(const char *content, const char *reason)
{
    scene_exec("select pg_logical_emit_message(true, 'outbox.public', '%s'::bytea)", content);
    scene_await(
        reason,
        "select count(*) = 1 from outbox_held where payload = '%s'::bytea and state = 'dead' "
        "and last_error like '%s'",
        content, reason);
}

/* Promise: it is set aside with its content and a reason, and no other message waits for it. */
Test(relay_tableless, what_cannot_be_a_message_is_dead)
{
    start();
    expect_dead("hello", "%invalid input syntax for type json%");
    expect_dead("\\x22ff22", "%invalid byte sequence%");
    expect_dead("[1]", "%without being a JSON object");
    expect_dead("{\"routing_key\": \"q\"}", "%without a payload%");
    expect_dead("{\"payload\": {\"a\": 1}}", "%without a payload%");
    expect_dead("{\"payload\": \"eA==\", \"routingkey\": \"q\"}", "%\"routingkey\"%");
    expect_dead("{\"payload\": \"?\"}", "%base64%");
    expect_dead("{\"payload\": \"eA==\", \"message_id\": \"7\"}", "%uuid%");
    expect_dead("{\"payload\": \"eA==\", \"deliver_after\": \"soon\"}", "%timestamp%");
    check(relay_logged(scene.relay, "level=error") > 0, "no error was logged");
    emit("goes on");
    consumer_expect(consumer, "goes on");
    scene_exec("delete from outbox_held");
    finish();
}

/* Promise: a message that cannot be written stops no other, and is kept. */
Test(relay_tableless, what_the_outbox_does_not_take_is_dead)
{
    enum { COUNT = 300 };
    unsigned emitted = 0;
    scene_exec("alter table outbox add constraint mine check (key not like 'bad%%')");
    start();
    scene_exec(
        "select outbox_emit(convert_to('e' || i, 'UTF8'), '%s', case when i in (1, 150, 151, "
        "300) then 'bad' || i else 'k' end) from generate_series(1, %d) as i",
        scene.queue, COUNT);
    for (unsigned i = 1; i <= COUNT; i++) {
        struct delivery delivery;
        if (i == 1 || i == 150 || i == 151 || i == 300) {
            emitted++;
            continue;
        }
        consumer_take(consumer, &delivery);
        note(delivery.body, &emitted, &emitted);
    }
    scene_await(
        "they are kept",
        "select count(*) = 4 and bool_and(state = 'dead' and last_error like '%%(23514: "
        "%%mine%%') and array_agg(convert_from(payload, 'UTF8')::json ->> 'key' order by id) "
        "= array['bad1', 'bad150', 'bad151', 'bad300'] from outbox_held");
    (void)relay_await_log(scene.relay, "event=source_notice", "23514"); /* is enough */
    scene_exec("delete from outbox_held");
    finish();
}

/* Promise: messages with another prefix, or not part of a transaction, are not sent. */
Test(relay_tableless, what_has_another_prefix_is_left_alone)
{
    start();
    scene_exec("select pg_logical_emit_message(true, 'outbox2', 'x'), "
               "pg_logical_emit_message(true, 'outbox.publi', 'x'), "
               "pg_logical_emit_message(true, 'outbox.public2', 'x'), "
               "pg_logical_emit_message(false, 'outbox.public', 'x')");
    emit("goes");
    consumer_expect(consumer, "goes");
    finish();
}

/* ---- two tenants of one database ------------------------------------------------------------------- */

static char tenant_queue[64];
static struct relay *tenant_relay;
static struct consumer *tenant_consumer;

/* An outbox in a schema of its own, and a relay for it. */
static void
open_tenant(void)
{
    char dsn[1024];
    PGconn *conn = pg_fixture_connect();
    pg_exec(conn, "create schema tenant; set search_path = tenant");
    pg_fixture_load_outbox(conn);
    pg_fixture_load(conn, "outbox-sql/postgres/publication.sql");
    PQfinish(conn);
    (void)snprintf(tenant_queue, sizeof(tenant_queue), "%s", broker_name("tenant"));
    broker_delete_queue(scene.broker, tenant_queue);
    broker_declare_queue(scene.broker, tenant_queue);
    (void)snprintf(dsn, sizeof(dsn), "%s options='-c search_path=tenant'", pg_fixture_dsn());
    tenant_relay = relay_start(&(struct relay_options){.dsn = dsn, .source = TABLELESS});
    relay_await_tailing(tenant_relay);
    tenant_consumer = consumer_open(NULL, tenant_queue);
}

static void
close_tenant(void)
{
    struct delivery delivery;
    check(!consumer_take_within(tenant_consumer, CLOCK_S_US / 4, &delivery), "\"%s\" came on top",
          delivery.body);
    consumer_close(tenant_consumer);
    relay_drain(tenant_relay);
    relay_free(tenant_relay);
    broker_delete_queue(scene.broker, tenant_queue);
}

/* Promise: although all schemas share the log, each source takes only messages that were emitted in its own. */
Test(relay_tableless, each_of_two_tenants_gets_its_own)
{
    start();
    open_tenant();
    for (unsigned i = 0; i < 20; i++) {
        char body[16];
        scene_exec("select outbox_emit('mine %u', '%s', 'k'), "
                   "tenant.outbox_emit('tenant''s %u', '%s', 'k')",
                   i, scene.queue, i, tenant_queue);
        (void)snprintf(body, sizeof(body), "mine %u", i);
        consumer_expect(consumer, body);
        (void)snprintf(body, sizeof(body), "tenant's %u", i);
        consumer_expect(tenant_consumer, body);
    }
    close_tenant();
    finish();
}

/* Emits a message without a schema, like outbox_emit before version 0.2. */
static void
emit_without_schema(const char *payload)
{
    scene_exec("select pg_logical_emit_message(true, 'outbox', json_build_object('routing_key', "
               "'%s', 'payload', encode('%s', 'base64'))::text)",
               scene.queue, payload);
}

/* Promise: a message without a schema goes to the source that asks for it; another source says that it leaves it. */
Test(relay_tableless, the_old_prefix_is_for_the_source_that_asks)
{
    scene_start_relay(TABLELESS "tableless_old_prefix = true\n");
    consumer = consumer_open(NULL, scene.queue);
    open_tenant();
    for (unsigned i = 0; i < 3; i++) {
        emit_without_schema("old");
        consumer_expect(consumer, "old");
    }
    emit("new");
    consumer_expect(consumer, "new");
    (void)relay_await_log(tenant_relay, "event=source_notice", "tableless_old_prefix");
    check(relay_logged(tenant_relay, "tableless_old_prefix") == 1, "it repeats itself");
    check(relay_logged(scene.relay, "tableless_old_prefix") == 0, "it complains of its own");
    close_tenant();
    finish();
}

/* ---- how far the server may forget ----------------------------------------------------------------- */

static const char slot[] = "from pg_replication_slots where database = current_database()";

/* Promise: the slot does not pass what is not yet in the outbox, however long that takes; and if the relay is killed
 * before it is there, the log brings it again. */
Test(relay_tableless, the_slot_stays_before_what_is_not_written)
{
    char position[32];
    struct delivery delivery;
    PGconn *holder = pg_fixture_connect();
    scene_start_relay(TABLELESS "takeover = 1m\n");
    consumer = consumer_open(NULL, scene.queue);
    pg_exec(holder, "begin; lock table outbox in share mode");
    emit("late");
    scene_await("the relay waits for the table",
                "select exists (select from pg_locks where relation = 'outbox'::regclass and not "
                "granted)");
    scene_exec("create table other as select from generate_series(1, 100000)");
    (void)snprintf(position, sizeof(position), "%s",
                   db_text(scene.db, "select pg_current_wal_insert_lsn()"));
    /* Enough time to report the position to the server, which happens ten times a second. */
    check(!consumer_take_within(consumer, CLOCK_S_US, &delivery), "it came before it was written");
    check(scene_count("select (confirmed_flush_lsn < '%s')::int %s", position, slot) == 1,
          "the slot has passed what is not written");
    relay_kill(scene.relay);
    scene_exec("select pg_terminate_backend(pid) from pg_locks where relation = 'outbox'::regclass "
               "and not granted");
    pg_exec(holder, "commit");
    PQfinish(holder);
    relay_start_again(scene.relay);
    consumer_expect(consumer, "late");
    scene_await("the slot goes on", "select confirmed_flush_lsn > '%s' %s", position, slot);
    finish();
}

static void
start_with(const char *uri, const char *source)
{
    relay_free(scene.relay);
    scene.relay = relay_start(&(struct relay_options){.uri = uri, .source = source});
}

/* Promise: a slot that makes the server keep too much log is reported, and kept, because only the log has the messages. */
Test(relay_tableless, the_wal_budget_does_not_drop_the_slot)
{
    start();
    emit("before");
    consumer_expect(consumer, "before");
    scene_drain_relay();
    emit("in the log alone");
    scene_exec("create table other as select repeat('x', 1000) from generate_series(1, 20000)");
    start_with("amqp://guest:guest@127.0.0.1:1/", TABLELESS "wal_retain_max = 1MiB\n");
    const char *line = relay_await_log(scene.relay, "wal_retain_max", "it is not dropped");
    check(strstr(line, "level=error") != NULL, "%s", line);
    relay_drain(scene.relay);
    start_with(NULL, TABLELESS "wal_retain_max = 1MiB\n");
    consumer_expect(consumer, "in the log alone");
    finish();
}

/* Promise: if the slot is lost, the relay says so. */
Test(relay_tableless, a_lost_slot_is_an_error)
{
    start();
    scene_drain_relay();
    scene_await("nobody reads the slot", "select not active %s", slot);
    scene_exec("select pg_drop_replication_slot(slot_name) %s", slot);
    relay_start_again(scene.relay);
    const char *line = relay_await_log(scene.relay, "does not exist", "is lost");
    check(strstr(line, "level=error") != NULL, "%s", line);
    (void)relay_await_log(scene.relay, "event=tailing", NULL); /* is enough */
    emit("after");
    consumer_expect(consumer, "after");
    finish();
}
