#include <criterion/criterion.h>

#include "base/backoff.h"

Test(backoff, grows_to_its_cap_and_no_further)
{
    struct random random;
    struct backoff backoff;
    random_seed(&random, 7);
    backoff_init(&backoff, 100, 5000);
    uint64_t last = 100;
    uint64_t highest = 0;
    for (int i = 0; i < 200; i++) {
        const uint64_t wait = backoff_next_us(&backoff, &random);
        cr_assert_geq(wait, 100);
        cr_assert_leq(wait, 5000);
        cr_assert_leq(wait, last * 3);
        last = wait;
        highest = wait > highest ? wait : highest;
    }
    cr_assert_gt(highest, 2500, "it never came near its cap");
}

Test(backoff, starts_over_after_a_success)
{
    struct random random;
    struct backoff backoff;
    random_seed(&random, 7);
    backoff_init(&backoff, 100, 5000);
    for (int i = 0; i < 20; i++) {
        (void)backoff_next_us(&backoff, &random); /* only to grow */
    }
    backoff_reset(&backoff);
    cr_assert_eq(backoff_next_us(&backoff, &random), 100);
}
