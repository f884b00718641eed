#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: what the table tells about held messages. */

TestSuite(pipeline_heads, .init = driver_init, .fini = driver_done);

/* Message 1 of key 1 is held, with 2 and 3 behind it, and is not due for long. */
static void
start_with_1(enum held_state state)
{
    put_held(1, 1, state, 2);
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    message_of(1)->retry_at_us = driver.now_us + 1000 * CLOCK_S_US;
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    cr_assert_eq(counts().held, 1);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
}

/* The core learns that an operator acted. */
static void
act_and_run(void)
{
    driver.acts = true;
    run(2 * CLOCK_S_US);
}

Test(pipeline_heads, are_asked_for_at_each_ownership_before_anything_is_read)
{
    put_held(1, 1, HELD_DEAD, 100);
    put(2, 1);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0, "its key is closed from the start");
    lose_source();
    cr_assert_eq(counts().held, 0);
    message_of(1)->place = NOWHERE; /* another server, which does not have it */
    message_of(2)->place = IN_OUTBOX;
    own_source();
    turn();
    cr_assert_eq(noted(PIPELINE_HEADS), 1);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2);
}

Test(pipeline_heads, bring_back_what_the_table_knows)
{
    driver.options.max_attempts = 3;
    put_held(1, 1, HELD_RETRYING, 2);
    message_of(1)->retry_at_us = driver.now_us + 5 * CLOCK_S_US;
    driver.broker = returns_1;
    start();
    run(4 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->sent, 0, "it is not due");
    cr_assert_eq(await_report(REPORT_DEAD)->attempts, 3);
    cr_assert_eq(message_of(1)->sent, 1);
}

Test(pipeline_heads, acts_of_operators_are_noticed_within_a_second)
{
    start_with_1(HELD_RETRYING);
    driver.acts = true;
    cr_assert_not_null(await_within(PIPELINE_HEADS, CLOCK_S_US));
    answer_heads();
    driver.acts = false;
    cr_assert_null(await_within(PIPELINE_HEADS, 5 * CLOCK_S_US), "nobody did anything");
}

Test(pipeline_heads, a_key_whose_head_was_discarded_goes_on)
{
    start_with_1(HELD_RETRYING);
    message_of(1)->place = NOWHERE;
    act_and_run();
    cr_assert_eq(reported(REPORT_GONE), 1);
    cr_assert_eq(report_of(REPORT_GONE)->id, 1);
    CHECK_PUBLISHED(1, 2, 3);
    cr_assert_eq(counts().held, 0);
}

Test(pipeline_heads, a_head_that_was_discarded_alone_frees_its_key)
{
    start_with_1(HELD_DEAD);
    for (int64_t id = 1; id <= 3; id++) {
        message_of(id)->place = NOWHERE;
    }
    put(4, 1);
    act_and_run();
    cr_assert_eq(report_of(REPORT_GONE)->id, 1);
    CHECK_PUBLISHED(1, 4);
}

Test(pipeline_heads, messages_that_wait_behind_nothing_go_on)
{
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    put(4, 1);
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3, 4);
    cr_assert_eq(reported(REPORT_GONE), 0);
}

Test(pipeline_heads, another_head_takes_the_place_of_one_that_was_discarded)
{
    start_with_1(HELD_DEAD);
    message_of(1)->place = NOWHERE;
    message_of(2)->state = HELD_RETRYING;
    message_of(2)->retry_at_us = driver.now_us;
    act_and_run();
    CHECK_PUBLISHED(1, 2, 3);
    cr_assert(note_at(PIPELINE_PUBLISH, 0)->probe);
    cr_assert_not(note_at(PIPELINE_PUBLISH, 1)->probe);
}

Test(pipeline_heads, an_operator_brings_a_dead_message_back)
{
    start_with_1(HELD_DEAD);
    message_of(1)->state = HELD_RETRYING;
    message_of(1)->attempts = 0;
    message_of(1)->retry_at_us = driver.now_us;
    act_and_run();
    CHECK_PUBLISHED(1, 1, 2, 3);
    cr_assert_eq(count_in(IN_HELD), 0);
}

/* It is refused again: its pauses before it died do not count. */
Test(pipeline_heads, one_that_was_brought_back_waits_as_if_it_were_new)
{
    driver.options.max_attempts = 100;
    start_with_1(HELD_DEAD);
    driver.broker = returns_1;
    message_of(1)->state = HELD_RETRYING;
    message_of(1)->attempts = 0;
    message_of(1)->retry_at_us = driver.now_us;
    driver.acts = true;
    const struct pipeline_report *report = await_report(REPORT_REFUSED);
    cr_assert_eq(report->attempts, 1);
    cr_assert_leq(report->retry_at_us - driver.now_us, driver.options.retry_initial_us);
}

/* Messages that are due are read before the core knows of the operator's act. */
Test(pipeline_heads, one_that_was_brought_back_may_come_before_the_heads_tell)
{
    start_with_1(HELD_DEAD);
    put_held(10, 5, HELD_RETRYING, 1);
    message_of(10)->retry_at_us = driver.now_us + 1000 * CLOCK_S_US;
    act_and_run();
    message_of(1)->state = HELD_RETRYING;
    message_of(1)->attempts = 0;
    message_of(1)->retry_at_us = driver.now_us;
    driver.now_us += 1000 * CLOCK_S_US;
    run(2 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
    CHECK_PUBLISHED(5, 10);
}

Test(pipeline_heads, of_two_heads_of_a_key_the_second_waits)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_RETRYING, 1);
    message_of(1)->retry_at_us = driver.now_us + CLOCK_S_US;
    driver.broker = takes_all;
    start();
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold->action.count, 1);
    cr_assert_eq(hold_of(hold, 3)->state, HELD_WAITING);
    run(3 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
    cr_assert_eq(count_in(IN_HELD), 0);
}

/* It was not in the table when that was asked. */
Test(pipeline_heads, an_answer_does_not_undo_what_was_decided_since)
{
    start_with_1(HELD_DEAD);
    driver.broker = NULL;
    put(6, 6);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 6);
    driver.acts = true;
    (void)await(PIPELINE_HEADS); /* it is executed now */
    give_back(6);
    answer_heads();
    cr_assert_eq(counts().held, 2);
    cr_assert_eq(reported(REPORT_GONE), 0);
    (void)await(PIPELINE_HOLD); /* it was not in the table before */
    answer_hold();
    cr_assert_eq(message_of(6)->state, HELD_RETRYING);
    act_and_run();
    cr_assert_eq(reported(REPORT_GONE), 0);
}

/* Nor a decision that was made before and not written yet. */
Test(pipeline_heads, an_answer_does_not_undo_what_was_not_told_yet)
{
    driver.options.hold_delay_us = 2 * CLOCK_S_US;
    put(6, 6);
    start();
    answer_fetch();
    give_back(6);
    driver.acts = true;
    if (await_within(PIPELINE_HEADS, CLOCK_S_US) != NULL) {
        answer_heads();
        cr_assert_eq(reported(REPORT_GONE), 0);
    }
    run(3 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_GONE), 0);
    cr_assert_eq(reported(REPORT_REFUSED), 1);
}

Test(pipeline_heads, an_answer_does_not_undo_a_try_that_is_under_way)
{
    put_held(1, 1, HELD_RETRYING, 2);
    put_held(2, 1, HELD_WAITING, 0);
    start();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
    driver.acts = true;
    (void)await(PIPELINE_HEADS); /* while it is in flight */
    answer_heads();
    run(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    take(1);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2);
}

Test(pipeline_heads, a_message_that_was_deleted_before_it_could_move_frees_its_key)
{
    put(1, 1);
    start();
    answer_fetch();
    give_back(1);
    message_of(1)->place = NOWHERE;
    put(2, 1);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(report_of(REPORT_GONE)->id, 1);
    cr_assert_eq(message_of(2)->taken, 1);
    cr_assert_eq(counts().held, 0);
}

Test(pipeline_heads, one_that_waits_and_was_deleted_is_nobodys_head)
{
    put(1, 1);
    driver.broker = returns_1;
    start();
    run(100 * CLOCK_MS_US);
    put_range(2, 3, 1);
    (void)await_fetch(FETCH_NEXT); /* it reads both */
    answer_fetch();
    message_of(2)->place = NOWHERE;
    cr_assert_eq(await(PIPELINE_HOLD)->action.count, 2);
    answer_hold();
    cr_assert_eq(reported(REPORT_GONE), 0);
    cr_assert_eq(counts().held, 1);
    driver.broker = takes_all;
    run(3 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 3);
}

/* on_dead was `block` when it died, and is `skip` now. */
Test(pipeline_heads, a_dead_message_that_blocked_is_skipped_and_keeps_why_it_died)
{
    put_held(1, 1, HELD_DEAD, 100);
    (void)snprintf(message_of(1)->reason, sizeof(message_of(1)->reason), "unroutable"); /* fits */
    put_held(2, 1, HELD_WAITING, 0);
    driver.options.skip_dead = true;
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    cr_assert_eq(message_of(1)->state, HELD_DEAD);
    cr_assert(message_of(1)->skipped);
    cr_assert_eq(message_of(1)->attempts, 100);
    CHECK_PUBLISHED(1, 2);
    cr_assert_str_eq(message_of(1)->reason, "unroutable");
}
