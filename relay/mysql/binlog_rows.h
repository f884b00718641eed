/* relay/mysql/binlog_rows.h - decodes the rows of one event (WRITE_ROWS, versions 1 and 2) one by one. */
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
    /* One bit for each column: whether the rows have it. */
    uint8_t present[(MY_TABLE_COLUMNS_MAX + 7) / 8];
    uint32_t present_count;
};

/* *ret_table_id: the table of the event's rows. False if the body is too short. */
bool my_rows_table(struct span body, uint64_t *ret_table_id) MUST_CHECK;

/* Reads the body up to the rows; *ret_rows: the rest, which may be compressed. False: it is not understood
 * (ERROR_CONNECTION), or the rows lack columns of the outbox (ERROR_CONFIG). */
bool my_rows_open(struct my_rows *rows, const struct my_table_map *map,
                  enum my_rows_version version, struct span body, struct span *ret_rows,
                  struct error *reterr) MUST_CHECK;

/* Sets the bytes of the rows, uncompressed. */
void my_rows_begin(struct my_rows *rows, struct span bytes);

static inline bool
my_rows_at_end(const struct my_rows *rows)
{
    return rows->reader.at == rows->reader.end;
}

/* Decodes the next row, without a position; its spans point into the bytes. A row with more payload and headers than
 * bytes_max is withheld. Errors: see my_rows_open. */
bool my_rows_next(struct my_rows *rows, struct my_hash *hash, uint64_t bytes_max,
                  struct row *ret_row, struct error *reterr) MUST_CHECK;

#endif
