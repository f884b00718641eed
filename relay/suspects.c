#include "relay/suspects.h"

#include <stddef.h>

static struct suspect *
find(struct suspects *suspects, uint32_t exchange)
{
    for (uint32_t i = 0; suspects->count > 0 && i < SUSPECTS_MAX; i++) {
        if (suspects->kept[i].exchange == exchange) {
            return &suspects->kept[i];
        }
    }
    return NULL;
}

void
suspects_add(struct suspects *suspects, uint32_t exchange, const struct backoff *backoff,
             struct random *random, uint64_t now_us)
{
    struct suspect *free_place = NULL;
    for (uint32_t i = 0; i < SUSPECTS_MAX; i++) {
        if (suspects->kept[i].exchange == exchange) {
            return; /* its time was set when the one that failed was let through */
        }
        if (suspects->kept[i].exchange == 0) {
            free_place = &suspects->kept[i];
        }
    }
    if (free_place == NULL) {
        return;
    }
    free_place->exchange = exchange;
    backoff_init(&free_place->backoff, backoff->initial_us, backoff->max_us);
    free_place->try_at_us = now_us + backoff_next_us(&free_place->backoff, random);
    suspects->count++;
}

void
suspects_clear(struct suspects *suspects, uint32_t exchange)
{
    struct suspect *suspect = find(suspects, exchange);
    if (suspect != NULL) {
        suspect->exchange = 0;
        suspects->count--;
    }
}

const struct suspect *
suspects_find(const struct suspects *suspects, uint32_t exchange)
{
    return find((struct suspects *)suspects, exchange); /* gives nothing away that can be written */
}

bool
suspects_try(struct suspects *suspects, uint32_t exchange, struct random *random, uint64_t now_us)
{
    struct suspect *suspect = find(suspects, exchange);
    if (suspect == NULL) {
        return true;
    }
    if (now_us < suspect->try_at_us) {
        return false;
    }
    suspect->try_at_us = now_us + backoff_next_us(&suspect->backoff, random);
    return true;
}
