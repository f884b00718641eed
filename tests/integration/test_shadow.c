/* Every statement that the product sends to PostgreSQL, in a database where somebody has given all names another
 * meaning, in a schema that the search_path has before pg_catalog (shadow.sql). An unqualified name fails there, or
 * does what somebody else wants, with the rights of the session. */
#include <criterion/criterion.h>
#include <inbox/inbox_pg.h>
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/runner_fixture.h"

static PGconn *db;       /* pg_catalog is first in its path: it sees the real objects */
static PGconn *deceived; /* an application's session, which sees the others */

static void
set_up(void)
{
    char sql[200];
    cli_enter();
    runner_fixture_setup();
    db = db_pg(runner_fixture_db);
    pg_exec(db, "drop table inbox, inbox_schema");
    pg_fixture_load(db, "tests/integration/shadow.sql");
    (void)snprintf(sql, sizeof(sql),
                   "grant create on schema public to public; alter database %s set search_path = "
                   "public, pg_catalog",
                   PQdb(db)); /* fits */
    pg_exec(db, sql);
    deceived = pg_fixture_connect();
    pg_fixture_load(deceived, "consumers/postgres/schema.sql");
    pg_fixture_load(deceived, "consumers/postgres/schema_newest.sql");
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source test { kind = postgres mode = tail broker = main dsn = \"%s\"\n"
              "  keep_sent = \"1h\" }\n",
              test_env("OUTBOX_TEST_AMQP_URI"), pg_fixture_dsn());
}

static void
tear_down(void)
{
    PQfinish(deceived);
    pg_fixture_drop_slots(db);
    runner_fixture_teardown();
    cli_leave();
}

TestSuite(shadow, .init = set_up, .fini = tear_down, .timeout = 240);

static void
expect_cli(int status, const char *arguments)
{
    char line[300];
    (void)snprintf(line, sizeof(line), "%s -c relay.conf", arguments); /* fits */
    const int got = cli(line);
    cr_assert_eq(got, status, "outbox-relay %s: %d\n%s%s", arguments, got, cli_stdout(),
                 cli_stderr());
    cr_assert_null(strstr(cli_stdout(), "problem "), "%s: %s", arguments, cli_stdout());
}

static void
expect_deceived(const char *sql)
{
    PGresult *const result = PQexec(deceived, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_FATAL_ERROR, "%s does what it always did", sql);
    PQclear(result);
}

/* Otherwise none of these tests could fail. */
Test(shadow, what_is_not_qualified_means_something_else)
{
    static const char *const statements[] = {
        "select now()",
        "select count(*) from pg_catalog.pg_class",
        "select 1 + 1",
        "select 1 = 1",
        "select 1 in (1, 2)",
        "select array[1] = array[1]",
        "select concat('a')",
        "select unnest(array[1])",
        "select 'a' || 1",
        "select '{}'::jsonb",
        "select 'x'::text",
        "select oid from pg_class",
        "select nullif(1, 2)",
        "select 'a' like 'b'",
        "select row_number() over ()",
        "select make_interval(secs => 1)",
        "select '{}'::pg_catalog.jsonb -> 'a'",
        "select json_build_object('a', 1)",
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        expect_deceived(statements[i]);
    }
}

/* Creates a function of the statement: then the server records which objects each name means, also in parts that would
 * not be executed. */
static void
expect_qualified(const char *path, const char *parameters)
{
    char text[16384];
    char sql[20000];
    (void)snprintf(text, sizeof(text), "%s/%s", SOURCE_ROOT, path); /* fits */
    FILE *const file = fopen(text, "r");
    cr_assert_not_null(file, "%s", text);
    const size_t length = fread(text, 1, sizeof(text) - 1, file);
    cr_assert_eq(fclose(file), 0);
    text[length] = '\0';
    (void)snprintf(sql, sizeof(sql),
                   "create function said(%s) returns void language sql begin atomic %s; end",
                   parameters, text); /* fits */
    pg_exec(deceived, sql);
    cr_assert_str_empty(
        pg_query_text(db, "select coalesce(string_agg(object, ', '), '') from pg_depend, "
                          "pg_describe_object(refclassid, refobjid, refobjsubid) as object, "
                          "pg_identify_object(refclassid, refobjid, refobjsubid) as identity "
                          "where classid = 'pg_proc'::regclass and objid in (select oid from "
                          "pg_proc where proname = 'said') and identity.schema = 'public' and not "
                          "(refclassid = 'pg_class'::regclass and object ~ 'box')"),
        "%s uses what is somebody else's: %s", path,
        pg_query_text(db, "select string_agg(object, ', ') from pg_depend, "
                          "pg_describe_object(refclassid, refobjid, refobjsubid) as object where "
                          "classid = 'pg_proc'::regclass and objid in (select oid from pg_proc "
                          "where proname = 'said')"));
    pg_exec(deceived, "drop function said");
}

/* Promise: statements that run in an application's session, or before a session has our search_path, are qualified
 * completely. */
Test(shadow, what_is_said_with_the_path_of_others)
{
    static const struct {
        const char *path;
        const char *parameters;
    } cases[] = {
        {"consumers/postgres/claim.sql", "pg_catalog.bytea, pg_catalog.bytea[], pg_catalog.int4"},
        {"consumers/postgres/forget.sql", "pg_catalog.int8, pg_catalog.int8, pg_catalog.int4"},
        {"consumers/postgres/session.sql", ""},
        {"consumers/postgres/state.sql", ""},
        {"outbox-sql/postgres/write.sql",
         "pg_catalog.uuid[], pg_catalog.bytea[], pg_catalog.bytea[], pg_catalog.bytea[], "
         "pg_catalog.bytea[], pg_catalog.bytea[], pg_catalog.bytea[], pg_catalog.bytea[], "
         "pg_catalog.timestamptz[], pg_catalog.int4"},
        {"outbox-sql/postgres/relay/find.sql", ""},
        {"outbox-sql/postgres/relay/search_path.sql", ""},
        {"outbox-sql/postgres/tail/tail_open.sql", ""},
    };
    expect_cli(0, "init");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_qualified(cases[i].path, cases[i].parameters);
    }
}

static void
put_held(int id, const char *state)
{
    char sql[500];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox_held (id, message_id, key, routing_key, payload, "
                   "created_at, state, held_at) values (%d, "
                   "'00000000-0000-7000-8000-0000000000%d', 'k%d', 'q', 'x', now(), '%s', now())",
                   id, id, id, state); /* fits */
    pg_exec(db, sql);
}

/* Promise: init makes the same as always, and operators see the real tables. */
Test(shadow, the_commands)
{
    expect_cli(0, "init");
    expect_cli(0, "init");
    expect_cli(0, "check");
    cr_assert_eq(pg_query_int(db,
                              "select count(*) from pg_attribute where attrelid in "
                              "(select oid from pg_class where relname ~ 'box') and atttypid in "
                              "(select oid from pg_type where typtype = 'e')"),
                 0, "a column has a type of somebody else's");
    pg_exec(db, "insert into outbox (payload, key) values ('x', 'k10')");
    put_held(10, "dead");
    put_held(11, "dead");
    put_held(12, "retrying");
    expect_cli(0, "held list --state dead --key k10 --reason x --older-than 1h");
    expect_cli(0, "held list --json");
    cr_assert_not_null(strstr(cli_stdout(), "\"k12\""), "%s", cli_stdout());
    expect_cli(0, "held show 10");
    expect_cli(0, "held retry 10");
    expect_cli(0, "held discard 11 --yes");
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox_held where id = 11"), 0);
    expect_cli(0, "explain 10");
    expect_cli(0, "explain 1");
    (void)cli("status -c relay.conf"); /* not 0, because no relay runs */
    cr_assert_not_null(strstr(cli_stdout(), "held"), "%s%s", cli_stdout(), cli_stderr());
}

static void
write_by_library(const char *payload)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    message.routing_key = queue_fixture_name();
    message.key = "library";
    message.headers_json = "{\"tenant\": \"7\"}";
    message.payload = payload;
    message.payload_length = strlen(payload);
    pg_exec(deceived, "begin");
    cr_assert_eq(outbox_pg_write(deceived, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
    pg_exec(deceived, "commit");
}

/* Plain SQL of an application, which names only our objects. */
static void
exec_for_queue(const char *format)
{
    char sql[1000];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof(sql), format, queue_fixture_name()); /* fits */
#pragma GCC diagnostic pop
    pg_exec(deceived, sql);
}

static bool
is_done(void *context)
{
    return pg_query_int(db, context) == 1;
}

static void
await_true(const char *what, const char *sql)
{
    char text[500];
    (void)snprintf(text, sizeof(text), "%s", sql); /* fits */
    await(is_done, text, what, PATIENCE_S);
}

#define NONE_IN_OUTBOX "select (count(*) = 0)::int from outbox"

/* Everything that a relay does: sends, holds back, tries again, gives up, cancels, records and forgets. */
static void
work(const char *mode, const char *more)
{
    char source[300];
    (void)snprintf(source, sizeof(source), "keep_sent = \"1s\"\nmax_attempts = 2\n%s",
                   more); /* fits */
    struct relay *const relay =
        relay_start(&(struct relay_options){.mode = mode, .source = source});
    relay_await_work(relay);
    write_by_library("by the library");
    exec_for_queue("insert into outbox (routing_key, payload_text, headers) values ('%s', "
                   "'as text', '{\"a\": 1}')");
    exec_for_queue("insert into outbox_new (routing_key, payload) values ('%s', 'by the view') "
                   "returning id");
    exec_for_queue("insert into outbox (routing_key, payload, deliver_after) values ('%s', "
                   "'later', 'now'), ('nowhere', 'dead', null)");
    exec_for_queue("insert into outbox (message_id, routing_key, payload, deliver_after) values "
                   "('00000000-0000-7000-8000-000000000001', '%s', 'never', 'tomorrow')");
    await_true("all is taken out of the outbox", NONE_IN_OUTBOX);
    await_true("what cannot be sent is dead, and what is scheduled waits",
               "select (count(*) filter (where state = 'dead') = 1 and count(*) filter (where "
               "state = 'scheduled') = 1 and count(*) = 2)::int from outbox_held");
    pg_exec(deceived, "select outbox_cancel('00000000-0000-7000-8000-000000000001')");
    expect_cli(0, "status");
    expect_cli(0, "check");
    expect_cli(0, "held discard --all --yes");
    await_true("nothing is left", "select (count(*) = 0)::int from outbox_held");
    await_true("what was sent is forgotten", "select (count(*) = 0)::int from outbox_sent_batch");
    relay_drain(relay);
    cr_assert_eq(relay_logged(relay, "of type any"), 0);
    relay_free(relay);
}

Test(shadow, a_relay_that_polls)
{
    expect_cli(0, "init");
    work("poll", "");
}

Test(shadow, a_relay_that_tails)
{
    expect_cli(0, "init");
    work("tail", "");
}

/* Promise: a message passes through all our parts: emitted without a table, relayed, applied by a runner. */
Test(shadow, emitted_relayed_and_applied)
{
    expect_cli(0, "init");
    struct relay *const relay = relay_start(&(struct relay_options){
        .mode = "tail", .source = "tableless = true\nkeep_sent = \"1h\"\n"});
    relay_await_tailing(relay);
    exec_for_queue("select outbox_emit('emitted', '%s', key => 'k', headers => '{\"a\": 1}')");
    write_by_library("written");
    const struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    const struct inbox_runner_counters counters = runner_fixture_stop();
    cr_assert_eq(counters.applied, 2);
    cr_assert_eq(pg_query_int(db, "select count(*) from inbox"), 2);
    relay_drain(relay);
    cr_assert_eq(relay_logged(relay, "of type any"), 0);
    relay_free(relay);
}

Test(shadow, the_inbox_library)
{
    struct inbox_error error;
    struct inbox_id ids[] = {{"m1", 2}, {"m2", 2}};
    inbox_verdict verdicts[2];
    uint64_t forgotten;
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_attribute where attrelid in "
                                  "(select oid from pg_class where relname ~ 'inbox') and atttypid "
                                  "in (select oid from pg_type where typtype = 'e')"),
                 0, "a column has a type of somebody else's");
    pg_exec(deceived, "begin");
    cr_assert_eq(inbox_pg_claim(deceived, "billing", "m1", 2, &verdicts[0], &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(verdicts[0], INBOX_FIRST);
    cr_assert_eq(inbox_pg_claim_many(deceived, "billing", ids, 2, verdicts, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(verdicts[0], INBOX_DUPLICATE);
    cr_assert_eq(verdicts[1], INBOX_FIRST);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(inbox_pg_advance(deceived, "billing", "k", 1, 2 - i, &verdicts[i], &error),
                     INBOX_OK, "%s", error.message);
    }
    cr_assert_eq(verdicts[0], INBOX_FIRST);
    cr_assert_eq(verdicts[1], INBOX_OUTDATED);
    pg_exec(deceived, "commit");
    pg_exec(db, "update inbox set seen_at = now() - interval '1 d'");
    cr_assert_eq(inbox_pg_forget(deceived, 3600, 10, &forgotten, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(forgotten, 2);
}
