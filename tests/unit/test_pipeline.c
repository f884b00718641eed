#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, each with one thing that goes wrong; what may happen together is the simulation's
 * part. Here: the stream of the outbox, its lanes, the ownership. */

TestSuite(pipeline, .init = driver_init, .fini = driver_done);

/* With the first and the last of two keys, one after the other, in flight. */
static void
start_with(int64_t last)
{
    for (int64_t id = 1; id <= last; id++) {
        put(id, id % 2 == 1 ? 1 : 2);
    }
    start();
    answer_fetch();
}

static const struct note *
await_next_fetch(void)
{
    for (int i = 0; i < 1000; i++) {
        const struct note *fetch = await(PIPELINE_FETCH);
        if (fetch->action.fetch.kind == FETCH_NEXT) {
            return fetch;
        }
    }
    cr_assert_fail("nothing more is read");
    return NULL;
}

static bool
leaves_out(const struct note *fetch, int64_t id)
{
    return id <= fetch->action.fetch.after_id ||
           has_id(fetch->action.fetch.ids, fetch->action.fetch.id_count, id);
}

Test(pipeline, settles_what_is_confirmed_and_only_that)
{
    start_with(4);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 4);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "nothing is confirmed");
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 2, true, driver.now_us));
    message_of(1)->taken = message_of(2)->taken = 1;
    later(driver.options.settle_delay_us - 1);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "more may come");
    later(1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 2);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[0], 1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[1], 2);
}

Test(pipeline, refuses_a_confirm_for_what_was_never_sent)
{
    start_with(2);
    cr_assert_not(pipeline_confirmed(driver.pipeline, 0, 3, false, driver.now_us));
    cr_assert_not(pipeline_confirmed(driver.pipeline, 0, 0, false, driver.now_us));
    cr_assert_not(pipeline_nacked(driver.pipeline, 0, 3, false, driver.now_us));
    cr_assert_not(pipeline_returned(driver.pipeline, 0, 3, "unroutable", driver.now_us));
    message_of(1)->taken = message_of(2)->taken = 1;
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 0, true, driver.now_us),
              "tag 0 with multiple means all");
    later(driver.options.settle_delay_us);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 2);
}

Test(pipeline, what_was_returned_is_not_settled_when_its_confirm_comes)
{
    start_with(2);
    cr_assert(pipeline_returned(driver.pipeline, 0, 1, "unroutable", driver.now_us));
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 2, true, driver.now_us));
    message_of(2)->taken = 1;
    later(driver.options.settle_delay_us);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[0], 2);
    cr_assert_eq(counts().confirmed, 1);
    cr_assert_eq(counts().refused, 1);
}

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

Test(pipeline, a_lost_lane_costs_no_attempt_and_its_window_is_read_again)
{
    start_with(6);
    take(1);
    take(2);
    lose_lane(0);
    const struct note *fetch = await_next_fetch();
    cr_assert_leq(fetch->action.fetch.after_id, 2);
    cr_assert_not(leaves_out(fetch, 3));
    run(10 * CLOCK_S_US);
    cr_assert_eq(message_of(3)->sent, 2);
    cr_assert_eq(message_of(2)->sent, 1);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    cr_assert_eq(counts().refused, 0);
}

/* The rows of a fetch that was out then come after those that were lost with the lane. */
Test(pipeline, what_was_read_beside_a_lost_window_does_not_overtake_it)
{
    start_with(6);
    put_range(7, 8, 1);
    (void)await_next_fetch(); /* left unanswered */
    lose_lane(0);
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_DROP), 2);
    driver.broker = takes_all;
    run(20 * CLOCK_S_US);
    cr_assert_lt(note_at(PIPELINE_PUBLISH, 0)->id, 7);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline, leaves_out_what_is_in_memory)
{
    start_with(6);
    take(1);
    const struct note *fetch = await_next_fetch();
    for (int64_t id = 1; id <= 6; id++) {
        cr_assert(leaves_out(fetch, id), "row %ld would be sent twice", (long)id);
    }
}

Test(pipeline, leaves_out_what_is_in_memory_below_zero)
{
    static const struct row below = {.id = -5};
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

Test(pipeline, a_broker_that_is_blocked_confirms_nothing_and_is_not_given_up)
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

Test(pipeline, connects_anew_when_no_confirm_comes)
{
    start_with(2);
    later(driver.options.confirm_timeout_us);
    cr_assert_eq(only(PIPELINE_DISCONNECT)->action.lane, 0);
    cr_assert_eq(report_of(REPORT_TIMEOUT)->count, 2);
    later(driver.options.reconnect_max_us);
    cr_assert_eq(only(PIPELINE_CONNECT)->action.lane, 0);
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

Test(pipeline, settles_nothing_of_an_earlier_ownership)
{
    start_with(4);
    take(1);
    take(2);
    lose_source();
    later(CLOCK_S_US);
    take(3);
    nack(4);
    message_of(4)->refused = false; /* it was told of another message */
    own_source();
    later(driver.options.settle_delay_us);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "after a failover these ids may be other messages");
    cr_assert_eq(noted(PIPELINE_REPORT), 0, "nor is one refused for what another was");
    answer_heads();
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.after_id, INT64_MIN);
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.id_count, 0);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
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

/* Otherwise a sweep longer than its interval would begin anew for ever, and nothing new be read. */
Test(pipeline, a_long_sweep_ends_and_is_followed_by_a_longer_pause)
{
    driver.broker = takes_all;
    driver.options.batch_rows = 2;
    start_with(10);
    run(driver.options.sweep_interval_us / 2);
    driver.broker = NULL;
    while (await_next_fetch()->action.fetch.after_id != INT64_MIN) {
    }
    put_range(11, 14, 1);
    message_of(2)->place = message_of(3)->place = IN_OUTBOX; /* what the sweep finds */
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
    message_of(4)->place = IN_OUTBOX; /* it appeared where nothing could come any more */
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

/* ---- windows and lanes ---------------------------------------------------------------------------- */

Test(pipeline, a_window_grows_as_its_messages_prove_good)
{
    put_each(1, 900);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 256);
    take_all();
    turn();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 512);
}

Test(pipeline, a_window_is_bounded_by_count_and_by_bytes)
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

Test(pipeline, at_most_as_many_are_unconfirmed_as_may_be)
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

Test(pipeline, a_key_has_its_lane_and_one_that_is_not_there_holds_up_no_other)
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

Test(pipeline, a_full_lane_holds_up_no_other)
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

/* What has no key takes a lane that is there. */
Test(pipeline, unordered_messages_go_where_there_is_least_in_flight)
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

Test(pipeline, strict_has_one_of_a_key_on_its_way)
{
    driver.options.strict = true;
    put(1, 1);
    put(2, 1);
    put(3, 2);
    put(4, 1);
    put_unordered(5);
    put_unordered(6);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 4);
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

/* The failure that tells the two apart: 2 is taken now, and 1 after it. */
Test(pipeline, a_nack_can_invert_two_of_a_key)
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

Test(pipeline, a_nack_cannot_invert_two_of_a_key_that_is_strict)
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

Test(pipeline, finds_the_one_that_closes_the_channel)
{
    find_culprit(16, 11, 6);
}

Test(pipeline, finds_the_one_of_a_thousand_that_closes_the_channel)
{
    find_culprit(1000, 700, 10);
}

Test(pipeline, finds_the_last_one_that_closes_the_channel)
{
    find_culprit(256, 256, 9);
}

Test(pipeline, a_close_without_a_name_halves_the_window)
{
    put_each(1, 64);
    start();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 64);
    close_for(40, false);
    turn();
    cr_assert_eq(counts().in_flight, 0);
    (void)await_next_fetch();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 32);
    cr_assert(was_published(1));
    cr_assert_eq(counts().refused, 0);
}

Test(pipeline, a_channel_that_closes_with_nothing_in_flight_is_opened_ever_more_seldom)
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
