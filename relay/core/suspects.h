/* relay/core/suspects.h - exchanges for which the broker closed a channel: missing, or not allowed. A message to one of
 * them would close the channel again and send what is in flight beside it a second time, so they are refused unsent; now
 * and then one is let through to see whether the exchange is there now. */
#ifndef RELAY_CORE_SUSPECTS_H
#define RELAY_CORE_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"

/* More are not remembered: each message to them is found out by a close of its own. */
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

/* The broker closed a channel for it. backoff: as long as its are the waits between two tries. */
void suspects_add(struct suspects *suspects, uint32_t exchange, const char *reason,
                  const struct backoff *backoff, struct random *random, uint64_t now_us);
/* The broker took a message to it. */
void suspects_clear(struct suspects *suspects, uint32_t exchange);

/* NULL: it is not suspected. */
const struct suspect *suspects_find(const struct suspects *suspects, uint32_t exchange);

/* True if one may go now to see; the next only after a wait. */
bool suspects_try(struct suspects *suspects, uint32_t exchange, struct random *random,
                  uint64_t now_us);

#endif
