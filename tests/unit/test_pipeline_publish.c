#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: which row is published next, and on which lane. */

TestSuite(pipeline_publish, .init = driver_init, .fini = driver_done);

Test(pipeline_publish, a_key_has_its_lane_and_one_that_is_not_there_holds_up_no_other)
{
    driver.options.lane_count = 2;
    driver.lane_stuck[1] = true;
    put(1, 1);
    put(2, 2);
    put(3, 1);
    put(4, 4);
    put(5, 6);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 3, "rows 2, 4 and 5, past those of lane 1");
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 0)->id, 2);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 1)->id, 4);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 2)->action.lane, 0);
    driver.lane_stuck[1] = false;
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 0)->id, 1);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 0)->action.lane, 1);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 1)->id, 3);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_publish, a_full_lane_holds_up_no_other)
{
    driver.options.lane_count = 2;
    driver.options.window_messages = 2;
    for (int64_t id = 1; id <= 8; id++) {
        put(id, id <= 6 ? 1 : 2);
    }
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 4);
    cr_assert(was_published(7));
    cr_assert(was_published(8));
    take(1);
    take(2);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 2);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 0)->id, 3);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 1)->id, 4);
}

Test(pipeline_publish, what_would_fit_does_not_pass_what_does_not)
{
    driver.options.window_bytes = 1000;
    put_range(1, 3, 1);
    message_of(1)->bytes = 500;
    message_of(2)->bytes = 600;
    message_of(3)->bytes = 100;
    start();
    answer_fetch();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 1);
    take(1);
    turn();
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 0)->id, 2);
    cr_assert_eq(note_at(PIPELINE_PUBLISH, 1)->id, 3);
}

/* A message without a key takes a lane that is ready. */
Test(pipeline_publish, unordered_messages_go_where_there_is_least_in_flight)
{
    driver.options.lane_count = 3;
    driver.lane_stuck[0] = true;
    for (int64_t id = 1; id <= 6; id++) {
        put_unordered(id);
    }
    start();
    answer_fetch();
    size_t on_lane[4] = {0};
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        on_lane[note_at(PIPELINE_PUBLISH, i)->action.lane]++;
    }
    cr_assert_eq(on_lane[0], 0);
    cr_assert_eq(on_lane[1], 3);
    cr_assert_eq(on_lane[2], 3);
}

Test(pipeline_publish, strict_has_one_of_a_key_on_its_way)
{
    driver.options.strict = true;
    put(1, 1);
    put(2, 1);
    put(3, 2);
    put(4, 1);
    put_unordered(5);
    put(6, 0);
    put_unordered(7);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 5, "a key may have any hash");
    cr_assert_not(was_published(2));
    cr_assert_not(was_published(4));
    take(3);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0, "another key's confirm");
    take(1);
    turn();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 2);
    take(2);
    turn();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 4);
}

/* The difference between the two orderings: 2 is taken now, and 1 after it. */
Test(pipeline_publish, a_nack_can_invert_two_of_a_key)
{
    put_range(1, 2, 1);
    start();
    answer_fetch();
    nack(1);
    turn();
    cr_assert_eq(counts().in_flight, 1);
    take(2);
    driver.broker = takes_all;
    run(2 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_publish, a_nack_cannot_invert_two_of_a_key_that_is_strict)
{
    driver.options.strict = true;
    put_range(1, 2, 1);
    start();
    answer_fetch();
    nack(1);
    turn();
    cr_assert_eq(counts().in_flight, 0);
    driver.broker = takes_all;
    run(driver.options.retry_initial_us / 2);
    cr_assert_eq(message_of(2)->sent, 0);
    run(2 * CLOCK_S_US);
    cr_assert_eq(message_of(2)->taken, 1);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_publish, a_run_goes_on_until_the_lane_is_full)
{
    struct pipeline_action action;
    uint32_t lane;
    driver.options.window_messages = 2;
    put_range(1, 5, 1);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 2);
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 2, true, driver.now_us));
    do {
        cr_assert(pipeline_next(driver.pipeline, driver.now_us, &action));
    } while (action.type != PIPELINE_PUBLISH);
    cr_assert_eq(action.row->id, 3);
    pipeline_published(driver.pipeline);
    const struct row *row = pipeline_publish_on(driver.pipeline, driver.now_us, &lane);
    cr_assert_not_null(row);
    cr_assert_eq(row->id, 4);
    cr_assert_eq(lane, 0);
    pipeline_published(driver.pipeline);
    cr_assert_null(pipeline_publish_on(driver.pipeline, driver.now_us, &lane));
}
