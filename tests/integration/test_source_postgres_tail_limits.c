/* A message of the log is in memory as a whole before anybody can look at its size. So the log is read only if the
 * table enforces the limits of a row; otherwise the table is polled, with statements that look at the size first. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin,
            "create publication outbox_relay_public for table outbox with (publish = 'insert')");
    config = source_fixture_config(pg_fixture_dsn(), 60 * CLOCK_S_US);
    config.mode = SOURCE_MODE_TAIL;
}

static void
drop(void)
{
    const uint64_t until_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    source_fixture_close(source, &config);
    while (pg_query_int(admin, "select count(*) from pg_replication_slots where database = "
                               "current_database() and active") > 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)usleep(10000); /* a pause */
    }
    pg_exec(admin, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where "
                   "database = current_database()");
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_tail_limits, .init = create, .fini = drop, .timeout = 120);

static void
expect_refused(const char *columns)
{
    char words[200];
    (void)snprintf(words, sizeof(words),
                   "table public.outbox has no limit on %s, so what its log brings may be larger "
                   "than a relay can hold: run `outbox-relay init`",
                   columns); /* fits */
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
    cr_assert_eq(error.class, ERROR_CONFIG);
}

static void
expect_refused_without(const char *constraint, const char *column)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "alter table outbox drop constraint %s",
                   constraint); /* fits */
    pg_exec(admin, sql);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_refused(column);
    pg_fixture_load(admin, "outbox-sql/postgres/schema_writing.sql");
}

static void
expect_row(int64_t id)
{
    struct source_log event = source_fixture_log(source, 10);
    while (event.batch->count == 0) {
        batch_free(event.batch);
        event = source_fixture_log(source, 10);
    }
    cr_assert_eq(event.batch->rows[0].id, id);
    batch_free(event.batch);
}

/* Limits that were restored are not valid for existing rows, but that is enough, because only new rows come by the log. */
Test(source_postgres_tail_limits, without_one_of_them_it_does_not_begin)
{
    source = source_fixture_own(&config);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_refused_without("outbox_exchange_255_bytes", "exchange");
    expect_refused_without("outbox_routing_key_255_bytes", "routing_key");
    expect_refused_without("outbox_key_1024_bytes", "key");
    expect_refused_without("outbox_type_255_bytes", "type");
    expect_refused_without("outbox_content_type_255_bytes", "content_type");
    expect_refused_without("outbox_headers_128_kib", "headers");
    cr_assert_eq(pg_query_int(admin, "select count(*) from pg_constraint where conrelid = "
                                     "'outbox'::regclass and not convalidated"),
                 6);
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_row(2);
}

Test(source_postgres_tail_limits, one_that_says_something_else_is_none)
{
    source = source_fixture_own(&config);
    pg_exec(admin, "alter table outbox drop constraint outbox_key_1024_bytes, drop constraint "
                   "outbox_type_255_bytes, add constraint outbox_key_1024_bytes check "
                   "(octet_length(key) <= 2048)");
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_refused("key, type");
}

/* The source checks this every few seconds. */
Test(source_postgres_tail_limits, when_one_goes_while_it_reads_it_ends)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "alter table outbox drop constraint outbox_headers_128_kib");
    expect_refused("headers");
}

/* Emitted messages come only by the log, whatever their size. */
Test(source_postgres_tail_limits, a_source_without_a_table_is_the_exception)
{
    config.tableless = true;
    source = source_fixture_own(&config);
    pg_exec(admin, "alter table outbox drop constraint outbox_key_1024_bytes");
    (void)source_fixture_tail(source, 0);
}
