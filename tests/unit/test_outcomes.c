#include <criterion/criterion.h>

#include "relay/core/outcomes.h"

static struct outcomes outcomes;

static void
setup(void)
{
    outcomes_clear(&outcomes);
}

TestSuite(outcomes, .init = setup);

#define CAUSE outcomes_cause(REFUSED_RETURNED, 77)

/* The result after the last of this many refusals, of different messages. */
static bool
refuse(int64_t first, int64_t last, uint64_t cause)
{
    bool nearly_all = false;
    for (int64_t id = first; id <= last; id++) {
        nearly_all = outcomes_refused(&outcomes, id, cause);
    }
    return nearly_all;
}

static void
take(int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        outcomes_taken(&outcomes, id);
    }
}

Test(outcomes, causes_differ_by_kind_and_exchange)
{
    cr_assert_neq(outcomes_cause(REFUSED_RETURNED, 77), outcomes_cause(REFUSED_NACKED, 77));
    cr_assert_neq(outcomes_cause(REFUSED_RETURNED, 77), outcomes_cause(REFUSED_RETURNED, 78));
    cr_assert_neq(outcomes_cause(REFUSED_RETURNED, 77), 0);
}

Test(outcomes, a_few_say_nothing)
{
    cr_assert_not(refuse(1, OUTCOMES_MIN - 1, CAUSE));
    cr_assert(refuse(OUTCOMES_MIN, OUTCOMES_MIN, CAUSE));
}

Test(outcomes, a_message_that_is_refused_again_and_again_is_one)
{
    for (int i = 0; i < 1000; i++) {
        cr_assert_not(outcomes_refused(&outcomes, 1, CAUSE));
    }
    cr_assert_not(refuse(2, OUTCOMES_MIN - 1, CAUSE));
    cr_assert(refuse(OUTCOMES_MIN, OUTCOMES_MIN, CAUSE));
}

Test(outcomes, three_in_four_are_nearly_all)
{
    take(1, 10);
    cr_assert_not(refuse(101, 129, CAUSE), "29 of 39");
    cr_assert(refuse(130, 130, CAUSE), "30 of 40");
}

Test(outcomes, other_causes_count_against_it)
{
    cr_assert_not(refuse(1, 7, outcomes_cause(REFUSED_RETURNED, 78)));
    cr_assert_not(refuse(101, 120, CAUSE), "20 of 27");
    cr_assert(refuse(121, 121, CAUSE), "21 of 28");
}

Test(outcomes, what_was_long_ago_is_forgotten)
{
    take(1, 1000);
    cr_assert_not(refuse(2001, 2000 + OUTCOMES_KEPT * 3 / 4 - 2, CAUSE));
    cr_assert(refuse(3001, 3002, CAUSE));
    take(4001, 4000 + OUTCOMES_KEPT);
    cr_assert_not(refuse(5001, 5000 + OUTCOMES_MIN, CAUSE));
}

Test(outcomes, a_message_that_is_refused_for_another_reason_has_that_one)
{
    cr_assert_not(refuse(1, 7, outcomes_cause(REFUSED_NACKED, 77)));
    cr_assert_not(refuse(1, 7, CAUSE));
    cr_assert(refuse(8, 8, CAUSE), "8 of 8");
}

Test(outcomes, one_that_was_taken_once_and_refused_now_counts_as_both)
{
    take(1, OUTCOMES_MIN);
    cr_assert_not(refuse(1, OUTCOMES_MIN, CAUSE), "half of them");
}

Test(outcomes, nothing_is_left_when_cleared)
{
    cr_assert(refuse(1, 50, CAUSE));
    outcomes_clear(&outcomes);
    cr_assert_not(refuse(51, 50 + OUTCOMES_MIN - 1, CAUSE));
}
