/* relay/ports/link_rate.h - what `check` says of the link to a database: how fast it is, and whether a whole batch comes over it
 * well within the lease. Who looks at the database carries the rows, and this tells what follows. */
#ifndef RELAY_PORTS_LINK_RATE_H
#define RELAY_PORTS_LINK_RATE_H

#include <stdint.h>

#include "base/clock.h"
#include "relay/ports/report.h"

/* One MiB, so that TCP has got going over a far link when the second half of it comes; what has come after this time is
 * enough where the link is slow. */
#define LINK_ROW_BYTES 4096
#define LINK_ROWS 256
#define LINK_PATIENCE_US (3 * CLOCK_S_US)

struct link_transfer {
    size_t rows;
    uint64_t sent_us;
    uint64_t end_us;
    uint64_t come_us[LINK_ROWS];
};

/* Of a source's section. */
struct link_needs {
    const char *source;
    uint64_t batch_bytes;
    uint64_t takeover_us;
};

/* Advice where a whole batch would take more than half of the lease, and nothing else. */
void link_rate_tell(struct report *report, const struct link_needs *needs,
                    const struct link_transfer *transfer);

#endif
