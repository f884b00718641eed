#include <criterion/criterion.h>

#include "base/histogram.h"

/* The class in which a time counts; there is no other. */
static unsigned
class_of(uint64_t us)
{
    struct histogram histogram = {0};
    unsigned found = 0;
    histogram_add(&histogram, us);
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        found = histogram.counts[i] > 0 ? i : found;
    }
    cr_assert_eq(histogram.counts[found], 1);
    cr_assert_eq(histogram_count(&histogram), 1);
    cr_assert_eq(histogram.sum_us, us);
    return found;
}

Test(histogram, each_bound_belongs_to_its_class)
{
    cr_assert_eq(class_of(0), 0);
    cr_assert_eq(class_of(1), 0);
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        const uint64_t bound_us = histogram_bound_us(i);
        cr_assert_eq(class_of(bound_us), i, "bound %u", i);
        cr_assert_eq(class_of(bound_us + 1), i + 1, "behind bound %u", i);
    }
    cr_assert_eq(class_of(UINT64_MAX), HISTOGRAM_BOUNDS);
}

Test(histogram, bounds_double)
{
    cr_assert_eq(histogram_bound_us(0), 250);
    cr_assert_eq(histogram_bound_us(2), 1000);
    cr_assert_eq(histogram_bound_us(HISTOGRAM_BOUNDS - 1), UINT64_C(1048576000));
}

Test(histogram, quantiles)
{
    struct histogram histogram = {0};
    cr_assert_eq(histogram_quantile_us(&histogram, 0.5), 0);
    for (unsigned i = 0; i < 98; i++) {
        histogram_add(&histogram, 900);
    }
    histogram_add(&histogram, 3000);
    histogram_add(&histogram, UINT64_MAX / 2);
    cr_assert_eq(histogram_quantile_us(&histogram, 0.5), 1000);
    cr_assert_eq(histogram_quantile_us(&histogram, 0.98), 1000);
    cr_assert_eq(histogram_quantile_us(&histogram, 0.99), 4000);
    cr_assert_eq(histogram_quantile_us(&histogram, 1), histogram_bound_us(HISTOGRAM_BOUNDS - 1));
}
