/* relay/ports/link_rate.h - `check`'s advice on the link to a database: how fast it is, and whether a whole batch is
 * transferred well within the lease. The check of each database transfers the rows; this file evaluates the times. */
#ifndef RELAY_PORTS_LINK_RATE_H
#define RELAY_PORTS_LINK_RATE_H

#include <stdint.h>

#include "base/clock.h"
#include "relay/ports/report.h"

/* One MiB: even on a distant link TCP has reached its speed when the second half of it arrives. On a slow link the rows
 * that arrived within LINK_PATIENCE_US are enough. */
#define LINK_ROW_BYTES 4096
#define LINK_ROWS 256
#define LINK_PATIENCE_US (3 * CLOCK_S_US)

struct link_transfer {
    size_t rows;
    uint64_t sent_us;
    uint64_t end_us;
    uint64_t come_us[LINK_ROWS];
};

/* From the source's section of the configuration. */
struct link_needs {
    const char *source;
    uint64_t batch_bytes;
    uint64_t takeover_us;
};

/* Gives advice if a whole batch would take more than half of the lease; otherwise says nothing. */
void link_rate_tell(struct report *report, const struct link_needs *needs,
                    const struct link_transfer *transfer);

#endif
