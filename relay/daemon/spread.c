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

/* How many other lanes are there, or will be when they connect. */
static uint32_t
crowd_at(const struct spread *spread, uint32_t host, uint32_t lane)
{
    uint32_t crowd = 0;
    for (uint32_t i = 0; i < spread->lanes; i++) {
        const uint32_t place = spread->at[i] < spread->hosts      ? spread->at[i]
                               : spread->asked[i] < spread->hosts ? spread->asked[i]
                                                                  : home_of(spread, i);
        crowd += i != lane && place == host;
    }
    return crowd;
}

/* The host that is up and has the fewest of the others; of several the first one after its home, which is down. */
static uint32_t
least_crowded(const struct spread *spread, uint32_t lane)
{
    const uint32_t home = home_of(spread, lane);
    uint32_t best = home;
    for (uint32_t i = 1; i < spread->hosts; i++) {
        const uint32_t host = (home + i) % spread->hosts;
        const bool better =
            spread->down[best] || crowd_at(spread, host, lane) < crowd_at(spread, best, lane);
        best = better && !spread->down[host] ? host : best;
    }
    return best;
}

static void
forget_all(struct spread *spread)
{
    memset(spread->down, 0, sizeof(spread->down));
}

/* Once all seem to be down, nothing tells them apart, so each lane begins at home again. */
static void
note_down(struct spread *spread, uint32_t host)
{
    uint32_t up = 0;
    spread->down[host] = true;
    for (uint32_t i = 0; i < spread->hosts; i++) {
        up += !spread->down[i];
    }
    if (up == 0) {
        forget_all(spread);
    }
}

uint32_t
spread_choose(struct spread *spread, uint32_t lane)
{
    const uint32_t home = home_of(spread, lane);
    spread->asked[lane] = spread->down[home] ? least_crowded(spread, lane) : home;
    return spread->asked[lane];
}

void
spread_arrived(struct spread *spread, uint32_t lane, uint32_t host)
{
    spread_moved(spread, lane, host);
    for (uint32_t i = spread->asked[lane]; i != host; i = (i + 1) % spread->hosts) {
        note_down(spread, i);
    }
    spread->asked[lane] = spread->hosts;
}

void
spread_left(struct spread *spread, uint32_t lane, bool blame)
{
    if (blame && spread->at[lane] < spread->hosts) {
        note_down(spread, spread->at[lane]);
    } else if (blame && spread->asked[lane] < spread->hosts) {
        forget_all(spread); /* all were tried */
    }
    spread->at[lane] = spread->asked[lane] = spread->hosts;
}

void
spread_missed(struct spread *spread, uint32_t host)
{
    note_down(spread, host);
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
