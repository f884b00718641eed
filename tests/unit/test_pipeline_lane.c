#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: reports of lanes. */

TestSuite(pipeline_lane, .init = driver_init, .fini = driver_done);

Test(pipeline_lane, a_window_grows_as_its_messages_prove_good)
{
    put_each(1, 900);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 256);
    take_all();
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 512);
}

Test(pipeline_lane, a_window_is_bounded_by_count_and_by_bytes)
{
    driver.options.window_messages = 4;
    driver.options.window_bytes = 1000;
    put_each(1, 10);
    for (int64_t id = 1; id <= 10; id++) {
        message_of(id)->bytes = id == 5 ? 5000 : 400;
    }
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 2);
    take_all();
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 2);
    take_all();
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 1, "one of any size is allowed, alone");
    cr_assert(was_published(5));
    for (int64_t id = 6; id <= 10; id++) {
        message_of(id)->bytes = 0;
    }
}

Test(pipeline_lane, at_most_as_many_are_unconfirmed_as_may_be)
{
    driver.options.window_messages = 4;
    put_each(1, 10);
    start();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 4);
    take(2);
    turn();
    cr_assert_eq(counts().in_flight, 3, "tag 1 has its place still");
    take(1);
    turn();
    cr_assert_eq(counts().in_flight, 4);
}

Test(pipeline_lane, a_lost_lane_costs_no_attempt_and_its_window_is_read_again)
{
    start_with(6);
    take(1);
    take(2);
    lose_lane(0);
    const struct note *fetch = await_fetch(FETCH_NEXT);
    cr_assert_leq(fetch->action.fetch.after_id, 2);
    cr_assert_not(leaves_out(fetch, 3));
    cr_assert_eq(counts().repeated_connection, 4);
    run(10 * CLOCK_S_US);
    cr_assert_eq(message_of(3)->sent, 2);
    cr_assert_eq(message_of(2)->sent, 1);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    cr_assert_eq(counts().refused, 0);
}

/* The rows of an outstanding fetch must come after those that were lost with the lane. */
Test(pipeline_lane, what_was_read_beside_a_lost_window_does_not_overtake_it)
{
    start_with(6);
    put_range(7, 8, 1);
    (void)await_fetch(FETCH_NEXT); /* left unanswered */
    lose_lane(0);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_DROP), 2);
    driver.broker = takes_all;
    run(20 * CLOCK_S_US);
    cr_assert_lt(note_at(PIPELINE_PUBLISH, 0)->id, 7);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_lane, a_broker_that_is_blocked_confirms_nothing_and_is_not_given_up)
{
    start_with(2);
    pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
    later(10 * driver.options.confirm_timeout_us);
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 0);
    pipeline_lane_blocked(driver.pipeline, 0, false, driver.now_us);
    later(driver.options.confirm_timeout_us - 1);
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 0, "its time begins anew");
    later(1);
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 1);
}

Test(pipeline_lane, moves_when_nothing_is_in_flight)
{
    start_with(2);
    pipeline_lane_leave(driver.pipeline, 0, true);
    put(3, 1);
    put(4, 2);
    answer_fetch();
    take(1);
    turn();
    cr_assert_eq(noted(PIPELINE_MOVE), 0, "2 is in flight");
    take(2);
    turn();
    cr_assert_eq(only(PIPELINE_MOVE)->action.lane, 0);
    driver.broker = takes_all;
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_MOVE), 0, "once");
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    for (int64_t id = 1; id <= 4; id++) {
        cr_assert_eq(message_of(id)->sent, 1);
    }
}

Test(pipeline_lane, does_not_move_when_the_other_connection_is_gone)
{
    start_with(2);
    pipeline_lane_leave(driver.pipeline, 0, true);
    pipeline_lane_leave(driver.pipeline, 0, false);
    driver.broker = takes_all;
    put(3, 1);
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_MOVE), 0);
    cr_assert_eq(message_of(3)->taken, 1);
    pipeline_lane_leave(driver.pipeline, 0, true);
    lose_lane(0);
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_MOVE), 0, "it was for a connection that is lost");
}

Test(pipeline_lane, connects_anew_when_no_confirm_comes)
{
    start_with(2);
    later(driver.options.confirm_timeout_us);
    cr_assert_eq(only(PIPELINE_DISCONNECT)->action.lane, 0);
    cr_assert_eq(report_of(REPORT_TIMEOUT)->count, 2);
    later(driver.options.reconnect_max_us);
    cr_assert_eq(only(PIPELINE_CONNECT)->action.lane, 0);
}

/* ---- the lane of held messages -------------------------------------------------------------------- */

Test(pipeline_lane, the_lane_for_held_messages_is_there_only_while_something_is_held)
{
    put_each(1, 2);
    start();
    driver.broker = takes_all;
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_CONNECT), 0, "one is connected already, and enough");
    put_held(3, 3, HELD_RETRYING, 1);
    driver.acts = true;
    cr_assert_eq(await(PIPELINE_CONNECT)->action.lane, 1);
    run(50 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 0, "another may follow soon");
    run(20 * CLOCK_S_US);
    cr_assert_eq(only(PIPELINE_DISCONNECT)->action.lane, 1);
    run(100 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_CONNECT), 0);
    put_held(4, 4, HELD_RETRYING, 1);
    driver.acts = true;
    run(driver.options.look_interval_idle_us + CLOCK_S_US);
    cr_assert_eq(message_of(4)->taken, 1);
}

Test(pipeline_lane, the_lane_for_held_messages_counts_for_nothing_else)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put(2, 2);
    driver.lane_stuck[0] = true;
    driver.broker = takes_all;
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    cr_assert_eq(counts().lanes_ready, 0);
    cr_assert_str_eq(status().paused_reason, "no connection to the broker");
}

/* ---- a closed channel ----------------------------------------------------------------------------- */

static int64_t culprit;

static enum verdict
closes_for_culprit(int64_t id)
{
    return id == culprit ? CLOSES : TAKES;
}

static void
find_culprit(int64_t last, int64_t bad, unsigned closes_max)
{
    culprit = bad;
    put_each(1, last);
    driver.broker = closes_for_culprit;
    start();
    cr_assert_eq(await_report(REPORT_REFUSED)->id, bad);
    cr_assert_leq(driver.closes, closes_max, "it took %u closed channels to find one of %ld",
                  driver.closes, (long)last);
    run(CLOCK_S_US / 2);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(count_in(IN_HELD), 1);
    cr_assert_eq(message_of(bad)->place, IN_HELD);
    cr_assert_eq(counts().refused, 1);
}

Test(pipeline_lane, finds_the_one_that_closes_the_channel)
{
    find_culprit(16, 11, 6);
}

Test(pipeline_lane, finds_the_one_of_a_thousand_that_closes_the_channel)
{
    find_culprit(1000, 700, 10);
}

Test(pipeline_lane, finds_the_last_one_that_closes_the_channel)
{
    find_culprit(256, 256, 9);
}

/* The broker may end the connection because of it, as RabbitMQ does when its channel crashes. */
Test(pipeline_lane, finds_the_one_that_closes_the_connection)
{
    driver.closes_connections = true;
    find_culprit(256, 200, 9);
    cr_assert_eq(message_of(200)->attempts, 1, "as for a closed channel");
}

/* A message may take longer than confirm_timeout to get through. */
Test(pipeline_lane, bytes_that_the_broker_takes_are_progress)
{
    driver.options.confirm_timeout_us = CLOCK_S_US;
    put(1, 1);
    start();
    answer_fetch();
    for (uint64_t i = 0; i < 20; i++) {
        pipeline_lane_arrived(driver.pipeline, 0, 100 * i, 2000, driver.now_us);
        run(CLOCK_S_US / 2);
    }
    cr_assert_eq(reported(REPORT_TIMEOUT), 0);
    (void)await_report(REPORT_TIMEOUT); /* it comes */
}

/* A broker that takes heartbeats and messages counts as lost if it confirms none. */
Test(pipeline_lane, bytes_that_were_put_out_later_are_no_progress)
{
    start_with(2);
    const uint64_t quarter_us = driver.options.confirm_timeout_us / 4;
    uint64_t out = 2000;
    for (int i = 0; i < 4; i++) { /* the first one shows that both have arrived */
        cr_assert_eq(noted(PIPELINE_DISCONNECT), 0);
        pipeline_lane_arrived(driver.pipeline, 0, out, out, driver.now_us);
        later(quarter_us);
        out += 8;
    }
    cr_assert_eq(noted(PIPELINE_DISCONNECT), 1);
}

/* There is no sign that a message caused it. */
Test(pipeline_lane, a_lost_connection_blames_no_message)
{
    driver.options.lane_count = 1;
    put(1, 1);
    start();
    answer_fetch();
    for (int i = 0; i < 20; i++) {
        lose_lane(0);
        run(60 * CLOCK_S_US);
    }
    cr_assert_eq(counts().refused, 0);
    cr_assert_eq(message_of(1)->place, IN_OUTBOX);
}

/* Confirms from before the close are lost, so the culprit can only be found by halving the window. */
Test(pipeline_lane, finds_it_by_halves_when_confirms_are_lost_with_the_channel)
{
    driver.confirms_late = true;
    find_culprit(256, 200, 9);
}

Test(pipeline_lane, finds_it_by_halves_behind_many_good_ones)
{
    driver.confirms_late = true;
    find_culprit(1000, 511, 10);
}

Test(pipeline_lane, a_close_without_a_name_halves_the_window)
{
    put_each(1, 64);
    start();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 64);
    close_for(40, false);
    turn();
    cr_assert_eq(counts().in_flight, 0);
    (void)await_fetch(FETCH_NEXT);
    answer_fetch();
    cr_assert_eq(counts().in_flight, 32);
    cr_assert(was_published(1));
    cr_assert_eq(counts().refused, 0);
}

Test(pipeline_lane, a_channel_that_closes_with_nothing_in_flight_is_opened_ever_more_seldom)
{
    start();
    answer_fetch();
    unsigned opened = 0;
    for (int i = 0; i < 60000; i++) {
        later(CLOCK_MS_US);
        if (noted(PIPELINE_OPEN_CHANNEL) > 0) {
            opened++;
            pipeline_channel_closed(driver.pipeline, 0, "403 refused", 0, driver.now_us);
        } else if (i == 0) {
            pipeline_channel_closed(driver.pipeline, 0, "403 refused", 0, driver.now_us);
        }
    }
    cr_assert_geq(opened, 6);
    cr_assert_leq(opened, 40);
}
