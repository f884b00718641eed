#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: rows of the log. */

TestSuite(pipeline_tail, .init = driver_init, .fini = driver_done);

static enum verdict
takes_1_alone(int64_t id)
{
    return id == 1 ? TAKES : IS_SILENT;
}

static size_t
fetches_of(enum fetch_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < noted(PIPELINE_FETCH); i++) {
        count += note_at(PIPELINE_FETCH, i)->action.fetch.kind == kind;
    }
    return count;
}

static void
check_sent_once(int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        cr_assert_eq(message_of(id)->sent, 1, "%ld was sent %u times", (long)id,
                     message_of(id)->sent);
    }
}

/* New rows do not come from the log until it goes on. */
static void
stop_log(void)
{
    driver.log_stops_at = driver.log_end;
}

static void
log_goes_on(void)
{
    driver.log_stops_at = 0;
}

/* Live, with a message of key 1 in flight. */
static void
start_with_1_in_flight(void)
{
    start_live();
    put(1, 1);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
}

/* ---- it begins ------------------------------------------------------------------------------------ */

Test(pipeline_tail, a_source_without_a_log_is_not_asked_for_it)
{
    put_each(1, 5);
    driver.broker = takes_all;
    start();
    run(60 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 0);
    cr_assert_null(status().not_tailing_reason);
}

Test(pipeline_tail, begins_after_the_table_was_read_whole)
{
    driver.options.tail = true;
    driver.options.batch_rows = 5;
    put_each(1, 50);
    driver.broker = takes_all;
    start();
    const struct note *begin = await(PIPELINE_TAIL_BEGIN);
    check_sent_once(1, 50);
    cr_assert_eq(begin->action.position, driver.log_end);
}

Test(pipeline_tail, begins_again_after_the_table_was_read_whole)
{
    start_live();
    lose_log();
    turn();
    cr_assert(fetch_is_out());
    later(60 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 0);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 1);
}

Test(pipeline_tail, a_source_that_knows_no_position_is_asked_why)
{
    driver.options.tail = true;
    driver.no_positions = true;
    driver.log_refusal = "wal_level is replica";
    driver.broker = takes_all;
    put(1, 1);
    start();
    run(10 * CLOCK_S_US);
    cr_assert_str_eq(status().not_tailing_reason, "wal_level is replica");
    cr_assert(!counts().tailing);
    driver.no_positions = false;
    driver.log_refusal = NULL;
    put(2, 1);
    run(60 * CLOCK_S_US);
    cr_assert(counts().tailing);
    check_sent_once(1, 2);
}

/* Like a slot that was just created. */
Test(pipeline_tail, a_log_that_begins_behind_what_was_read_waits_for_the_table)
{
    driver.options.tail = true;
    driver.broker = takes_all;
    start();
    (void)await(PIPELINE_TAIL_BEGIN); /* from here on: */
    put_range(1, 2, 1);
    driver.log_from = driver.log_end;
    run(CLOCK_S_US);
    cr_assert(counts().tailing);
    CHECK_PUBLISHED(1, 1, 2);
    put(3, 1);
    run(10 * CLOCK_MS_US);
    CHECK_PUBLISHED(1, 3);
}

Test(pipeline_tail, what_the_table_has_shown_is_passed_over_in_the_log)
{
    driver.options.tail = true;
    driver.broker = takes_all;
    start();
    (void)await(PIPELINE_TAIL_BEGIN); /* from here on, but it takes its time: */
    driver.log_stuck = true;
    put_range(1, 5, 1);
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_not(counts().tailing);
    put(6, 1);
    driver.log_stuck = false;
    const struct note *present = await_fetch(FETCH_PRESENT);
    cr_assert(counts().tailing);
    cr_assert_eq(present->action.fetch.id_count, 1);
    cr_assert_eq(present->action.fetch.ids[0], 6);
    run(CLOCK_S_US);
    check_sent_once(1, 6);
}

Test(pipeline_tail, a_log_that_cannot_be_read_is_tried_ever_more_seldom)
{
    driver.options.tail = true;
    driver.log_refusal = "wal_level is replica";
    driver.broker = takes_all;
    start();
    run(10 * CLOCK_S_US);
    const size_t first = noted(PIPELINE_TAIL_BEGIN);
    cr_assert(first >= 3 && first <= 10, "%zu times", first);
    cr_assert_str_eq(status().not_tailing_reason, "wal_level is replica");
    put(1, 1);
    run(60 * CLOCK_S_US);
    cr_assert_lt(noted(PIPELINE_TAIL_BEGIN), 6);
    check_sent_once(1, 1);
    driver.log_refusal = NULL;
    run(60 * CLOCK_S_US);
    cr_assert(counts().tailing);
    cr_assert_null(status().not_tailing_reason);
}

/* If others fill the log, it is removed beyond the last message of an outbox without writers. */
Test(pipeline_tail, a_log_that_is_not_kept_so_far_back_is_asked_for_from_later_on)
{
    driver.options.tail = true;
    driver.log_refusal = "it was thrown away";
    driver.broker = takes_all;
    put(1, 1);
    start();
    const uint64_t first = await(PIPELINE_TAIL_BEGIN)->action.position;
    driver.log_end += 100;
    run(5 * CLOCK_S_US);
    cr_assert_gt(await(PIPELINE_TAIL_BEGIN)->action.position, first);
}

/* ---- it is live ----------------------------------------------------------------------------------- */

Test(pipeline_tail, rows_come_from_the_log_and_not_from_the_table)
{
    start_live();
    cr_assert(status().tailing);
    driver.broker = takes_all;
    put_range(1, 3, 1);
    put_together(4, 6, 1);
    run(10 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3, 4, 5, 6);
    cr_assert_eq(fetches_of(FETCH_NEXT), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* They were read from the table, because another one was dropped, before the log delivered them. */
Test(pipeline_tail, rows_that_are_in_memory_are_not_let_in_twice)
{
    start_with_1_in_flight();
    stop_log();
    put_range(2, 3, 1);
    lose_lane(0);
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
    log_goes_on();
    run(CLOCK_S_US);
    check_sent_once(2, 3);
    take_all();
    run(CLOCK_S_US);
    check_sent_once(2, 3);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_tail, a_row_that_the_table_has_no_more_is_dropped)
{
    start_live();
    driver.broker = takes_all;
    put_range(1, 3, 1);
    message_of(2)->place = NOWHERE; /* somebody cancelled it */
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 3);
    cr_assert(counts().tailing);
    cr_assert_eq(driver.rows_out, 0);
}

Test(pipeline_tail, a_row_that_is_not_visible_yet_goes_before_those_behind_it)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    put_unseen(2, 1);
    put(3, 1);
    put(4, 4);
    run(300 * CLOCK_MS_US);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    message_of(2)->unseen = false;
    run(10 * CLOCK_MS_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
    cr_assert_eq(message_of(4)->sent, 1);
    cr_assert(counts().tailing);
}

Test(pipeline_tail, polls_when_a_row_is_not_visible_for_long)
{
    start_live();
    driver.broker = takes_all;
    put_unseen(1, 1);
    put(2, 2);
    const uint64_t since_us = driver.now_us;
    (void)await(PIPELINE_TAIL_END); /* only its time matters */
    cr_assert_geq(driver.now_us, since_us + 500 * CLOCK_MS_US);
    cr_assert_leq(driver.now_us, since_us + 600 * CLOCK_MS_US);
    cr_assert_not_null(strstr(status().not_tailing_reason, "synchronous standby"));
    run(10 * CLOCK_MS_US);
    cr_assert_eq(message_of(2)->sent, 1);
    message_of(1)->unseen = false;
    run(5 * CLOCK_S_US);
    check_sent_once(1, 2);
    cr_assert(counts().tailing);
}

/* The look-up is late because nothing could be published: that is not the database's fault. */
Test(pipeline_tail, a_row_that_waited_for_the_broker_has_its_time_to_become_visible)
{
    start_live();
    stop_log();
    put(1, 1);
    message_of(1)->place = NOWHERE;
    put(2, 1);
    log_goes_on();
    cr_assert(log_is_asked());
    pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
    run(10 * CLOCK_S_US);
    pipeline_lane_blocked(driver.pipeline, 0, false, driver.now_us);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_END), 0);
    CHECK_PUBLISHED(1, 2);
}

/* ---- what was dropped comes first ----------------------------------------------------------------- */

Test(pipeline_tail, after_a_lane_was_lost_the_table_is_read_before_the_log_goes_on)
{
    start_live();
    put_range(1, 3, 1);
    run(10 * CLOCK_MS_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
    lose_lane(0);
    put(4, 1);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3, 4);
    cr_assert(counts().tailing);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* Rows in memory at the time of the request were left out, and are dropped before the answer comes. */
Test(pipeline_tail, an_answer_to_what_is_no_longer_so_is_not_used)
{
    start_with_1_in_flight();
    put(2, 1);
    (void)await_fetch(FETCH_PRESENT); /* for 2 */
    lose_lane(0);
    answer_fetch();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2);
    cr_assert_eq(message_of(2)->sent, 1);
}

Test(pipeline_tail, a_table_that_is_longer_than_a_batch_is_read_to_its_end)
{
    driver.options.batch_rows = 3;
    start_live();
    put_range(1, 9, 1);
    run(10 * CLOCK_MS_US);
    lose_lane(0);
    put_range(10, 12, 1);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
}

/* ---- it is lost, or let go of --------------------------------------------------------------------- */

Test(pipeline_tail, polls_at_once_when_the_log_is_lost_in_the_middle_of_a_transaction)
{
    driver.options.batch_rows = 2;
    start_live();
    put_together(1, 3, 1);
    cr_assert(log_is_asked());
    answer_log();
    answer_fetch();
    CHECK_PUBLISHED(1, 1, 2);
    lose_log();
    put(4, 1);
    turn();
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.kind, FETCH_NEXT);
    driver.broker = takes_all;
    run(10 * CLOCK_S_US);
    cr_assert(counts().tailing);
    check_sent_once(1, 4);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* It is unknown up to where the table was read, because rows came from the log, in another order. */
Test(pipeline_tail, a_row_that_the_log_had_not_brought_is_found_in_the_table)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(5 * CLOCK_S_US);
    driver.final_id = 1; /* a transaction that will write 2 has begun */
    put_range(3, 9, 1);
    run(5 * CLOCK_S_US);
    stop_log();
    put(2, 2);
    run(CLOCK_S_US);
    cr_assert_eq(message_of(2)->sent, 0);
    driver.log_refusal = "the slot is gone";
    lose_log();
    run(10 * CLOCK_MS_US);
    check_sent_once(1, 9);
}

/* A publication was changed, which was noticed when the log had long passed the rows that it left out. */
Test(pipeline_tail, rows_that_a_refused_log_left_out_are_found_at_once)
{
    start_live();
    driver.broker = takes_all;
    put_each(1, 10);
    run(5 * CLOCK_S_US);
    for (int64_t id = 3; id <= 7; id++) {
        message_of(id)->place = IN_OUTBOX;
    }
    driver.log_refusal = "the publication has not the outbox";
    refuse_log();
    run(10 * CLOCK_MS_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(counts().swept, 0, "nobody had to look for them");
}

Test(pipeline_tail, rows_that_wait_to_be_let_in_are_given_back_when_the_log_is_lost)
{
    start_live();
    put_unseen(1, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(driver.rows_out, 1);
    lose_log();
    turn();
    cr_assert_eq(driver.rows_out, 0);
}

Test(pipeline_tail, the_log_is_let_go_of_when_the_broker_is_away_for_long)
{
    driver.options.tail_patience_us = 7 * CLOCK_S_US;
    start_live();
    driver.lane_stuck[0] = true;
    lose_lane(0);
    put(1, 1);
    const uint64_t since_us = driver.now_us;
    (void)await(PIPELINE_TAIL_END); /* only its time matters */
    cr_assert_geq(driver.now_us, since_us + 7 * CLOCK_S_US);
    cr_assert_leq(driver.now_us, since_us + 7100 * CLOCK_MS_US);
    run(30 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 0);
    driver.broker = takes_all;
    driver.lane_stuck[0] = false;
    run(30 * CLOCK_S_US);
    check_sent_once(1, 1);
    cr_assert(counts().tailing);
}

Test(pipeline_tail, a_short_outage_of_the_broker_does_not_cost_the_log)
{
    start_live();
    for (int i = 0; i < 5; i++) {
        pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
        run(driver.options.tail_patience_us - CLOCK_S_US);
        cr_assert_eq(noted(PIPELINE_TAIL_END), 0);
        pipeline_lane_blocked(driver.pipeline, 0, false, driver.now_us);
        run(10 * CLOCK_MS_US);
    }
}

Test(pipeline_tail, a_bad_route_ends_the_log_and_a_good_one_begins_it_again)
{
    start_live();
    put_each(1, 60);
    driver.broker = returns_all;
    (void)await_report(REPORT_DEGRADED); /* at once: */
    cr_assert_eq(noted(PIPELINE_TAIL_END), 1);
    run(60 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 0);
    driver.broker = takes_all;
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert(counts().tailing);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

Test(pipeline_tail, a_log_that_was_lost_is_begun_where_it_was)
{
    start_live();
    driver.broker = takes_all;
    put_range(1, 3, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(3)->taken, 1);
    lose_log();
    turn();
    while (noted(PIPELINE_TAIL_BEGIN) == 0) { /* the watermark is not answered: */
        later(100 * CLOCK_MS_US);
        answer_fetch();
    }
    cr_assert_eq(only(PIPELINE_TAIL_BEGIN)->action.position, driver.log_end,
                 "nothing was committed since, and what came before was let in");
}

Test(pipeline_tail, a_source_that_is_lost_takes_the_log_with_it)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(CLOCK_S_US);
    driver.broker = NULL;
    put(2, 1);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    put_unseen(3, 1);
    run(10 * CLOCK_MS_US);
    lose_source();
    turn();
    cr_assert_eq(driver.rows_out, 0);
    cr_assert_not(counts().tailing);
    message_of(3)->unseen = false;
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_TAIL_BEGIN), 0);
    own_source();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 2, 3);
    cr_assert(counts().tailing);
}

Test(pipeline_tail, a_drain_gives_back_what_waits_and_tells_the_last_safe_position)
{
    start_live();
    put(1, 1);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
    put_unseen(2, 1);
    run(10 * CLOCK_MS_US);
    cr_assert_eq(driver.rows_out, 1);
    pipeline_drain(driver.pipeline);
    turn();
    cr_assert_eq(driver.rows_out, 0);
    take(1);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert(driver.drained);
    cr_assert_gt(safe_position(), message_of(1)->position);
    cr_assert_leq(safe_position(), message_of(2)->position);
}

/* ---- what is held --------------------------------------------------------------------------------- */

Test(pipeline_tail, rows_behind_a_held_message_are_set_aside)
{
    start_live();
    driver.broker = returns_1;
    put(1, 1);
    run(500 * CLOCK_MS_US);
    put(2, 1);
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold_of(hold, 2)->state, HELD_WAITING);
    cr_assert_eq(message_of(2)->sent, 0);
}

Test(pipeline_tail, what_was_released_is_not_sent_again_when_the_log_brings_it)
{
    start_live();
    driver.broker = returns_1;
    put(1, 1);
    run(500 * CLOCK_MS_US);
    put_range(2, 5, 1);
    run(100 * CLOCK_MS_US);
    cr_assert_eq(count_in(IN_HELD), 5);
    driver.mended = true;
    run(10 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3, 4, 5);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
    cr_assert(counts().tailing);
}

/* It was inserted, set aside and released while the log lagged. */
Test(pipeline_tail, what_the_log_brings_twice_is_sent_once)
{
    driver.options.strict = true;
    start_with_1_in_flight();
    stop_log();
    put_range(2, 3, 1);
    lose_lane(0); /* so that they are read from the table */
    driver.broker = returns_1;
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 3);
    driver.broker = takes_1_alone;
    run(2 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    log_goes_on();
    run(100 * CLOCK_MS_US);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    check_sent_once(2, 3);
}

Test(pipeline_tail, scheduled_messages_are_set_aside_and_come_back_by_the_log)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    message_of(1)->deliver_after_us = driver.now_us + 5 * CLOCK_S_US;
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold_of(hold, 1)->state, HELD_SCHEDULED);
    run(4 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
    run(2 * CLOCK_S_US);
    cr_assert_eq(message_of(2)->taken, 1);
    cr_assert_eq(fetches_of(FETCH_NEXT), 0);
}

/* ---- the sweep ------------------------------------------------------------------------------------ */

Test(pipeline_tail, a_row_that_the_log_is_late_with_is_not_missed)
{
    start_live();
    driver.broker = takes_all;
    stop_log();
    put_range(1, 3, 1);
    run(3 * driver.options.sweep_interval_us);
    cr_assert_eq(counts().swept, 0);
    cr_assert(counts().tailing);
    log_goes_on();
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1, 2, 3);
}

/* It was committed between the sweep's question and its read. */
Test(pipeline_tail, a_row_that_is_newer_than_the_sweep_is_not_missed)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(CLOCK_S_US);
    (void)await_fetch(FETCH_NEXT); /* by the sweep */
    stop_log();
    put(2, 1);
    carry_out_fetch_again();
    answer_fetch();
    run(CLOCK_S_US);
    cr_assert_eq(counts().swept, 0);
    cr_assert_eq(message_of(2)->sent, 0);
    cr_assert_eq(driver.rows_out, 0);
    log_goes_on();
    run(CLOCK_S_US);
    check_sent_once(1, 2);
    cr_assert(counts().tailing);
}

Test(pipeline_tail, rows_that_were_missed_are_sent_and_cost_the_log_its_trust)
{
    driver.options.batch_rows = 2;
    start_live();
    driver.broker = takes_all;
    put_each(1, 10);
    run(CLOCK_S_US);
    for (int64_t id = 3; id <= 7; id++) {
        message_of(id)->place = IN_OUTBOX; /* they appeared without the log */
    }
    run(driver.options.sweep_interval_us);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(report_of(REPORT_SWEPT)->id, 3);
    cr_assert_eq(counts().swept, 5);
    cr_assert_eq(noted(PIPELINE_TAIL_END), 1);
    cr_assert_eq(reported(REPORT_POLLING), 1);
    run(5 * CLOCK_S_US);
    cr_assert(counts().tailing);
}

/* Tailing has ended: the table is swept as often as without it. */
Test(pipeline_tail, the_table_is_swept_again_after_a_sweep)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(10 * driver.options.sweep_interval_us + 5 * CLOCK_S_US);
    cr_assert_eq(fetches_of(FETCH_NEXT), 10);
    cr_assert(counts().tailing);
}

/* They are behind a message that was refused and is not set aside yet. */
Test(pipeline_tail, rows_that_were_left_in_the_outbox_are_not_missed)
{
    driver.options.hold_delay_us = 2 * driver.options.sweep_interval_us;
    start_live();
    driver.broker = returns_1;
    put(1, 1);
    run(CLOCK_S_US);
    put_range(2, 3, 1);
    run(driver.options.sweep_interval_us);
    cr_assert_eq(fetches_of(FETCH_NEXT), 1, "it has swept");
    cr_assert_eq(counts().swept, 0);
    cr_assert(counts().tailing);
    driver.mended = true;
    run(4 * driver.options.sweep_interval_us);
    CHECK_PUBLISHED(1, 1, 2, 3);
}

Test(pipeline_tail, rows_that_move_back_while_the_sweep_reads_are_not_missed)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put_held(2, 1, HELD_WAITING, 0);
    put_held(3, 1, HELD_WAITING, 0);
    message_of(1)->retry_at_us = driver.now_us + driver.options.sweep_interval_us - CLOCK_S_US;
    start_live();
    (void)await_fetch(FETCH_NEXT); /* by the sweep, while 1 is in flight */
    take(1);
    turn();
    cr_assert_eq(noted(PIPELINE_RELEASE), 1);
    carry_out_fetch_again();
    answer_release();
    answer_fetch();
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(counts().swept, 0);
    cr_assert_eq(reported(REPORT_POLLING), 0);
    CHECK_PUBLISHED(1, 2, 3);
}

/* ---- the worker is not kept busy ------------------------------------------------------------------ */

/* Nothing is answered: it retries from time to time. */
static void
check_quiet(const char *state)
{
    const uint64_t end_us = driver.now_us + CLOCK_S_US;
    unsigned looks = 0;
    for (turn(); driver.now_us < end_us; looks++) {
        const uint64_t deadline_us = pipeline_deadline_us(driver.pipeline, driver.now_us);
        cr_assert_gt(deadline_us, driver.now_us, "%s: again at once", state);
        later(clock_earlier_us(deadline_us, end_us) - driver.now_us);
    }
    cr_assert_leq(looks, 100, "%s: %u times in a second", state, looks);
}

Test(pipeline_tail, keeps_nobody_busy_while_it_begins)
{
    driver.options.tail = true;
    driver.broker = takes_all;
    put(1, 1);
    start();
    (void)await(PIPELINE_TAIL_BEGIN); /* not answered */
    check_quiet("begins");
    put(2, 1);
    driver.log_from = driver.log_end + 1;
    run(50 * CLOCK_MS_US);
    cr_assert_not(counts().tailing);
    check_quiet("behind");
    driver.log_end++;
    run(CLOCK_S_US);
    cr_assert(counts().tailing);
    check_quiet("live");
    driver.log_refusal = "no";
    lose_log();
    check_quiet("lost");
    run(10 * CLOCK_MS_US);
    check_quiet("refused");
}

Test(pipeline_tail, keeps_nobody_busy_while_it_is_live)
{
    start_live();
    run(CLOCK_S_US);
    check_quiet("nothing to do");
    put_unseen(1, 1);
    answer_log();
    check_quiet("looked up");
    lose_log();
    run(5 * CLOCK_S_US);
    run(100 * CLOCK_MS_US);
    check_quiet("not visible");
    message_of(1)->unseen = false;
    run(5 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->sent, 1);
    check_quiet("in flight");
    pipeline_lane_blocked(driver.pipeline, 0, true, driver.now_us);
    put(2, 1);
    run(100 * CLOCK_MS_US);
    check_quiet("blocked");
    pipeline_lane_blocked(driver.pipeline, 0, false, driver.now_us);
    lose_lane(0);
    check_quiet("lost a lane");
    run(CLOCK_S_US);
    lose_source();
    check_quiet("not owned");
}

Test(pipeline_tail, keeps_nobody_busy_while_it_sweeps)
{
    start_live();
    driver.broker = takes_all;
    put(1, 1);
    run(CLOCK_S_US);
    driver.log_stuck = true;
    put(2, 1);
    run(driver.options.sweep_interval_us - CLOCK_S_US / 2);
    check_quiet("sweeps");
    answer_watermark();
    check_quiet("has the id");
    answer_watermark();
    check_quiet("waits for the log");
    driver.log_stuck = false;
    run(CLOCK_S_US);
    check_quiet("has swept");
    pipeline_drain(driver.pipeline);
    driver.log_stuck = true;
    put(3, 1);
    check_quiet("drains");
}
