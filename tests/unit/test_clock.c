#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, monotonic_never_goes_back)
{
    uint64_t last = clock_monotonic_us();
    for (int i = 0; i < 1000; i++) {
        const uint64_t now = clock_monotonic_us();
        cr_assert_geq(now, last);
        last = now;
    }
}

Test(clock, poll_timeout_rounds_up_and_is_bounded)
{
    cr_assert_eq(clock_poll_timeout_ms(1000, 1000), 0);
    cr_assert_eq(clock_poll_timeout_ms(2000, 1000), 0);
    cr_assert_eq(clock_poll_timeout_ms(1000, 1001), 1, "a wait that ends early spins");
    cr_assert_eq(clock_poll_timeout_ms(0, 2000), 2);
    cr_assert_eq(clock_poll_timeout_ms(0, CLOCK_NEVER_US), 60000);
}
