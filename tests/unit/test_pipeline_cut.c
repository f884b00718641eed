/* Connections that end without a reason: a message that causes this each time is set aside, and an outage blames no
 * message. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/core/cuts.h"
#include "tests/unit/pipeline_driver.h"

TestSuite(pipeline_cut, .init = driver_init, .fini = driver_done);

static int64_t culprit;

static enum verdict
cuts_at_culprit(int64_t id)
{
    return id == culprit ? CLOSES : TAKES;
}

static enum verdict
cuts_always(int64_t id)
{
    return id > 0 ? CLOSES : TAKES;
}

static void
find_culprit(int64_t last, int64_t bad, unsigned cuts_max)
{
    driver.cuts_connections = true;
    driver.broker = cuts_at_culprit;
    culprit = bad;
    put_each(1, last);
    start();
    const struct pipeline_report *report = await_report(REPORT_REFUSED);
    cr_assert_eq(report->id, bad);
    cr_assert_eq(report->attempts, 0, "others must pass first");
    cr_assert_not_null(strstr(report->reason, "alone"), "%s", report->reason);
    cr_assert_leq(driver.closes, cuts_max, "%u connections", driver.closes);
    run(30 * CLOCK_S_US); /* the pauses between connections have grown */
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(count_in(IN_HELD), 1);
    cr_assert_eq(message_of(bad)->place, IN_HELD);
}

Test(pipeline_cut, the_message_is_found_and_the_others_go)
{
    find_culprit(256, 200, 12);
}

Test(pipeline_cut, likewise_when_confirms_are_lost_with_the_connection)
{
    driver.confirms_late = true;
    find_culprit(1000, 511, 16);
}

Test(pipeline_cut, likewise_when_it_is_the_only_one)
{
    find_culprit(1, 1, CUTS_ASIDE);
}

/* If others are taken meanwhile, it loses attempts until it is dead. */
Test(pipeline_cut, it_is_dead_in_the_end)
{
    driver.options.max_attempts = 2;
    find_culprit(16, 11, 10);
    for (int64_t id = 17; message_of(11)->state != HELD_DEAD; id++) {
        cr_assert_lt(id, 1000, "it is tried for ever");
        put(id, id);
        run(CLOCK_S_US);
    }
    cr_assert_eq(message_of(11)->attempts, 2);
    cr_assert_not_null(strstr(message_of(11)->reason, "others pass"), "%s", message_of(11)->reason);
    cr_assert_geq(message_of(11)->sent, CUTS_BLAMED + 1);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
}

/* Nothing is taken, so it is the network, however long that lasts. */
Test(pipeline_cut, an_outage_that_cuts_everything_costs_no_attempt)
{
    driver.options.max_attempts = 2;
    driver.cuts_connections = true;
    driver.broker = cuts_always;
    put_each(1, 40);
    start();
    run(600 * CLOCK_S_US);
    for (int64_t id = 1; id <= 40; id++) {
        cr_assert_eq(message_of(id)->attempts, 0, "message %ld", (long)id);
        cr_assert_neq(message_of(id)->state, HELD_DEAD);
    }
    driver.broker = takes_all;
    run(400 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(count_in(IN_HELD), 0);
}

Test(pipeline_cut, one_that_goes_through_is_innocent_again)
{
    driver.options.lane_count = 1;
    put(1, 1);
    start();
    answer_fetch();
    for (int i = 0; i < 50; i++) {
        for (uint32_t cut = 1; cut < CUTS_ASIDE; cut++) {
            cut_lane(0);
            run(20 * CLOCK_S_US);
            cr_assert_eq(counts().in_flight, 1);
        }
        take(i + 1);
        put(i + 2, 1);
        run(CLOCK_S_US);
    }
    cr_assert_eq(counts().refused, 0);
}

Test(pipeline_cut, one_cut_changes_next_to_nothing)
{
    put_each(1, 200);
    start();
    answer_fetch();
    cr_assert_eq(counts().in_flight, 200);
    cut_lane(0);
    run(CLOCK_S_US);
    cr_assert_eq(counts().in_flight, 200, "all of it is sent again, at once");
    driver.broker = takes_all;
    run(CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(counts().refused, 0);
}

Test(pipeline_cut, without_anything_in_flight_it_is_a_lost_lane)
{
    start();
    answer_fetch();
    cut_lane(0);
    cr_assert_eq(counts().lanes_ready, 0);
    run(CLOCK_S_US);
    cr_assert_eq(counts().lanes_ready, 1);
}
