#include "base/histogram.h"

uint64_t
histogram_bound_us(unsigned index)
{
    return HISTOGRAM_FIRST_US << index;
}

uint64_t
histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->counts[i];
    }
    return count;
}

uint64_t
histogram_quantile_us(const struct histogram *histogram, double part)
{
    const uint64_t count = histogram_count(histogram);
    const double wanted = part * (double)count;
    uint64_t below = 0;
    unsigned index = 0;
    if (count == 0) {
        return 0;
    }
    for (; index < HISTOGRAM_BOUNDS - 1; index++) {
        below += histogram->counts[index];
        if (below > 0 && (double)below >= wanted) {
            break;
        }
    }
    return histogram_bound_us(index);
}
