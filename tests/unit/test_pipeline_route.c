#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: a route that refuses nearly everything. */

TestSuite(pipeline_route, .init = driver_init, .fini = driver_done);

static enum verdict
names_missing(int64_t id)
{
    const bool missing = strcmp(message_of(id)->exchange, "missing") == 0;
    return missing && !driver.mended ? CLOSES_NAMED : TAKES;
}

/* Four in five are always refused. */
static enum verdict
returns_most(int64_t id)
{
    return id % 5 != 0 ? RETURNS : TAKES;
}

static enum verdict
returns_20th(int64_t id)
{
    return !driver.mended || id % 20 == 0 ? RETURNS : TAKES;
}

/* Counts refusals only from here on: messages whose refusal was taken back count as not tried. */
static void
forget_refusals(void)
{
    for (int64_t id = 1; id <= driver.highest_id; id++) {
        message_of(id)->refused = false;
    }
}

static void
start_degraded(enum verdict (*broker)(int64_t id), int64_t last)
{
    put_each(1, last);
    driver.broker = broker;
    start();
    (void)await_report(REPORT_DEGRADED); /* its text is for the test */
}

/* ---- what is a bad route -------------------------------------------------------------------------- */

Test(pipeline_route, one_that_refuses_everything_pauses_and_nothing_moves_aside)
{
    start_degraded(returns_all, 500);
    cr_assert_str_eq(report_of(REPORT_DEGRADED)->reason, "unroutable");
    cr_assert_str_eq(status().paused_reason, "degraded: unroutable");
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEGRADED), 0, "said once");
    cr_assert_eq(reported(REPORT_HEALED), 0);
    cr_assert_eq(reported(REPORT_REFUSED), 0);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 500);
    cr_assert_eq(counts().held, 0);
}

Test(pipeline_route, heals_by_itself_when_it_is_mended)
{
    start_degraded(returns_all, 500);
    run(60 * CLOCK_S_US);
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_null(status().paused_reason);
}

Test(pipeline_route, is_tried_with_ever_larger_samples_and_pauses_between)
{
    driver.options.batch_rows = 100;
    start_degraded(returns_all, 500);
    uint32_t rows = 16;
    uint64_t last_us = driver.now_us;
    for (int sample = 0; sample < 6; sample++) {
        const struct fetch *fetch = &await_fetch(FETCH_NEXT)->action.fetch;
        cr_assert_eq(fetch->rows_max, rows, "%u instead of %u", fetch->rows_max, rows);
        cr_assert_geq(driver.now_us - last_us, driver.options.retry_initial_us);
        cr_assert_leq(driver.now_us - last_us, 11 * CLOCK_S_US);
        last_us = driver.now_us;
        rows = 2 * rows < 100 ? 2 * rows : 100;
    }
}

Test(pipeline_route, is_asked_for_nothing_between_two_samples)
{
    driver.options.retry_initial_us = 5 * CLOCK_S_US;
    start_degraded(returns_all, 500);
    run(4 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_FETCH), 0);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
}

Test(pipeline_route, a_full_queue_costs_no_attempt_and_moves_nothing)
{
    driver.options.max_attempts = 1;
    start_degraded(nacks_all, 300);
    cr_assert_not_null(strstr(status().paused_reason, "a queue is full"));
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEAD), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 300);
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

Test(pipeline_route, one_poison_message_on_an_idle_system_says_nothing)
{
    driver.options.retry_max_us = CLOCK_S_US;
    driver.options.max_attempts = 0;
    put(1, 1);
    driver.broker = returns_1;
    start();
    run(150 * CLOCK_S_US);
    cr_assert_geq(message_of(1)->attempts, 100);
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
}

static enum verdict
returns_first_seven(int64_t id)
{
    return id <= 7 ? RETURNS : TAKES;
}

Test(pipeline_route, seven_poison_messages_say_nothing)
{
    put_each(1, 7);
    driver.broker = returns_first_seven;
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
    cr_assert_eq(count_in(IN_HELD), 7);
}

static enum verdict
returns_half(int64_t id)
{
    return id % 2 == 0 ? RETURNS : TAKES;
}

Test(pipeline_route, one_that_refuses_half_is_good)
{
    put_each(1, 400);
    driver.broker = returns_half;
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
    cr_assert_eq(count_in(IN_HELD), 200);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_route, different_reasons_are_no_bad_route)
{
    static const char *const exchanges[] = {"a", "b", "c"};
    put_each(1, 300);
    for (int64_t id = 1; id <= 300; id++) {
        message_of(id)->exchange = exchanges[id % 3];
    }
    driver.broker = returns_all;
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
    cr_assert_eq(count_in(IN_HELD), 300);
}

Test(pipeline_route, messages_that_cannot_be_encoded_say_nothing_of_it)
{
    put_each(1, 300);
    driver.unpublishable = "headers: no object";
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
    cr_assert_eq(count_in(IN_HELD), 300);
}

/* ---- what comes of it ----------------------------------------------------------------------------- */

Test(pipeline_route, what_is_refused_of_a_sample_moves_aside_when_the_route_is_good)
{
    start_degraded(returns_20th, 200);
    run(10 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(count_in(IN_HELD), 10);
    for (int64_t id = 20; id <= 200; id += 20) {
        cr_assert_eq(message_of(id)->state, HELD_RETRYING);
        cr_assert_geq(message_of(id)->attempts, 1);
        cr_assert_leq(message_of(id)->attempts, 6);
    }
}

static enum verdict
returns_9_to_16(int64_t id)
{
    return !driver.mended || (id > 8 && id <= 16) ? RETURNS : TAKES;
}

/* Eight in a row are refused for the same reason, but others are taken meanwhile. */
Test(pipeline_route, what_is_refused_of_a_good_sample_costs_an_attempt)
{
    start_degraded(returns_9_to_16, 200);
    driver.mended = true;
    forget_refusals();
    (void)await_report(REPORT_HEALED); /* after the first sample of 16 */
    run(200 * CLOCK_MS_US);
    cr_assert_eq(count_in(IN_HELD), 8);
    for (int64_t id = 9; id <= 16; id++) {
        cr_assert_eq(message_of(id)->attempts, 1);
    }
}

/* While one message of the sample has no outcome. */
Test(pipeline_route, nothing_of_a_sample_moves_aside_before_it_is_through)
{
    start_degraded(returns_all, 200);
    driver.broker = NULL;
    (void)await(PIPELINE_PUBLISH); /* and the others of the sample */
    for (int64_t id = 2; id <= 16; id++) {
        give_back(id);
    }
    later(10 * driver.options.hold_delay_us);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    forget_refusals();
    take(1);
    turn();
    later(10 * driver.options.hold_delay_us);
    cr_assert_eq(noted(PIPELINE_HOLD), 0, "it is as bad as it was");
}

/* The reported reason is that of most refusals, not of the last one. */
Test(pipeline_route, says_the_reason_that_counts)
{
    put_each(1, 30);
    start();
    answer_fetch();
    for (int64_t id = 2; id <= 29; id++) {
        give_back(id);
    }
    nack(30);
    turn();
    cr_assert_eq(reported(REPORT_DEGRADED), 0, "the first may be taken still, and those behind it");
    take(1);
    turn();
    cr_assert_str_eq(report_of(REPORT_DEGRADED)->reason, "unroutable");
}

Test(pipeline_route, a_refusal_waits_for_what_went_before_it)
{
    put_each(1, 40);
    start();
    answer_fetch();
    for (int64_t id = 31; id <= 40; id++) {
        give_back(id);
    }
    turn();
    cr_assert_eq(reported(REPORT_DEGRADED), 0, "30 may be taken still");
    for (int64_t id = 1; id <= 30; id++) {
        take(id);
    }
    turn();
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
    run(CLOCK_S_US / 2);
    cr_assert_eq(count_in(IN_HELD), 10);
}

/* A few hundred bad messages in a row, followed by good ones, are no reason to wait for ever. */
static enum verdict
returns_first_hundreds(int64_t id)
{
    return id <= 300 ? RETURNS : TAKES;
}

Test(pipeline_route, good_messages_behind_many_bad_ones_are_reached)
{
    start_degraded(returns_first_hundreds, 1000);
    run(300 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    for (int64_t id = 301; id <= 1000; id++) {
        cr_assert_eq(message_of(id)->taken, 1);
    }
}

Test(pipeline_route, a_route_that_stays_half_bad_does_not_stop_the_good)
{
    put_each(1, 400);
    driver.broker = returns_most;
    start();
    run(600 * CLOCK_S_US);
    for (int64_t id = 5; id <= 400; id += 5) {
        cr_assert_eq(message_of(id)->taken, 1, "%ld", (long)id);
    }
}

/* With an empty outbox only these can be tried. */
Test(pipeline_route, held_messages_are_the_sample_when_there_is_nothing_else)
{
    start_degraded(returns_all, 100);
    for (int64_t id = 1; id <= 100; id++) {
        message_of(id)->place = NOWHERE;
        message_of(id)->refused = false;
    }
    for (int64_t id = 101; id <= 150; id++) {
        put_held(id, id, HELD_RETRYING, 1);
    }
    driver.acts = true;
    driver.mended = true;
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_route, heals_when_nothing_is_left)
{
    start_degraded(returns_all, 100);
    for (int64_t id = 1; id <= 100; id++) {
        message_of(id)->place = NOWHERE;
    }
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_null(status().paused_reason);
}

/* Nearly every key is held when the route is found to be bad, so a sample has only the few that are due: the others are
 * also a reason to go on waiting. */
Test(pipeline_route, a_few_that_are_due_say_nothing_where_many_are_held)
{
    driver.options.strict = true;
    driver.options.retry_initial_us = 100 * CLOCK_MS_US;
    driver.options.retry_max_us = 500 * CLOCK_MS_US;
    put_each(1, 64);
    driver.mended = true;
    driver.broker = returns_all;
    start();
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    driver.mended = false;
    put_each(65, 111); /* one fewer than three in four of 64 */
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 47);
    put_each(112, 114);
    (void)await_report(REPORT_DEGRADED); /* its text is tested elsewhere */
    turn();                              /* forgets what was reported */
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 0, "nothing goes");
    cr_assert_eq(reported(REPORT_REFUSED), 0, "%zu times", reported(REPORT_REFUSED));
    cr_assert_eq(count_in(IN_OUTBOX), 3);
    for (int64_t id = 65; id <= 114; id++) {
        cr_assert_leq(message_of(id)->attempts, 1);
    }
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}

static enum verdict
closes_all(int64_t id)
{
    (void)id; /* has the shape of a broker */
    return driver.mended ? TAKES : CLOSES;
}

/* After a closed channel nothing is known about the messages behind the culprit, so a sample with all messages has not
 * tried all. */
Test(pipeline_route, a_sample_that_a_channel_took_with_it_says_nothing)
{
    start_degraded(closes_all, 12);
    lose_lane(0); /* the next channel begins with a large window */
    run(60 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 12);
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* The others are dead: they are not tried, and prove nothing. */
Test(pipeline_route, a_few_that_are_left_say_nothing)
{
    for (int64_t id = 501; id <= 550; id++) {
        put_held(id, id, HELD_DEAD, 3);
    }
    start_degraded(returns_all, 100);
    for (int64_t id = 8; id <= 100; id++) {
        message_of(id)->place = NOWHERE;
    }
    run(20 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
}

/* An outage: messages that were held before are retried, and do not die of it. */
Test(pipeline_route, held_messages_lose_no_attempts_while_everything_is_refused)
{
    driver.options.max_attempts = 20;
    driver.options.retry_max_us = 2 * CLOCK_S_US;
    for (int64_t id = 1; id <= 50; id++) {
        put_held(id, id, HELD_RETRYING, 1);
    }
    driver.broker = returns_all;
    start();
    run(300 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_DEAD), 0);
    for (int64_t id = 1; id <= 50; id++) {
        cr_assert_leq(message_of(id)->attempts, 5, "%ld lost %u", (long)id,
                      message_of(id)->attempts);
    }
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_route, an_outage_in_the_midst_of_it_changes_nothing)
{
    start_degraded(returns_all, 200);
    run(10 * CLOCK_S_US);
    lose_lane(0);
    run(10 * CLOCK_S_US);
    lose_source();
    run(CLOCK_S_US);
    own_source();
    run(30 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
    cr_assert_eq(count_in(IN_OUTBOX), 200);
    driver.mended = true;
    forget_refusals();
    run(20 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_route, drains_while_it_is_bad)
{
    start_degraded(returns_all, 200);
    pipeline_drain(driver.pipeline);
    run(CLOCK_S_US);
    cr_assert(driver.drained);
    cr_assert_eq(count_in(IN_OUTBOX), 200);
}

Test(pipeline_route, keeps_the_order_of_keys)
{
    for (int64_t id = 1; id <= 400; id++) {
        put(id, id % 7 + 1);
    }
    driver.options.strict = true;
    driver.options.max_attempts = 0;
    driver.broker = returns_all;
    start();
    run(60 * CLOCK_S_US);
    driver.mended = true;
    forget_refusals();
    run(100 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
    int64_t last[8] = {0};
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        const int64_t id = note_at(PIPELINE_PUBLISH, i)->id;
        cr_assert_gt(id, last[message_of(id)->key]);
        last[message_of(id)->key] = id;
    }
}

/* Its reason is not hidden by those of later refusals, before it was decided. */
Test(pipeline_route, the_cause_is_named_among_many)
{
    static char exchanges[20][4];
    put_each(1, 60);
    for (int64_t id = 41; id <= 60; id++) {
        (void)snprintf(exchanges[id - 41], sizeof(exchanges[0]), "e%d", (int)id);
        message_of(id)->exchange = exchanges[id - 41];
    }
    start();
    answer_fetch();
    for (int64_t id = 2; id <= 60; id++) {
        give_back(id);
    }
    cr_assert_eq(reported(REPORT_DEGRADED), 0, "1 may have been taken");
    take(1);
    cr_assert_str_eq(await_report(REPORT_DEGRADED)->reason, "unroutable");
}

/* ---- an exchange that is missing ------------------------------------------------------------------ */

static void
put_missing_each(int64_t first, int64_t last)
{
    put_each(first, last);
    for (int64_t id = first; id <= last; id++) {
        message_of(id)->exchange = "missing";
    }
}

Test(pipeline_route, one_missing_exchange_costs_one_closed_channel)
{
    driver.options.max_attempts = 3;
    put_each(1, 100);
    put_missing_each(11, 14);
    put_missing_each(51, 52);
    driver.broker = names_missing;
    start();
    run(500 * CLOCK_MS_US);
    cr_assert_eq(driver.closes, 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(count_in(IN_HELD), 6);
    cr_assert_eq(message_of(11)->attempts, 1);
    cr_assert_eq(message_of(12)->attempts, 0, "it was not even tried");
    cr_assert_eq(message_of(12)->sent, 1, "but behind the one that closed the channel");
    cr_assert_eq(message_of(51)->attempts, 0);
    cr_assert_str_eq(message_of(51)->reason, "404 no exchange");
    cr_assert_eq(reported(REPORT_DEGRADED), 0);
}

Test(pipeline_route, one_that_is_missing_is_looked_for_with_one_message_at_a_time)
{
    put_missing_each(1, 6);
    driver.broker = names_missing;
    start();
    run(60 * CLOCK_S_US);
    cr_assert_geq(driver.closes, 4);
    cr_assert_leq(driver.closes, 30, "%u channels in a minute", driver.closes);
    unsigned sent = 0;
    for (int64_t id = 1; id <= 6; id++) {
        sent += message_of(id)->sent;
    }
    cr_assert_leq(sent, driver.closes + 6);
}

Test(pipeline_route, all_go_when_an_exchange_is_there_again)
{
    driver.options.max_attempts = 10;
    put_missing_each(1, 7);
    put_each(8, 60);
    driver.broker = names_missing;
    start();
    run(10 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 7);
    driver.mended = true;
    forget_refusals();
    run(30 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    cr_assert_eq(reported(REPORT_DEAD), 0);
    put_missing_each(61, 70);
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0, "it is not suspected any more");
}

Test(pipeline_route, an_exchange_that_is_missing_for_everything_is_a_bad_route)
{
    put_missing_each(1, 500);
    driver.broker = names_missing;
    start();
    cr_assert_str_eq(await_report(REPORT_DEGRADED)->reason, "404 no exchange");
    run(60 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    cr_assert_leq(driver.closes, 40, "%u channels in a minute", driver.closes);
    driver.mended = true;
    forget_refusals();
    run(30 * CLOCK_S_US);
    cr_assert_eq(reported(REPORT_HEALED), 1);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
}
