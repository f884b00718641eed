/* relay/ports/log_position.h - a place in a source's log: a number that only the source understands.
 *
 * - A transaction's rows have the position of its commit. Of two positions told in the same ownership, the later one
 *   has the greater number. The core compares positions and hands them back; it never calculates with them.
 * - Each source chooses what the number counts. PostgreSQL: bytes of log (the LSN). MySQL and MariaDB: the number of
 *   the binlog file and the offset in it, on the server to which the owning session is connected.
 * - 0 is no position: there is no log, or it is not known.
 * - Positions of an earlier ownership are not valid, and none is stored: each ownership first reads the table and then
 *   begins the log at a position of its own server. So a position need not mean anything on another server, and partly
 *   ordered positions (sets of GTIDs) are not needed. */
#ifndef RELAY_PORTS_LOG_POSITION_H
#define RELAY_PORTS_LOG_POSITION_H

#include <stdint.h>

typedef uint64_t log_position;

#endif
