/* relay/mysql/row_copies.h - copies of rows of the log, which become a batch. A row from the decoder is valid only
 * until its next call, so its values are copied. The pieces of memory for them grow with their number: a single row
 * takes little memory, and many rows take few pieces. */
#ifndef RELAY_MYSQL_ROW_COPIES_H
#define RELAY_MYSQL_ROW_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/ports/row.h"
#include "relay/ports/source.h"

struct my_piece;

/* All zero: no rows. */
struct my_row_copies {
    struct row *rows;
    size_t count;
    size_t capacity;
    uint64_t content_bytes; /* of payloads and headers */
    uint64_t bytes;         /* of memory */
    struct my_piece *pieces;
};

void my_row_copies_add(struct my_row_copies *copies, const struct row *row);
void my_row_copies_done(struct my_row_copies *copies);
/* Moves all rows into a new batch, for batch_free. */
struct batch *my_row_copies_take(struct my_row_copies *copies, bool complete);

#endif
