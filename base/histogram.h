/* base/histogram.h - how long things took: counts in classes that double, from 250 microseconds to about 17 minutes. To
 * add a value costs a division and a few instructions more, so each message may be counted. Not for several threads at a
 * time. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FIRST_US UINT64_C(250)
#define HISTOGRAM_BOUNDS 23

/* All zero to begin with. */
struct histogram {
    /* [i]: longer than bound i - 1 and at most bound i; the last one: longer than every bound. */
    uint64_t counts[HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};

/* Each message is counted: so it is inline. */
static inline void
histogram_add(struct histogram *histogram, uint64_t us)
{
    const uint64_t parts = us == 0 ? 0 : (us - 1) / HISTOGRAM_FIRST_US;
    const unsigned doublings = parts == 0 ? 0 : 64U - (unsigned)__builtin_clzll(parts);
    histogram->counts[doublings < HISTOGRAM_BOUNDS ? doublings : HISTOGRAM_BOUNDS]++;
    histogram->sum_us += us;
}

/* The longest time that counts in class `index`, which is less than HISTOGRAM_BOUNDS. */
uint64_t histogram_bound_us(unsigned index);

/* How many values were added. */
uint64_t histogram_count(const struct histogram *histogram);

/* The bound below which the given part of the values is (0.5: half of them); the last bound if they are longer; 0 if there
 * are none. */
uint64_t histogram_quantile_us(const struct histogram *histogram, double part);

#endif
