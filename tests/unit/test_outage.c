#include <criterion/criterion.h>

#include "base/clock.h"
#include "relay/daemon/outage.h"

Test(outage, the_first_success_is_news)
{
    struct outage outage;
    outage_init(&outage);
    cr_assert(outage_over(&outage));
    cr_assert_not(outage_over(&outage));
}

Test(outage, says_the_same_once_a_minute)
{
    struct outage outage;
    outage_init(&outage);
    cr_assert(outage_is_news(&outage, "refused", 5));
    cr_assert_not(outage_is_news(&outage, "refused", 59 * CLOCK_S_US));
    cr_assert(outage_is_news(&outage, "refused", 61 * CLOCK_S_US));
    cr_assert(outage_is_news(&outage, "no such host", 62 * CLOCK_S_US), "another reason");
    cr_assert(outage_over(&outage));
    cr_assert(outage_is_news(&outage, "no such host", 63 * CLOCK_S_US), "another outage");
}

Test(outage, a_hundred_lines_a_minute)
{
    struct quota quota = {0};
    const uint64_t start_us = 100 * CLOCK_S_US;
    for (unsigned i = 0; i < QUOTA_LINES; i++) {
        cr_assert(quota_take(&quota, start_us + i));
    }
    cr_assert_not(quota_take(&quota, start_us + 59 * CLOCK_S_US));
    cr_assert_eq(quota_left_out(&quota, start_us + 59 * CLOCK_S_US), 0, "the minute is not over");
    cr_assert_not(quota_take(&quota, start_us + 61 * CLOCK_S_US),
                  "told first, or it would be forgotten");
    cr_assert_eq(quota_left_out(&quota, start_us + 61 * CLOCK_S_US), 2);
    cr_assert_eq(quota_left_out(&quota, start_us + 130 * CLOCK_S_US), 0, "told once");
    cr_assert(quota_take(&quota, start_us + 130 * CLOCK_S_US));
}
