/* relay/mysql/binlog_table.h - the description of the outbox that the log has before its rows (TABLE_MAP): which column
 * is which.
 *
 * The log contains column names only with binlog_row_metadata = FULL, which no server has by default. So the caller
 * gives the names, in the order of the table's columns, and they must fit the number and types in the log. The caller
 * also ensures that the table still has these columns: a change of its definition stands in the log between the rows
 * before and after it (binlog.h). */
#ifndef RELAY_MYSQL_BINLOG_TABLE_H
#define RELAY_MYSQL_BINLOG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "relay/mysql/binlog_values.h"

#define MY_TABLE_COLUMNS_MAX 4096 /* the limit of both servers */
#define MY_TABLE_NAME_BYTES 193   /* 64 characters of at most 3 bytes, and the zero byte */

enum my_table_column {
    MY_COLUMN_ID,
    MY_COLUMN_MESSAGE_ID,
    MY_COLUMN_CREATED_AT,
    MY_COLUMN_EXCHANGE,
    MY_COLUMN_ROUTING_KEY,
    MY_COLUMN_KEY,
    MY_COLUMN_TYPE,
    MY_COLUMN_CONTENT_TYPE,
    MY_COLUMN_HEADERS,
    MY_COLUMN_PAYLOAD,
    MY_COLUMN_DELIVER_AFTER,
    MY_COLUMNS,
    /* payload_text, which is empty in every row, and columns that others have added. */
    MY_COLUMN_OTHER = MY_COLUMNS,
};

struct my_table_map {
    uint64_t id; /* by which rows name the table until it is described again */
    bool known;
    uint32_t column_count;
    struct my_column_type types[MY_TABLE_COLUMNS_MAX];
    uint8_t columns[MY_TABLE_COLUMNS_MAX]; /* enum my_table_column */
    uint8_t digits[MY_COLUMNS + 1];        /* digits of a second's fraction, of a DATETIME */
    /* The last description, because the next one is nearly always the same; empty if it was too long. */
    uint8_t described[1024];
    size_t described_size;
};

struct my_table {
    char schema[MY_TABLE_NAME_BYTES];
    char name[MY_TABLE_NAME_BYTES];
    uint32_t given_count; /* 0: the caller gave no names */
    uint8_t given[MY_TABLE_COLUMNS_MAX];
    struct my_table_map map;
};

/* names: of the columns, in their order. All names are copied. */
void my_table_init(struct my_table *table, const char *schema, const char *name,
                   const char *const *names, size_t name_count);

/* Reads the body of a TABLE_MAP event, of this table or another. False: it is not understood (ERROR_CONNECTION); or the
 * table is not as `outbox-relay init` makes it, or does not fit the given names (ERROR_CONFIG). */
bool my_table_describe(struct my_table *table, struct span body, struct error *reterr) MUST_CHECK;

/* Makes the description invalid: the table must be described again before its next rows. */
void my_table_forget(struct my_table *table);

const char *my_table_column_name(enum my_table_column column);

/* Reads a number in the packed form of the log: 1 byte, or a mark and 2, 3 or 8 bytes. */
uint64_t my_table_packed(struct reader *reader);

#endif
