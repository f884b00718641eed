#include <criterion/criterion.h>

#include "relay/daemon/pace.h"

#define START_US (UINT64_C(7) * PACE_CROWD_US)

/* Pieces at equal intervals; returns after how many of them the pace made the reader wait. */
static uint32_t
rests(struct pace *pace, uint64_t from_us, uint32_t pieces, uint64_t distance_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pieces; i++) {
        pace_piece(pace, from_us + i * distance_us);
        count += pace_rest_us(pace, from_us + i * distance_us) > 0;
    }
    return count;
}

Test(pace, who_polls_never_rests)
{
    const struct pace pace = {0};
    cr_assert_eq(pace_rest_us(&pace, START_US), 0);
}

Test(pace, two_thousand_pieces_a_second_never_rest)
{
    struct pace pace = {0};
    cr_assert_eq(rests(&pace, START_US, 20000, 500), 0);
}

Test(pace, a_burst_of_a_few_does_not_rest)
{
    struct pace pace = {0};
    cr_assert_eq(rests(&pace, START_US, PACE_CROWD - 1, 1), 0);
    cr_assert_eq(rests(&pace, START_US + PACE_CROWD_US, PACE_CROWD - 1, 1), 0);
}

Test(pace, a_crowd_rests_until_the_slot_is_over)
{
    struct pace pace = {0};
    cr_assert_eq(rests(&pace, START_US, PACE_CROWD, 0), 1);
    cr_assert_eq(pace_rest_us(&pace, START_US + 300), PACE_SLOT_US - 300);
    cr_assert_eq(pace_rest_us(&pace, START_US + PACE_SLOT_US), PACE_SLOT_US);
    cr_assert_eq(pace_rest_us(&pace, START_US + 2 * PACE_SLOT_US - 1), 1);
}

Test(pace, a_crowd_is_looked_at_again)
{
    struct pace pace = {0};
    (void)rests(&pace, START_US, PACE_CROWD, 0);
    cr_assert_gt(pace_rest_us(&pace, START_US + PACE_KEEP_US - 1), 0);
    cr_assert_eq(pace_rest_us(&pace, START_US + PACE_KEEP_US), 0);
    cr_assert_eq(rests(&pace, START_US + PACE_KEEP_US, PACE_CROWD, 1), 1);
}
