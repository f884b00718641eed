#include <criterion/criterion.h>

#include "base/clock.h"
#include "consumers/runner_window.h"

enum { PREFETCH = 8, BATCH_MAX = 4, ATTEMPTS_MAX = 3 };
#define WAIT_US 5000
#define NOW_US UINT64_C(1000000)

static struct runner_window window;
static char names[PREFETCH];

static void
setup(void)
{
    void *items[PREFETCH];
    for (int i = 0; i < PREFETCH; i++) {
        items[i] = &names[i];
    }
    struct runner_limits limits = {.prefetch = PREFETCH,
                                   .batch_max = BATCH_MAX,
                                   .attempts_max = ATTEMPTS_MAX,
                                   .batch_wait_us = WAIT_US,
                                   .retry_initial_us = 100,
                                   .retry_max_us = 10000};
    cr_assert(runner_window_init(&window, &limits, items, 1));
}

static void
teardown(void)
{
    runner_window_done(&window);
}

TestSuite(runner_window, .init = setup, .fini = teardown);

static void
add(uint64_t tag, uint64_t key)
{
    cr_assert_not_null(runner_window_add(&window, tag, key, NOW_US));
}

/* Picks at `now_us`, and requires these tags (0 ends the list). */
static void
expect_batch(uint64_t now_us, uint64_t first, uint64_t second, uint64_t third, uint64_t fourth)
{
    const uint64_t expected[BATCH_MAX + 1] = {first, second, third, fourth, 0};
    uint64_t until_us;
    uint32_t count = runner_window_pick(&window, now_us, &until_us);
    for (uint32_t i = 0; i < count; i++) {
        cr_expect_eq(runner_window_picked(&window, i)->tag, expected[i], "position %u: %lu", i,
                     runner_window_picked(&window, i)->tag);
    }
    cr_expect_eq(expected[count], 0, "%u in the batch", count);
}

static void
expect_settled(size_t count, const struct runner_settlement *expected)
{
    const struct runner_settlement *settlements;
    cr_assert_eq(runner_window_settle(&window, false, &settlements), count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(settlements[i].tag, expected[i].tag);
        cr_expect_eq(settlements[i].refuse, expected[i].refuse);
        cr_expect_eq(settlements[i].multiple, expected[i].multiple);
    }
}

#define SETTLED(...)                                                   \
    expect_settled(sizeof((struct runner_settlement[]){__VA_ARGS__}) / \
                       sizeof(struct runner_settlement),               \
                   (struct runner_settlement[]){__VA_ARGS__})
#define ACK_TO(number)                    \
    {                                     \
        .tag = (number), .multiple = true \
    }
#define ACK_ONE(number) \
    {                   \
        .tag = (number) \
    }
#define REFUSE(number)                  \
    {                                   \
        .tag = (number), .refuse = true \
    }

static void
fail_alone(uint64_t tag, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        expect_batch(NOW_US + CLOCK_S_US * (i + 1), tag, 0, 0, 0);
        (void)runner_window_failed(&window, NOW_US + CLOCK_S_US * (i + 1));
    }
}

Test(runner_window, a_full_batch_runs_at_once_and_is_acknowledged_with_one_ack)
{
    for (uint64_t tag = 1; tag <= 5; tag++) {
        add(tag, tag);
    }
    expect_batch(NOW_US, 1, 2, 3, 4);
    runner_window_committed(&window);
    SETTLED(ACK_TO(4));
    cr_expect_eq(window.count, 1);
}

Test(runner_window, a_short_batch_waits_for_more_but_not_longer_than_batch_wait)
{
    add(1, 0);
    uint64_t until_us;
    cr_expect_eq(runner_window_pick(&window, NOW_US + 1, &until_us), 0);
    cr_expect_eq(until_us, NOW_US + WAIT_US);
    add(2, 0);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
}

Test(runner_window, an_empty_window_waits_for_ever)
{
    uint64_t until_us;
    cr_expect_eq(runner_window_pick(&window, NOW_US, &until_us), 0);
    cr_expect_eq(until_us, CLOCK_NEVER_US);
    expect_settled(0, NULL);
}

Test(runner_window, a_failed_batch_runs_one_by_one_in_order)
{
    for (uint64_t tag = 1; tag <= 4; tag++) {
        add(tag, 7);
    }
    expect_batch(NOW_US, 1, 2, 3, 4);
    cr_expect_eq(runner_window_failed(&window, NOW_US), RUNNER_SPLIT);
    expect_settled(0, NULL);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        expect_batch(NOW_US, tag, 0, 0, 0);
        runner_window_committed(&window);
        SETTLED(ACK_TO(tag));
    }
}

Test(runner_window, a_message_that_fails_alone_holds_its_key_and_nothing_else)
{
    add(1, 7);
    add(2, 8);
    add(3, 7);
    add(4, 0);
    expect_batch(NOW_US, 1, 2, 3, 4);
    (void)runner_window_failed(&window, NOW_US);
    expect_batch(NOW_US, 1, 0, 0, 0);
    cr_expect_eq(runner_window_failed(&window, NOW_US), RUNNER_AGAIN);
    expect_batch(NOW_US, 2, 0, 0, 0);
    runner_window_committed(&window);
    expect_batch(NOW_US, 4, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED(ACK_ONE(2), ACK_ONE(4)); /* a multiple ack would also acknowledge 1 and 3 */
    uint64_t until_us;
    cr_expect_eq(runner_window_pick(&window, NOW_US, &until_us), 0);
    cr_expect_gt(until_us, NOW_US);
    expect_batch(until_us, 1, 0, 0, 0);
    runner_window_committed(&window);
    expect_batch(until_us, 3, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED(ACK_TO(3));
}

Test(runner_window, messages_that_come_later_wait_behind_a_failing_one_of_their_key)
{
    add(1, 7);
    fail_alone(1, 1);
    add(2, 7);
    add(3, 8);
    expect_batch(NOW_US + CLOCK_S_US, 3, 0, 0, 0);
}

Test(runner_window, after_attempts_max_a_message_is_refused_and_its_key_goes_on)
{
    add(1, 7);
    add(2, 7);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
    (void)runner_window_failed(&window, NOW_US);
    fail_alone(1, ATTEMPTS_MAX - 1);
    expect_batch(NOW_US + 9 * CLOCK_S_US, 1, 0, 0, 0);
    cr_expect_eq(runner_window_failed(&window, NOW_US), RUNNER_DEAD);
    SETTLED(REFUSE(1));
    expect_batch(NOW_US + 9 * CLOCK_S_US, 2, 0, 0, 0);
}

Test(runner_window, the_application_refuses_one_of_a_batch)
{
    add(1, 0);
    add(2, 0);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
    cr_expect_eq(runner_window_refused(&window), RUNNER_SPLIT);
    expect_batch(NOW_US, 1, 0, 0, 0);
    cr_expect_eq(runner_window_refused(&window), RUNNER_DEAD);
    expect_batch(NOW_US, 2, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED(REFUSE(1), ACK_TO(2));
}

/* A multiple ack must name an open tag: RabbitMQ closes the channel for any other. */
Test(runner_window, the_multiple_ack_never_names_a_refused_tag)
{
    add(1, 0);
    cr_assert(runner_window_add_refused(&window, 2));
    expect_batch(NOW_US + WAIT_US, 1, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED(REFUSE(2), ACK_TO(1));
    cr_expect_eq(window.count, 0);
}

Test(runner_window, an_outage_stops_everything_and_costs_no_attempt)
{
    add(1, 0);
    for (int i = 0; i < ATTEMPTS_MAX + 2; i++) {
        expect_batch(NOW_US + CLOCK_S_US * (i + 1), 1, 0, 0, 0);
        cr_expect_eq(runner_window_outage(&window, false, NOW_US + CLOCK_S_US * (i + 1)),
                     RUNNER_OUTAGE);
        uint64_t next_us = window.outage_until_us;
        uint64_t until_us;
        cr_expect_gt(next_us, NOW_US + CLOCK_S_US * (i + 1));
        cr_expect_eq(runner_window_pick(&window, next_us - 1, &until_us), 0);
        cr_expect_eq(until_us, next_us);
    }
    expect_batch(NOW_US + 99 * CLOCK_S_US, 1, 0, 0, 0);
    cr_expect_eq(runner_window_picked(&window, 0)->attempts, 0);
}

Test(runner_window, after_an_outage_the_batch_runs_as_a_batch)
{
    add(1, 0);
    add(2, 0);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
    (void)runner_window_outage(&window, false, NOW_US + WAIT_US);
    expect_batch(window.outage_until_us, 1, 2, 0, 0);
}

Test(runner_window, a_deadlock_splits_the_batch_and_costs_no_attempt)
{
    add(1, 0);
    add(2, 0);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
    cr_expect_eq(runner_window_contended(&window, NOW_US), RUNNER_SPLIT);
    for (int i = 0; i < ATTEMPTS_MAX + 2; i++) {
        expect_batch(NOW_US + CLOCK_S_US * (i + 1), 1, 0, 0, 0);
        cr_expect_eq(runner_window_contended(&window, NOW_US + CLOCK_S_US * (i + 1)), RUNNER_AGAIN);
    }
    cr_expect_eq(window.entries[0].attempts, 0);
    cr_expect_eq(window.entries[0].state, RUNNER_WAITING);
}

Test(runner_window, what_was_picked_before_a_lone_message_goes_first)
{
    add(1, 0);
    add(2, 0);
    expect_batch(NOW_US + WAIT_US, 1, 2, 0, 0);
    (void)runner_window_failed(&window, NOW_US);
    expect_batch(NOW_US, 1, 0, 0, 0);
    (void)runner_window_failed(&window, NOW_US);
    add(3, 0);
    expect_batch(NOW_US, 2, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED(ACK_ONE(2));
    expect_batch(NOW_US + CLOCK_S_US, 1, 0, 0, 0);
    runner_window_committed(&window);
    expect_batch(NOW_US + CLOCK_S_US, 3, 0, 0, 0);
}

Test(runner_window, a_full_window_takes_no_more_and_does_not_wait)
{
    add(1, 7);
    fail_alone(1, 1);
    for (uint64_t tag = 2; tag <= PREFETCH; tag++) {
        add(tag, tag == 2 ? 8 : 7);
    }
    cr_expect_null(runner_window_add(&window, PREFETCH + 1, 0, NOW_US));
    cr_expect_not(runner_window_add_refused(&window, PREFETCH + 1));
    expect_batch(NOW_US, 2, 0, 0, 0);
}

Test(runner_window, items_survive_any_order_of_settling)
{
    for (uint64_t tag = 1; tag <= PREFETCH; tag++) {
        add(tag, tag);
    }
    void *third = window.entries[2].item;
    expect_batch(NOW_US, 1, 2, 3, 4);
    (void)runner_window_failed(&window, NOW_US);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        expect_batch(NOW_US, tag, 0, 0, 0);
        tag == 3 ? (void)runner_window_failed(&window, NOW_US) : runner_window_committed(&window);
    }
    SETTLED(ACK_ONE(4), ACK_TO(2));
    cr_expect_eq(window.entries[0].item, third);
    unsigned seen = 0;
    for (int i = 0; i < PREFETCH; i++) {
        seen |= 1U << ((char *)window.entries[i].item - names);
    }
    cr_expect_eq(seen, (1U << PREFETCH) - 1, "an item is lost or used twice");
}

Test(runner_window, a_lost_channel_forgets_everything)
{
    add(5, 7);
    add(6, 7);
    expect_batch(NOW_US + WAIT_US, 5, 6, 0, 0);
    runner_window_committed(&window);
    runner_window_clear(&window);
    expect_settled(0, NULL);
    add(1, 7); /* tags begin again */
    expect_batch(NOW_US + WAIT_US, 1, 0, 0, 0);
}

/* The message that causes the outage, alone, and another one; returns the verdict of its turn. */
static enum runner_verdict
outage_of_first(uint64_t now_us, bool other_commits)
{
    expect_batch(now_us, 1, 0, 0, 0);
    const enum runner_verdict verdict = runner_window_outage(&window, true, now_us);
    if (other_commits) {
        expect_batch(window.outage_until_us, 2, 0, 0, 0);
        runner_window_committed(&window);
    }
    return verdict;
}

Test(runner_window, an_outage_that_only_one_message_meets_is_its_doing)
{
    uint64_t now_us = NOW_US + CLOCK_S_US;
    add(1, 0);
    add(2, 0);
    expect_batch(now_us, 1, 2, 0, 0);
    cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_OUTAGE);
    cr_expect_eq(outage_of_first(now_us += CLOCK_S_US, true), RUNNER_OUTAGE);
    for (int attempt = 1; attempt < ATTEMPTS_MAX; attempt++) { /* no other messages are left */
        expect_batch(now_us += CLOCK_S_US, 1, 0, 0, 0);
        cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_AGAIN);
    }
    expect_batch(now_us += CLOCK_S_US, 1, 0, 0, 0);
    cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_DEAD);
}

Test(runner_window, one_that_was_a_culprit_is_none_when_others_meet_an_outage_too)
{
    uint64_t now_us = NOW_US + CLOCK_S_US;
    add(1, 0);
    add(2, 0);
    expect_batch(now_us, 1, 2, 0, 0);
    (void)runner_window_outage(&window, true, now_us);
    (void)outage_of_first(now_us += CLOCK_S_US, true);
    cr_expect_eq(outage_of_first(now_us += CLOCK_S_US, false), RUNNER_AGAIN);
    add(3, 0);
    expect_batch(now_us, 3, 0, 0, 0);
    cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_OUTAGE);
    cr_expect_eq(outage_of_first(now_us += CLOCK_S_US, false), RUNNER_OUTAGE);
}

Test(runner_window, an_outage_that_all_meet_costs_nobody_anything)
{
    uint64_t now_us = NOW_US + CLOCK_S_US;
    add(1, 0);
    add(2, 0);
    expect_batch(now_us, 1, 2, 0, 0);
    (void)runner_window_outage(&window, true, now_us);
    for (int i = 0; i < 2 * ATTEMPTS_MAX; i++) {
        uint64_t until_us;
        now_us += CLOCK_S_US;
        cr_assert_eq(runner_window_pick(&window, now_us, &until_us), 1);
        cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_OUTAGE);
        cr_assert_eq(runner_window_pick(&window, window.outage_until_us, &until_us), 1);
        cr_expect_eq(runner_window_outage(&window, true, now_us), RUNNER_OUTAGE);
    }
    expect_batch(now_us += CLOCK_S_US, 1, 0, 0, 0);
    runner_window_committed(&window);
    expect_batch(now_us, 2, 0, 0, 0);
    runner_window_committed(&window);
}

Test(runner_window, what_was_returned_before_has_a_transaction_of_its_own)
{
    add(1, 0);
    runner_window_count(runner_window_add(&window, 2, 0, NOW_US));
    runner_window_count(runner_window_add(&window, 3, 0, NOW_US));
    add(4, 0);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        expect_batch(NOW_US + CLOCK_S_US, tag, 0, 0, 0);
        runner_window_committed(&window);
    }
}

Test(runner_window, no_waiting_for_more_than_there_is_room_for)
{
    uint64_t until_us;
    window.room = 1;
    add(1, 0);
    expect_batch(NOW_US, 1, 0, 0, 0);
    runner_window_committed(&window);
    SETTLED({.tag = 1, .multiple = true});
    window.room = PREFETCH;
    add(2, 0);
    cr_expect_eq(runner_window_pick(&window, NOW_US, &until_us), 0);
    window.hurried = true;
    expect_batch(NOW_US, 2, 0, 0, 0);
}

Test(runner_window, refusals_go_out_while_acknowledgements_are_held_back)
{
    const struct runner_settlement *settlements;
    add(1, 0);
    cr_assert(runner_window_add_refused(&window, 2));
    add(3, 0);
    expect_batch(NOW_US + CLOCK_S_US, 1, 3, 0, 0);
    runner_window_committed(&window);
    cr_assert_eq(runner_window_settle(&window, true, &settlements), 1);
    cr_expect(settlements[0].tag == 2 && settlements[0].refuse);
    cr_expect_eq(window.count, 2);
    cr_expect_eq(runner_window_open(&window), 0);
    SETTLED({.tag = 3, .multiple = true});
}

Test(runner_window, a_message_that_is_alone_in_hand_and_meets_an_outage_again_needs_others)
{
    window.room = 1;
    add(1, 0);
    uint64_t now_us = NOW_US;
    for (int i = 0; i < 2; i++) {
        cr_expect_not(runner_window_needs_others(&window));
        expect_batch(now_us, 1, 0, 0, 0);
        (void)runner_window_outage(&window, true, now_us);
        now_us += CLOCK_S_US;
    }
    cr_expect(runner_window_needs_others(&window));
    window.room = PREFETCH;
    cr_expect_not(runner_window_needs_others(&window));
}

Test(runner_window, a_message_that_is_alone_in_hand_and_always_meets_contention_needs_others)
{
    window.room = 1;
    add(1, 0);
    uint64_t now_us = NOW_US;
    for (int i = 0; i < 4; i++) {
        cr_expect_not(runner_window_needs_others(&window));
        expect_batch(now_us, 1, 0, 0, 0);
        cr_expect_eq(runner_window_contended(&window, now_us), RUNNER_AGAIN);
        now_us += CLOCK_S_US;
    }
    cr_expect(runner_window_needs_others(&window));
    cr_expect_eq(window.entries[0].attempts, 0);
}
