#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: which messages are set aside, and how they come back. */

TestSuite(pipeline_held, .init = driver_init, .fini = driver_done);

static void
await_state(int64_t id, enum held_state state)
{
    for (int i = 0; i < 1000 && message_of(id)->state != state; i++) {
        (void)await(PIPELINE_HOLD); /* its content is checked in the table */
    }
    cr_assert_eq(message_of(id)->state, state);
}

/* ---- moving aside --------------------------------------------------------------------------------- */

Test(pipeline_held, a_refused_message_moves_aside_with_those_behind_it)
{
    driver.options.window_messages = 2;
    put(1, 1);
    put(2, 2);
    put_range(3, 4, 1);
    put(5, 2);
    start();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 2);
    give_back(1);
    turn();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 5, "another key goes on");
    cr_assert_eq(noted(PIPELINE_DROP), 2);
    later(driver.options.hold_delay_us - 1);
    cr_assert_eq(noted(PIPELINE_HOLD), 0, "it may be the route that is wrong");
    later(1);
    const struct note *hold = only(PIPELINE_HOLD);
    cr_assert_eq(hold->action.count, 3);
    cr_assert_eq(report_of(REPORT_REFUSED)->id, 1);
    cr_assert_eq(report_of(REPORT_REFUSED)->attempts, 1);
    cr_assert_str_eq(report_of(REPORT_REFUSED)->reason, "unroutable");
    cr_assert_eq(hold_of(hold, 1)->state, HELD_RETRYING);
    cr_assert_eq(hold_of(hold, 1)->attempts, 1);
    cr_assert_str_eq(hold_of(hold, 1)->reason, "unroutable");
    cr_assert_leq(hold_of(hold, 1)->retry_after_us, driver.options.retry_initial_us);
    cr_assert_geq(hold_of(hold, 1)->retry_after_us, driver.options.retry_initial_us * 3 / 4);
    cr_assert_eq(hold_of(hold, 3)->state, HELD_WAITING);
    cr_assert_eq(hold_of(hold, 4)->state, HELD_WAITING);
    cr_assert_null(hold_of(hold, 4)->reason);
}

Test(pipeline_held, one_that_was_in_flight_behind_a_refused_one_waits_if_it_is_refused_too)
{
    put_range(1, 4, 1);
    start();
    answer_fetch();
    give_back(1);
    take(2);
    give_back(3);
    take(4);
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold->action.count, 2);
    cr_assert_eq(hold_of(hold, 1)->state, HELD_RETRYING);
    cr_assert_eq(hold_of(hold, 3)->state, HELD_WAITING);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(counts().refused, 2);
}

Test(pipeline_held, what_is_read_later_waits_behind_a_held_one)
{
    start_with_1_held();
    put(2, 1);
    put(3, 2);
    run(100 * CLOCK_MS_US);
    CHECK_PUBLISHED(2, 3);
    cr_assert_eq(message_of(2)->place, IN_HELD);
    cr_assert_eq(message_of(2)->state, HELD_WAITING);
    cr_assert_eq(message_of(2)->sent, 0);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_held, what_is_about_to_move_is_not_read_again)
{
    put_range(1, 2, 1);
    driver.options.hold_delay_us = CLOCK_S_US;
    start();
    answer_fetch();
    give_back(1);
    give_back(2);
    const struct note *fetch = await(PIPELINE_FETCH);
    cr_assert(has_id(fetch->action.fetch.ids, fetch->action.fetch.id_count, 1));
    cr_assert(has_id(fetch->action.fetch.ids, fetch->action.fetch.id_count, 2));
}

/* ---- coming back ---------------------------------------------------------------------------------- */

Test(pipeline_held, a_held_message_goes_out_and_those_behind_it_follow_in_order)
{
    start_with_1_held();
    put_range(2, 5, 1);
    run(100 * CLOCK_MS_US);
    driver.broker = takes_all;
    const struct note *release = await(PIPELINE_RELEASE);
    cr_assert_eq(release->action.release.id_count, 1);
    cr_assert_eq(release->action.release.ids[0], 1);
    cr_assert_eq(release->action.release.key_count, 1);
    cr_assert_eq(release->action.release.keys[0], 1);
    cr_assert_eq(report_of(REPORT_SENT)->id, 1);
    cr_assert_eq(report_of(REPORT_SENT)->attempts, 1);
    put(6, 1);
    run(100 * CLOCK_MS_US);
    CHECK_PUBLISHED(1, 2, 3, 4, 5, 6);
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        cr_assert_not(note_at(PIPELINE_PUBLISH, i)->probe);
    }
    cr_assert_eq(counts().held, 0);
    put(7, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0, "the key is open");
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

Test(pipeline_held, one_without_a_key_holds_nobody_back)
{
    put_unordered(1);
    put_unordered(2);
    driver.broker = returns_1;
    start();
    run(100 * CLOCK_MS_US);
    put_unordered(3);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(3)->taken, 1);
    driver.broker = takes_all;
    const struct note *release = await(PIPELINE_RELEASE);
    cr_assert_eq(release->action.release.ids[0], 1);
    cr_assert_eq(release->action.release.key_count, 0);
    answer_release();
    cr_assert_eq(counts().held, 0);
}

/* ---- attempts ------------------------------------------------------------------------------------- */

Test(pipeline_held, waits_longer_after_each_refusal)
{
    driver.options.retry_max_us = 6 * CLOCK_S_US;
    put(1, 1);
    driver.broker = returns_all;
    start();
    uint64_t wait_us = driver.options.retry_initial_us;
    for (uint32_t attempts = 1; attempts <= 6; attempts++) {
        const struct pipeline_report *report = await_report(REPORT_REFUSED);
        cr_assert_eq(report->attempts, attempts);
        cr_assert_leq(report->retry_at_us - driver.now_us, wait_us);
        cr_assert_geq(report->retry_at_us - driver.now_us, wait_us * 3 / 4);
        wait_us = wait_us < 3 * CLOCK_S_US ? wait_us * 2 : 6 * CLOCK_S_US;
    }
}

Test(pipeline_held, a_message_is_dead_after_so_many_attempts_and_its_key_waits)
{
    driver.options.max_attempts = 3;
    put(1, 1);
    put_range(10, 11, 2);
    driver.broker = returns_1;
    start();
    const struct pipeline_report *report = await_report(REPORT_DEAD);
    cr_assert_eq(report->id, 1);
    cr_assert_eq(report->attempts, 3);
    cr_assert_str_eq(report->reason, "unroutable");
    put(12, 1);
    run(100 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->state, HELD_DEAD);
    cr_assert_not(message_of(1)->skipped);
    cr_assert_eq(message_of(1)->sent, 3);
    cr_assert_eq(message_of(1)->attempts, 3);
    cr_assert_eq(message_of(12)->state, HELD_WAITING);
    cr_assert_eq(message_of(12)->sent, 0);
    cr_assert_eq(message_of(11)->taken, 1);
}

Test(pipeline_held, a_dead_message_may_let_its_key_go_on)
{
    driver.options.max_attempts = 2;
    driver.options.skip_dead = true;
    start_with_1_held();
    put_range(2, 4, 1);
    (void)await_report(REPORT_DEAD); /* its text is checked above */
    await_state(1, HELD_DEAD);
    cr_assert(message_of(1)->skipped);
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3, 4);
    cr_assert_eq(message_of(1)->place, IN_HELD);
    cr_assert_eq(count_in(IN_HELD), 1);
    cr_assert_eq(counts().held, 0);
    run(100 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0, "nor does a sweep bring it back");
}

Test(pipeline_held, no_message_is_ever_dead_without_a_limit)
{
    driver.options.max_attempts = 0;
    driver.options.retry_max_us = CLOCK_S_US;
    put(1, 1);
    driver.broker = returns_all;
    start();
    run(200 * CLOCK_S_US);
    cr_assert_gt(message_of(1)->attempts, 150);
    cr_assert_eq(message_of(1)->state, HELD_RETRYING);
}

Test(pipeline_held, a_nack_costs_no_attempt)
{
    driver.options.max_attempts = 1;
    put(1, 1);
    driver.broker = nacks_all;
    start();
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEAD), 0);
    cr_assert_eq(message_of(1)->place, IN_HELD);
    cr_assert_eq(message_of(1)->state, HELD_RETRYING);
    cr_assert_eq(message_of(1)->attempts, 0);
    cr_assert_geq(message_of(1)->sent, 5);
    cr_assert_leq(message_of(1)->sent, 10, "it waits ever longer");
}

Test(pipeline_held, one_that_cannot_be_encoded_is_refused_and_costs_an_attempt)
{
    driver.options.max_attempts = 2;
    driver.unpublishable = "headers: no object";
    put(1, 1);
    start();
    cr_assert_str_eq(await_report(REPORT_REFUSED)->reason, "headers: no object");
    await_state(1, HELD_RETRYING);
    cr_assert_eq(message_of(1)->attempts, 1);
    cr_assert_str_eq(message_of(1)->reason, "headers: no object");
    cr_assert_eq(await_report(REPORT_DEAD)->attempts, 2);
    cr_assert_eq(counts().published, 0);
}

/* ---- earlier messages that come late -------------------------------------------------------------- */

Test(pipeline_held, an_earlier_message_that_is_refused_takes_the_lead)
{
    driver.final_id = 2;
    put(5, 1);
    driver.broker = returns_all;
    start();
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(5)->state, HELD_RETRYING);
    put(3, 1); /* its transaction was committed late */
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(3)->state, HELD_RETRYING);
    cr_assert_eq(message_of(5)->state, HELD_WAITING);
    cr_assert_eq(message_of(5)->attempts, 1, "as it was");
    driver.broker = takes_all;
    run(3 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 3, 5);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_held, an_earlier_message_does_not_wait_behind_a_later_one)
{
    driver.final_id = 2;
    put(5, 1);
    driver.broker = returns_all;
    start();
    run(100 * CLOCK_MS_US);
    driver.broker = takes_all;
    put(3, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(3)->taken, 1);
    cr_assert_eq(message_of(5)->sent, 1);
}
