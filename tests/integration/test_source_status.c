/* What the source writes down for operators: its state, and what it sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/source_fixture.h"

static struct db *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = db_create();
    db_load_outbox(admin);
    config = source_fixture_here(30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    db_drop(admin);
}

TestSuite(source_status, .init = create, .fini = drop, .timeout = 120);

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
    cr_assert_str_eq(db_text(admin, sql), expected, "%s: %s", sql, db_text(admin, sql));
}

Test(source_status, tells_how_it_is)
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
                "confirmed, rate, paused_reason, \"reads\", reads_reason, swept) from outbox_relay",
                expected);
    cr_assert_eq(
        db_int(admin,
               "select count(*) from outbox_relay where updated_at between from_now(-20) and "
               "from_now(0) and epoch_us(in_flight_since) = epoch_us(updated_at) - 5000000 and "
               "epoch_us(paused_since) = epoch_us(updated_at) - 60000000 and started_at <= "
               "owned_since and owned_since <= updated_at and started_at > from_now(-60) and "
               "version like '_%._%'"),
        1);
    status = (struct source_status){
        .read_up_to = INT64_MIN, .published_up_to = INT64_MIN, .tailing = true};
    db_exec(admin, "create table earlier as select updated_at, started_at, owned_since "
                   "from outbox_relay");
    source_fixture_status(source, &status);
    cr_assert_eq(db_int(admin, "select count(*) from outbox_relay as relay join earlier "
                               "using (started_at, owned_since) where relay.updated_at > "
                               "earlier.updated_at"),
                 1);
    cr_assert_eq(db_int(admin, "select count(*) from outbox_relay where in_flight_since is null "
                               "and read_up_to is null and published_up_to is null and "
                               "paused_reason is null and paused_since is null and reads_reason "
                               "is null"),
                 1);
    expect_text("select \"reads\" from outbox_relay", "tail");
}

Test(source_status, asked_again_before_it_is_written_it_does_nothing)
{
    struct source_status status = {.confirmed = 1};
    source->ops->status(source, &status, clock_monotonic_us());
    for (int i = 0; i < 100; i++) {
        status.confirmed = 2;
        source->ops->status(source, &status, clock_monotonic_us());
    }
    (void)source_fixture_watermark(source);
    cr_assert_eq(db_int(admin, "select confirmed from outbox_relay"), 1);
    source_fixture_status(source, &status);
    cr_assert_eq(db_int(admin, "select confirmed from outbox_relay"), 2);
}

static void
settle_and_release(void)
{
    const struct hold hold = {.id = 3, .state = HELD_RETRYING, .reason = "r"};
    source_fixture_insert(admin, 4);
    source->ops->settle(source, (int64_t[]){2, 1, 99}, 3, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    (void)source_fixture_hold(source, &hold, 1);
    (void)source_fixture_release(
        source, (struct release){.ids = (int64_t[]){3, 98}, .id_count = 2, .rows_max = 1});
    cr_assert_eq(db_int(admin, "select count(*) from outbox_held"), 0);
    cr_assert_eq(db_int(admin, "select id from outbox"), 4);
}

Test(source_status, remembers_what_went_if_it_is_told_to)
{
    settle_and_release();
    cr_assert_eq(db_int(admin, db_sent_count()), 0);
    db_empty_outbox(admin);
    reopen(3600 * CLOCK_S_US);
    settle_and_release();
    expect_text(db_sent_ids(), "1,2,3");
    cr_assert_eq(db_int(admin, "select count(*) from outbox_sent_batch where sent_at > "
                               "from_now(-60)"),
                 2, "a row for each batch");
    cr_assert_gt(db_int(admin, "select max(total_bytes) from outbox_sent_batch"),
                 db_int(admin, "select min(total_bytes) from outbox_sent_batch"));
}

/* Somebody else's lock, a trigger, a full disk: messages go on. It says so once. */
Test(source_status, what_cannot_be_recorded_is_deleted_all_the_same)
{
    reopen(3600 * CLOCK_S_US);
    db_forbid(admin, "insert", "outbox_sent_batch", "true");
    settle_and_release();
    cr_assert_eq(db_int(admin, db_sent_count()), 0);
    source_fixture_insert(admin, 1);
    (void)source_fixture_settle(source, 9);
    cr_assert_eq(db_int(admin, "select count(*) from outbox"), 0);
}

/* It waits a little, once, where every statement of its own would wait for the length of the lease. */
Test(source_status, a_lock_on_the_record_holds_up_nothing)
{
    struct db *const other = db_connect();
    reopen(3600 * CLOCK_S_US);
    db_exec(other, db_choose("begin; lock table outbox_sent_batch in access exclusive mode",
                             "lock tables outbox_sent_batch write"));
    const uint64_t before_us = clock_monotonic_us();
    settle_and_release();
    cr_assert_lt(clock_monotonic_us() - before_us, config.takeover_us / 3);
    db_exec(other, db_choose("commit", "unlock tables"));
    cr_assert_eq(db_int(admin, db_sent_count()), 0);
    db_close(other);
}

/* Tables of before there was a record. */
Test(source_status, works_without_the_table)
{
    const struct source_status status = {.in_flight = 0};
    db_exec(admin, "drop table outbox_sent_batch");
    reopen(3600 * CLOCK_S_US);
    source_fixture_status(source, &status);
    settle_and_release();
}

/* Batches of a message, each of 1000 bytes, the first 700 of them sent too long ago. */
static void
pretend_sent(void)
{
    db_exec(admin,
            db_choose("insert into outbox_sent_batch (sent_at, total_bytes, ids, message_ids) "
                      "select from_now(case when i > 700 then -3540 else -3660 end), 1000 * i, "
                      "array[i], array[new_id()] from generate_series(1, 710) as i",
                      "insert into outbox_sent_batch (sent_at, total_bytes, ids, message_ids) "
                      "select from_now(case when i > 700 then -3540 else -3660 end), 1000 * i, "
                      "i, new_id() from " DB_SERIES("1", "710")));
}

static int64_t
batches(void)
{
    return db_int(admin, "select count(*) from outbox_sent_batch");
}

static void
expect_left(int64_t left)
{
    for (int i = 0; i < 8; i++) {
        (void)source_fixture_watermark(source);
    }
    cr_assert_eq(batches(), left);
}

static void
expect_forgotten(int64_t left, int64_t first_bytes)
{
    expect_left(left);
    cr_assert_eq(db_int(admin, "select min(total_bytes) from outbox_sent_batch"), first_bytes);
}

/* In portions of 100, one after the other, so that no other request waits long. */
Test(source_status, forgets_what_went_long_ago)
{
    const struct source_status status = {.in_flight = 0};
    pretend_sent();
    reopen(3600 * CLOCK_S_US);
    source_fixture_status(source, &status);
    cr_assert_leq(batches(), 610);
    expect_forgotten(10, 701000);
}

/* Switched off: what was recorded before that is forgotten as well. */
Test(source_status, forgets_all_if_it_is_to_remember_nothing)
{
    const struct source_status status = {.in_flight = 0};
    pretend_sent();
    reopen(0);
    source_fixture_status(source, &status);
    expect_left(0);
    settle_and_release();
    cr_assert_eq(batches(), 0);
}

/* The last 300 kB, whatever their age. */
Test(source_status, forgets_what_is_too_much)
{
    const struct source_status status = {.in_flight = 0};
    pretend_sent();
    config.keep_sent_bytes = 300000;
    reopen(86400 * CLOCK_S_US);
    source_fixture_status(source, &status);
    cr_assert_leq(batches(), 610);
    expect_forgotten(300, 411000);
}
