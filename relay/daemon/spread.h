/* relay/daemon/spread.h - at which host of the broker's URI each lane of a source should be connected. Pure: it is told what
 * happened, and answers.
 *
 * Each lane has a home: from a random host on, lane after lane the next one. So the lanes of one source sit on different hosts,
 * and the first lanes of many sources too. A lane whose home is down goes to the host that is up and has the fewest lanes, and
 * goes home later: spread_next says which one may try. Whether a host is up again, only an attempt tells. */
#ifndef RELAY_DAEMON_SPREAD_H
#define RELAY_DAEMON_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#define SPREAD_HOSTS_MAX 16
#define SPREAD_LANES_MAX 5

struct spread {
    uint32_t hosts;
    uint32_t lanes;
    uint32_t start; /* the home of lane 0 */
    /* As the last attempt, or the end of a connection, showed. */
    bool down[SPREAD_HOSTS_MAX];
    /* For each lane the host with which its attempt began; `hosts`: there is none. */
    uint32_t asked[SPREAD_LANES_MAX];
    uint32_t at[SPREAD_LANES_MAX]; /* `hosts`: not connected */
    uint32_t last;                 /* of spread_next */
};

/* 1 or more hosts and lanes; start below hosts. Nothing is known to be down. */
void spread_init(struct spread *spread, uint32_t hosts, uint32_t lanes, uint32_t start);

/* The lane is about to connect: the host with which to begin. If it cannot be reached, the next ones of the URI are tried in
 * turn, in a circle. */
uint32_t spread_choose(struct spread *spread, uint32_t lane);

/* It is connected to this host, so those before it could not be reached. */
void spread_arrived(struct spread *spread, uint32_t lane, uint32_t host);
/* Its connection is over, or none came about. blame: its host may be the reason, so that another is tried first; if it has no
 * host, none could be reached, which says nothing about each of them. Again for the same connection: changes nothing. */
void spread_left(struct spread *spread, uint32_t lane, bool blame);

/* An attempt with this host alone: it is down; or up, and the lane has moved there. */
void spread_missed(struct spread *spread, uint32_t host);
void spread_moved(struct spread *spread, uint32_t lane, uint32_t host);

/* Whether a lane among the first `lanes` is connected and not at home. */
bool spread_is_away(const struct spread *spread, uint32_t lanes);
/* The next of these in turn, and its home. False: there is none. */
bool spread_next(struct spread *spread, uint32_t lanes, uint32_t *ret_lane, uint32_t *ret_home);

#endif
