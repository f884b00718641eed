/* relay/mysql/binlog_table.h - the outbox as the log describes it before its rows (TABLE_MAP): which column is what.
 *
 * Names stand in the log with binlog_row_metadata = FULL only, which is no server's default. So they are given, in the
 * order of the table's columns, and what the log tells of their number and types must fit. Whoever gives them sees to it
 * that the table is as it was: its rows and the change of its definition stand in the log one after the other (binlog.h). */
#ifndef RELAY_MYSQL_BINLOG_TABLE_H
#define RELAY_MYSQL_BINLOG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "relay/mysql/binlog_values.h"

#define MY_TABLE_COLUMNS_MAX 4096 /* both servers' */
#define MY_TABLE_NAME_BYTES 193   /* 64 characters of at most 3 bytes, and the zero */

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
    MY_COLUMN_OTHER =
        MY_COLUMNS, /* payload_text, which is empty in every row; and somebody's own */
};

struct my_table_map {
    uint64_t id; /* by which rows name it until it is described again */
    bool known;
    uint32_t column_count;
    struct my_column_type types[MY_TABLE_COLUMNS_MAX];
    uint8_t columns[MY_TABLE_COLUMNS_MAX]; /* enum my_table_column of each */
    uint8_t digits[MY_COLUMNS + 1];        /* those of DATETIME have of a second's fraction */
    /* As it was described last, which is nearly always as it is described next; empty if that was too long. */
    uint8_t described[1024];
    size_t described_size;
};

struct my_table {
    char schema[MY_TABLE_NAME_BYTES];
    char name[MY_TABLE_NAME_BYTES];
    uint32_t given_count; /* 0: no names are given */
    uint8_t given[MY_TABLE_COLUMNS_MAX];
    struct my_table_map map;
};

/* names: of the columns, in their order. */
void my_table_init(struct my_table *table, const char *schema, const char *name,
                   const char *const *names, size_t name_count);

/* The body of a TABLE_MAP event, of this table or another. False: it is not understood (ERROR_CONNECTION); or the table is
 * not as `outbox-relay init` makes it, or not as it was given (ERROR_CONFIG). */
bool my_table_describe(struct my_table *table, struct span body, struct error *reterr) MUST_CHECK;

/* What was described is not good any more. */
void my_table_forget(struct my_table *table);

const char *my_table_column_name(enum my_table_column column);

/* A number in the packed form of the log: 1 byte, or 2, 3 or 8 behind a mark. */
uint64_t my_table_packed(struct reader *reader);

#endif
