#include "base/random.h"

#include <assert.h>
#include <stdlib.h>

/* splitmix64 spreads a seed over the state, as the authors of xoshiro recommend. */
static uint64_t
splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t
rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void
random_seed(struct random *random, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        random->state[i] = splitmix(&seed);
    }
}

uint64_t
random_fresh_seed(void)
{
    uint64_t seed;
    arc4random_buf(&seed, sizeof(seed));
    return seed;
}

uint64_t
random_next(struct random *random)
{
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
random_between(struct random *random, uint64_t low, uint64_t high)
{
    assert(low <= high);
    const uint64_t span = high - low + 1;
    /* The bias of a plain remainder is below 2^-32 for any span used here. */
    return span == 0 ? random_next(random) : low + random_next(random) % span;
}

bool
random_chance(struct random *random, unsigned percent)
{
    return random_next(random) % 100 < percent;
}
