#include "base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t
read_clock(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(failed == 0);
    (void)failed; /* only asserted */
    return (uint64_t)now.tv_sec * CLOCK_S_US + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
clock_monotonic_us(void)
{
    /* BOOTTIME goes on while the machine is suspended, as the server's clock does: else a relay would believe in a lease that
     * ended during the suspension. */
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t
clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t
clock_earlier_us(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

uint64_t
clock_on_beat_us(uint64_t now_us, uint64_t interval_us, uint64_t phase_us)
{
    const uint64_t beat_us = interval_us >= CLOCK_BEAT_US ? CLOCK_BEAT_US : CLOCK_S_US;
    const uint64_t due_us = now_us + interval_us;
    if (interval_us < beat_us) {
        return due_us;
    }
    return due_us - (due_us + beat_us - phase_us % beat_us) % beat_us;
}

int
clock_poll_timeout_ms(uint64_t now_us, uint64_t deadline_us)
{
    const uint64_t wait_max_us = 60 * CLOCK_S_US;
    if (deadline_us <= now_us) {
        return 0;
    }
    uint64_t wait_us = deadline_us - now_us;
    if (wait_us > wait_max_us) {
        wait_us = wait_max_us;
    }
    return (int)((wait_us + CLOCK_MS_US - 1) / CLOCK_MS_US);
}
