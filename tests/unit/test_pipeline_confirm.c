#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: the broker's answers for messages in flight. */

TestSuite(pipeline_confirm, .init = driver_init, .fini = driver_done);

Test(pipeline_confirm, refuses_a_confirm_for_what_was_never_sent)
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

/* A copy from an earlier ownership is still in flight when ours is. The return may belong to either, so the confirm of
 * ours does not prove that a queue has it. */
Test(pipeline_confirm, a_confirm_that_may_be_another_copys_proves_nothing)
{
    start_with(1);
    lose_source();
    own_source();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 1);
    cr_assert_eq(counts().in_flight, 2);
    give_back(1);
    message_of(1)->refused = false; /* it is unknown which copy was */
    take(1);
    cr_assert_eq(counts().confirmed, 0);
    driver.broker = takes_all;
    run(CLOCK_S_US);
    CHECK_PUBLISHED(1, 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

Test(pipeline_confirm, what_was_returned_is_not_settled_when_its_confirm_comes)
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

/* ---- for metrics ---------------------------------------------------------------------------------- */

static uint64_t
published_count(void)
{
    return histogram_count(&pipeline_latency(driver.pipeline)->publishing);
}

static uint64_t
delivered_count(void)
{
    return histogram_count(&pipeline_latency(driver.pipeline)->delivery);
}

Test(pipeline_confirm, how_long_it_took_is_counted)
{
    const uint64_t ahead_us = 1000 * CLOCK_S_US; /* the wall clock */
    driver.created_us = (int64_t)(ahead_us + driver.now_us - 2 * CLOCK_S_US);
    start_with(3);
    pipeline_wall(driver.pipeline, ahead_us);
    driver.now_us += CLOCK_S_US;
    take(1);
    const struct pipeline_latency *const latency = pipeline_latency(driver.pipeline);
    cr_assert_eq(latency->publishing.sum_us, CLOCK_S_US);
    cr_assert_eq(latency->delivery.sum_us, ahead_us + driver.now_us - (uint64_t)driver.created_us);
    cr_assert_geq(latency->delivery.sum_us, 3 * CLOCK_S_US);
    pipeline_wall(driver.pipeline, 0); /* the clock of the database is ahead of ours */
    take(2);
    cr_assert_eq(published_count(), 2);
    cr_assert_eq(delivered_count(), 2);
    cr_assert_eq(latency->delivery.counts[0], 1, "as no time, not as a very long one");
}

Test(pipeline_confirm, of_what_was_refused_no_time_is_counted)
{
    driver.created_us = 1;
    start_with_1_tried(); /* it was refused before, and is on its way again */
    cr_assert_eq(published_count(), 0);
    take(1);
    cr_assert_eq(counts().confirmed, 1);
    cr_assert_eq(published_count(), 1);
    cr_assert_eq(delivered_count(), 0, "it waited for its next attempt");
}

Test(pipeline_confirm, refusals_are_counted_by_their_kind)
{
    start_with(4);
    give_back(1);
    give_back(3);
    nack(2);
    struct pipeline_counts all = counts();
    cr_assert_eq(all.refused_returned, 2);
    cr_assert_eq(all.refused_nacked, 1);
    cr_assert_eq(all.refused, 3);
    cr_assert_eq(all.confirmed, 0);
    cr_assert_eq(published_count(), 0);
}
