#include <criterion/criterion.h>

#include "relay/core/cuts.h"

static struct cuts cuts;

Test(cuts, the_first_few_count_whatever_else_happens)
{
    cr_assert_eq(cuts_note(&cuts, 7, 0), 1);
    cr_assert_eq(cuts_note(&cuts, 7, 0), 2);
    cr_assert_eq(cuts_note(&cuts, 7, 0), CUTS_ASIDE);
}

Test(cuts, later_ones_count_if_others_went_through_in_between)
{
    for (uint32_t i = 1; i <= CUTS_ASIDE; i++) {
        cr_assert_eq(cuts_note(&cuts, 7, 10), i);
    }
    cr_assert_eq(cuts_note(&cuts, 7, 10), CUTS_ASIDE, "the network is away");
    cr_assert_eq(cuts_note(&cuts, 7, 11), CUTS_ASIDE + 1);
    cr_assert_eq(cuts_note(&cuts, 7, 11), CUTS_ASIDE + 1);
    cr_assert_eq(cuts_note(&cuts, 7, 20), CUTS_BLAMED);
    cr_assert_eq(cuts_note(&cuts, 7, 21), CUTS_BLAMED + 1);
}

Test(cuts, what_went_through_begins_anew)
{
    (void)cuts_note(&cuts, 7, 0); /* 1 */
    (void)cuts_note(&cuts, 8, 0); /* 1 */
    cuts_clear(&cuts, 7);
    cuts_clear(&cuts, 9);
    cr_assert_eq(cuts_note(&cuts, 7, 0), 1);
    cr_assert_eq(cuts_note(&cuts, 8, 0), 2);
    cuts_clear_all(&cuts);
    cr_assert_eq(cuts_note(&cuts, 7, 0), 1);
    cr_assert_eq(cuts_note(&cuts, 8, 0), 1);
}

Test(cuts, the_oldest_of_too_many_is_forgotten)
{
    for (int64_t id = 1; id <= CUTS_KEPT + 1; id++) {
        cr_assert_eq(cuts_note(&cuts, id, 0), 1);
    }
    for (int64_t id = 2; id <= CUTS_KEPT + 1; id++) {
        cr_assert_eq(cuts_note(&cuts, id, 0), 2, "%ld", (long)id);
    }
    cr_assert_eq(cuts_note(&cuts, 1, 0), 1);
    cuts_clear(&cuts, 5);
    cr_assert_eq(cuts_note(&cuts, 100, 0), 1, "it takes the free place");
    cr_assert_eq(cuts_note(&cuts, 6, 0), 3);
}
