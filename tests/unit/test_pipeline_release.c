#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: messages that waited behind a held message come back after it was sent. */

TestSuite(pipeline_release, .init = driver_init, .fini = driver_done);

Test(pipeline_release, many_waiting_come_back_in_parts)
{
    driver.options.batch_rows = 3;
    put_held(1, 1, HELD_RETRYING, 1);
    for (int64_t id = 2; id <= 30; id++) {
        put_held(id, 1, HELD_WAITING, 0);
    }
    driver.broker = takes_all;
    start();
    cr_assert_eq(await(PIPELINE_RELEASE)->action.release.rows_max, 3);
    put(31, 1);
    put(32, 2);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    cr_assert_geq(count_in(IN_HELD), 20, "it does not wait until all have moved");
    run(CLOCK_S_US);
    int64_t last = 2;
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        const int64_t id = note_at(PIPELINE_PUBLISH, i)->id;
        cr_assert(id > last || id == 32, "%ld after %ld", (long)id, (long)last);
        last = id == 32 ? last : id;
    }
    cr_assert_eq(counts().held, 0);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

Test(pipeline_release, a_part_that_fills_a_release_keeps_the_key_closed_beyond_it)
{
    driver.options.batch_rows = 3;
    start_with_1_tried();
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    put_held(4, 1, HELD_WAITING, 0);
    put(5, 1);
    take(1);
    cr_assert_eq(await(PIPELINE_RELEASE)->action.release.id_count, 1);
    answer_release();
    cr_assert_eq(counts().held, 1, "there may be more");
    for (int i = 0; i < 100 && counts().held > 0; i++) {
        cr_assert_eq(message_of(5)->sent, 0);
        answer_all();
        later(CLOCK_MS_US);
    }
    cr_assert_eq(counts().held, 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

/* The fetch was executed before 2 and 3 moved back. */
Test(pipeline_release, a_fetch_that_was_out_with_a_release_lets_nothing_pass)
{
    start_with_1_tried();
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    put(4, 1);
    (void)await(PIPELINE_FETCH); /* left unanswered */
    carry_out_fetch_again();
    take(1);
    turn();
    (void)only(PIPELINE_RELEASE); /* answered before the fetch */
    answer_release();
    cr_assert_eq(counts().held, 1);
    turn();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3, 4);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

/* Or between the two moves, and its answer does not show that. */
Test(pipeline_release, a_fetch_that_saw_half_of_a_release_lets_nothing_pass)
{
    start_with_1_tried();
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    put(4, 1);
    (void)await(PIPELINE_FETCH); /* left unanswered */
    take(1);
    turn();
    message_of(2)->place = IN_HELD;
    carry_out_fetch_again();
    message_of(2)->place = IN_OUTBOX;
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3, 4);
}

/* Nothing moved back, so nothing else makes the relay read it. */
Test(pipeline_release, one_that_was_read_during_a_release_is_read_again)
{
    start_with_1_tried();
    take(1);
    turn();
    (void)only(PIPELINE_RELEASE); /* not answered yet */
    put(2, 1);
    for (int i = 0; i < 1000; i++) {
        answer_fetch();
        answer_watermark();
        later(CLOCK_MS_US);
    }
    cr_assert_eq(message_of(2)->sent, 0);
    answer_release();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(message_of(2)->taken, 1);
}

/* It was committed late, with a lower id than those that moved back in part. */
Test(pipeline_release, one_that_was_read_during_a_part_of_a_release_goes_before_it)
{
    driver.options.batch_rows = 3;
    driver.final_id = 1;
    start_with_1_tried();
    for (int64_t id = 3; id <= 8; id++) {
        put_held(id, 1, HELD_WAITING, 0);
    }
    take(1);
    turn();
    (void)only(PIPELINE_RELEASE); /* not answered yet */
    put(2, 1);
    driver.final_id = 0;
    for (int i = 0; i < 1000; i++) {
        answer_fetch();
        answer_watermark();
        later(CLOCK_MS_US);
    }
    cr_assert_eq(message_of(2)->sent, 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    check_ascending(2, 8);
}

Test(pipeline_release, one_refused_behind_a_release_goes_before_those_it_moved)
{
    start_with_1_tried();
    put(2, 1);
    put_held(3, 1, HELD_WAITING, 0);
    message_of(2)->place = NOWHERE; /* committed late, after its key was held */
    take(1);
    turn();
    message_of(2)->place = IN_OUTBOX;
    answer_release();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3);
}

Test(pipeline_release, the_next_of_a_key_can_be_refused_in_turn)
{
    start_with_1_tried();
    for (int64_t id = 2; id <= 4; id++) {
        put_held(id, 1, HELD_WAITING, 0);
    }
    take(1);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    give_back(2);
    give_back(3);
    take(4);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(2)->state, HELD_RETRYING);
    cr_assert_eq(message_of(2)->attempts, 1);
    cr_assert_eq(message_of(3)->state, HELD_WAITING);
    driver.broker = takes_all;
    run(3 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

Test(pipeline_release, one_that_cannot_go_back_lets_nothing_pass_that_was_refused_meanwhile)
{
    driver.options.batch_rows = 1;
    driver.options.max_attempts = 1;
    driver.options.skip_dead = true;
    driver.unreleasable_id = 3;
    for (int64_t id = 1; id <= 3; id++) {
        put_held(id, 1, HELD_WAITING, 0);
    }
    start();
    (void)await(PIPELINE_PUBLISH); /* of 1 */
    cr_assert_eq(message_of(2)->place, IN_OUTBOX);
    cr_assert(fetch_is_out(), "of 2");
    cr_assert_eq(noted(PIPELINE_RELEASE), 1, "of 3");
    give_back(1);
    answer_release();
    driver.broker = takes_all;
    run(5 * CLOCK_S_US); /* the driver checks the order */
    cr_assert(message_of(1)->skipped);
    CHECK_PUBLISHED(1, 2, 3);
}
