/* relay/daemon/outage.h - whether a failure is worth a line in the log: the first of an outage, one with a new reason,
 * and otherwise one a minute. A server that is down for a night must not fill a disk. */
#ifndef RELAY_DAEMON_OUTAGE_H
#define RELAY_DAEMON_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

struct outage {
    bool lasts;
    char reason[400];
    uint64_t said_us;
};

/* Not connected yet: the first success is news, as after an outage. */
void outage_init(struct outage *outage);

/* A failure. True if it is to be logged. */
bool outage_is_news(struct outage *outage, const char *reason, uint64_t now_us);

/* A success. True if it ends an outage. */
bool outage_over(struct outage *outage);

/* For failures of many different things: at most QUOTA_LINES lines a minute, the others are counted. All zero at the
 * start. */
#define QUOTA_LINES 100
struct quota {
    uint64_t since_us;
    uint32_t lines;
    uint64_t left_out;
};

/* A failure. True if it is to be logged. */
bool quota_take(struct quota *quota, uint64_t now_us);

/* How many were not logged, once their minute is over; then the count starts again. */
uint64_t quota_left_out(struct quota *quota, uint64_t now_us);

#endif
