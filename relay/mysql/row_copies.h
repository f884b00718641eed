/* relay/mysql/row_copies.h - rows of the log on their way into a batch. What the decoder gives is good until its next call,
 * so their values are copied, into pieces of memory that grow with their number: one row alone costs little, and many cost
 * few pieces. */
#ifndef RELAY_MYSQL_ROW_COPIES_H
#define RELAY_MYSQL_ROW_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/ports/row.h"
#include "relay/ports/source.h"

struct my_piece;

/* All zero: none. */
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
/* A batch of them; none are left. */
struct batch *my_row_copies_take(struct my_row_copies *copies, bool complete);

#endif
