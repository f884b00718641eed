#include <criterion/criterion.h>

#include "consumers/runner_owed.h"

Test(runner_owed, ids_are_noted_once_and_taken_out)
{
    struct runner_owed owed = {0};
    cr_expect_not(runner_owed_has(&owed, "a"));
    runner_owed_remove(&owed, "a");
    cr_assert(runner_owed_add(&owed, "a"));
    cr_assert(runner_owed_add(&owed, "b"));
    cr_assert(runner_owed_add(&owed, "a"));
    cr_assert(runner_owed_add(&owed, "c"));
    cr_expect_eq(owed.count, 3);
    runner_owed_remove(&owed, "a");
    cr_expect_not(runner_owed_has(&owed, "a"));
    cr_expect(runner_owed_has(&owed, "b") && runner_owed_has(&owed, "c"));
    runner_owed_done(&owed);
    cr_expect_eq(owed.count, 0);
}
