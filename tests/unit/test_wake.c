#include "base/wake.h"

#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

Test(wake, one_that_is_raised_stays_so)
{
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert_geq(fd, 0);
    const uint64_t begun_us = clock_monotonic_us();
    cr_assert_not(wake_wait_us(fd, 20 * CLOCK_MS_US));
    cr_assert_geq(clock_monotonic_us() - begun_us, 20 * CLOCK_MS_US);
    wake_raise(fd);
    wake_raise(fd);
    cr_assert(wake_wait_us(fd, 60 * CLOCK_S_US));
    cr_assert(wake_wait_us(fd, 60 * CLOCK_S_US));
    cr_assert_eq(close(fd), 0);
}
