/* relay/mysql/binlog_values.h - reads the values of a row in the log, by the type of their column and the metadata that
 * TABLE_MAP has for it. Of most values only the length is needed.
 *
 * Types: enum_field_types of both servers. ENUM and SET columns have the type STRING in the log. */
#ifndef RELAY_MYSQL_BINLOG_VALUES_H
#define RELAY_MYSQL_BINLOG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/reader.h"

enum my_type {
    MY_TYPE_TINY = 1,
    MY_TYPE_SHORT = 2,
    MY_TYPE_LONG = 3,
    MY_TYPE_FLOAT = 4,
    MY_TYPE_DOUBLE = 5,
    MY_TYPE_NULL = 6,
    MY_TYPE_LONGLONG = 8,
    MY_TYPE_INT24 = 9,
    MY_TYPE_DATE = 10,
    MY_TYPE_YEAR = 13,
    MY_TYPE_NEWDATE = 14,
    MY_TYPE_VARCHAR = 15, /* VARBINARY as well */
    MY_TYPE_BIT = 16,
    MY_TYPE_TIMESTAMP2 = 17,
    MY_TYPE_DATETIME2 = 18,
    MY_TYPE_TIME2 = 19,
    MY_TYPE_BLOB_COMPRESSED = 140, /* MariaDB's COMPRESSED columns */
    MY_TYPE_VARCHAR_COMPRESSED = 141,
    MY_TYPE_VECTOR = 242,
    MY_TYPE_JSON = 245,
    MY_TYPE_NEWDECIMAL = 246,
    MY_TYPE_ENUM = 247,
    MY_TYPE_SET = 248,
    MY_TYPE_TINY_BLOB = 249,
    MY_TYPE_MEDIUM_BLOB = 250,
    MY_TYPE_LONG_BLOB = 251,
    MY_TYPE_BLOB = 252, /* TEXT as well */
    MY_TYPE_VAR_STRING = 253,
    MY_TYPE_STRING = 254, /* CHAR, BINARY */
    MY_TYPE_GEOMETRY = 255,
};

struct my_column_type {
    uint8_t type;
    uint16_t metadata;
};

/* Reads the metadata of a column of this type. False: values of this type cannot be read. That is so for TIME, DATETIME
 * and TIMESTAMP in the format of MySQL 5.5, and of MariaDB with mysql56_temporal_format = OFF: the log does not tell
 * how long they are. */
bool my_value_metadata(struct reader *reader, uint8_t type,
                       struct my_column_type *ret_column) MUST_CHECK;

/* Reads the next value, without the length before it. The metadata of its column must have been read. If there is no
 * such value, the reader becomes bad. The data pointer of the result is never NULL. */
struct span my_value_read(struct reader *reader, struct my_column_type column);

/* A DATETIME2 in UTC, with this many digits of the fraction, in microseconds since 1970; INT64_MIN for an impossible
 * date such as 0000-00-00. The value must have the size that my_value_read gave it. */
int64_t my_value_datetime_us(struct span value, unsigned digits);

#endif
