#include "relay/busy.h"

#include <assert.h>

#include "relay/memory.h"

static uint32_t *
place_of(const struct busy *busy, int64_t key_hash)
{
    return &busy->counts[(uint64_t)key_hash % BUSY_PLACES]; /* it is a good hash already */
}

void
busy_init(struct busy *busy)
{
    busy->counts = memory_array(BUSY_PLACES, sizeof(*busy->counts));
}

void
busy_done(struct busy *busy)
{
    memory_free(busy->counts);
    busy->counts = NULL;
}

void
busy_add(struct busy *busy, int64_t key_hash)
{
    (*place_of(busy, key_hash))++;
}

void
busy_remove(struct busy *busy, int64_t key_hash)
{
    uint32_t *const place = place_of(busy, key_hash);
    assert(*place > 0);
    (*place)--;
}

bool
busy_has(const struct busy *busy, int64_t key_hash)
{
    return *place_of(busy, key_hash) > 0;
}
