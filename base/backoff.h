/* base/backoff.h - how long to wait before trying again, as a value: decorrelated jitter: each wait is between the first wait
 * and three times the previous one, and never above the cap. So many relays that lost the same server do not all reconnect at
 * once. (AWS Architecture Blog, "Exponential Backoff And Jitter",
 * 2015.) */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

#include "base/random.h"

struct backoff {
    uint64_t initial_us;
    uint64_t max_us;
    uint64_t last_us; /* 0: nothing has failed since the last success */
};

void backoff_init(struct backoff *backoff, uint64_t initial_us, uint64_t max_us);

/* After a failure: the wait until the next try, in microseconds. */
uint64_t backoff_next_us(struct backoff *backoff, struct random *random);

/* After a success. */
void backoff_reset(struct backoff *backoff);

#endif
