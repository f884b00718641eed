/* base/random.h - a small seeded generator (xoshiro256**, Blackman and Vigna 2018) for jitter and
 * for the simulation. The same seed gives the same numbers on every machine. Not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);

/* A seed that no other generator has, of this process or of another: from the kernel. (Clocks give the same to all that ask in the
 * same microsecond, and the exclusive or of two clocks to many more, because their difference is constant.) */
uint64_t random_fresh_seed(void);

uint64_t random_next(struct random *random);

/* A number in [low, high], both included; low <= high. */
uint64_t random_between(struct random *random, uint64_t low, uint64_t high);

/* True in `percent` of a hundred calls. */
bool random_chance(struct random *random, unsigned percent);

#endif
