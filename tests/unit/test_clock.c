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

Test(clock, what_is_regular_comes_on_beats_and_never_late)
{
    const uint64_t phase_us = 1300 * CLOCK_MS_US;
    const uint64_t now_us = 1000 * CLOCK_S_US + phase_us + 7;
    cr_assert_eq(clock_on_beat_us(now_us, 5 * CLOCK_S_US, phase_us), now_us - 7 + 5 * CLOCK_S_US);
    cr_assert_eq(clock_on_beat_us(now_us + 3 * CLOCK_S_US, 5 * CLOCK_S_US, phase_us),
                 now_us - 7 + 5 * CLOCK_S_US);
    cr_assert_eq(clock_on_beat_us(now_us, 12 * CLOCK_S_US, phase_us), now_us - 7 + 10 * CLOCK_S_US);
    cr_assert_eq(clock_on_beat_us(now_us, 2500 * CLOCK_MS_US, phase_us),
                 now_us - 7 + 2 * CLOCK_S_US);
    cr_assert_eq(clock_on_beat_us(now_us, 999 * CLOCK_MS_US, phase_us), now_us + 999 * CLOCK_MS_US,
                 "so short an interval is kept");
    for (uint64_t at_us = 0; at_us < 20 * CLOCK_S_US; at_us += 317 * CLOCK_MS_US) {
        const uint64_t due_us = clock_on_beat_us(at_us, 5 * CLOCK_S_US, 4 * CLOCK_S_US);
        cr_assert_gt(due_us, at_us);
        cr_assert_leq(due_us, at_us + 5 * CLOCK_S_US);
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
