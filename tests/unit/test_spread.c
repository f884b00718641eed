#include <criterion/criterion.h>

#include "relay/daemon/spread.h"

static struct spread spread;

/* Each of the lanes connects, while the hosts of which `down` has the bit are away. */
static void
connect_all(unsigned down)
{
    for (uint32_t lane = 0; lane < spread.lanes; lane++) {
        uint32_t host = spread_choose(&spread, lane);
        while ((down >> host & 1) != 0) {
            host = (host + 1) % spread.hosts;
        }
        spread_arrived(&spread, lane, host);
    }
}

static void
lose_all_at(uint32_t host)
{
    for (uint32_t lane = 0; lane < spread.lanes; lane++) {
        if (spread.at[lane] == host) {
            spread_left(&spread, lane, true);
        }
    }
}

static uint32_t
lanes_at(uint32_t host)
{
    uint32_t count = 0;
    for (uint32_t lane = 0; lane < spread.lanes; lane++) {
        count += spread.at[lane] == host;
    }
    return count;
}

Test(spread, lanes_sit_on_different_hosts_from_any_start)
{
    for (uint32_t start = 0; start < 3; start++) {
        spread_init(&spread, 3, 5, start);
        connect_all(0);
        cr_assert_eq(spread.at[0], start);
        for (uint32_t host = 0; host < 3; host++) {
            cr_assert(lanes_at(host) == 1 || lanes_at(host) == 2);
        }
        cr_assert(!spread_is_away(&spread, 5));
    }
}

Test(spread, one_host_is_home_to_all)
{
    spread_init(&spread, 1, 3, 0);
    connect_all(0);
    lose_all_at(0);
    cr_assert_eq(spread_choose(&spread, 2), 0);
    connect_all(0);
    cr_assert(!spread_is_away(&spread, 3));
}

Test(spread, lanes_of_a_lost_host_share_the_others)
{
    spread_init(&spread, 3, 5, 1);
    connect_all(0);
    const uint32_t lost = 1; /* has lanes 0 and 3 */
    lose_all_at(lost);
    for (uint32_t lane = 0; lane < 5; lane++) {
        if (spread.at[lane] == spread.hosts) {
            spread_arrived(&spread, lane, spread_choose(&spread, lane));
        }
    }
    cr_assert_eq(lanes_at(lost), 0);
    cr_assert(lanes_at(0) >= 2 && lanes_at(2) >= 2);
}

/* The fewest at that moment, among the hosts that are up. */
static void
expect_least_crowded(uint32_t chosen, unsigned down)
{
    for (uint32_t host = 0; host < spread.hosts; host++) {
        cr_assert((down >> host & 1) != 0 || lanes_at(chosen) <= lanes_at(host),
                  "%u hosts, start %u: %u and not %u", spread.hosts, spread.start, chosen, host);
    }
}

static void
lose(uint32_t host, unsigned down)
{
    lose_all_at(host);
    for (uint32_t lane = 0; lane < spread.lanes; lane++) {
        if (spread.at[lane] == spread.hosts) {
            const uint32_t chosen = spread_choose(&spread, lane);
            expect_least_crowded(chosen, down);
            spread_arrived(&spread, lane, chosen);
        }
    }
}

Test(spread, one_host_after_the_other_is_lost)
{
    for (uint32_t start = 0; start < 4; start++) {
        for (uint32_t first = 0; first < 4; first++) {
            const uint32_t second = (first + 1 + start) % 4;
            spread_init(&spread, 4, 5, start);
            connect_all(0);
            lose(first, 1U << first);
            if (second != first) {
                lose(second, 1U << first | 1U << second);
            }
        }
    }
}

/* As when the whole cluster is restarted, and back before anybody has tried. */
Test(spread, all_connections_end_at_once)
{
    spread_init(&spread, 3, 3, 0);
    connect_all(0);
    for (uint32_t host = 0; host < 3; host++) {
        lose_all_at(host);
    }
    connect_all(0);
    for (uint32_t host = 0; host < 3; host++) {
        cr_assert_eq(lanes_at(host), 1);
    }
}

Test(spread, a_host_that_was_passed_over_is_not_asked_again)
{
    spread_init(&spread, 3, 3, 0);
    connect_all(1U << 0);
    cr_assert_eq(spread.at[0], 1);
    spread_left(&spread, 0, false);
    cr_assert_neq(spread_choose(&spread, 0), 0);
}

Test(spread, after_all_were_away_each_lane_begins_at_home)
{
    spread_init(&spread, 3, 3, 0);
    connect_all(0);
    for (uint32_t host = 0; host < 3; host++) {
        lose_all_at(host);
    }
    (void)spread_choose(&spread, 0); /* the attempt is what counts */
    spread_left(&spread, 0, true);
    spread_arrived(&spread, 1, spread_choose(&spread, 1));
    cr_assert_eq(spread.at[1], 1);
    cr_assert_eq(spread_choose(&spread, 2), 2);
    cr_assert_eq(spread_choose(&spread, 0), 0);
}

/* Who closes a connection for a mistake is not away. And the end of one connection is told twice. */
Test(spread, a_host_is_blamed_only_if_it_may_be_the_reason)
{
    spread_init(&spread, 2, 2, 0);
    connect_all(0);
    spread_left(&spread, 0, false);
    spread_left(&spread, 0, true);
    cr_assert_eq(spread_choose(&spread, 0), 0);
    spread_left(&spread, 1, true);
    cr_assert_eq(spread_choose(&spread, 1), 0);
}

Test(spread, lanes_go_home_in_turn)
{
    uint32_t lane;
    uint32_t home;
    spread_init(&spread, 3, 4, 0);
    connect_all(1U << 0); /* lanes 0 and 3 are away */
    cr_assert(spread_is_away(&spread, 4));
    cr_assert(spread_next(&spread, 4, &lane, &home));
    cr_assert(lane == 0 && home == 0);
    spread_missed(&spread, home);
    cr_assert(spread_next(&spread, 4, &lane, &home));
    cr_assert(lane == 3 && home == 0);
    spread_moved(&spread, lane, home);
    cr_assert(spread_next(&spread, 4, &lane, &home));
    cr_assert_eq(lane, 0);
    spread_moved(&spread, lane, home);
    cr_assert_not(spread_next(&spread, 4, &lane, &home));
    cr_assert_not(spread_is_away(&spread, 4));
}

Test(spread, the_last_lane_may_be_left_out)
{
    uint32_t lane;
    uint32_t home;
    spread_init(&spread, 2, 2, 0);
    connect_all(1U << 1);
    cr_assert_eq(spread.at[1], 0);
    cr_assert_not(spread_is_away(&spread, 1));
    cr_assert_not(spread_next(&spread, 1, &lane, &home));
}
