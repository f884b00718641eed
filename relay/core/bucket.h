/* relay/core/bucket.h - a token bucket: how many messages may go in a time. It counts in whole numbers, so it is exact
 * however long it runs: from time a to time b at most rate * (b - a) messages go, and at most a burst more. It has no
 * clock; time that goes back counts as time that stands still. */
#ifndef RELAY_CORE_BUCKET_H
#define RELAY_CORE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* The burst is one message and what the rate gives in this time: what was not used before may go at once, so that a process
 * that wakes up a little late still reaches the rate. */
#define BUCKET_BURST_US UINT64_C(100000)

struct bucket {
    uint32_t rate;  /* messages a second; 0: no limit */
    uint64_t level; /* what may go, in millionths of a message */
    uint64_t full;  /* the most that it holds */
    uint64_t at_us; /* when the level was computed */
};

/* One message may go at once, not a whole burst: who begins anew again and again does not gain by it. */
void bucket_init(struct bucket *bucket, uint32_t rate, uint64_t now_us);

/* Whether a message may go now. */
bool bucket_allows(struct bucket *bucket, uint64_t now_us);

/* One goes. It must have been allowed, and no other must have been taken since. */
void bucket_take(struct bucket *bucket);

/* From when on one may go; in the past if one already may. */
uint64_t bucket_due_us(const struct bucket *bucket);

#endif
