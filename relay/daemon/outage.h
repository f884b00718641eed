/* relay/daemon/outage.h - whether a failure is worth a line in the log: the first of an outage is, another reason is,
 * and one of the same a minute is. A server that is away for a night must not fill a disk. */
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

/* Failures that each are of another thing, and may be many: so many lines a minute, and the others are counted. All zero to
 * begin with. */
#define QUOTA_LINES 100
struct quota {
    uint64_t since_us;
    uint32_t lines;
    uint64_t left_out;
};

/* A failure. True if it is to be logged. */
bool quota_take(struct quota *quota, uint64_t now_us);

/* How many were not, once their minute is over, and then they are forgotten. */
uint64_t quota_left_out(struct quota *quota, uint64_t now_us);

#endif
