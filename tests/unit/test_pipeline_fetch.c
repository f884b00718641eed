#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: what is read, and when. */

TestSuite(pipeline_fetch, .init = driver_init, .fini = driver_done);

static enum verdict
returns_up_to_3(int64_t id)
{
    return id <= 3 && !driver.mended ? RETURNS : TAKES;
}

Test(pipeline_fetch, with_as_many_refused_as_may_be_only_these_are_tried)
{
    driver.options.held_max = 3;
    put_each(1, 12);
    driver.broker = returns_up_to_3;
    start();
    const struct pipeline_report *full = await_report(REPORT_FULL);
    cr_assert_eq(full->count, 3);
    run(100 * CLOCK_MS_US);
    put_each(13, 20);
    run(10 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_FULL), 0, "said once");
    for (int64_t id = 13; id <= 20; id++) {
        cr_assert_eq(message_of(id)->sent, 0);
    }
    cr_assert_geq(message_of(1)->sent, 3, "it is tried on");
    cr_assert_str_eq(status().paused_reason,
                     "as many refused messages are set aside as may be (held_max)");
    driver.mended = true;
    run(20 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
    cr_assert_null(status().paused_reason);
}

/* Rows that were read already also stay in the outbox. */
Test(pipeline_fetch, what_is_in_memory_when_it_is_full_stays_there)
{
    driver.options.held_max = 3;
    driver.options.window_messages = 4;
    put_each(1, 12);
    start();
    answer_fetch();
    give_back(1);
    give_back(2);
    give_back(3);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    take(4);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    driver.broker = takes_all;
    run(20 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

/* A stuck lane keeps its rows in memory for long; held messages are tried meanwhile. */
Test(pipeline_fetch, held_messages_are_tried_while_the_stream_is_stuck)
{
    driver.options.batch_rows = 10;
    put_each(1, 40);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    for (int64_t id = 101; id <= 500; id++) {
        put_held(id, id, HELD_RETRYING, 1);
    }
    driver.broker = takes_all;
    driver.acts = true;
    run(30 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 40);
    pipeline_lane_congested(driver.pipeline, 0, false);
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* The same with a held message that is read and postponed repeatedly. */
Test(pipeline_fetch, a_held_message_is_put_off_while_the_stream_is_stuck)
{
    driver.options.batch_rows = 10;
    put_range(1, 40, 1);
    put_held(50, 1, HELD_RETRYING, 1);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    driver.broker = takes_all;
    run(30 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    pipeline_lane_congested(driver.pipeline, 0, false);
    run(2 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

/* Otherwise one of them would never get its turn. */
Test(pipeline_fetch, held_messages_and_the_stream_are_read_in_turns)
{
    driver.options.batch_rows = 5;
    put_each(1, 300);
    for (int64_t id = 301; id <= 900; id++) {
        put_held(id, id, HELD_RETRYING, 1);
    }
    driver.broker = takes_all;
    start();
    run(200 * CLOCK_MS_US);
    cr_assert_lt(count_in(IN_HELD), 600);
    cr_assert_lt(count_in(IN_OUTBOX), 250);
}

Test(pipeline_fetch, reads_nothing_without_a_lane_or_while_it_has_enough)
{
    driver.options.batch_rows = 5;
    put_each(1, 100);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    run(10 * CLOCK_S_US);
    cr_assert_leq(counts().queued, 10);
    pipeline_lane_congested(driver.pipeline, 0, false);
    driver.lane_stuck[0] = true;
    lose_lane(0);
    answer_fetch();
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
}
