#include "relay/mysql/binlog_values.h"

#include "relay/mysql/datetime.h"

/* The value has its length before it. */
static struct span
read_with_length(struct reader *reader, size_t length_bytes)
{
    return read_bytes(reader, read_little(reader, length_bytes));
}

bool
my_value_metadata(struct reader *reader, uint8_t type, struct my_column_type *ret_column)
{
    size_t bytes = 0;
    switch (type) {
    case MY_TYPE_TINY:
    case MY_TYPE_SHORT:
    case MY_TYPE_LONG:
    case MY_TYPE_NULL:
    case MY_TYPE_LONGLONG:
    case MY_TYPE_INT24:
    case MY_TYPE_DATE:
    case MY_TYPE_YEAR:
    case MY_TYPE_NEWDATE:
        break;
    case MY_TYPE_FLOAT:
    case MY_TYPE_DOUBLE:
    case MY_TYPE_TIMESTAMP2:
    case MY_TYPE_DATETIME2:
    case MY_TYPE_TIME2:
    case MY_TYPE_BLOB_COMPRESSED:
    case MY_TYPE_VECTOR:
    case MY_TYPE_JSON:
    case MY_TYPE_TINY_BLOB:
    case MY_TYPE_MEDIUM_BLOB:
    case MY_TYPE_LONG_BLOB:
    case MY_TYPE_BLOB:
    case MY_TYPE_GEOMETRY:
        bytes = 1;
        break;
    case MY_TYPE_VARCHAR:
    case MY_TYPE_VARCHAR_COMPRESSED:
    case MY_TYPE_BIT:
    case MY_TYPE_NEWDECIMAL:
    case MY_TYPE_ENUM:
    case MY_TYPE_SET:
    case MY_TYPE_VAR_STRING:
    case MY_TYPE_STRING:
        bytes = 2;
        break;
    default:
        return false;
    }
    *ret_column = (struct my_column_type){
        .type = type,
        .metadata = bytes > 0 ? (uint16_t)read_little(reader, bytes) : 0,
    };
    return true;
}

/* Nine digits take four bytes; the remaining digits, before and after the point, take fewer. */
static size_t
decimal_bytes(uint16_t metadata)
{
    static const uint8_t bytes_of[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    const unsigned precision = metadata & 0xff;
    const unsigned behind = metadata >> 8;
    const unsigned before = precision > behind ? precision - behind : 0;
    return before / 9 * 4 + bytes_of[before % 9] + behind / 9 * 4 + bytes_of[behind % 9];
}

/* The first byte of the metadata is the real type, the second the maximum length. If that is over 255, its two upper
 * bits are in the first byte, inverted. */
static struct span
read_string(struct reader *reader, uint16_t metadata)
{
    const unsigned first = metadata & 0xff;
    const unsigned second = metadata >> 8;
    if (first == MY_TYPE_ENUM || first == MY_TYPE_SET) {
        return read_bytes(reader, second);
    }
    const unsigned length_max = second | ((first & 0x30) ^ 0x30) << 4;
    return read_with_length(reader, length_max > 255 ? 2 : 1);
}

static struct span
read_fraction(struct reader *reader, size_t seconds_bytes, uint16_t digits)
{
    return read_bytes(reader, seconds_bytes + (digits + 1) / 2);
}

struct span
my_value_read(struct reader *reader, struct my_column_type column)
{
    const uint16_t metadata = column.metadata;
    switch ((enum my_type)column.type) {
    case MY_TYPE_NULL:
        return read_bytes(reader, 0);
    case MY_TYPE_TINY:
    case MY_TYPE_YEAR:
        return read_bytes(reader, 1);
    case MY_TYPE_SHORT:
        return read_bytes(reader, 2);
    case MY_TYPE_INT24:
    case MY_TYPE_DATE:
    case MY_TYPE_NEWDATE:
        return read_bytes(reader, 3);
    case MY_TYPE_LONG:
    case MY_TYPE_FLOAT:
        return read_bytes(reader, 4);
    case MY_TYPE_LONGLONG:
    case MY_TYPE_DOUBLE:
        return read_bytes(reader, 8);
    case MY_TYPE_BIT: /* the bits beyond the last whole byte, and the whole bytes */
        return read_bytes(reader, (size_t)(metadata >> 8) + ((metadata & 0xff) > 0 ? 1 : 0));
    case MY_TYPE_TIMESTAMP2:
        return read_fraction(reader, 4, metadata);
    case MY_TYPE_DATETIME2:
        return read_fraction(reader, 5, metadata);
    case MY_TYPE_TIME2:
        return read_fraction(reader, 3, metadata);
    case MY_TYPE_NEWDECIMAL:
        return read_bytes(reader, decimal_bytes(metadata));
    case MY_TYPE_VARCHAR:
    case MY_TYPE_VARCHAR_COMPRESSED:
    case MY_TYPE_VAR_STRING:
        return read_with_length(reader, metadata > 255 ? 2 : 1);
    case MY_TYPE_STRING:
    case MY_TYPE_ENUM:
    case MY_TYPE_SET:
        return read_string(reader, metadata);
    case MY_TYPE_BLOB_COMPRESSED:
    case MY_TYPE_VECTOR:
    case MY_TYPE_JSON:
    case MY_TYPE_TINY_BLOB:
    case MY_TYPE_MEDIUM_BLOB:
    case MY_TYPE_LONG_BLOB:
    case MY_TYPE_BLOB:
    case MY_TYPE_GEOMETRY: /* the metadata is the size of the length */
        reader->bad |= metadata == 0 || metadata > 4;
        return read_with_length(reader, reader->bad ? 0 : metadata);
    }
    reader->bad = true; /* my_value_metadata refuses such a type */
    return (struct span){0};
}

/* ---- times ---- */

static uint64_t
big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* The fraction has two digits in each byte. */
static int64_t
fraction_us(struct span value, unsigned digits)
{
    static const int64_t us_of_unit[] = {0, 10000, 100, 1};
    const size_t bytes = (digits + 1) / 2;
    return (int64_t)big_endian((const uint8_t *)value.data + 5, bytes) * us_of_unit[bytes];
}

/* 40 bits: 1 for the sign (set: not negative), 17 for year * 13 + month, 5 for the day, 5, 6 and 6 for hour, minute and
 * second. */
int64_t
my_value_datetime_us(struct span value, unsigned digits)
{
    const uint64_t packed = big_endian(value.data, 5);
    const int64_t year_month = (int64_t)(packed >> 22 & 0x1ffff);
    const struct my_datetime datetime = {
        .year = year_month / 13,
        .month = year_month % 13,
        .day = (int64_t)(packed >> 17 & 0x1f),
        .hour = (int64_t)(packed >> 12 & 0x1f),
        .minute = (int64_t)(packed >> 6 & 0x3f),
        .second = (int64_t)(packed & 0x3f),
        .us = fraction_us(value, digits),
    };
    return packed >> 39 == 0 ? INT64_MIN : my_datetime_us(&datetime);
}
