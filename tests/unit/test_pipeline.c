#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, each with one failure; the simulation tests combinations. Here: the stream of the outbox, its lanes,
 * the ownership. */

TestSuite(pipeline, .init = driver_init, .fini = driver_done);

Test(pipeline, reads_nothing_before_the_heads_are_known)
{
    put_each(1, 1);
    driver.pipeline = pipeline_new(&driver.options, driver.now_us);
    own_source();
    turn();
    cr_assert_eq(noted(PIPELINE_HEADS), 1);
    pipeline_lane_connected(driver.pipeline, 0, driver.now_us);
    turn();
    pipeline_lane_ready(driver.pipeline, 0, driver.now_us);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    answer_heads();
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.after_id, INT64_MIN);
}

Test(pipeline, leaves_out_what_is_in_memory)
{
    start_with(6);
    take(1);
    const struct note *fetch = await_fetch(FETCH_NEXT);
    for (int64_t id = 1; id <= 6; id++) {
        cr_assert(leaves_out(fetch, id), "row %ld would be sent twice", (long)id);
    }
}

Test(pipeline, leaves_out_what_is_in_memory_below_zero)
{
    static struct row below = {.id = -5};
    start();
    answer_fetch_with(&below, 1);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 1);
    later(CLOCK_S_US);
    cr_assert(leaves_out(only(PIPELINE_FETCH), -5));
}

Test(pipeline, asks_nothing_of_the_database_while_blocked)
{
    put_range(1, 3, 1);
    start();
    answer_watermark();
    pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    later(100 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 0);
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 0);
    pipeline_lane_blocked(driver.pipeline, 0, false, driver.now_us);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 3);
}

Test(pipeline, publishes_nothing_after_its_lease)
{
    put_range(1, 3, 1);
    start();
    driver.lease_runs_out = true;
    later(11 * CLOCK_S_US);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    pipeline_lease(driver.pipeline, driver.now_us + CLOCK_S_US);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 3);
}

Test(pipeline, publishes_nothing_it_does_not_own)
{
    put_range(1, 3, 1);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    lose_source();
    pipeline_lane_congested(driver.pipeline, 0, false);
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    cr_assert_eq(noted(PIPELINE_DROP), 3);
}

Test(pipeline, counts_what_the_next_owner_publishes_again)
{
    start_with(4);
    take(1);
    later(driver.options.settle_delay_us);
    cr_assert_eq(noted(PIPELINE_SETTLE), 1);
    take(2);
    turn();
    lose_source();
    cr_assert_eq(counts().repeated_ownership, 4, "two were not deleted, two were in flight");
    lose_lane(0);
    cr_assert_eq(counts().repeated_ownership, 4);
    cr_assert_eq(counts().repeated_connection, 0, "each once");
}

Test(pipeline, counts_a_held_message_that_the_next_owner_publishes_again)
{
    start_with_1_tried();
    lose_source();
    cr_assert_eq(counts().repeated_ownership, 1, "in flight");
}

Test(pipeline, counts_a_held_message_that_went_out_and_is_not_deleted)
{
    start_with_1_tried();
    take(1);
    turn();
    cr_assert_eq(noted(PIPELINE_RELEASE), 1);
    lose_source();
    cr_assert_eq(counts().repeated_ownership, 1);
}

Test(pipeline, counts_no_refused_message_as_published_again)
{
    start_with(2);
    close_for(1, false); /* nobody knows whose fault it is */
    turn();
    cr_assert_eq(counts().repeated_connection, 2);
    run(10 * CLOCK_S_US);
    close_for(1, false); /* now it is alone */
    turn();
    cr_assert_eq(counts().refused, 1);
    cr_assert_eq(counts().repeated_connection, 2);
}

Test(pipeline, drains)
{
    start_with(3);
    pipeline_drain(driver.pipeline);
    turn();
    take(1);
    take(2);
    take(3);
    answer_fetch();
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 3);
    cr_assert_not(driver.drained, "the rows are not deleted yet");
    answer_settle();
    cr_assert(driver.drained);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
}

Test(pipeline, a_drain_gives_back_what_was_queued)
{
    put_range(1, 3, 1);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    answer_fetch();
    pipeline_drain(driver.pipeline);
    turn();
    cr_assert_eq(noted(PIPELINE_DROP), 3, "before it is drained");
    cr_assert(driver.drained);
}

/* Otherwise a sweep longer than its interval would begin again for ever, and nothing new would be read. */
Test(pipeline, a_long_sweep_ends_and_is_followed_by_a_longer_pause)
{
    driver.broker = takes_all;
    driver.options.batch_rows = 2;
    start_with(10);
    run(driver.options.sweep_interval_us / 2);
    driver.broker = NULL;
    while (await_fetch(FETCH_NEXT)->action.fetch.after_id != INT64_MIN) {
    }
    put_range(11, 14, 1);
    message_of(2)->place = message_of(3)->place = IN_OUTBOX; /* the sweep finds them */
    carry_out_fetch_again();
    later(2 * driver.options.sweep_interval_us);
    answer_fetch();
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.after_id, 3, "it goes on where it was");
    driver.broker = takes_all;
    for (int i = 0; i < 10; i++) {
        run(driver.options.sweep_interval_us);
        for (size_t k = 0; k < noted(PIPELINE_FETCH); k++) {
            cr_assert_neq(note_at(PIPELINE_FETCH, k)->action.fetch.after_id, INT64_MIN);
        }
    }
}

Test(pipeline, a_sweep_tells_what_was_missed_and_asks_for_the_heads)
{
    driver.broker = takes_all;
    start_with(10);
    run(CLOCK_S_US);
    message_of(4)->place = IN_OUTBOX; /* it appeared below the final id */
    run(driver.options.sweep_interval_us);
    cr_assert_eq(report_of(REPORT_SWEPT)->count, 1);
    cr_assert_eq(report_of(REPORT_SWEPT)->id, 4);
    cr_assert_eq(counts().swept, 1);
    cr_assert_eq(noted(PIPELINE_HEADS), 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline, looks_ever_more_seldom_at_an_idle_table)
{
    start();
    run(CLOCK_S_US);
    run(2 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 0, "nothing late can come");
    cr_assert_leq(noted(PIPELINE_WAKE), 5, "operators may do something");
    cr_assert_leq(noted(PIPELINE_FETCH), 21);
    cr_assert_geq(noted(PIPELINE_FETCH), 15);
    const uint64_t deadline_us = pipeline_deadline_us(driver.pipeline, driver.now_us);
    cr_assert_gt(deadline_us, driver.now_us);
    cr_assert_leq(deadline_us, driver.now_us + driver.options.poll_interval_max_us);
}

/* Half as often at least as it is allowed to. */
static void
expect_quiet(uint64_t poll_us, uint64_t look_us)
{
    run(10 * CLOCK_S_US);
    cr_assert_leq(noted(PIPELINE_FETCH), 10 * CLOCK_S_US / poll_us + 1);
    cr_assert_geq(noted(PIPELINE_FETCH), 5 * CLOCK_S_US / poll_us);
    cr_assert_leq(noted(PIPELINE_WAKE), 10 * CLOCK_S_US / look_us + 1);
    cr_assert_geq(noted(PIPELINE_WAKE), 5 * CLOCK_S_US / look_us);
}

Test(pipeline, looks_seldom_at_an_outbox_that_has_been_quiet_for_a_minute)
{
    start();
    run(50 * CLOCK_S_US);
    expect_quiet(driver.options.poll_interval_max_us, driver.options.look_interval_idle_us);
    run(5 * CLOCK_S_US);
    expect_quiet(CLOCK_S_US, driver.options.look_interval_idle_us);
    put(1, 1);
    driver.broker = takes_all;
    run(CLOCK_S_US + 50 * CLOCK_MS_US);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 1, "it takes about a second at most");
    run(driver.options.rest_after_us + CLOCK_S_US);
    expect_quiet(driver.options.poll_interval_max_us, driver.options.look_interval_idle_us);
}

/* Where messages come, one may be refused, and an operator act on it. */
Test(pipeline, looks_for_acts_often_while_messages_come)
{
    driver.broker = takes_all;
    start();
    run(20 * CLOCK_S_US);
    for (int64_t id = 1; id <= 10; id++) {
        put(id, id);
        run(CLOCK_S_US);
        cr_assert(id == 1 || noted(PIPELINE_WAKE) >= 1);
    }
}

/* What comes at the same intervals comes together: the look for acts, the heads and the sweep. */
Test(pipeline, does_what_is_regular_on_beats)
{
    driver.options.phase_us = 1234567;
    start();
    run(70 * CLOCK_S_US);
    for (int i = 0; i < 5; i++) {
        cr_assert_not_null(await(PIPELINE_WAKE));
        const uint64_t late_us = (driver.now_us - driver.options.phase_us) % CLOCK_BEAT_US;
        cr_assert_leq(late_us, 20 * CLOCK_MS_US);
    }
    cr_assert_not_null(await(PIPELINE_HEADS));
    cr_assert_leq((driver.now_us - driver.options.phase_us) % CLOCK_BEAT_US, 20 * CLOCK_MS_US);
}

/* An operator may act on it, and its retry may be due. */
Test(pipeline, what_is_held_keeps_it_from_being_quiet)
{
    start();
    run(CLOCK_S_US);
    put_held(1, 1, HELD_DEAD, 0);
    driver.acts = true;
    run(70 * CLOCK_S_US);
    expect_quiet(driver.options.poll_interval_max_us, driver.options.look_interval_us);
}

Test(pipeline, quiet_is_never_more_often)
{
    driver.options.poll_interval_idle_us = CLOCK_MS_US;
    driver.options.look_interval_idle_us = CLOCK_MS_US;
    start();
    run(70 * CLOCK_S_US);
    expect_quiet(driver.options.poll_interval_max_us, driver.options.look_interval_us);
}

/* ---- status --------------------------------------------------------------------------------------- */

Test(pipeline, status_says_what_it_does_and_why_not)
{
    put_each(1, 4);
    driver.pipeline = pipeline_new(&driver.options, driver.now_us);
    cr_assert_str_eq(status().paused_reason, "no connection to the broker");
    cr_assert_eq(status().published_up_to, INT64_MIN);
    cr_assert_eq(status().read_up_to, INT64_MIN);
    pipeline_free(driver.pipeline);
    start();
    cr_assert_null(status().paused_reason);
    answer_fetch();
    take(2);
    driver.now_us += CLOCK_S_US;
    cr_assert_eq(status().in_flight, 3);
    cr_assert_eq(status().in_flight_for_us, CLOCK_S_US);
    cr_assert_eq(status().published_up_to, 4);
    cr_assert_eq(status().read_up_to, 4);
    cr_assert_eq(status().confirmed, 1);
    pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
    cr_assert_str_eq(status().paused_reason, "the broker takes no messages (connection.blocked)");
    cr_assert(counts().blocked);
    lose_lane(0);
    cr_assert_str_eq(status().paused_reason, "no connection to the broker");
    cr_assert_eq(status().in_flight_for_us, 0);
}

Test(pipeline, counts_what_it_does)
{
    put_each(1, 5);
    start();
    pipeline_lane_congested(driver.pipeline, 0, true);
    answer_fetch();
    cr_assert(counts().owned);
    cr_assert_eq(counts().lanes_ready, 1);
    cr_assert_eq(counts().queued, 5);
    pipeline_lane_congested(driver.pipeline, 0, false);
    turn();
    cr_assert_eq(counts().queued, 0);
    cr_assert_eq(counts().in_flight, 5);
    cr_assert_eq(counts().published, 5);
    take(1);
    take(2);
    give_back(3);
    cr_assert_eq(counts().unsettled, 2);
    cr_assert_eq(counts().confirmed, 2);
    cr_assert_eq(counts().refused, 1);
    cr_assert_eq(counts().held, 1);
    later(driver.options.settle_delay_us);
    answer_settle();
    cr_assert_eq(counts().unsettled, 0);
    cr_assert_eq(counts().settled, 2);
}
