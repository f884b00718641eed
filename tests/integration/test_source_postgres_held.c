/* Messages that are set aside, in cases that only PostgreSQL has. The rest: test_source_held.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

/* 192 MiB and a byte: see SOURCE_MESSAGE_BYTES_MAX. */
#define TOO_LARGE "convert_to(repeat('x', (192 << 20) + 1), 'UTF8')"

static PGconn *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    config = source_fixture_config(pg_fixture_dsn(), 60 * CLOCK_S_US); /* 192 MiB take long */
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_held, .init = create, .fini = drop, .timeout = 120);

/* Expects that none is missing. */
static void
hold(const struct hold *holds, size_t count)
{
    const struct source_held held = source_fixture_hold(source, holds, count);
    cr_assert_eq(held.missing_count, 0);
    cr_assert_null(held.missing);
}

Test(source_postgres_held, a_database_that_has_not_all_characters)
{
    char dsn[2000];
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_latin1 template template0 encoding "
                   "'LATIN1' lc_collate 'C' lc_ctype 'C'",
                   PQdb(admin)); /* fits */
    pg_exec(admin, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", pg_fixture_dsn(), PQdb(admin));
    PGconn *other = PQconnectdb(dsn);
    pg_fixture_load_outbox(other);
    pg_exec(other, "insert into outbox (payload) values ('x')");
    struct source_config other_config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct source *other_source = source_fixture_own(&other_config);
    const struct hold one = {.id = 1, .state = HELD_RETRYING, .reason = "caf\xc3\xa9 \xe2\x82\xac"};
    cr_assert_eq(source_fixture_hold(other_source, &one, 1).missing_count, 0);
    cr_assert_str_eq(pg_query_text(other, "select last_error from outbox_held"), "caf?? ???");
    source_fixture_close(other_source, &other_config);
    PQfinish(other);
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1 with (force)", PQdb(admin));
    pg_exec(admin, sql);
}

Test(source_postgres_held, what_can_never_be_sent_is_not_read)
{
    pg_exec(admin, "insert into outbox (headers, payload) values ('{}', '1'), ('{}', " TOO_LARGE
                   "), ('{}', '3')");
    struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000};
    struct batch *first = source_fixture_fetch(source, fetch);
    cr_assert(first->count == 1 && !first->complete, "the statement that is cheap stops there");
    batch_free(first);
    for (int i = 0; i < 2; i++) { /* the second time bytes are counted */
        struct batch *batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, 3);
        cr_assert(!batch->rows[0].withheld && batch->rows[1].withheld && !batch->rows[2].withheld);
        cr_assert(batch->rows[1].payload.size == 0 && batch->rows[1].headers.size == 0);
        cr_assert_eq(batch->rows[2].payload.size, 1);
        batch_free(batch);
        pg_exec(admin, "update outbox set payload = convert_to(repeat('x', 500), 'UTF8') "
                       "where id = 1");
        fetch.bytes_max = 600;
        batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, 3, "it counts as nothing");
        batch_free(batch);
        pg_exec(admin, "update outbox set payload = '1' where id = 1");
    }
    hold(&(struct hold){.id = 2, .state = HELD_RETRYING, .reason = "too large"}, 1);
    hold(&(struct hold){.id = 3, .state = HELD_RETRYING, .reason = "r"}, 1);
    fetch.kind = FETCH_HEADS;
    fetch.bytes_max = 1;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2);
    cr_assert(batch->rows[0].withheld && batch->rows[0].payload.size == 0);
    cr_assert(!batch->rows[1].withheld && batch->rows[1].payload.size == 1);
    batch_free(batch);
}

/* The function has its owner's rights, so it must not use a table of the caller's with the same name. */
Test(source_postgres_held, a_cancel_meets_no_table_of_its_caller)
{
    pg_exec(admin,
            "insert into outbox (payload, deliver_after) values ('1', now() + '1 h'::interval);"
            "create temp table outbox as table outbox; create temp table outbox_held as table "
            "outbox_held");
    cr_assert_eq(pg_query_int(admin, "select outbox_cancel(message_id)::int from pg_temp.outbox"),
                 1);
    cr_assert_eq(pg_query_int(admin, "select count(*) from pg_temp.outbox"), 1);
    cr_assert_eq(pg_query_int(admin, "select count(*) from public.outbox"), 0);
}
