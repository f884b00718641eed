/* Writing to the outbox in cases that only PostgreSQL has (schema_writing.sql): JSON that is short only on the disk,
 * messages without a table; and tables of an older relay, migrated while writers, an older writer and an older relay go
 * on. */
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

TestSuite(writing_postgres, .init = set_up_new, .fini = tear_down);
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

/* ---- limits ---- */

#define HEADERS(json) "insert into outbox (payload, headers) values ('', " json ")"

Test(writing_postgres, headers_are_bounded_as_text_whatever_the_server_makes_of_them)
{
    pg_exec(db, HEADERS("'{\"a\": 1e308, \"b\": [-1e308, 0.1], \"c\": null, \"d\": \"1e999\"}'"));
    expect_refused(HEADERS("'{\"a\": [{\"b\": 1e131000}]}'"), "a number beyond 1e308");
    expect_refused(HEADERS("'{\"a\": -1e309}'"), "a number beyond 1e308");
    /* 2.5 KiB on the disk, 1.2 GB as text: refused without making that text. */
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

Test(writing_postgres, what_is_emitted_has_the_same_limits)
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

/* ---- migration ---- */

struct traffic {
    atomic_bool stop;
    atomic_uint written;
    atomic_uint moved;
};

/* An older application with a statement prepared before; the current library; an insert from an older README. */
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

/* An older relay's statements, as it prepared them at its start: what it reads is set aside, given back, and deleted. */
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

/* init waits for a lock only for little more than a second, because writers wait behind it; then it says that it must
 * be run again, which may happen on a busy machine. */
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
    /* Programs that start only now: an older relay and an older library check the versions. */
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
