#include "base/wake.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/clock.h"

void
wake_raise(int fd)
{
    int status;
    do {
        status = eventfd_write(fd, 1); /* else it fails only when it is raised beyond measure */
    } while (status < 0 && errno == EINTR);
}

bool
wake_wait_us(int fd, uint64_t wait_us)
{
    struct pollfd raised = {.fd = fd, .events = POLLIN};
    const uint64_t until_us = clock_monotonic_us() + wait_us;
    for (uint64_t now_us; (now_us = clock_monotonic_us()) < until_us;) {
        if (poll(&raised, 1, clock_poll_timeout_ms(now_us, until_us)) > 0) {
            return true;
        }
    }
    return false;
}
