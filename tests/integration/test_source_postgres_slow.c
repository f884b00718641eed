/* A link to the database that is slower than batches are large: what the lease has no time for comes in smaller parts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/source_fixture.h"

/* With these a lease is 600 KB, and a batch of 4 MiB would take 7 of them. */
#define TAKEOVER_US (3 * CLOCK_S_US)
#define BYTES_PER_S 200000

static PGconn *admin;
static struct slow_link *slow;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    char dsn[2000];
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    slow = slow_link_open((int)strtol(PQport(admin), NULL, 10), UINT64_MAX);
    (void)snprintf(dsn, sizeof(dsn), "%s host=127.0.0.1 port=%d sslmode=disable", pg_fixture_dsn(),
                   slow_link_port(slow));
    config = source_fixture_config(dsn, TAKEOVER_US);
}

static void
drop(void)
{
    slow_link_close(slow);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_slow, .init = create, .fini = drop, .timeout = 120);

static unsigned told; /* that it is slow */

static struct source_event
next_but_alive(void)
{
    struct source_event event;
    for (;;) {
        event = source_fixture_next(source);
        if (event.type != SOURCE_ALIVE && event.type != SOURCE_NOTICE) {
            return event;
        }
        if (event.type == SOURCE_NOTICE) {
            cr_assert_not_null(strstr(event.notice.error.text, "the table is read slowly: "), "%s",
                               event.notice.error.text);
            told++;
        }
    }
}

/* Reads so many rows; how often the session was lost meanwhile. */
static int
read_rows(size_t rows)
{
    struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 1000, .bytes_max = 4 << 20};
    int losses = 0;
    while (rows > 0) {
        source->ops->fetch(source, &fetch, clock_monotonic_us());
        struct source_event event = next_but_alive();
        if (event.type == SOURCE_LOST) {
            losses++;
            do {
                event = next_but_alive();
            } while (event.type != SOURCE_OWNED);
            continue;
        }
        cr_assert_eq(event.type, SOURCE_ROWS);
        cr_assert(event.rows->count > 0 && event.rows->count <= rows);
        rows -= event.rows->count;
        fetch.after_id = event.rows->rows[event.rows->count - 1].id;
        cr_assert_null(event.rows->rows[0].withheld, "%s", event.rows->rows[0].withheld);
        batch_free(event.rows);
    }
    return losses;
}

Test(source_postgres_slow, a_batch_that_the_link_has_no_time_for)
{
    pg_exec(admin, "insert into outbox (payload) select decode(repeat(md5(n::text), 64), 'hex') || "
                   "decode(repeat(md5('x' || n), 192), 'hex') from generate_series(1, 300) n");
    source = source_fixture_own(&config);
    slow_link_rate(slow, BYTES_PER_S);
    cr_assert_leq(read_rows(300), 1);
    cr_assert_eq(told, 1, "%u times", told);
    source_fixture_close(source, &config);
}

/* More than three leases long. */
Test(source_postgres_slow, one_row_that_takes_longer_than_the_lease)
{
    pg_exec(admin,
            "insert into outbox (payload) select decode(string_agg(md5(n::text), ''), 'hex') "
            "from generate_series(1, 125000) n; insert into outbox (payload) values ('x')");
    source = source_fixture_own(&config);
    slow_link_rate(slow, BYTES_PER_S);
    cr_assert_leq(read_rows(2), 1);
    source_fixture_close(source, &config);
}

/* A link that is silent is lost in time. */
Test(source_postgres_slow, a_link_that_is_silent)
{
    source = source_fixture_own(&config);
    slow_link_rate(slow, 0);
    const uint64_t before_us = clock_monotonic_us();
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_lt(clock_monotonic_us() - before_us, 10 * TAKEOVER_US);
    cr_assert_eq(lost.class, ERROR_TRANSIENT, "it is there");
    cr_assert_not_null(strstr(lost.text, "it was asked"), "%s", lost.text);
    cr_assert_not_null(strstr(lost.text, " bytes of this connection came "), "%s", lost.text);
    source_fixture_close(source, &config);
}
