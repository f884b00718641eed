#include "base/backoff.h"

#include <assert.h>

void
backoff_init(struct backoff *backoff, uint64_t initial_us, uint64_t max_us)
{
    assert(initial_us > 0 && initial_us <= max_us);
    *backoff = (struct backoff){.initial_us = initial_us, .max_us = max_us};
}

uint64_t
backoff_next_us(struct backoff *backoff, struct random *random)
{
    uint64_t high = backoff->last_us == 0 ? backoff->initial_us : backoff->last_us * 3;
    if (high > backoff->max_us) {
        high = backoff->max_us;
    }
    backoff->last_us = random_between(random, backoff->initial_us, high);
    return backoff->last_us;
}

void
backoff_reset(struct backoff *backoff)
{
    backoff->last_us = 0;
}
