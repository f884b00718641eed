/* relay/daemon/pace.h - limits how often the database's log wakes the worker. A log of small transactions arrives in
 * one piece for each commit: at 60,000 messages a second each piece woke the worker, and seven tenths of its CPU went
 * into waking up, receiving one message, looking up one row and going back to sleep; this CPU was also missing to the
 * server. So when pieces come too close together, the worker leaves its sockets alone until the next millisecond
 * begins, and then reads everything that has arrived at once, as a network card coalesces its interrupts. Below about
 * 4,000 pieces a second nothing waits.
 *
 * Measured with a transaction for each row against a broker that takes everything (`bench sink`): 105,000 messages a
 * second at 2.1 microseconds of the relay's CPU, instead of 64,000 at 8. When the relay polls, it asks for a thousand
 * rows at a time, and a wait before asking cost three quarters of the rate: so polling never waits. */
#ifndef RELAY_DAEMON_PACE_H
#define RELAY_DAEMON_PACE_H

#include <stdint.h>

/* A crowd: at least PACE_CROWD pieces within PACE_CROWD_US. */
#define PACE_CROWD 16
#define PACE_CROWD_US UINT64_C(4000)
/* A crowd is assumed to last this long. Then pieces are counted again, or the wait would stay after the rate has
 * fallen. */
#define PACE_KEEP_US UINT64_C(60000)
/* During a crowd the worker's turns begin at multiples of this. */
#define PACE_SLOT_US UINT64_C(1000)

/* All zero to begin with. */
struct pace {
    uint64_t since_us;
    uint32_t pieces; /* pieces since then */
    uint64_t crowded_until_us;
};

/* A piece of the log came, with rows in it. */
void pace_piece(struct pace *pace, uint64_t now_us);

/* Called when a turn ends with nothing left to do: how long to wait before the next one. 0, or at most PACE_SLOT_US. */
uint64_t pace_rest_us(const struct pace *pace, uint64_t now_us);

#endif
