#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: scheduled messages. */

TestSuite(pipeline_wake, .init = driver_init, .fini = driver_done);

static void
schedule(int64_t id, int64_t key, uint64_t in_us)
{
    put(id, key);
    message_of(id)->deliver_after_us = driver.now_us + in_us;
}

Test(pipeline_wake, a_scheduled_message_waits_aside_and_goes_out_on_time)
{
    schedule(1, 1, 10 * CLOCK_S_US);
    put(2, 1);
    const uint64_t due_us = message_of(1)->deliver_after_us;
    driver.broker = takes_all;
    start();
    const struct note *hold = await(PIPELINE_HOLD);
    cr_assert_eq(hold_of(hold, 1)->state, HELD_SCHEDULED);
    cr_assert_eq(hold->action.count, 1);
    run(CLOCK_S_US);
    cr_assert_eq(message_of(2)->taken, 1, "it does not block its key before it is due");
    cr_assert_eq(message_of(1)->place, IN_HELD);
    cr_assert_eq(counts().held, 0, "and is no refused one");
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 3, "under the id it got when it was due");
    cr_assert_geq(driver.now_us, due_us);
    cr_assert_leq(driver.now_us, due_us + 50 * CLOCK_MS_US);
}

/* No relay was running when it became due: it is still behind 2, which was written before that. */
Test(pipeline_wake, one_whose_time_has_come_before_it_is_read_gets_a_new_place)
{
    schedule(1, 1, CLOCK_S_US);
    put(2, 1);
    driver.now_us += 2 * CLOCK_S_US;
    driver.broker = takes_all;
    start();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 3, "under a new id");
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD) + count_in(IN_OUTBOX), 0);
}

/* Somebody has locked it to cancel it, and then does not. */
Test(pipeline_wake, a_scheduled_message_that_cannot_be_moved_now_is_read_again)
{
    schedule(1, 1, 2 * CLOCK_S_US);
    driver.locked_id = 1;
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    cr_assert_eq(message_of(1)->place, IN_OUTBOX);
    cr_assert_eq(reported(REPORT_GONE), 0);
    driver.locked_id = 0;
    run(3 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX) + count_in(IN_HELD), 0);
    cr_assert_eq(reported(REPORT_SWEPT), 0);
}

Test(pipeline_wake, one_that_is_due_soon_is_not_late)
{
    driver.options.look_interval_us = 10 * CLOCK_S_US;
    schedule(1, 1, 300 * CLOCK_MS_US);
    const uint64_t due_us = message_of(1)->deliver_after_us;
    driver.broker = takes_all;
    start();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 2);
    cr_assert_leq(driver.now_us, due_us + 50 * CLOCK_MS_US);
}

Test(pipeline_wake, scheduled_messages_wait_behind_a_held_one_from_when_they_are_due)
{
    schedule(1, 1, 2 * CLOCK_S_US);
    start();
    run(100 * CLOCK_MS_US);
    put_held(2, 1, HELD_DEAD, 100);
    driver.acts = true;
    driver.broker = takes_all;
    run(10 * CLOCK_S_US);
    cr_assert_eq(message_of(3)->place, IN_HELD);
    cr_assert_eq(message_of(3)->state, HELD_WAITING);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 0);
}

Test(pipeline_wake, many_that_are_due_move_in_parts_with_a_pause)
{
    driver.options.batch_rows = 2;
    for (int64_t id = 1; id <= 10; id++) {
        schedule(id, id, 2 * CLOCK_S_US);
    }
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    uint64_t last_us = 0;
    for (int i = 0; i < 5; i++) {
        do {
            cr_assert_eq(await(PIPELINE_WAKE)->action.count, 2);
        } while (driver.now_us < message_of(10)->deliver_after_us);
        cr_assert_geq(driver.now_us, last_us + driver.options.wake_interval_us);
        cr_assert(last_us == 0 || driver.now_us <= last_us + 2 * driver.options.wake_interval_us);
        last_us = driver.now_us;
    }
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD) + count_in(IN_OUTBOX), 0);
}

Test(pipeline_wake, one_that_is_scheduled_sooner_than_the_next_is_not_late)
{
    schedule(1, 1, 100 * CLOCK_S_US);
    driver.broker = takes_all;
    start();
    run(CLOCK_S_US);
    schedule(2, 2, CLOCK_S_US);
    const uint64_t due_us = message_of(2)->deliver_after_us;
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 3);
    cr_assert_geq(driver.now_us, due_us);
    cr_assert_leq(driver.now_us, due_us + 50 * CLOCK_MS_US);
}
