#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: the broker is out of reach, and another relay may reach it. */

TestSuite(pipeline_yield, .init = driver_init, .fini = driver_done);

#define AFTER_US (5 * CLOCK_S_US)

static void
lose_broker(void)
{
    driver.lane_stuck[0] = true;
    lose_lane(0);
    run(CLOCK_MS_US);
}

static void
answer_rival(bool rival)
{
    cr_assert_eq(noted(PIPELINE_RIVAL), 1);
    pipeline_rival(driver.pipeline, rival, driver.now_us);
    turn();
}

Test(pipeline_yield, after_the_time_it_leaves_the_outbox_to_a_relay_that_reaches_the_broker)
{
    driver.options.yield_after_us = AFTER_US;
    start();
    lose_broker();
    run(AFTER_US - 10 * CLOCK_MS_US);
    cr_assert_eq(noted(PIPELINE_RIVAL), 0, "too early");
    (void)await_within(PIPELINE_RIVAL, 20 * CLOCK_MS_US);
    answer_rival(true);
    cr_assert_eq(noted(PIPELINE_YIELD), 1);
}

Test(pipeline_yield, where_there_is_none_it_keeps_the_outbox_and_asks_again)
{
    driver.options.yield_after_us = AFTER_US;
    start();
    lose_broker();
    (void)await_within(PIPELINE_RIVAL, AFTER_US);
    answer_rival(false);
    run(900 * CLOCK_MS_US);
    cr_assert_eq(noted(PIPELINE_RIVAL) + noted(PIPELINE_YIELD), 0, "too early");
    (void)await_within(PIPELINE_RIVAL, 200 * CLOCK_MS_US);
    answer_rival(true);
    cr_assert_eq(noted(PIPELINE_YIELD), 1);
}

Test(pipeline_yield, a_broker_that_comes_back_ends_it)
{
    driver.options.yield_after_us = AFTER_US;
    start();
    lose_broker();
    (void)await_within(PIPELINE_RIVAL, AFTER_US);
    driver.lane_stuck[0] = false;
    run(CLOCK_S_US); /* the lane is ready */
    cr_assert(pipeline_reaches_broker(driver.pipeline));
    pipeline_rival(driver.pipeline, true, driver.now_us);
    run(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_YIELD), 0);
}

/* What the broker took would be sent again by the other relay. */
Test(pipeline_yield, what_was_confirmed_is_deleted_first)
{
    driver.options.yield_after_us = CLOCK_MS_US;
    start_with(4);
    take(1);
    turn();
    driver.lane_stuck[0] = true;
    lose_lane(0);
    turn();
    later(10 * CLOCK_MS_US);
    answer_rival(true);
    cr_assert_eq(noted(PIPELINE_YIELD), 0);
    answer_settle();
    cr_assert_eq(noted(PIPELINE_YIELD), 1);
}

Test(pipeline_yield, never_if_it_is_told_so)
{
    driver.options.yield_after_us = 0;
    start();
    lose_broker();
    run(60 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_RIVAL), 0);
}
