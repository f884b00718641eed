/* A link to the database that is slow for the size of the batches, or silent, or that breaks in the middle of a
 * statement. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/source_fixture.h"

/* With this rate and lease, 600 KB arrive within a lease; a batch of 4 MiB would take 7 of them. */
#define TAKEOVER_US (3 * CLOCK_S_US)
#define BYTES_PER_S 200000

static struct db *admin;
static struct slow_link *slow;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    char more[100];
    admin = db_create();
    db_load_outbox(admin);
    slow = slow_link_open(db_port(), UINT64_MAX);
    (void)snprintf(more, sizeof(more), "host=127.0.0.1 port=%d sslmode=disable",
                   slow_link_port(slow)); /* fits */
    config = source_fixture_here_with(more, TAKEOVER_US);
}

static void
drop(void)
{
    slow_link_close(slow);
    db_drop(admin);
}

TestSuite(source_slow, .init = create, .fini = drop, .timeout = 120);

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

/* Reads this many rows; returns how often the session was lost meanwhile. */
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

Test(source_slow, a_batch_that_the_link_has_no_time_for)
{
    db_exec(admin, "insert into outbox (payload_text) select repeat('x', 4096) from " DB_SERIES(
                       "1", "300"));
    source = source_fixture_own(&config);
    slow_link_rate(slow, BYTES_PER_S);
    cr_assert_leq(read_rows(300), 1);
    cr_assert_eq(told, 1, "%u times", told);
    source_fixture_close(source, &config);
}

/* It takes more than three leases. */
Test(source_slow, one_row_that_takes_longer_than_the_lease)
{
    db_exec(admin, "insert into outbox (payload_text) values (repeat('x', 2000000)), ('x')");
    source = source_fixture_own(&config);
    slow_link_rate(slow, BYTES_PER_S);
    cr_assert_leq(read_rows(2), 2);
    source_fixture_close(source, &config);
}

/* A silent link is recognised as lost in time. */
Test(source_slow, a_link_that_is_silent)
{
    source = source_fixture_own(&config);
    slow_link_rate(slow, 0);
    const uint64_t before_us = clock_monotonic_us();
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_lt(clock_monotonic_us() - before_us, 10 * TAKEOVER_US);
    cr_assert_eq(lost.class, ERROR_TRANSIENT, "it is there: %s", lost.text);
    cr_assert_not_null(strstr(lost.text, "it was asked"), "%s", lost.text);
    cr_assert_not_null(strstr(lost.text, " bytes of this connection came "), "%s", lost.text);
    source_fixture_close(source, &config);
}

/* An owner that stops while it sends a statement: the server waits for the rest of it. */
Test(source_slow, an_owner_that_stopped_in_the_middle_of_a_statement_is_ended)
{
    static int64_t ids[5000];
    struct source_config other = source_fixture_here(TAKEOVER_US);
    for (int64_t i = 0; i < 5000; i++) {
        ids[i] = INT64_MAX - i;
    }
    source = source_fixture_own(&config);
    struct source *second = source_fixture_open(&other);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    const uint64_t before = slow_link_bytes(slow, 0);
    slow_link_rate(slow, 10000);
    source->ops->settle(source, ids, 5000, clock_monotonic_us());
    while (slow_link_bytes(slow, 0) < before + 5000) {
        (void)usleep(1000);
    }
    slow_link_rate(slow, 0);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    source_fixture_close(source, &config);
    source_fixture_close(second, &other);
}

/* Promise: the server ends an owner that stops while it is sent a large answer, and a successor takes over; when the
 * owner goes on, it notices that it has lost the outbox. */
Test(source_slow, an_owner_that_stopped_in_the_middle_of_an_answer_is_ended)
{
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 1, .bytes_max = 64 << 20};
    struct source_config other = source_fixture_here(TAKEOVER_US);
    db_exec(admin, "insert into outbox (payload_text) values (repeat('x', 12000000))");
    source = source_fixture_own(&config);
    struct source *second = source_fixture_open(&other);
    (void)source_fixture_expect(second, SOURCE_STANDBY);
    const uint64_t before = slow_link_bytes(slow, 1);
    slow_link_rate(slow, 1000000);
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    while (slow_link_bytes(slow, 1) < before + 100000) {
        (void)usleep(1000);
    }
    slow_link_rate(slow, 0);
    (void)source_fixture_expect(second, SOURCE_OWNED);
    struct batch *batch = source_fixture_fetch(second, fetch);
    cr_assert_eq(batch->count, 1);
    batch_free(batch);
    slow_link_rate(slow, UINT64_MAX);
    (void)source_fixture_expect(source, SOURCE_LOST);
    source_fixture_close(source, &config);
    source_fixture_close(second, &other);
}

/* Freeing a source does not wait for its server. */
Test(source_slow, is_freed_at_once_however_long_an_answer_takes)
{
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 1000, .bytes_max = 4 << 20};
    db_exec(admin, "insert into outbox (payload_text) values ('x')");
    source = source_fixture_own(&config);
    slow_link_rate(slow, 0);
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    const uint64_t before_us = clock_monotonic_us();
    source_fixture_close(source, &config);
    cr_assert_lt(clock_monotonic_us() - before_us, TAKEOVER_US / 2, "it has waited");
}
