/* relay/core/suspects.h - exchanges for which the broker closed a channel: missing, or not allowed. Another message to
 * such an exchange would close the channel again, and everything else in flight on it would be sent twice. So these
 * messages are refused without being sent; from time to time one is let through, to see whether the exchange works now. */
#ifndef RELAY_CORE_SUSPECTS_H
#define RELAY_CORE_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"

/* At most so many are remembered; beyond that, each message to such an exchange closes a channel. */
#define SUSPECTS_MAX 64

struct suspect {
    uint32_t exchange; /* 0: free */
    uint64_t try_at_us;
    char reason[240]; /* the broker's words */
    struct backoff backoff;
};

struct suspects {
    struct suspect kept[SUSPECTS_MAX];
    uint32_t count;
};

/* The broker closed a channel for the exchange. The waits between two tries have the limits of `backoff`. */
void suspects_add(struct suspects *suspects, uint32_t exchange, const char *reason,
                  const struct backoff *backoff, struct random *random, uint64_t now_us);
/* The broker took a message to it. */
void suspects_clear(struct suspects *suspects, uint32_t exchange);

/* NULL: it is not suspected. */
const struct suspect *suspects_find(const struct suspects *suspects, uint32_t exchange);

/* True if a message may be sent now as a try; the next may go only after a wait. */
bool suspects_try(struct suspects *suspects, uint32_t exchange, struct random *random,
                  uint64_t now_us);

#endif
