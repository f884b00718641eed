#include <criterion/criterion.h>
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/message_fixture.h"
#include "tests/integration/pg_fixture.h"

/* What only PostgreSQL and libpq have, for liboutbox-pg: transactions that have failed, connections in pipeline mode,
 * triggers that leave out rows, and messages without a table. The rest: test_outbox.c. */
static PGconn *tx;
static struct outbox_error error;

static void
set_up(void)
{
    tx = pg_fixture_create();
    pg_fixture_load(tx, "outbox-sql/postgres/schema.sql");
}

static void
tear_down(void)
{
    pg_fixture_drop(tx);
}

TestSuite(outbox_pg, .init = set_up, .fini = tear_down, .timeout = 120);

static outbox_result
write_one(const char *payload)
{
    const struct outbox_message message = message_fixture_of(payload);
    memset(&error, 0, sizeof(error));
    return outbox_pg_write(tx, &message, NULL, &error);
}

static int64_t
row_count(void)
{
    return pg_query_int(tx, "select count(*) from outbox");
}

static void
expect(outbox_result result, outbox_result wanted, const char *sqlstate, const char *words)
{
    message_fixture_expect(&error, result, wanted, sqlstate, words);
}

Test(outbox_pg, refuses_in_a_transaction_that_has_failed)
{
    pg_exec(tx, "begin");
    PQclear(PQexec(tx, "select 1 / 0"));
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "rolled back");
    pg_exec(tx, "rollback");
    cr_assert_eq(row_count(), 0);
}

Test(outbox_pg, refuses_a_connection_that_is_busy)
{
    pg_exec(tx, "begin");
    cr_assert(PQsendQuery(tx, "select 1"));
    expect(write_one("x"), OUTBOX_INVALID, "", "busy");
    PGresult *result = PQgetResult(tx);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK,
                 "the result of the caller was taken away");
    PQclear(result);
    cr_assert_null(PQgetResult(tx));
    cr_assert(PQenterPipelineMode(tx));
    expect(write_one("x"), OUTBOX_INVALID, "", "pipeline");
    cr_assert(PQexitPipelineMode(tx));
    cr_assert_eq(write_one("x"), OUTBOX_OK, "%s", error.message);
}

static int
count_lines(FILE *trace, const char *wanted)
{
    char line[65536];
    int count = 0;
    rewind(trace);
    while (fgets(line, sizeof(line), trace) != NULL) {
        count += strncmp(line, wanted, strlen(wanted)) == 0;
    }
    return count;
}

Test(outbox_pg, one_round_trip_and_nothing_left_behind)
{
    struct outbox_message messages[100];
    for (int i = 0; i < 100; i++) {
        messages[i] = message_fixture_of("payload");
    }
    FILE *trace = tmpfile();
    pg_exec(tx, "begin");
    PQtrace(tx, trace);
    PQsetTraceFlags(tx, PQTRACE_SUPPRESS_TIMESTAMPS);
    cr_assert_eq(outbox_pg_write_many(tx, messages, 100, NULL, &error), OUTBOX_OK);
    PQuntrace(tx);
    cr_assert_eq(count_lines(trace, "F"), 5, "more than Parse, Bind, Describe, Execute, Sync");
    cr_assert_eq(count_lines(trace, "B\t5\tReadyForQuery"), 1);
    (void)fclose(trace);
    cr_assert_eq(pg_query_int(tx, "select count(*) from pg_prepared_statements"), 0);
}

static void
raise_on_insert(const char *sqlstate)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "create or replace function fail() returns trigger language plpgsql as"
                   " $$ begin raise exception 'made to fail' using errcode = '%s'; end $$;"
                   "create or replace trigger fail before insert on outbox"
                   " for each row execute function fail()",
                   sqlstate);
    pg_exec(tx, sql);
}

Test(outbox_pg, sqlstates_say_what_to_do)
{
    static const struct {
        const char *sqlstate;
        outbox_result result;
    } cases[] = {
        {"40001", OUTBOX_RETRY},      {"40P01", OUTBOX_RETRY},      {"55P03", OUTBOX_RETRY},
        {"08006", OUTBOX_CONNECTION}, {"57P01", OUTBOX_CONNECTION}, {"42501", OUTBOX_DATABASE},
        {"23505", OUTBOX_DATABASE},   {"53100", OUTBOX_DATABASE},   {"57014", OUTBOX_DATABASE},
        {"22023", OUTBOX_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        raise_on_insert(cases[i].sqlstate);
        pg_exec(tx, "begin");
        expect(write_one("x"), cases[i].result, cases[i].sqlstate, "made to fail");
        pg_exec(tx, "rollback");
    }
}

Test(outbox_pg, trigger_that_swallows_rows_is_no_success)
{
    pg_exec(tx, "create function swallow() returns trigger language plpgsql as"
                " $$ begin return null; end $$;"
                "create trigger swallow before insert on outbox"
                " for each row execute function swallow(); begin");
    expect(write_one("x"), OUTBOX_DATABASE, "", "took 0 rows of 1");
}

Test(outbox_pg, raw_headers_are_stored_in_an_order_of_their_own)
{
    struct outbox_message message = message_fixture_of("x");
    message.headers_json = " {\"n\": 1, \"b\": true}";
    pg_exec(tx, "begin");
    cr_assert_eq(outbox_pg_write(tx, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    cr_assert_str_eq(pg_query_text(tx, "select headers from outbox"), "{\"b\": true, \"n\": 1}");
    message.headers_json = "{\"n\": 1";
    expect(outbox_pg_write(tx, &message, NULL, &error), OUTBOX_INVALID, "22P02", "json");
    pg_exec(tx, "rollback; begin");
    message.headers_json = "{\"n\": \"\\u0000\"}";
    expect(outbox_pg_write(tx, &message, NULL, &error), OUTBOX_INVALID, "22P05", "Unicode");
}

Test(outbox_pg, large_payload_over_a_non_blocking_connection)
{
    const size_t size = 20 * 1024 * 1024;
    char *payload = malloc(size);
    cr_assert_not_null(payload);
    memset(payload, 'x', size);
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.payload = payload;
    message.payload_length = size;
    pg_exec(tx, "begin");
    cr_assert_eq(PQsetnonblocking(tx, 1), 0);
    cr_assert_eq(outbox_pg_write(tx, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    cr_assert_eq(PQsetnonblocking(tx, 0), 0);
    cr_assert_eq(pg_query_int(tx, "select length(payload) from outbox"), (int64_t)size);
    free(payload);
}

/* ---- without the table ----------------------------------------------------------------------------- */

/* The default name of the relay's slot. */
#define SLOT "'outbox_relay_' || current_database() || '_public'"

/* A slot keeps the log of this database for read_log. */
static void
keep_log(void)
{
    pg_exec(tx, "select pg_create_logical_replication_slot(" SLOT ", 'pgoutput')");
}

static void
forget_log(void)
{
    pg_exec(tx, "select pg_drop_replication_slot(" SLOT ")");
}

static void
set_up_emit(void)
{
    set_up();
    pg_fixture_load(tx, "outbox-sql/postgres/schema_relay.sql");
    pg_fixture_load(tx, "outbox-sql/postgres/schema_functions.sql");
    pg_exec(tx, "create publication emitted");
    keep_log();
}

static void
tear_down_emit(void)
{
    forget_log();
    tear_down();
}

TestSuite(outbox_pg_emit, .init = set_up_emit, .fini = tear_down_emit, .timeout = 120);

/* What the relay will make of the committed messages, in their order. pgoutput's message 'M': flags, position, prefix,
 * length of the content, content. */
static const char *
read_log(const char *expression)
{
    char sql[1000];
    (void)snprintf(sql, sizeof(sql),
                   "select coalesce(string_agg(%s, ' ' order by lsn, position), '') from "
                   "pg_logical_slot_get_binary_changes(" SLOT ", null, null, "
                   "'proto_version', '1', 'publication_names', 'emitted', 'messages', 'true') "
                   "with ordinality as change (lsn, xid, data, position), "
                   "outbox_emitted(substr(data, 29)) as message "
                   "where substr(data, 1, 1) = 'M' and substr(data, 11, 14) = 'outbox.public\\000'",
                   expression);
    return pg_query_text(tx, sql);
}

static outbox_result
emit_one(const char *payload)
{
    const struct outbox_message message = message_fixture_of(payload);
    memset(&error, 0, sizeof(error));
    return outbox_pg_emit(tx, &message, NULL, &error);
}

Test(outbox_pg_emit, every_field_arrives)
{
    const struct outbox_header header = {"note", "a \"b\" " EURO};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_id id;
    char text[37];
    char expected[300];
    message.exchange = "orders";
    message.routing_key = "order.paid";
    message.key = "key " EURO;
    message.type = "OrderPaid";
    message.content_type = "application/json";
    message.headers = &header;
    message.header_count = 1;
    message.payload = "{\0}";
    message.payload_length = 3;
    message.deliver_after_us = INT64_C(1893456000123456);
    pg_exec(tx, "begin");
    cr_assert_eq(outbox_pg_emit(tx, &message, &id, &error), OUTBOX_OK, "%s", error.message);
    pg_exec(tx, "commit");
    cr_assert_eq(row_count(), 0);
    outbox_id_format(&id, text);
    (void)snprintf(expected, sizeof(expected),
                   "%s|orders|order.paid|key " EURO "|OrderPaid|application/json|a \"b\" " EURO
                   "|\\x7b007d|1893456000123456|t",
                   text);
    cr_assert_str_eq(read_log("concat_ws('|', message_id, exchange, routing_key, key, type, "
                              "content_type, headers ->> 'note', payload, "
                              "(extract(epoch from deliver_after) * 1000000)::bigint, "
                              "created_at < now(), problem)"),
                     expected);
}

Test(outbox_pg_emit, what_is_not_said_is_null)
{
    pg_exec(tx, "begin");
    cr_assert_eq(emit_one(""), OUTBOX_OK, "%s", error.message);
    pg_exec(tx, "commit");
    cr_assert_str_eq(read_log("concat_ws('|', exchange, key, type, content_type, headers, "
                              "deliver_after, problem, routing_key, payload)"),
                     "|\\x");
}

#define LARGE_BYTES 100000 /* more than a line of base64 */

Test(outbox_pg_emit, many_in_their_order_or_none)
{
    enum { COUNT = 300 };
    static char large[LARGE_BYTES + 1];
    struct outbox_message messages[COUNT];
    char keys[COUNT][8];
    for (unsigned i = 0; i < COUNT; i++) {
        messages[i] = message_fixture_of("x");
        (void)snprintf(keys[i], sizeof(keys[i]), "%u", i);
        messages[i].key = keys[i];
    }
    memset(large, 'y', LARGE_BYTES);
    messages[COUNT - 1].payload = large;
    messages[COUNT - 1].payload_length = LARGE_BYTES;
    pg_exec(tx, "begin");
    cr_assert_eq(outbox_pg_emit_many(tx, messages, COUNT, NULL, &error), OUTBOX_OK);
    pg_exec(tx, "rollback; begin");
    cr_assert_eq(outbox_pg_emit_many(tx, messages, COUNT, NULL, &error), OUTBOX_OK);
    pg_exec(tx, "commit");
    const char *words = read_log("key || '=' || length(payload)");
    for (unsigned i = 0; i < COUNT; i++) {
        char word[32];
        (void)snprintf(word, sizeof(word), "%u=%zu", i, messages[i].payload_length);
        cr_assert_eq(strncmp(words, word, strlen(word)), 0, "not %s: %.40s", word, words);
        words += strlen(word) + 1;
    }
}

#define NO_SLOT "is not there to keep the message, which would be lost"

static void
expect_emit_refused(const char *words)
{
    pg_exec(tx, "begin");
    expect(emit_one("x"), OUTBOX_DATABASE, "55000", words);
    pg_exec(tx, "rollback");
}

Test(outbox_pg_emit, refused_where_nobody_keeps_the_log)
{
    forget_log();
    expect_emit_refused(NO_SLOT);
    /* A slot of others, such as a subscription, is not read by the relay. */
    pg_exec(tx, "select pg_create_logical_replication_slot('other_' || pg_backend_pid(), "
                "'pgoutput')");
    expect_emit_refused(NO_SLOT);
    pg_exec(tx, "select pg_drop_replication_slot('other_' || pg_backend_pid())");
    keep_log(); /* for the teardown */
}

#define RELAY_SAYS(slot)                                                                         \
    "insert into outbox_relay (source, host, pid, version, started_at, owned_since, in_flight, " \
    "confirmed, rate, slot) values ('orders', 'h', 1, '0.2', now(), now(), 0, 0, 0, " slot ") "  \
    "on conflict (single) do update set slot = excluded.slot"

Test(outbox_pg_emit, the_slot_is_the_one_that_the_relay_says)
{
    pg_exec(tx, RELAY_SAYS("'configured'"));
    expect_emit_refused("\"configured\" " NO_SLOT);
    pg_exec(tx, RELAY_SAYS("''"));
    expect_emit_refused("the relay reads no messages without a table");
    pg_exec(tx, RELAY_SAYS(SLOT));
    pg_exec(tx, "begin");
    cr_assert_eq(emit_one("x"), OUTBOX_OK, "%s", error.message);
    pg_exec(tx, "commit");
}

Test(outbox_pg_emit, refused_without_the_function)
{
    pg_exec(tx, "drop function outbox_emit; begin");
    expect(emit_one("x"), OUTBOX_SCHEMA, "42883", "outbox_emit");
    pg_exec(tx, "rollback");
}

/* A writer needs only the right to execute the function. Without it nobody can emit. */
Test(outbox_pg_emit, needs_execute_and_nothing_else)
{
    char role[64];
    char sql[500];
    (void)snprintf(role, sizeof(role), "emitter_%d", PQbackendPID(tx));
    (void)snprintf(sql, sizeof(sql), "create role %s", role);
    pg_exec(tx, sql);
    (void)snprintf(sql, sizeof(sql), "begin; set local role %s", role);
    pg_exec(tx, sql);
    expect(emit_one("x"), OUTBOX_DATABASE, "42501", "permission denied for function outbox_emit");
    (void)snprintf(
        sql, sizeof(sql),
        "rollback; grant execute on function outbox_emit to %s; "
        "do $$ begin execute (select format('revoke execute on function %%s from public', "
        "string_agg(oid::regprocedure::text, ', ')) from pg_proc where proname = "
        "'pg_logical_emit_message'); end $$; "
        "begin; set local role %s",
        role, role);
    pg_exec(tx, sql);
    cr_assert_eq(emit_one("x"), OUTBOX_OK, "%s", error.message);
    (void)snprintf(sql, sizeof(sql), "commit; drop owned by %s; drop role %s", role, role);
    pg_exec(tx, sql);
    cr_assert_str_eq(read_log("convert_from(payload, 'UTF8')"), "x");
}
