/* relay/mysql/position.h - a place in the server's binary log as one number, which ascends with the log: the number at
 * the end of the file's name ("log.000042") times 2^32, plus the offset in the file. It is valid only on this server,
 * and only until its files are numbered anew (RESET MASTER). 0 is no position.
 *
 * An offset of 4 GiB or more becomes 2^32 - 1: the server reports no higher ones to its replicas, and begins another
 * file after the transaction that passed this limit. Such a position is a little too low, so a transaction beyond the
 * limit may be regarded as one that can come again. The relay finds that out by looking at the table. */
#ifndef RELAY_MYSQL_POSITION_H
#define RELAY_MYSQL_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

/* Size of the name of a log file with the zero byte: FN_REFLEN of both servers. */
#define MY_LOG_NAME_BYTES 512
#define MY_LOG_DIGITS_MAX 10 /* names begin with six digits and go on to 2^31 - 1 */

/* The common part of the names of a log's files. */
struct my_log {
    /* The name up to and with the last dot; "": not known yet. */
    char base[MY_LOG_NAME_BYTES];
};

/* The position of an offset in the file `name`. False if the name does not end in a number: the log has no numbered
 * files. */
bool my_position_of(struct span name, uint64_t offset, struct my_log *ret_log,
                    uint64_t *ret_position) MUST_CHECK;

/* The file of a position, and the offset in it. */
void my_position_place(const struct my_log *log, uint64_t position,
                       char ret_name[MY_LOG_NAME_BYTES], uint32_t *ret_offset);

/* The position of this offset in the same file. */
uint64_t my_position_at(uint64_t position, uint64_t offset);

#endif
