#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: what is written to the held table, and when. */

TestSuite(pipeline_hold, .init = driver_init, .fini = driver_done);

/* The next owner may try it at once, so the outbox must have nothing of its key before it. */
Test(pipeline_hold, a_refused_message_moves_when_those_before_it_are_deleted)
{
    put_range(1, 3, 1);
    start();
    answer_fetch();
    give_back(2);
    later(10 * driver.options.hold_delay_us);
    cr_assert_eq(noted(PIPELINE_HOLD), 0, "1 is still on its way");
    take(1);
    take(3);
    later(10 * driver.options.hold_delay_us);
    (void)only(PIPELINE_SETTLE); /* not answered yet */
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold_of(hold, 2)->state, HELD_RETRYING);
}

Test(pipeline_hold, other_keys_do_not_wait_for_a_refused_one_that_cannot_move_yet)
{
    put_range(1, 2, 1);
    put(3, 2);
    start();
    answer_fetch();
    give_back(2);
    give_back(3);
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold->action.count, 1);
    cr_assert_eq(hold->action.holds[0].id, 3);
}

Test(pipeline_hold, one_statement_at_a_time)
{
    put_each(1, 2);
    start();
    answer_fetch();
    give_back(1);
    later(driver.options.hold_delay_us);
    cr_assert_eq(noted(PIPELINE_HOLD), 1);
    give_back(2);
    later(10 * driver.options.hold_delay_us);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    answer_hold();
    cr_assert_eq(only(PIPELINE_HOLD)->action.holds[0].id, 2);
}

Test(pipeline_hold, what_was_to_move_is_forgotten_with_the_ownership)
{
    put_range(1, 2, 1);
    start();
    answer_fetch();
    give_back(1);
    take(2);
    lose_source();
    later(CLOCK_S_US);
    own_source();
    message_of(1)->refused = false; /* the next owner does not know */
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    CHECK_PUBLISHED(1, 1, 2);
    cr_assert_eq(counts().held, 0);
}

Test(pipeline_hold, a_drain_tells_what_was_refused)
{
    put(1, 1);
    start();
    answer_fetch();
    give_back(1);
    pipeline_drain(driver.pipeline);
    turn();
    answer_fetch();
    cr_assert_eq(only(PIPELINE_HOLD)->action.holds[0].id, 1, "without delay");
    cr_assert_not(driver.drained);
    answer_hold();
    cr_assert(driver.drained);
}

Test(pipeline_hold, a_drain_waits_for_what_is_tried_and_leaves_what_waits)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put_held(2, 1, HELD_WAITING, 0);
    start();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
    pipeline_drain(driver.pipeline);
    turn();
    answer_all();
    cr_assert_not(driver.drained);
    take(1);
    turn();
    const struct note *release = only(PIPELINE_RELEASE);
    cr_assert_eq(release->action.release.ids[0], 1);
    cr_assert_eq(release->action.release.key_count, 0, "nobody would send them");
    cr_assert_not(driver.drained, "it is not deleted yet");
    answer_all();
    cr_assert(driver.drained);
    cr_assert_eq(message_of(2)->place, IN_HELD);
}

Test(pipeline_hold, a_drain_does_not_wait_for_what_is_held)
{
    put_held(1, 1, HELD_RETRYING, 1);
    message_of(1)->retry_at_us = driver.now_us + 10 * CLOCK_S_US;
    start();
    answer_fetch();
    pipeline_drain(driver.pipeline);
    turn();
    answer_all();
    cr_assert(driver.drained);
}

/* A constraint of others refuses it. Its key waits, and the others go on. */
Test(pipeline_hold, one_that_cannot_be_set_aside_is_told_again_and_not_sent_again)
{
    put(1, 1);
    driver.broker = returns_1;
    driver.unmovable_id = 1;
    start();
    run(CLOCK_S_US);
    cr_assert_str_eq(report_of(REPORT_UNMOVED)->reason, "forbidden");
    cr_assert_eq(message_of(1)->place, IN_OUTBOX);
    put(2, 1);
    put(3, 2);
    run(30 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->sent, 1);
    cr_assert_eq(message_of(2)->sent, 0, "it is behind it");
    cr_assert_eq(message_of(3)->taken, 1);
    driver.unmovable_id = 0;
    run(60 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->place, IN_HELD);
    driver.mended = true;
    run(600 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2);
    cr_assert_eq(count_in(IN_HELD) + count_in(IN_OUTBOX), 0);
}
