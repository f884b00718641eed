/* base/clock.h - the two clocks. Inside, all time is microseconds on the monotonic clock; the wall
 * clock appears only at the edges (identifiers, log lines). Code that decides by time takes the time as an argument, so that
 * tests can set it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_MS_US UINT64_C(1000)
#define CLOCK_S_US UINT64_C(1000000)
#define CLOCK_BEAT_US (5 * CLOCK_S_US)
/* "No deadline": later than any time that comes. */
#define CLOCK_NEVER_US UINT64_MAX

/* Microseconds since an arbitrary start; never goes back, and does not stand still while the machine
 * is suspended. */
uint64_t clock_monotonic_us(void);

/* Microseconds since 1970-01-01 00:00 UTC. */
uint64_t clock_wall_us(void);

/* Of two points in time. */
uint64_t clock_earlier_us(uint64_t a_us, uint64_t b_us);

/* For what is done every interval_us, now and again: when it is due next, at most interval_us after now_us. Such times fall
 * on beats, which come every five seconds (if the interval is at least that long; else every second, if it is at least a
 * second; else the interval is kept): so whatever one thread does at such intervals, it does together, and it wakes once for
 * all of it. phase_us: after multiples of a beat, so that not all threads wake at the same time. */
uint64_t clock_on_beat_us(uint64_t now_us, uint64_t interval_us, uint64_t phase_us);

/* The milliseconds that poll(2) shall wait from now_us until deadline_us, rounded up, at most 60 s.
 */
int clock_poll_timeout_ms(uint64_t now_us, uint64_t deadline_us);

#endif
