/* What the source writes down for those who look: how it is, and what it sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = source_mysql_fixture_create();
    mysql_fixture_exec(admin, "set time_zone = '+00:00'");
    config = source_mysql_fixture_config(30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_status, .init = create, .fini = drop, .timeout = 120);

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
    cr_assert_str_eq(mysql_fixture_text(admin, sql), expected, "%s: %s", sql,
                     mysql_fixture_text(admin, sql));
}

Test(source_mysql_status, tells_how_it_is)
{
    struct source_status status = {
        .in_flight = 3,
        .in_flight_for_us = 5 * CLOCK_S_US,
        .read_up_to = -7,
        .published_up_to = INT64_MAX,
        .confirmed = 12345678901,
        .rate = 12.5,
        .paused_reason = "broker unreachable: \"x\" 'y' \\ \xff",
        .paused_for_us = 60 * CLOCK_S_US,
        .not_tailing_reason = "no log \xff",
        .swept = 4,
    };
    char expected[400];
    char host[256] = "";
    cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
    source_fixture_status(source, &status);
    (void)snprintf(expected, sizeof(expected),
                   "orders|%s|%ld|3|-7|9223372036854775807|12345678901|12.5|broker unreachable: "
                   "\"x\" 'y' \\ ?|poll|no log ?|4",
                   host, (long)getpid()); /* fits */
    expect_text("select concat_ws('|', source, host, pid, in_flight, read_up_to, published_up_to, "
                "confirmed, rate, paused_reason, `reads`, reads_reason, swept) from outbox_relay",
                expected);
    cr_assert_eq(mysql_fixture_int(
                     admin,
                     "select count(*) from outbox_relay where updated_at between utc_timestamp(6) "
                     "- interval 20 second and utc_timestamp(6) and in_flight_since = updated_at "
                     "- interval 5 second and paused_since = updated_at - interval 1 minute and "
                     "started_at <= owned_since and owned_since <= updated_at and started_at > "
                     "utc_timestamp(6) - interval 1 minute and version regexp '^[0-9]+[.]'"),
                 1);
    status = (struct source_status){
        .read_up_to = INT64_MIN, .published_up_to = INT64_MIN, .tailing = true};
    mysql_fixture_exec(admin, "create table earlier as select updated_at, started_at, owned_since "
                              "from outbox_relay");
    source_fixture_status(source, &status);
    cr_assert_eq(mysql_fixture_int(admin,
                                   "select count(*) from outbox_relay as relay join earlier "
                                   "using (started_at, owned_since) where relay.updated_at > "
                                   "earlier.updated_at"),
                 1);
    cr_assert_eq(mysql_fixture_int(admin,
                                   "select (in_flight_since is null) + (read_up_to is null) + "
                                   "(published_up_to is null) + (paused_reason is null) + "
                                   "(paused_since is null) + (reads_reason is null) from "
                                   "outbox_relay"),
                 6);
    expect_text("select `reads` from outbox_relay", "tail");
}

Test(source_mysql_status, asked_again_before_it_is_written_it_does_nothing)
{
    struct source_status status = {.confirmed = 1};
    source->ops->status(source, &status, clock_monotonic_us());
    for (int i = 0; i < 100; i++) {
        status.confirmed = 2;
        source->ops->status(source, &status, clock_monotonic_us());
    }
    (void)source_fixture_watermark(source);
    cr_assert_eq(mysql_fixture_int(admin, "select confirmed from outbox_relay"), 1);
    source_fixture_status(source, &status);
    cr_assert_eq(mysql_fixture_int(admin, "select confirmed from outbox_relay"), 2);
}

static void
settle_and_release(void)
{
    const struct hold hold = {.id = 3, .state = HELD_RETRYING, .reason = "r"};
    source_mysql_fixture_insert(admin, 4);
    source->ops->settle(source, (int64_t[]){2, 1, 99}, 3, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    (void)source_fixture_hold(source, &hold, 1);
    (void)source_fixture_release(
        source, (struct release){.ids = (int64_t[]){3, 98}, .id_count = 2, .rows_max = 1});
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_held"), 0);
    cr_assert_eq(mysql_fixture_int(admin, "select id from outbox"), 4);
}

Test(source_mysql_status, remembers_what_went_if_it_is_told_to)
{
    settle_and_release();
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_sent"), 0);
    mysql_fixture_exec(admin, "truncate outbox");
    reopen(3600 * CLOCK_S_US);
    settle_and_release();
    expect_text("select group_concat(id order by id separator ' ') from outbox_sent", "1 2 3");
    cr_assert_eq(mysql_fixture_int(admin,
                                   "select count(distinct message_id) from outbox_sent where "
                                   "sent_at > utc_timestamp(6) - interval 1 minute"),
                 3);
}

/* In portions of 2000, each followed by the next, so that no request waits long behind one. */
Test(source_mysql_status, forgets_what_went_long_ago)
{
    const struct source_status status = {.in_flight = 0};
    mysql_fixture_exec(
        admin,
        "insert into outbox_sent (message_id, id, sent_at) with recursive numbers as (select "
        "1 as n union all select n + 1 from numbers where n < 701) select uuid(), (tens.n - 1) "
        "* 701 + numbers.n, utc_timestamp(6) - interval if(tens.n > 9, 59, 61) minute from "
        "numbers cross join (select n from numbers where n <= 10) as tens");
    source_fixture_status(source, &status);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_sent"), 7010,
                 "not asked to");
    reopen(3600 * CLOCK_S_US);
    source_fixture_status(source, &status);
    for (int i = 0; i < 5; i++) {
        (void)source_fixture_watermark(source);
    }
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_sent"), 701);
    cr_assert_eq(mysql_fixture_int(admin, "select min(id) from outbox_sent"), 6310);
}
