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
