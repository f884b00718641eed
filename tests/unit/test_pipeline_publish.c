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

/* ---- rate_max ---- */

/* Everything that goes counts, and the core names the moment when the next one may. */
Test(pipeline_publish, no_more_goes_than_rate_max_allows)
{
    driver.options.rate_max = 10;
    driver.broker = takes_all;
    put_range(1, 30, 1);
    start();
    answer_fetch();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 1, "it begins with one");
    const uint64_t start_us = driver.now_us;
    for (int64_t id = 2; id <= 30; id++) {
        cr_assert_eq(await(PIPELINE_PUBLISH)->id, id);
        const uint64_t due_us = start_us + (uint64_t)(id - 1) * 100 * CLOCK_MS_US;
        cr_assert_eq(driver.now_us, due_us, "%ld", (long)id);
    }
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(counts().limited_us, 2900 * CLOCK_MS_US);
}

Test(pipeline_publish, what_waits_for_rate_max_says_so)
{
    driver.options.rate_max = 1;
    put_range(1, 2, 1);
    start();
    answer_fetch();
    cr_assert(counts().limited);
    cr_assert_str_eq(status().paused_reason,
                     "no more than 1 messages a second are sent (rate_max)");
    lose_lane(0);
    turn();
    cr_assert_str_eq(status().paused_reason, "no connection to the broker", "which matters more");
    driver.broker = takes_all;
    run(5 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_not(counts().limited);
    cr_assert_null(status().paused_reason);
}

Test(pipeline_publish, one_that_is_tried_again_counts_too)
{
    driver.options.rate_max = 2;
    driver.options.retry_initial_us = 10 * CLOCK_MS_US;
    start_with_1_held();
    put_range(2, 3, 2);
    driver.broker = takes_all;
    const uint64_t start_us = driver.now_us;
    run(100 * CLOCK_MS_US);
    const unsigned at_once = message_of(1)->sent + message_of(2)->sent + message_of(3)->sent;
    run(5 * CLOCK_S_US);
    cr_assert_leq(at_once, 2, "%u since %lu", at_once, start_us);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

/* The drop of a drain does not wait for it. */
Test(pipeline_publish, a_drain_does_not_wait_for_rate_max)
{
    driver.options.rate_max = 1;
    driver.broker = takes_all;
    put_range(1, 30, 1);
    start();
    answer_fetch();
    pipeline_drain(driver.pipeline);
    run(500 * CLOCK_MS_US);
    cr_assert(driver.drained);
    cr_assert_eq(driver.rows_out, 0);
    cr_assert_eq(count_in(IN_OUTBOX), 29);
}
