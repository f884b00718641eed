/* relay/ports/log_position.h - a place in a source's log: a number that only the source understands.
 *
 * - What a transaction wrote lies where it was committed. Of two places in the log the later one has the greater
 *   number, as long as the ownership lasts in which the source told them. The core compares positions and hands
 *   them back; it never counts with them.
 * - What the number counts is the source's own affair. PostgreSQL: bytes of log (the LSN). MySQL and MariaDB: the
 *   number of the binlog file, and the offset in it, on the server that the owning session is on.
 * - 0 is no position: there is no log, or it is not known.
 * - Nothing of an earlier ownership holds, and no position is stored: each ownership first reads the table and then
 *   begins the log at a position of the server that it is on. So it need not mean anything on another server, and
 *   positions that are ordered only in part (sets of GTIDs) are not needed. */
#ifndef RELAY_PORTS_LOG_POSITION_H
#define RELAY_PORTS_LOG_POSITION_H

#include <stdint.h>

typedef uint64_t log_position;

#endif
