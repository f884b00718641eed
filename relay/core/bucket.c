#include "relay/core/bucket.h"

#include <assert.h>

#include "base/clock.h"

/* A message. A microsecond adds `rate` of it, so nothing is ever rounded. */
#define ONE CLOCK_S_US

void
bucket_init(struct bucket *bucket, uint32_t rate, uint64_t now_us)
{
    *bucket = (struct bucket){
        .rate = rate, .level = ONE, .full = ONE + rate * BUCKET_BURST_US, .at_us = now_us};
}

static void
fill(struct bucket *bucket, uint64_t now_us)
{
    const uint64_t missing = bucket->full - bucket->level;
    const uint64_t passed_us = now_us > bucket->at_us ? now_us - bucket->at_us : 0;
    /* A division, as a product may be too large: nobody knows how long it was. */
    bucket->level = passed_us > missing / bucket->rate ? bucket->full
                                                       : bucket->level + passed_us * bucket->rate;
    bucket->at_us = now_us;
}

bool
bucket_allows(struct bucket *bucket, uint64_t now_us)
{
    if (bucket->rate == 0) {
        return true;
    }
    fill(bucket, now_us);
    return bucket->level >= ONE;
}

void
bucket_take(struct bucket *bucket)
{
    if (bucket->rate > 0) {
        assert(bucket->level >= ONE);
        bucket->level -= ONE;
    }
}

uint64_t
bucket_due_us(const struct bucket *bucket)
{
    if (bucket->rate == 0 || bucket->level >= ONE) {
        return bucket->at_us;
    }
    return bucket->at_us + (ONE - bucket->level + bucket->rate - 1) / bucket->rate;
}
