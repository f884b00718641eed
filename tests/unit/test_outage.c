#include <criterion/criterion.h>

#include "base/clock.h"
#include "relay/outage.h"

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
