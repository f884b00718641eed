#include "relay/core/suspects.h"

#include <stddef.h>
#include <stdio.h>

/* SUSPECTS_MAX: not found. */
static uint32_t
find(const struct suspects *suspects, uint32_t exchange)
{
    uint32_t i = 0;
    while (i < SUSPECTS_MAX && suspects->kept[i].exchange != exchange) {
        i++;
    }
    return i;
}

void
suspects_add(struct suspects *suspects, uint32_t exchange, const char *reason,
             const struct backoff *backoff, struct random *random, uint64_t now_us)
{
    const uint32_t place = find(suspects, 0);
    if (find(suspects, exchange) < SUSPECTS_MAX || place == SUSPECTS_MAX) {
        return; /* known already: its next time was set when the failed message was let through */
    }
    struct suspect *suspect = &suspects->kept[place];
    suspect->exchange = exchange;
    (void)snprintf(suspect->reason, sizeof(suspect->reason), "%s", reason); /* cut is fine */
    backoff_init(&suspect->backoff, backoff->initial_us, backoff->max_us);
    suspect->try_at_us = now_us + backoff_next_us(&suspect->backoff, random);
    suspects->count++;
}

void
suspects_clear(struct suspects *suspects, uint32_t exchange)
{
    const uint32_t place = find(suspects, exchange);
    if (place < SUSPECTS_MAX) {
        suspects->kept[place].exchange = 0;
        suspects->count--;
    }
}

const struct suspect *
suspects_find(const struct suspects *suspects, uint32_t exchange)
{
    const uint32_t place = find(suspects, exchange);
    return place < SUSPECTS_MAX ? &suspects->kept[place] : NULL;
}

bool
suspects_try(struct suspects *suspects, uint32_t exchange, struct random *random, uint64_t now_us)
{
    const uint32_t place = find(suspects, exchange);
    if (place == SUSPECTS_MAX) {
        return true;
    }
    struct suspect *suspect = &suspects->kept[place];
    if (now_us < suspect->try_at_us) {
        return false;
    }
    suspect->try_at_us = now_us + backoff_next_us(&suspect->backoff, random);
    return true;
}
