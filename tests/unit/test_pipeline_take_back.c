#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: refused messages that stay in the outbox after all. */

TestSuite(pipeline_take_back, .init = driver_init, .fini = driver_done);

Test(pipeline_take_back, a_refused_message_stays_if_one_before_it_is_lost)
{
    driver.options.lane_count = 1;
    put_range(1, 2, 1);
    start();
    answer_fetch();
    give_back(2);
    lose_lane(0);
    message_of(2)->refused = false; /* as if it had not been tried */
    driver.broker = takes_all;
    run(20 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    CHECK_PUBLISHED(1, 1, 2);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* 3 was refused while those behind it were being released, and 2, before it, was lost. */
Test(pipeline_take_back, a_refusal_that_is_taken_back_leaves_the_key_closed_for_those_held)
{
    driver.options.batch_rows = 2;
    start_with_1_tried();
    for (int64_t id = 2; id <= 9; id++) {
        put_held(id, 1, HELD_WAITING, 0);
    }
    take(1);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    cr_assert(was_published(3));
    give_back(3);
    lose_lane(0);
    message_of(3)->refused = false; /* as if it had not been tried */
    put(10, 1);
    driver.broker = takes_all;
    run(10 * CLOCK_S_US);
    check_ascending(2, 10);
}
