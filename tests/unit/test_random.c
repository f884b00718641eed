#include <criterion/criterion.h>

#include "base/random.h"

Test(random, same_seed_same_numbers)
{
    struct random a;
    struct random b;
    random_seed(&a, 42);
    random_seed(&b, 42);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(random_next(&a), random_next(&b));
    }
    random_seed(&b, 43);
    cr_assert_neq(random_next(&a), random_next(&b));
}

/* Far more often than a clock goes on. */
Test(random, a_fresh_seed_is_nobody_elses)
{
    enum { SEEDS = 1000 };
    static uint64_t seeds[SEEDS];
    for (size_t i = 0; i < SEEDS; i++) {
        seeds[i] = random_fresh_seed();
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(seeds[i], seeds[j]);
        }
    }
}

Test(random, between_is_inclusive)
{
    struct random random;
    random_seed(&random, 1);
    bool low = false;
    bool high = false;
    for (int i = 0; i < 1000; i++) {
        const uint64_t n = random_between(&random, 3, 5);
        cr_assert(n >= 3 && n <= 5);
        low |= n == 3;
        high |= n == 5;
    }
    cr_assert(low && high);
    cr_assert_eq(random_between(&random, 7, 7), 7);
}

Test(random, chance_at_its_ends)
{
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 100; i++) {
        cr_assert_not(random_chance(&random, 0));
        cr_assert(random_chance(&random, 100));
    }
}
