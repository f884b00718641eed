#include "relay/daemon/spread.h"

#include <assert.h>
#include <string.h>

void
spread_init(struct spread *spread, uint32_t hosts, uint32_t lanes, uint32_t start)
{
    assert(hosts > 0 && hosts <= SPREAD_HOSTS_MAX && lanes > 0 && lanes <= SPREAD_LANES_MAX);
    assert(start < hosts);
    *spread = (struct spread){.hosts = hosts, .lanes = lanes, .start = start, .last = lanes - 1};
    for (uint32_t i = 0; i < lanes; i++) {
        spread->at[i] = spread->asked[i] = hosts;
    }
}

static uint32_t
home_of(const struct spread *spread, uint32_t lane)
{
    return (spread->start + lane) % spread->hosts;
}

/* The host that is up and has the fewest lanes; of several the first one after `home`. All are down: `home`. */
static uint32_t
least_crowded(const struct spread *spread, const uint32_t *crowd, uint32_t home)
{
    uint32_t best = home;
    for (uint32_t i = 1; i < spread->hosts; i++) {
        const uint32_t host = (home + i) % spread->hosts;
        if (!spread->down[host] && (spread->down[best] || crowd[host] < crowd[best])) {
            best = host;
        }
    }
    return best;
}

/* Where each lane should be while some hosts are down: those whose home is up stay there. */
static void
seat(const struct spread *spread, uint32_t *ret_seats)
{
    uint32_t crowd[SPREAD_HOSTS_MAX] = {0};
    for (uint32_t i = 0; i < spread->lanes; i++) {
        crowd[home_of(spread, i)]++;
    }
    for (uint32_t i = 0; i < spread->lanes; i++) {
        const uint32_t home = home_of(spread, i);
        ret_seats[i] = spread->down[home] ? least_crowded(spread, crowd, home) : home;
        crowd[ret_seats[i]] += ret_seats[i] != home;
    }
}

uint32_t
spread_choose(struct spread *spread, uint32_t lane)
{
    uint32_t seats[SPREAD_LANES_MAX];
    seat(spread, seats);
    spread->asked[lane] = seats[lane];
    return seats[lane];
}

void
spread_arrived(struct spread *spread, uint32_t lane, uint32_t host)
{
    for (uint32_t i = spread->asked[lane]; i != host; i = (i + 1) % spread->hosts) {
        spread->down[i] = true;
    }
    spread->asked[lane] = spread->hosts;
    spread_moved(spread, lane, host);
}

void
spread_left(struct spread *spread, uint32_t lane, bool blame)
{
    if (spread->at[lane] < spread->hosts) {
        spread->down[spread->at[lane]] |= blame;
    } else if (spread->asked[lane] < spread->hosts && blame) {
        memset(spread->down, 0, sizeof(spread->down));
    }
    spread->at[lane] = spread->asked[lane] = spread->hosts;
}

void
spread_missed(struct spread *spread, uint32_t host)
{
    spread->down[host] = true;
}

void
spread_moved(struct spread *spread, uint32_t lane, uint32_t host)
{
    spread->down[host] = false;
    spread->at[lane] = host;
}

static bool
is_away(const struct spread *spread, uint32_t lane)
{
    return spread->at[lane] < spread->hosts && spread->at[lane] != home_of(spread, lane);
}

bool
spread_is_away(const struct spread *spread, uint32_t lanes)
{
    for (uint32_t i = 0; i < lanes; i++) {
        if (is_away(spread, i)) {
            return true;
        }
    }
    return false;
}

bool
spread_next(struct spread *spread, uint32_t lanes, uint32_t *ret_lane, uint32_t *ret_home)
{
    for (uint32_t i = 1; i <= lanes; i++) {
        const uint32_t lane = (spread->last + i) % lanes;
        if (is_away(spread, lane)) {
            spread->last = lane;
            *ret_lane = lane;
            *ret_home = home_of(spread, lane);
            return true;
        }
    }
    return false;
}
