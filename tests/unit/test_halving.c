#include <criterion/criterion.h>

#include "relay/ports/halving.h"

/* Passes on `count` items, some of them bad; returns how many parts that took. */
static size_t
hand_on(size_t count, const bool *bad, bool *ret_blamed)
{
    struct halving halving;
    size_t parts = 0;
    size_t through = 0;
    halving_begin(&halving, count);
    for (bool more = count > 0; more;) {
        bool good = true;
        cr_assert(halving.at == through && halving.size > 0 && halving.at + halving.size <= count);
        for (size_t i = 0; i < halving.size; i++) {
            good &= !bad[halving.at + i];
        }
        parts++;
        if (!good && halving_refused(&halving)) {
            continue;
        }
        ret_blamed[halving.at] = !good;
        through += halving.size;
        more = halving_taken(&halving);
    }
    cr_assert_eq(through, count);
    return parts;
}

Test(halving, without_trouble_it_is_one_part)
{
    const bool bad[1000] = {false};
    bool blamed[1000] = {false};
    cr_assert_eq(hand_on(1000, bad, blamed), 1);
    cr_assert_eq(hand_on(0, bad, blamed), 0);
}

Test(halving, finds_exactly_those_to_blame)
{
    for (unsigned seed = 0; seed < 1024; seed++) {
        bool bad[10];
        bool blamed[10] = {false};
        for (size_t i = 0; i < 10; i++) {
            bad[i] = (seed >> i & 1) != 0;
        }
        (void)hand_on(10, bad, blamed); /* it checks the parts */
        for (size_t i = 0; i < 10; i++) {
            cr_assert_eq(bad[i], blamed[i]);
        }
    }
}

Test(halving, one_of_many_takes_few_parts)
{
    bool bad[2000] = {false};
    for (size_t i = 0; i < 2000; i += 111) {
        bool blamed[2000] = {false};
        bad[i] = true;
        cr_assert_leq(hand_on(2000, bad, blamed), 40);
        cr_assert(blamed[i]);
        bad[i] = false;
    }
}
