#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: held messages are retried. */

TestSuite(pipeline_probe, .init = driver_init, .fini = driver_done);

#define PROBES 1 /* the probe lane, if the stream has one lane */

Test(pipeline_probe, is_tried_at_its_time_on_a_lane_of_its_own)
{
    start_with_1_held();
    const uint64_t retry_at_us = message_of(1)->retry_at_us;
    driver.broker = NULL;
    size_t looks = 0;
    for (turn(); noted(PIPELINE_PUBLISH) == 0; later(CLOCK_MS_US)) {
        answer_all();
        looks += noted(PIPELINE_FETCH) > 0 &&
                 note_at(PIPELINE_FETCH, 0)->action.fetch.kind == FETCH_HEADS;
        if (noted(PIPELINE_PUBLISH) > 0) {
            break;
        }
    }
    cr_assert_geq(driver.now_us, retry_at_us);
    cr_assert_leq(driver.now_us, retry_at_us + 60 * CLOCK_MS_US);
    cr_assert_leq(looks, 3, "it is known when it is due: %zu looks", looks);
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 1);
    cr_assert_eq(only(PIPELINE_PUBLISH)->action.lane, PROBES);
    cr_assert_eq(counts().in_flight, 1);
}

Test(pipeline_probe, is_not_read_while_its_lane_is_not_there)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put_each(2, 3);
    driver.lane_stuck[PROBES] = true;
    driver.broker = takes_all;
    start();
    run(10 * CLOCK_S_US);
    for (size_t i = 0; i < noted(PIPELINE_FETCH); i++) {
        cr_assert_eq(note_at(PIPELINE_FETCH, i)->action.fetch.kind, FETCH_NEXT);
    }
    cr_assert_eq(count_in(IN_OUTBOX), 0, "the stream does not need it");
    driver.lane_stuck[PROBES] = false;
    run(CLOCK_S_US);
    cr_assert_eq(message_of(1)->taken, 1);
}

Test(pipeline_probe, many_heads_are_tried_some_at_a_time)
{
    for (int64_t id = 1; id <= 200; id++) {
        put_held(id, id, HELD_RETRYING, 1);
    }
    driver.broker = takes_all;
    start();
    run(2 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_HELD), 0);
    cr_assert_eq(counts().held, 0);
    for (size_t i = 0; i < noted(PIPELINE_FETCH); i++) {
        if (note_at(PIPELINE_FETCH, i)->action.fetch.kind == FETCH_HEADS) {
            cr_assert_leq(note_at(PIPELINE_FETCH, i)->action.fetch.rows_max, 64);
        }
    }
}

/* It must also be due by the clock of the database. */
Test(pipeline_probe, one_that_is_not_due_in_the_table_is_looked_for_again)
{
    put_held(1, 1, HELD_RETRYING, 1);
    start();
    message_of(1)->retry_at_us = driver.now_us + CLOCK_S_US;
    driver.broker = takes_all;
    run(3 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->taken, 1);
    size_t looks = 0;
    for (size_t i = 0; i < noted(PIPELINE_FETCH); i++) {
        looks += note_at(PIPELINE_FETCH, i)->action.fetch.kind == FETCH_HEADS;
    }
    cr_assert_geq(looks, 3);
    cr_assert_leq(looks, 9, "%zu looks in a second", looks);
}

Test(pipeline_probe, a_probe_that_is_lost_with_its_lane_costs_no_attempt)
{
    start_with_1_tried();
    lose_lane(PROBES);
    driver.broker = takes_all;
    run(2 * CLOCK_S_US);
    cr_assert_eq(message_of(1)->attempts, 1);
    cr_assert_eq(reported(REPORT_REFUSED), 0);
    CHECK_PUBLISHED(1, 1);
    cr_assert_eq(count_in(IN_HELD), 0);
}

/* A message of 100 MB that closes the channel at each attempt would otherwise discard what others have in flight, again
 * and again. */
Test(pipeline_probe, a_probe_that_closes_its_channel_costs_the_others_nothing)
{
    put_held(1, 1, HELD_RETRYING, 1);
    put_range(2, 4, 2);
    start();
    answer_fetch();
    cr_assert_eq(noted(PIPELINE_PUBLISH), 3);
    (void)await(PIPELINE_PUBLISH); /* the probe */
    close_for(1, false);
    turn();
    cr_assert_eq(only(PIPELINE_OPEN_CHANNEL)->action.lane, PROBES);
    cr_assert_eq(counts().in_flight, 3);
    cr_assert_eq(await_report(REPORT_REFUSED)->id, 1);
    cr_assert_eq(report_of(REPORT_REFUSED)->attempts, 2);
    driver.broker = takes_all;
    run(500 * CLOCK_MS_US);
    for (int64_t id = 2; id <= 4; id++) {
        cr_assert_eq(message_of(id)->sent, 1);
    }
}

Test(pipeline_probe, is_not_tried_while_an_earlier_one_of_its_key_is_on_its_way)
{
    put_held(5, 1, HELD_RETRYING, 1);
    put(3, 1);
    start();
    answer_fetch();
    cr_assert_eq(only(PIPELINE_PUBLISH)->id, 3);
    for (int i = 0; i < 300; i++) {
        later(CLOCK_MS_US);
        answer_all();
        cr_assert_not(was_published(5));
    }
    take(3);
    driver.broker = takes_all;
    run(200 * CLOCK_MS_US);
    CHECK_PUBLISHED(1, 5);
}

/* The broker took it after it had lost its place. */
Test(pipeline_probe, a_probe_that_was_overtaken_is_deleted_when_it_is_confirmed)
{
    driver.final_id = 2;
    put_held(5, 1, HELD_RETRYING, 1);
    start();
    cr_assert_eq(await(PIPELINE_PUBLISH)->id, 5);
    put(3, 1);
    (void)await(PIPELINE_PUBLISH); /* 3 */
    give_back(3);
    take(5);
    turn();
    cr_assert_eq(only(PIPELINE_RELEASE)->action.release.ids[0], 5);
    cr_assert_eq(only(PIPELINE_RELEASE)->action.release.key_count, 0);
    cr_assert_eq(counts().held, 1);
    driver.broker = takes_all;
    run(3 * CLOCK_S_US);
    CHECK_PUBLISHED(1, 3);
    cr_assert_eq(count_in(IN_HELD), 0);
}
