/* relay/mysql/binlog_rows.h - the rows of one event (WRITE_ROWS, both versions), one after the other. */
#ifndef RELAY_MYSQL_BINLOG_ROWS_H
#define RELAY_MYSQL_BINLOG_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "relay/mysql/binlog_table.h"
#include "relay/mysql/hash.h"
#include "relay/ports/row.h"

enum my_rows_version { MY_ROWS_V1 = 1, MY_ROWS_V2 };

struct my_rows {
    const struct my_table_map *map;
    struct reader reader;
    uint8_t present[(MY_TABLE_COLUMNS_MAX + 7) / 8]; /* which columns the rows have */
    uint32_t present_count;
};

/* Of the body of an event: which table its rows are of. False: it has no such beginning. */
bool my_rows_table(struct span body, uint64_t *ret_table_id) MUST_CHECK;

/* Up to where the rows begin, which *ret_rows is: they may be compressed. False: it is not understood (ERROR_CONNECTION),
 * or the rows have not all columns of the outbox that are needed (ERROR_CONFIG). */
bool my_rows_open(struct my_rows *rows, const struct my_table_map *map,
                  enum my_rows_version version, struct span body, struct span *ret_rows,
                  struct error *reterr) MUST_CHECK;

/* The rows are these. */
void my_rows_begin(struct my_rows *rows, struct span bytes);

static inline bool
my_rows_at_end(const struct my_rows *rows)
{
    return rows->reader.at == rows->reader.end;
}

/* The next row, without a position; its spans point into the bytes. One whose payload and headers are larger than bytes_max
 * comes withheld. False: as my_rows_open. */
bool my_rows_next(struct my_rows *rows, struct my_hash *hash, uint64_t bytes_max,
                  struct row *ret_row, struct error *reterr) MUST_CHECK;

#endif
