/* What eases and guards writing to the outbox (schema_writing.sql), on new tables and on those of an older relay that are
 * migrated while writers, an older writer and an older relay go on. */
#include <criterion/criterion.h>
#include <outbox/outbox_pg.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;

static void
set_up(void)
{
    db = pg_fixture_create();
    cli_enter();
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = postgres mode = poll broker = main dsn = \"%s\" }\n",
              pg_fixture_dsn());
}

static void
set_up_new(void)
{
    set_up();
    pg_fixture_load_outbox(db);
}

static void
tear_down(void)
{
    cli_leave();
    pg_fixture_drop(db);
}

TestSuite(writing, .init = set_up_new, .fini = tear_down);
TestSuite(writing_migration, .init = set_up, .fini = tear_down, .timeout = 120);

static void
expect_refused(const char *sql, const char *words)
{
    PGresult *result = PQexec(db, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_FATAL_ERROR, "accepted: %s", sql);
    cr_assert_not_null(strstr(PQresultErrorMessage(result), words), "\"%s\" is not in: %s", words,
                       PQresultErrorMessage(result));
    PQclear(result);
}

/* ---- the body as text ---- */

static void
expect_body(const char *where, const char *hex)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select encode(payload, 'hex') || coalesce(payload_text, '') from outbox "
                   "where %s",
                   where); /* fits */
    cr_assert_str_eq(pg_query_text(db, sql), hex);
}

/* A driver that binds text sends it as text; what bytea would take for an escape is a character. */
Test(writing, text_arrives_byte_for_byte)
{
    static const char text[] = "{\"a\": \"C:\\\\new\\\\x41 \\\" \xc3\xbc \xf0\x9f\x98\x80\"}";
    const char *const values[] = {text};
    char hex[2 * sizeof(text)] = "";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
    }
    PGresult *result = PQexecParams(db, "insert into outbox (payload_text) values ($1)", 1, NULL,
                                    values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(db));
    PQclear(result);
    expect_body("id = 1", hex);
    PGconn *latin = pg_fixture_connect();
    pg_exec(latin, "set client_encoding = 'LATIN1'");
    pg_exec(latin, "insert into outbox (payload_text) values ('\xfc')");
    expect_body("id = 2", "c3bc");
    PQfinish(latin);
}

Test(writing, bytes_and_copy_and_empty_bodies)
{
    pg_exec(db, "insert into outbox (payload) values ('\\x00ff'), ('')");
    pg_exec(db, "insert into outbox (payload_text) values ('')");
    expect_body("id = 1", "00ff");
    expect_body("id = 2", "");
    expect_body("id = 3", "");
    PGresult *result = PQexec(db, "copy outbox (key, payload_text) from stdin");
    cr_assert_eq(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    cr_assert_eq(PQputCopyData(db, "a\t{\"n\": 1}\n", 11), 1);
    cr_assert_eq(PQputCopyEnd(db, NULL), 1);
    result = PQgetResult(db);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(db));
    PQclear(result);
    cr_assert_null(PQgetResult(db));
    expect_body("id = 4", "7b226e223a20317d");
}

Test(writing, both_or_neither_is_refused_in_clear_words)
{
    expect_refused("insert into outbox (key) values ('a')", "a message has no body: give payload");
    expect_refused("insert into outbox (payload, payload_text) values ('a', 'a')",
                   "a message has two bodies: give either");
    pg_exec(db, "insert into outbox (payload) values ('a')");
    expect_refused("update outbox set payload = null", "outbox_payload_set");
    expect_refused("update outbox set payload_text = 'b'", "outbox_payload_set");
    pg_exec(db, "set session_replication_role = replica");
    expect_refused("insert into outbox (payload_text) values ('a')", "outbox_payload_set");
}

/* ---- limits ---- */

static void
expect_limit(const char *column, unsigned most)
{
    char sql[200];
    char words[100];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, %s) values ('', repeat('x', %u))", column,
                   most); /* fits */
    pg_exec(db, sql);
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, %s) values ('', repeat('x', %u))", column,
                   most + 1);                                                 /* fits */
    (void)snprintf(words, sizeof(words), "outbox_%s_%u_bytes", column, most); /* fits */
    expect_refused(sql, words);
}

Test(writing, what_could_never_be_sent_is_refused)
{
    expect_limit("exchange", 255);
    expect_limit("routing_key", 255);
    expect_limit("type", 255);
    expect_limit("content_type", 255);
    expect_limit("key", 1024);
}

#define HEADERS(json) "insert into outbox (payload, headers) values ('', " json ")"

Test(writing, headers_are_bounded_as_text_whatever_the_server_makes_of_them)
{
    pg_exec(db, HEADERS("jsonb_build_object('a', repeat('x', 131072 - 9))"));
    expect_refused(HEADERS("jsonb_build_object('a', repeat('x', 131072 - 8))"),
                   "outbox_headers_128_kib");
    pg_exec(db, HEADERS("'{\"a\": 1e308, \"b\": [-1e308, 0.1], \"c\": null, \"d\": \"1e999\"}'"));
    expect_refused(HEADERS("'{\"a\": [{\"b\": 1e131000}]}'"), "a number beyond 1e308");
    expect_refused(HEADERS("'{\"a\": -1e309}'"), "a number beyond 1e308");
    /* 2.5 KiB on the disk, 1.2 GB as text: refused without making that. */
    pg_exec(db, "set statement_timeout = '20s'");
    expect_refused(HEADERS("jsonb_build_object('a', (select jsonb_agg('1e131000'::jsonb) from "
                           "generate_series(1, 9000)))"),
                   "a number beyond 1e308");
    expect_refused(
        HEADERS(
            "jsonb_build_object('a', (select jsonb_agg(('1.' || repeat('0', 16000))::numeric) from "
            "generate_series(1, 100)))"),
        "outbox_headers_128_kib");
}

Test(writing, what_is_emitted_has_the_same_limits)
{
    static const char *const wrong[][2] = {
        {"repeat('x', 256), 'k', 't', 'e', 'c', '{}'", "routing_key of more than 255"},
        {"'r', repeat('x', 1025), 't', 'e', 'c', '{}'", "key of more than 1024"},
        {"'r', 'k', repeat('x', 256), 'e', 'c', '{}'", "type of more than 255"},
        {"'r', 'k', 't', repeat('x', 256), 'c', '{}'", "exchange of more than 255"},
        {"'r', 'k', 't', 'e', repeat('x', 256), '{}'", "content_type of more than 255"},
        {"'r', 'k', 't', 'e', 'c', '{\"a\": 1e131000}'", "a number beyond 1e308"},
        {"'r', 'k', 't', 'e', 'c', jsonb_build_object('a', repeat('x', 131072))", "128 KiB"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char sql[300];
        (void)snprintf(sql, sizeof(sql), "select outbox_emit('', %s)", wrong[i][0]); /* fits */
        expect_refused(sql, wrong[i][1]);
    }
    cr_assert_not_null(
        strstr(pg_query_text(db, "select problem from outbox_emitted(convert_to(json_build_object("
                                 "'payload', '', 'key', repeat('x', 1025))::text, 'UTF8'))"),
               "emitted with a key of more than 1024 bytes"));
}

/* ---- grants ---- */

/* As ORMs do it: RETURNING all columns, DEFAULT for what has no value. */
Test(writing, returning_needs_no_right_to_read_messages)
{
    char sql[300];
    char role[40];
    (void)snprintf(role, sizeof(role), "writing_%ld", (long)getpid()); /* fits */
    (void)snprintf(sql, sizeof(sql),
                   "create role %s; grant insert, select on outbox_new to %s; set role %s", role,
                   role, role); /* fits */
    pg_exec(db, "insert into outbox (payload_text) values ('somebody else''s')");
    pg_exec(db, sql);
    cr_assert_str_eq(
        pg_query_text(
            db, "insert into outbox_new (id, message_id, key, payload, payload_text, created_at, "
                "deliver_after) values (default, default, 'k', null, '{\"a\": 1}', "
                "default, null) returning id || encode(payload, 'escape') || (created_at "
                "is not null) || (message_id is not null) || (routing_key is null)"),
        "2{\"a\": 1}truetruefalse");
    PGresult *result =
        PQexec(db, "insert into outbox_new (key, payload_text) values ('k', 'x') returning *");
    cr_assert_eq(PQntuples(result), 1, "%s", PQerrorMessage(db));
    PQclear(result);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox_new"), 0);
    expect_refused("select payload from outbox", "permission denied");
    expect_refused("delete from outbox_new", "permission denied");
    expect_refused("insert into outbox_new (key) values ('k')", "has no body");
    (void)snprintf(sql, sizeof(sql), "reset role; drop owned by %s; drop role %s", role,
                   role); /* fits */
    pg_exec(db, sql);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox where key = 'k'"), 2);
}

/* ---- migration ---- */

struct traffic {
    atomic_bool stop;
    atomic_uint written;
    atomic_uint moved;
};

/* An older application, whose statement was prepared before; the library of today; an insert as in an older README. */
static void *
write_on(void *argument)
{
    struct traffic *traffic = argument;
    PGconn *conn = pg_fixture_connect();
    pg_exec(conn, "prepare older as insert into outbox (routing_key, key, payload) "
                  "values ('r', 'k', convert_to('{}', 'UTF8'))");
    while (!atomic_load(&traffic->stop)) {
        struct outbox_message message = OUTBOX_MESSAGE_INIT;
        struct outbox_error error;
        message.payload = "{}";
        message.payload_length = 2;
        pg_exec(conn, "begin; execute older");
        cr_assert_eq(outbox_pg_write(conn, &message, NULL, &error), OUTBOX_OK, "%s", error.message);
        pg_exec(conn, "commit");
        atomic_fetch_add(&traffic->written, 2);
    }
    PQfinish(conn);
    return NULL;
}

/* The statements of an older relay, as it prepared them when it started: what it reads is set aside, given back, and gone. */
static void *
relay_on(void *argument)
{
    struct traffic *traffic = argument;
    PGconn *conn = pg_fixture_connect();
    static const char *const names[] = {"fetch_next", "hold", "release", "settle", "status"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[100];
        (void)snprintf(path, sizeof(path), "tests/integration/older/%s.sql", names[i]); /* fits */
        pg_fixture_prepare(conn, names[i], path);
    }
    while (!atomic_load(&traffic->stop)) {
        pg_exec(conn, "execute fetch_next(0, '{}', 100, 1000000, 9223372036854775807, 1000000)");
        const char *ids = pg_query_text(
            conn,
            "select coalesce(array_agg(id), '{}') from (select id from outbox where key = 'k' "
            "order by id limit 10) as few");
        char sql[2000];
        (void)snprintf(sql, sizeof(sql),
                       "execute hold('%s', array_fill(3, array[cardinality('%s'::int8[])]), "
                       "array_fill(0, array[cardinality('%s'::int8[])]), "
                       "array_fill(0, array[cardinality('%s'::int8[])]), "
                       "array_fill(0, array[cardinality('%s'::int8[])]), "
                       "array_fill(null::text, array[cardinality('%s'::int8[])]))",
                       ids, ids, ids, ids, ids, ids);
        pg_exec(conn, sql);
        pg_exec(conn, "execute release(array[hashtextextended('k', 0)], 1000)");
        (void)snprintf(sql, sizeof(sql), "execute settle('%s')", ids);
        pg_exec(conn, sql);
        pg_exec(conn,
                "execute status('orders', 'h', 1, '0.1', 0, 0, 0, null, null, null, 0, 0, null, "
                "null, 'poll', null, 0)");
        atomic_fetch_add(&traffic->moved, 1);
    }
    PQfinish(conn);
    return NULL;
}

static void
await_more(const struct traffic *traffic)
{
    const unsigned written = atomic_load(&traffic->written);
    const unsigned moved = atomic_load(&traffic->moved);
    const uint64_t start_us = clock_monotonic_us();
    while (atomic_load(&traffic->written) < written + 20 ||
           atomic_load(&traffic->moved) < moved + 5) {
        cr_assert_lt(clock_monotonic_us() - start_us, 60 * CLOCK_S_US, "they stand still");
        (void)usleep(1000);
    }
}

/* It waits for a lock for little more than a second, so that writers do not wait longer behind it, and says that it is to be run
 * again if that was too short: on a loaded machine it may be. */
static void
migrate(void)
{
    for (int i = 0; cli("init -c relay.conf") != 0; i++) {
        cr_assert(i < 20 && strstr(cli_stdout(), "run it again when that has ended") != NULL, "%s",
                  cli_stdout());
    }
    cr_assert_not_null(strstr(cli_stdout(), "migrated"), "%s", cli_stdout());
}

Test(writing_migration, older_writers_and_an_older_relay_go_on)
{
    struct traffic traffic = {0};
    pthread_t writer;
    pthread_t relay;
    pg_fixture_load_older(db);
    pg_exec(db, "insert into outbox (key, payload) values (repeat('x', 5000), 'old')");
    cr_assert_eq(pthread_create(&writer, NULL, write_on, &traffic), 0);
    cr_assert_eq(pthread_create(&relay, NULL, relay_on, &traffic), 0);
    await_more(&traffic);
    migrate();
    await_more(&traffic);
    /* Others that start only now: an older relay and an older library look at the versions. */
    cr_assert_eq(pg_query_int(db, "select version from outbox_schema"), 1);
    cr_assert_eq(pg_query_int(db, "select version from outbox_relay_schema"), 3);
    pg_exec(db, "insert into outbox (payload_text) values ('new')");
    atomic_store(&traffic.stop, true);
    pthread_join(writer, NULL);
    pthread_join(relay, NULL);
    cr_assert_eq(
        pg_query_int(db,
                     "select count(*) from outbox where key is null and payload in ('{}', 'new')"),
        atomic_load(&traffic.written) / 2 + 1);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox where key like 'x%'"), 1,
                 "what was there before the limits stays");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "there already"));
}

static const char shape[] =
    "select string_agg(concat_ws(' ', attname, atttypid::regtype, attnotnull), ', ' order by "
    "attname) "
    "|| (select string_agg(conname || pg_get_expr(conbin, conrelid), ', ' order by conname) from "
    "pg_constraint where conrelid = 'outbox'::regclass and contype = 'c') || (select "
    "string_agg(pg_get_triggerdef(oid), ', ') from pg_trigger where tgrelid = 'outbox'::regclass) "
    "|| (select "
    "string_agg(proname || prosrc || coalesce(proconfig::text, ''), ', ' order by proname) from "
    "pg_proc "
    "where pronamespace = 'public'::regnamespace) from pg_attribute where attrelid = "
    "'outbox'::regclass and attnum > 0";

Test(writing_migration, what_is_migrated_is_as_what_is_new)
{
    pg_fixture_load_older(db);
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    char *migrated = strdup(pg_query_text(db, shape));
    pg_exec(db, "drop schema public cascade; create schema public");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    cr_assert_str_eq(pg_query_text(db, shape), migrated);
    free(migrated);
    cr_assert_eq(
        pg_query_int(db, "select count(*) from pg_constraint where conrelid = 'outbox'::regclass "
                         "and not convalidated"),
        0, "an empty table is checked at once");
}
