#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: the broker's answers for messages in flight. */

TestSuite(pipeline_confirm, .init = driver_init, .fini = driver_done);

Test(pipeline_confirm, refuses_a_confirm_for_what_was_never_sent)
{
    start_with(2);
    cr_assert_not(pipeline_confirmed(driver.pipeline, 0, 3, false, driver.now_us));
    cr_assert_not(pipeline_confirmed(driver.pipeline, 0, 0, false, driver.now_us));
    cr_assert_not(pipeline_nacked(driver.pipeline, 0, 3, false, driver.now_us));
    cr_assert_not(pipeline_returned(driver.pipeline, 0, 3, "unroutable", driver.now_us));
    message_of(1)->taken = message_of(2)->taken = 1;
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 0, true, driver.now_us),
              "tag 0 with multiple means all");
    later(driver.options.settle_delay_us);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 2);
}

/* A copy from an earlier ownership is still in flight when ours is. The return may belong to either, so the confirm of
 * ours does not prove that a queue has it. */
Test(pipeline_confirm, a_confirm_that_may_be_another_copys_proves_nothing)
{
    start_with(1);
    lose_source();
    own_source();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
    cr_assert_eq(counts().in_flight, 2);
    give_back(1);
    message_of(1)->refused = false; /* it is unknown which copy was */
    take(1);
    cr_assert_eq(counts().confirmed, 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_confirm, what_was_returned_is_not_settled_when_its_confirm_comes)
{
    start_with(2);
    cr_assert(pipeline_returned(driver.pipeline, 0, 1, "unroutable", driver.now_us));
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 2, true, driver.now_us));
    message_of(2)->taken = 1;
    later(driver.options.settle_delay_us);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[0], 2);
    cr_assert_eq(counts().confirmed, 1);
    cr_assert_eq(counts().refused, 1);
}
