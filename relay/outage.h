/* relay/outage.h - whether a failure is worth a line in the log: the first of an outage is, another reason is, and one of
 * the same a minute is. A server that is away for a night must not fill a disk. */
#ifndef RELAY_OUTAGE_H
#define RELAY_OUTAGE_H

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

#endif
