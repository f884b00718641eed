/* How the workers follow from one configuration to the next, on a clock of the test's own. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/daemon/roster.h"
#include "tests/unit/fake_worker.h"

#define TIMEOUT_US (30 * CLOCK_S_US)

static struct roster *roster;
static struct board *board;
static struct roster_change change;
static uint64_t now_us = 1000 * CLOCK_S_US;

static void
set_up(void)
{
    board = board_new();
    roster = roster_new(-1, board);
}

/* Everything ends, or the sanitizers find what is left. */
static void
tear_down(void)
{
    roster_drain(roster);
    roster_work(roster, now_us);
    roster_free(roster);
    board_free(board);
}

TestSuite(roster, .init = set_up, .fini = tear_down);

static void
follow(const char *letters)
{
    struct config *const config = fake_config(letters, TIMEOUT_US);
    roster_follow(roster, config, now_us, now_us + 10 * CLOCK_S_US, &change);
    config_free(config);
}

/* The brokers have what is to be declared. */
static void
release(void)
{
    roster_release(roster, "main");
    roster_release(roster, "other");
    roster_work(roster, now_us);
}

static void
expect_acts(const char *acts)
{
    cr_assert_str_eq(fake_acts, acts, "expected %s, got %s", acts, fake_acts);
    fake_acts[0] = '\0';
}

static void
expect_change(size_t added, size_t changed, size_t removed, size_t kept)
{
    cr_assert_eq(change.added, added);
    cr_assert_eq(change.changed, changed);
    cr_assert_eq(change.removed, removed);
    cr_assert_eq(change.kept, kept);
}

Test(roster, sources_are_added_changed_removed_and_left_alone)
{
    follow("bcd");
    expect_change(3, 0, 0, 0);
    release();
    expect_acts("+d +c +b ");
    cr_assert(roster_is_settled(roster));

    follow("bCe");
    expect_change(1, 1, 1, 1);
    expect_acts("-c -d ");
    cr_assert_not(roster_is_settled(roster));
    release();
    cr_assert(roster_is_settled(roster));
    cr_assert(strstr(fake_acts, "_c +C ") != NULL, "%s", fake_acts);
    cr_assert(strstr(fake_acts, "_d ") != NULL && strstr(fake_acts, "+e ") != NULL);
    cr_assert_null(strchr(fake_acts, 'b'), "it was not left alone: %s", fake_acts);
    cr_assert_eq(roster_running(roster), 3);
    fake_acts[0] = '\0';

    follow("bCe");
    expect_change(0, 0, 0, 3);
    release();
    expect_acts("");
}

Test(roster, what_starts_waits_for_its_own_broker_and_not_for_ever)
{
    follow("bz"); /* of two brokers */
    roster_work(roster, now_us);
    expect_acts("");
    roster_release(roster, "main");
    roster_work(roster, now_us);
    expect_acts("+b ");
    cr_assert_eq(roster_deadline_us(roster), now_us + 10 * CLOCK_S_US);
    now_us += 10 * CLOCK_S_US;
    roster_work(roster, now_us);
    expect_acts("+z ");
}

Test(roster, one_that_cannot_start_holds_up_nobody_and_is_tried_again)
{
    fake_behaviours['b'] = FAKE_CANNOT_START;
    follow("abc");
    release();
    expect_acts("+c ?b +a ");
    cr_assert(roster_is_settled(roster), "there is nothing to wait for");
    unsigned tries = 0;
    for (uint64_t until_us = now_us + 600 * CLOCK_S_US; now_us < until_us; tries++) {
        cr_assert_gt(roster_deadline_us(roster), now_us);
        cr_assert_leq(roster_deadline_us(roster), now_us + 30 * CLOCK_S_US);
        now_us = roster_deadline_us(roster);
        roster_work(roster, now_us);
        expect_acts("?b ");
    }
    cr_assert_lt(tries, 200, "it is not tried at growing intervals");
    fake_behaviours['b'] = FAKE_DRAINS;
    now_us = roster_deadline_us(roster);
    roster_work(roster, now_us);
    expect_acts("+b ");
    cr_assert_eq(roster_deadline_us(roster), CLOCK_NEVER_US);
}

static void
expect_board(size_t count, const char *reason)
{
    struct board_view *views;
    cr_assert_eq(board_read(board, now_us, &views), count);
    cr_assert(count == 0 ||
              (views[0].state == BOARD_STARTING && strcmp(views[0].source, "b") == 0 &&
               strcmp(views[0].state_reason, reason) == 0));
    memory_free(views);
}

static void
collect(void *context, const char *source, const char *why)
{
    char *const text = context;
    (void)snprintf(text, 100, "%s: %s", source, why); /* fits */
}

Test(roster, one_that_cannot_start_is_told_and_tried_at_once_after_a_reload)
{
    char failing[100] = "";
    fake_behaviours['b'] = FAKE_CANNOT_START;
    follow("b");
    release();
    roster_each_failing(roster, collect, failing);
    cr_assert_str_eq(failing, "b: no thread to be had");
    expect_board(1, "no thread to be had");
    follow("b");
    expect_change(0, 0, 0, 1);
    roster_work(roster, now_us);
    expect_acts("?b ?b ");
    fake_behaviours['B'] = FAKE_DRAINS;
    follow("B");
    expect_change(0, 1, 0, 0);
    release();
    expect_acts("+B ");
    failing[0] = '\0';
    roster_each_failing(roster, collect, failing);
    cr_assert_str_empty(failing);
    expect_board(1, "");
}

Test(roster, one_that_ends_by_itself_is_started_again_and_the_others_run_on)
{
    fake_behaviours['b'] = FAKE_ENDS_AT_ONCE;
    follow("abc");
    release();
    expect_acts("+c +b +a ");
    roster_work(roster, now_us);
    expect_acts("_b ");
    cr_assert_eq(roster_running(roster), 2);
    fake_behaviours['b'] = FAKE_DRAINS;
    cr_assert_gt(roster_deadline_us(roster), now_us, "at once would be a loop");
    now_us = roster_deadline_us(roster);
    roster_work(roster, now_us);
    expect_acts("+b ");
}

Test(roster, a_drain_that_does_not_end_is_cut_short)
{
    fake_behaviours['b'] = FAKE_ENDS_WHEN_LEFT;
    fake_behaviours['c'] = FAKE_ENDS_WHEN_LEFT;
    follow("bcd");
    release();
    fake_acts[0] = '\0';
    follow("Bd");
    release();
    expect_acts("-b -c ");
    cr_assert_eq(roster_deadline_us(roster), now_us + TIMEOUT_US);
    now_us += TIMEOUT_US;
    roster_work(roster, now_us);
    cr_assert(strstr(fake_acts, "!b ") != NULL && strstr(fake_acts, "!c ") != NULL);
    roster_work(roster, now_us);
    cr_assert(strstr(fake_acts, "_b +B ") != NULL && strstr(fake_acts, "_c ") != NULL, "%s",
              fake_acts);
    cr_assert(roster_is_settled(roster));
    cr_assert(roster_is_clean(roster), "that is not the end of the process");
}

Test(roster, a_second_change_during_a_drain_counts)
{
    fake_behaviours['b'] = FAKE_ENDS_WHEN_LEFT;
    fake_behaviours['c'] = FAKE_ENDS_WHEN_LEFT;
    fake_behaviours['d'] = FAKE_ENDS_WHEN_LEFT;
    follow("bcd");
    release();
    follow("Bd"); /* b is to change, c to end */
    follow("cd"); /* b is to end, c to start again */
    expect_change(0, 1, 1, 1);
    follow("bcd"); /* b as it was, but it drains */
    release();
    expect_acts("+d +c +b -b -c ");
    now_us += TIMEOUT_US;
    roster_work(roster, now_us);
    roster_work(roster, now_us);
    cr_assert(strstr(fake_acts, "_b +b ") != NULL && strstr(fake_acts, "_c +c ") != NULL, "%s",
              fake_acts);
    cr_assert_null(strchr(fake_acts, 'd'));
    fake_behaviours['b'] = fake_behaviours['c'] = fake_behaviours['d'] = FAKE_ENDS_WHEN_LEFT;
    follow("");
    now_us += TIMEOUT_US;
    roster_work(roster, now_us);
    roster_work(roster, now_us);
    cr_assert_eq(roster_running(roster), 0);
}

Test(roster, nothing_starts_once_all_drain)
{
    fake_behaviours['b'] = FAKE_CANNOT_START;
    fake_behaviours['d'] = FAKE_DRAINS_DIRTY;
    follow("bcd");
    release();
    follow("bCd");
    fake_acts[0] = '\0';
    roster_drain(roster);
    roster_work(roster, now_us + 600 * CLOCK_S_US);
    cr_assert_null(strpbrk(fake_acts, "+?"), "%s", fake_acts);
    cr_assert_eq(roster_running(roster), 0);
    cr_assert_not(roster_is_clean(roster), "d has left something");
    cr_assert_eq(roster_deadline_us(roster), CLOCK_NEVER_US);
}
