/* relay/daemon/pace.h - how often a log that is read may wake the worker. A log of small transactions comes in as many
 * pieces as there were commits: at 60,000 messages a second each of them woke the worker for itself, and seven tenths of
 * its CPU went into being woken, receiving one message, looking up one row, and going back to sleep; the server that
 * sends them had as much less of the processors. So where pieces come too close together to be worth it, the worker
 * leaves its sockets alone until the next millisecond begins, and finds all that came meanwhile in one read, as a
 * network card does that coalesces its interrupts. Below some 4,000 pieces a second nothing waits.
 *
 * Measured with a transaction for each row against a broker that takes everything (`bench sink`): 105,000 messages a second
 * at 2.1 microseconds of the relay's CPU, where it was 64,000 at 8. Where the relay polls, it asks for a thousand rows at a
 * time, and to wait before asking cost three quarters of the rate: polling knows no such wait. */
#ifndef RELAY_DAEMON_PACE_H
#define RELAY_DAEMON_PACE_H

#include <stdint.h>

/* A crowd: as many pieces within the time. */
#define PACE_CROWD 16
#define PACE_CROWD_US UINT64_C(4000)
/* For how long a crowd is taken to go on. Then it is looked at again, or a rate that has sunk would keep the wait. */
#define PACE_KEEP_US UINT64_C(60000)
/* Meanwhile a turn begins with one of these. */
#define PACE_SLOT_US UINT64_C(1000)

/* All zero to begin with. */
struct pace {
    uint64_t since_us;
    uint32_t pieces; /* that came since then */
    uint64_t crowded_until_us;
};

/* A piece of the log came, with rows in it. */
void pace_piece(struct pace *pace, uint64_t now_us);

/* A turn ends with nothing left to do: for how long the next one shall not begin. 0, or at most PACE_SLOT_US. */
uint64_t pace_rest_us(const struct pace *pace, uint64_t now_us);

#endif
