#include "relay/core/busy.h"

#include <assert.h>

#include "base/memory.h"

#define PLACES_MIN 16

static struct busy
empty(size_t places)
{
    return (struct busy){.places = memory_array(places, sizeof(struct busy_place)),
                         .mask = places - 1};
}

void
busy_init(struct busy *busy)
{
    *busy = empty(PLACES_MIN);
}

void
busy_done(struct busy *busy)
{
    memory_free(busy->places);
    *busy = (struct busy){0};
}

static size_t
home_of(const struct busy *busy, int64_t key_hash)
{
    /* Fibonacci hashing, as the key hashes in tests may be small numbers. */
    return (size_t)((uint64_t)key_hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & busy->mask;
}

/* Where the key is, or the free place where it would be. At least half of the places are free. */
static size_t
find(const struct busy *busy, int64_t key_hash)
{
    size_t at = home_of(busy, key_hash);
    while (busy->places[at].count > 0 && busy->places[at].key_hash != key_hash) {
        at = (at + 1) & busy->mask;
    }
    return at;
}

static void
grow(struct busy *busy)
{
    struct busy grown = empty(2 * (busy->mask + 1));
    for (size_t at = 0; at <= busy->mask; at++) {
        if (busy->places[at].count > 0) {
            grown.places[find(&grown, busy->places[at].key_hash)] = busy->places[at];
        }
    }
    grown.keys = busy->keys;
    busy_done(busy);
    *busy = grown;
}

void
busy_add(struct busy *busy, int64_t key_hash)
{
    struct busy_place *const place = &busy->places[find(busy, key_hash)];
    place->key_hash = key_hash;
    if (place->count++ == 0 && ++busy->keys > (busy->mask + 1) / 2) {
        grow(busy);
    }
}

/* Entries behind a freed place move up, so that a lookup still finds them (Knuth, TAOCP 6.4, algorithm R). */
static void
close_gap(struct busy *busy, size_t gap)
{
    for (size_t at = (gap + 1) & busy->mask; busy->places[at].count > 0;
         at = (at + 1) & busy->mask) {
        const size_t home = home_of(busy, busy->places[at].key_hash);
        if (((at - home) & busy->mask) >= ((at - gap) & busy->mask)) {
            busy->places[gap] = busy->places[at];
            gap = at;
        }
    }
    busy->places[gap].count = 0;
}

void
busy_remove(struct busy *busy, int64_t key_hash)
{
    const size_t at = find(busy, key_hash);
    assert(busy->places[at].count > 0);
    if (--busy->places[at].count == 0) {
        busy->keys--;
        close_gap(busy, at);
    }
}

bool
busy_has(const struct busy *busy, int64_t key_hash)
{
    return busy->places[find(busy, key_hash)].count > 0;
}
