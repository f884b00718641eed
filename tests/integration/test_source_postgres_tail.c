/* The log of a PostgreSQL source: what is committed comes, in the order of the commits, and the server learns what it
 * need not keep. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

#define WAIT_US (30 * CLOCK_S_US)
#define ROWS_MAX 1000

static PGconn *admin;
static struct source_config config;
static struct source *source;

/* The database's own. */
static const char slots[] = "from pg_replication_slots where database = current_database()";

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin,
            "create publication outbox_relay_public for table outbox with (publish = 'insert')");
    config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
}

/* Waits until a query gives this number. */
static void
await(const char *sql, int64_t expected)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (pg_query_int(admin, sql) != expected) {
        cr_assert_lt(clock_monotonic_us(), until_us, "not %" PRId64 " in time: %s", expected, sql);
    }
}

static void
drop(void)
{
    char sql[200];
    source_fixture_close(source, &config);
    (void)snprintf(sql, sizeof(sql), "select count(*) %s and active", slots);
    await(sql, 0);
    (void)snprintf(sql, sizeof(sql), "select pg_drop_replication_slot(slot_name) %s", slots);
    pg_exec(admin, sql);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_tail, .init = create, .fini = drop, .timeout = 120);

/* So many rows, which must have the ids from `first` on by `step`; in how many batches they like. */
static void
expect_rows(int64_t first, int64_t step, size_t count)
{
    uint64_t position = 0;
    for (size_t seen = 0; seen < count;) {
        const struct source_event event = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < event.batch->count; i++, seen++) {
            const struct row *row = &event.batch->rows[i];
            cr_assert_eq(row->id, first + (int64_t)seen * step);
            cr_assert_geq(row->position, position, "not in the order of the commits");
            position = row->position;
        }
        batch_free(event.batch);
    }
}

Test(source_postgres_tail, delivers_what_is_committed_from_the_beginning_on)
{
    pg_exec(admin, "insert into outbox (payload) values ('before')");
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('one')");
    pg_exec(admin, "insert into outbox (payload) values ('two'), ('three')");
    expect_rows(2, 1, 3);
}
