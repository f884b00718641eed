#include <criterion/criterion.h>

#include "base/clock.h"
#include "relay/core/bucket.h"

#define START_US (1000 * CLOCK_S_US)

static struct bucket bucket;

/* Takes whatever may go now. */
static uint64_t
take_all(uint64_t now_us)
{
    uint64_t taken = 0;
    while (taken < 10000000 && bucket_allows(&bucket, now_us)) {
        bucket_take(&bucket);
        taken++;
    }
    return taken;
}

Test(bucket, without_a_rate_everything_may_go)
{
    bucket_init(&bucket, 0, START_US);
    for (unsigned i = 0; i < 100000; i++) {
        cr_assert(bucket_allows(&bucket, START_US));
        bucket_take(&bucket);
    }
    cr_assert_leq(bucket_due_us(&bucket), START_US);
}

Test(bucket, begins_with_one_message_and_not_with_a_burst)
{
    bucket_init(&bucket, 1000, START_US);
    cr_assert_eq(take_all(START_US), 1);
    cr_assert_eq(bucket_due_us(&bucket), START_US + 1000);
    cr_assert_eq(take_all(START_US + 999), 0);
    cr_assert_eq(take_all(START_US + 1000), 1);
}

Test(bucket, what_was_not_used_may_be_made_up_for_by_a_burst)
{
    bucket_init(&bucket, 1000, START_US);
    cr_assert_eq(take_all(START_US + CLOCK_S_US), 101);
    cr_assert_eq(take_all(START_US + 2 * CLOCK_S_US), 101, "and no more, however long it was");
    bucket_init(&bucket, 3, START_US);
    cr_assert_eq(take_all(START_US + CLOCK_S_US), 1, "of a slow one it is one message");
}

/* 7 a second: 142857 1/7 microseconds for each. */
Test(bucket, is_exact_over_a_long_time)
{
    const uint32_t rates[] = {1, 3, 7, 999, 30011, 1000000};
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const uint64_t hours = rates[i] < 1000 ? 100 : 0;
        const uint64_t seconds = hours * 3600 + 20;
        uint64_t sent = 0;
        uint64_t now_us = START_US;
        bucket_init(&bucket, rates[i], now_us);
        while ((now_us = bucket_due_us(&bucket)) <= START_US + seconds * CLOCK_S_US) {
            cr_assert_eq(take_all(now_us), 1);
            sent++;
        }
        cr_assert_eq(sent, 1 + seconds * rates[i], "at %u: %lu", rates[i], sent);
    }
}

/* Who comes each millisecond, as a worker does, loses nothing by it. */
Test(bucket, a_late_look_loses_nothing)
{
    uint64_t sent = 0;
    bucket_init(&bucket, 12345, START_US);
    for (uint64_t ms = 0; ms <= 10000; ms++) {
        sent += take_all(START_US + ms * CLOCK_MS_US + (ms * 37) % 1000);
    }
    cr_assert_geq(sent, 10 * 12345);
    cr_assert_leq(sent, 10 * 12345 + 13);
}

Test(bucket, it_names_the_moment_before_which_nothing_may_go)
{
    bucket_init(&bucket, 7, START_US);
    uint64_t now_us = START_US;
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(take_all(now_us), 1);
        now_us = bucket_due_us(&bucket);
        cr_assert_not(bucket_allows(&bucket, now_us - 1));
        cr_assert(bucket_allows(&bucket, now_us));
        cr_assert_leq(bucket_due_us(&bucket), now_us, "it may already");
    }
}

Test(bucket, a_clock_that_jumps_gives_at_most_a_burst)
{
    bucket_init(&bucket, 1000000, START_US);
    cr_assert_eq(take_all(UINT64_MAX - 1), 100001);
    cr_assert_eq(take_all(START_US), 0, "back: it stands still");
    cr_assert_eq(take_all(START_US + 10), 10, "and goes on from there");
}
