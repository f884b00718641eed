/* relay/mysql/position.h - a place in the server's binary log as one number, which ascends with the log: the number at the
 * end of the file's name ("log.000042"), times 2^32, plus the offset in it. It means something on this server only, and
 * only until its files are numbered anew (RESET MASTER). 0 is no position.
 *
 * An offset of 4 GiB and more counts as the last below: the server tells its replicas no higher ones, and begins another
 * file with the transaction after. So what is told of such a place is a little too low: a transaction that came long after
 * is taken for one that may come again, which is found out by a look at the table. */
#ifndef RELAY_MYSQL_POSITION_H
#define RELAY_MYSQL_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

/* Of the name of a file of the log, with the zero: FN_REFLEN of both servers. */
#define MY_LOG_NAME_BYTES 512
#define MY_LOG_DIGITS_MAX 10 /* they begin with six, and go on to 2^31 - 1 */

/* What the files of one log have in common. */
struct my_log {
    char base
        [MY_LOG_NAME_BYTES]; /* the name up to the last dot, which belongs to it; "": not known yet */
};

/* False if the name does not end in a number: this is no log of files. */
bool my_position_of(struct span name, uint64_t offset, struct my_log *ret_log,
                    uint64_t *ret_position) MUST_CHECK;

/* The name of the file that the position is in, and its offset. */
void my_position_place(const struct my_log *log, uint64_t position,
                       char ret_name[MY_LOG_NAME_BYTES], uint32_t *ret_offset);

/* At this offset of the same file. */
uint64_t my_position_at(uint64_t position, uint64_t offset);

#endif
