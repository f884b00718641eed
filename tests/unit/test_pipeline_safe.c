#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: up to which position of the log everything is safe. The driver checks that a
 * reported position is safe; here is what the core waits for, and that it does not wait for ever. */

TestSuite(pipeline_safe, .init = driver_init, .fini = driver_done);

#define LONG (10 * CLOCK_S_US)

/* Takes all except 2. */
static enum verdict
takes_others(int64_t id)
{
    return id == 2 ? IS_SILENT : TAKES;
}

static void
check_not_past(int64_t id)
{
    cr_assert_leq(safe_position(), message_of(id)->position, "%ld is not safe", (long)id);
}

/* Takes all. */
static void
check_safe_soon(void)
{
    run(CLOCK_S_US);
    cr_assert_eq(safe_position(), driver.log_end);
}

/* Live, with message 1 of key 1 in flight, and everything before it safe. */
static void
start_with_1_in_flight(void)
{
    start_live();
    run(CLOCK_S_US);
    put(1, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(1)->sent, 1);
}

Test(pipeline_safe, what_is_deleted_is_safe)
{
    start_live();
    driver.broker = takes_all;
    put_range(1, 3, 1);
    check_safe_soon();
    put_together(4, 6, 1);
    check_safe_soon();
}

Test(pipeline_safe, what_was_read_before_the_log_began_is_safe_soon)
{
    start_live();
    check_safe_soon();
}

Test(pipeline_safe, is_told_once)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(CLOCK_S_US);
    run(LONG);
    cr_assert_eq(noted(PIPELINE_TAIL_SAFE), 0);
}

Test(pipeline_safe, not_past_what_is_queued)
{
    start_live();
    run(CLOCK_S_US);
    pipeline_lane_congested(driver.pipeline, 0, true);
    put(1, 1);
    run(LONG);
    cr_assert_eq(counts().queued, 1);
    check_not_past(1);
    driver.broker = takes_all;
    pipeline_lane_congested(driver.pipeline, 0, false);
    check_safe_soon();
}

Test(pipeline_safe, not_past_what_is_in_flight)
{
    start_with_1_in_flight();
    run(LONG);
    check_not_past(1);
    take(1);
    check_safe_soon();
}

/* The others are confirmed, and those behind them too. */
Test(pipeline_safe, one_in_flight_holds_up_those_behind_it)
{
    driver.options.lane_count = 2;
    start_live();
    driver.broker = takes_others;
    put(1, 0);
    put(2, 1);
    for (int64_t id = 3; id <= 20; id++) {
        put(id, 0);
        run(100 * CLOCK_MS_US);
    }
    cr_assert_eq(count_in(IN_OUTBOX), 1);
    check_not_past(2);
    cr_assert_gt(safe_position(), 0);
    take(2);
    check_safe_soon();
}

Test(pipeline_safe, what_came_later_is_not_waited_for)
{
    start_with_1_in_flight();
    put(2, 1);
    run(100 * CLOCK_MS_US);
    take(1);
    run(CLOCK_S_US);
    cr_assert_eq(safe_position(), message_of(2)->position);
}

/* The queue is never empty. */
Test(pipeline_safe, what_is_queued_later_is_not_waited_for)
{
    driver.options.window_messages = 1;
    start_with_1_in_flight();
    for (int64_t id = 2; id <= 20; id++) {
        put(id, 1);
        run(100 * CLOCK_MS_US);
        cr_assert_eq(counts().queued, id <= 2 ? 1 : 2);
        if (id > 2) {
            take(id - 2);
        }
    }
    cr_assert_geq(safe_position(), message_of(16)->position);
}

Test(pipeline_safe, not_past_what_is_confirmed_and_not_deleted)
{
    start_with_1_in_flight();
    take(1);
    cr_assert_not_null(await(PIPELINE_SETTLE));
    for (int i = 0; i < 100; i++) {
        later(100 * CLOCK_MS_US);
        answer_log();
    }
    check_not_past(1);
    check_safe_soon();
}

Test(pipeline_safe, not_past_what_is_refused_and_not_set_aside)
{
    driver.options.hold_delay_us = LONG;
    start_with_1_in_flight();
    give_back(1);
    run(LONG - CLOCK_S_US);
    check_not_past(1);
    cr_assert_not_null(await(PIPELINE_HOLD));
    for (int i = 0; i < 100; i++) {
        later(100 * CLOCK_MS_US);
        answer_log();
    }
    check_not_past(1);
    check_safe_soon();
}

/* The first of a key was refused, but messages before it are not deleted yet. */
Test(pipeline_safe, not_past_what_cannot_be_set_aside_yet)
{
    start_live();
    run(CLOCK_S_US);
    put_range(1, 2, 1);
    run(100 * CLOCK_MS_US);
    give_back(2);
    run(LONG);
    cr_assert_eq(message_of(2)->place, IN_OUTBOX);
    check_not_past(1);
    take(1);
    check_safe_soon();
}

Test(pipeline_safe, what_is_held_is_safe)
{
    start_live();
    driver.broker = returns_1;
    put_range(1, 3, 1);
    run(500 * CLOCK_MS_US);
    put(4, 1);
    run(200 * CLOCK_MS_US);
    cr_assert_eq(count_in(IN_HELD), 2, "1, and 4 behind it");
    cr_assert_eq(safe_position(), driver.log_end);
    driver.mended = true;
    run(LONG);
    cr_assert_eq(count_in(IN_HELD) + count_in(IN_OUTBOX), 0);
    cr_assert_eq(safe_position(), driver.log_end);
}

/* It was read, and is in no list of the core. */
Test(pipeline_safe, not_past_what_is_left_until_its_key_is_open)
{
    start_live();
    driver.broker = returns_1;
    put(1, 1);
    run(500 * CLOCK_MS_US);
    driver.mended = true;
    cr_assert_not_null(await(PIPELINE_RELEASE)); /* not answered yet */
    put(2, 1);
    for (int i = 0; i < 100; i++) {
        later(20 * CLOCK_MS_US);
        answer_log();
        answer_fetch();
        answer_watermark();
    }
    cr_assert_eq(message_of(2)->sent, 0);
    cr_assert_eq(driver.rows_out, 0, "it was given back");
    check_not_past(2);
    check_safe_soon();
    cr_assert_eq(message_of(2)->sent, 1);
}

Test(pipeline_safe, not_past_what_was_dropped_from_memory)
{
    start_with_1_in_flight();
    driver.lane_stuck[0] = true;
    lose_lane(0);
    run(LONG);
    check_not_past(1);
    driver.lane_stuck[0] = false;
    driver.broker = takes_all;
    check_safe_soon();
}

/* It was dropped and read again, after the mark. */
Test(pipeline_safe, not_past_what_was_dropped_and_read_again)
{
    start_with_1_in_flight();
    lose_lane(0);
    run(LONG);
    cr_assert_eq(message_of(1)->sent, 2);
    check_not_past(1);
    take(1);
    check_safe_soon();
}

/* Its tags begin again. */
Test(pipeline_safe, a_lane_that_was_lost_with_nothing_in_flight_is_not_waited_for)
{
    driver.options.lane_count = 2;
    start_live();
    driver.broker = takes_others;
    for (int64_t id = 10; id < 20; id++) {
        put(id, 0);
    }
    put(2, 1);
    run(CLOCK_S_US);
    check_not_past(2);
    lose_lane(0);
    run(CLOCK_S_US);
    take(2);
    check_safe_soon();
}

Test(pipeline_safe, not_past_what_is_not_visible)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    put_unseen(2, 1);
    run(CLOCK_S_US);
    check_not_past(1); /* they are from one transaction */
    message_of(2)->unseen = false;
    check_safe_soon();
}

Test(pipeline_safe, not_past_a_part_of_a_transaction)
{
    driver.options.batch_rows = 2;
    start_live();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    put_together(1, 3, 1);
    cr_assert(log_is_asked());
    answer_log();
    driver.log_stuck = true;
    run(CLOCK_S_US);
    cr_assert_eq(message_of(2)->taken, 1);
    cr_assert_eq(message_of(3)->sent, 0);
    check_not_past(3);
    driver.log_stuck = false;
    check_safe_soon();
}

Test(pipeline_safe, a_scheduled_message_is_safe_once_it_is_set_aside)
{
    start_live();
    run(CLOCK_S_US);
    put(1, 1);
    message_of(1)->deliver_after_us = driver.now_us + 1000 * CLOCK_S_US;
    cr_assert_not_null(await(PIPELINE_HOLD));
    later(CLOCK_S_US);
    check_not_past(1);
    check_safe_soon();
}

/* The server's log is not retained while the table is read. */
Test(pipeline_safe, goes_on_while_the_table_is_read)
{
    driver.options.tail = true;
    driver.broker = takes_all;
    start();
    cr_assert_not_null(await(PIPELINE_TAIL_BEGIN));
    put_range(1, 3, 1);
    driver.log_from = driver.log_end + 1;
    run(CLOCK_S_US);
    cr_assert_not(counts().tailing);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_geq(safe_position(), message_of(1)->position);
}

Test(pipeline_safe, begins_anew_with_the_ownership)
{
    start_with_1_in_flight();
    lose_source();
    run(CLOCK_S_US);
    own_source();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert(counts().tailing);
    check_safe_soon();
}

/* Another server, whose log is shorter. */
Test(pipeline_safe, a_position_of_another_log_does_not_count)
{
    start_live();
    run(CLOCK_S_US);
    lose_source();
    begin_log(100);
    put(1, 1);
    own_source();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    put(2, 1);
    check_safe_soon();
    cr_assert_eq(safe_position(), 102);
}
