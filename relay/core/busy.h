/* relay/core/busy.h - which keys have messages in flight to the broker, and how many. A hash table with open
 * addressing: one or two steps for each message. It grows with the number of keys in flight rather than being large
 * from the start, because every message accesses it twice at a random place, and a small table stays in the processor's
 * cache. */
#ifndef RELAY_CORE_BUSY_H
#define RELAY_CORE_BUSY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct busy_place {
    int64_t key_hash;
    uint32_t count; /* 0: free */
};

struct busy {
    struct busy_place *places;
    size_t mask; /* places - 1; a power of two */
    size_t keys; /* places that are not free */
};

void busy_init(struct busy *busy);
void busy_done(struct busy *busy);

void busy_add(struct busy *busy, int64_t key_hash);
void busy_remove(struct busy *busy, int64_t key_hash); /* once for each busy_add */
bool busy_has(const struct busy *busy, int64_t key_hash);

#endif
