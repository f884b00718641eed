/* What the source writes down for those who look: how it is, and what it sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
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
    config = source_fixture_config(pg_fixture_dsn(), 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_status, .init = create, .fini = drop, .timeout = 120);

static void
reopen(uint64_t keep_sent_us)
{
    source->ops->free(source);
    config.keep_sent_us = keep_sent_us;
    source = source_fixture_own(&config);
}

static void
expect_text(const char *sql, const char *expected)
{
    cr_assert_str_eq(pg_query_text(admin, sql), expected, "%s: %s", sql, pg_query_text(admin, sql));
}

Test(source_postgres_status, tells_how_it_is)
{
    struct source_status status = {
        .in_flight = 3,
        .in_flight_for_us = 5 * CLOCK_S_US,
        .read_up_to = -7,
        .published_up_to = INT64_MAX,
        .confirmed = 12345678901,
        .rate = 12.5,
        .paused_reason = "broker unreachable: \"x\" \xff",
        .paused_for_us = 60 * CLOCK_S_US,
        .not_tailing_reason = "wal_level is replica \xff",
        .swept = 4,
    };
    char expected[300];
    char host[256] = "";
    cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
    source_fixture_status(source, &status);
    (void)snprintf(expected, sizeof(expected),
                   "orders|%s|%ld|3|-7|9223372036854775807|12345678901|12.5|broker unreachable: "
                   "\"x\" ?|poll|wal_level is replica ?|4",
                   host, (long)getpid()); /* fits */
    expect_text("select concat_ws('|', source, host, pid, in_flight, read_up_to, published_up_to, "
                "confirmed, rate, paused_reason, reads, reads_reason, swept) from outbox_relay",
                expected);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_relay where updated_at between "
                                     "now() - '20 s'::interval and now() and in_flight_since = "
                                     "updated_at - '5 s'::interval and paused_since = updated_at - "
                                     "'1 min'::interval and started_at <= owned_since and "
                                     "owned_since <= updated_at and started_at > now() - "
                                     "'1 min'::interval and version ~ '^[0-9]+[.]'"),
                 1);
    status = (struct source_status){
        .read_up_to = INT64_MIN, .published_up_to = INT64_MIN, .tailing = true};
    pg_exec(admin, "create table before as select updated_at, started_at, owned_since from "
                   "outbox_relay");
    source_fixture_status(source, &status);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_relay as relay join before using "
                                     "(started_at, owned_since) where relay.updated_at > "
                                     "before.updated_at"),
                 1);
    cr_assert_eq(pg_query_int(admin, "select num_nulls(in_flight_since, read_up_to, "
                                     "published_up_to, paused_reason, paused_since, "
                                     "reads_reason) from outbox_relay"),
                 6);
    expect_text("select reads from outbox_relay", "tail");
}

/* It comes every second: the row must not wander through the table, nor through its index. */
Test(source_postgres_status, an_update_stays_in_its_page)
{
    struct source_status status = {.in_flight = 1, .paused_reason = "broker unreachable"};
    for (int i = 0; i < 200; i++) {
        status.confirmed++;
        source_fixture_status(source, &status);
    }
    source->ops->free(source); /* the end of a session hands over its statistics */
    source = source_fixture_own(&config);
    const uint64_t until_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (pg_query_int(admin, "select n_tup_upd from pg_stat_user_tables where relname = "
                               "'outbox_relay'") < 199) {
        cr_assert_lt(clock_monotonic_us(), until_us);
    }
    /* None, but for transactions in other databases, which keep old versions for a while. */
    cr_assert_leq(pg_query_int(admin, "select n_tup_upd - n_tup_hot_upd from pg_stat_user_tables "
                                      "where relname = 'outbox_relay'"),
                  10);
    cr_assert_leq(pg_query_int(admin, "select pg_relation_size('outbox_relay')"), 8 * 8192);
    cr_assert_eq(pg_query_int(admin, "select confirmed from outbox_relay"), 200);
}

Test(source_postgres_status, asked_again_before_it_is_written_it_does_nothing)
{
    struct source_status status = {.confirmed = 1};
    source->ops->status(source, &status, clock_monotonic_us());
    for (int i = 0; i < 100; i++) {
        status.confirmed = 2;
        source->ops->status(source, &status, clock_monotonic_us());
    }
    (void)source_fixture_watermark(source);
    cr_assert_eq(pg_query_int(admin, "select confirmed from outbox_relay"), 1);
    source_fixture_status(source, &status);
    cr_assert_eq(pg_query_int(admin, "select confirmed from outbox_relay"), 2);
}

static void
settle_and_release(void)
{
    const struct hold hold = {.id = 3, .state = HELD_RETRYING, .reason = "r"};
    pg_exec(admin, "insert into outbox (payload) select 'x' from generate_series(1, 4)");
    source->ops->settle(source, (int64_t[]){2, 1, 99}, 3, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    (void)source_fixture_hold(source, &hold, 1);
    (void)source_fixture_release(
        source, (struct release){.ids = (int64_t[]){3, 98}, .id_count = 2, .rows_max = 1});
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 0);
    cr_assert_eq(pg_query_int(admin, "select id from outbox"), 4);
}

Test(source_postgres_status, remembers_what_went_if_it_is_told_to)
{
    settle_and_release();
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_sent"), 0);
    pg_exec(admin, "truncate outbox restart identity");
    reopen(3600 * CLOCK_S_US);
    settle_and_release();
    expect_text("select string_agg(id::text, ' ' order by id) from outbox_sent", "1 2 3");
    cr_assert_eq(pg_query_int(admin, "select count(distinct message_id) from outbox_sent where "
                                     "sent_at > now() - '1 min'::interval"),
                 3);
}

/* In portions of 2000, each followed by the next, so that no request waits long behind one. */
Test(source_postgres_status, forgets_what_went_long_ago)
{
    const struct source_status status = {.in_flight = 0};
    pg_exec(admin, "insert into outbox_sent select gen_random_uuid(), n, now() - case when n > "
                   "7000 then '59 min' else '61 min' end::interval from generate_series(1, 7010) "
                   "n");
    source_fixture_status(source, &status);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_sent"), 7010, "not asked to");
    reopen(3600 * CLOCK_S_US);
    source_fixture_status(source, &status);
    cr_assert_leq(pg_query_int(admin, "select count(*) from outbox_sent"), 5010);
    for (int i = 0; i < 4; i++) {
        (void)source_fixture_watermark(source);
    }
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_sent where id > 7000"), 10);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_sent"), 10);
}
