#include <criterion/criterion.h>
#include <string.h>

#include "relay/mysql/binlog_values.h"

/* Values from real servers are tested in test_mysql_binlog.c; here are the edge cases. */

static struct reader reader;

static size_t
size_of(enum my_type type, unsigned metadata, const char *bytes, size_t size)
{
    reader = reader_of((struct span){bytes, size});
    const struct span value =
        my_value_read(&reader, (struct my_column_type){(uint8_t)type, (uint16_t)metadata});
    cr_assert_not(reader.bad);
    cr_assert_not_null(value.data);
    return value.size;
}

/* Up to 255 bytes the length has one byte. */
Test(mysql_binlog_values, lengths)
{
    cr_assert_eq(size_of(MY_TYPE_VARCHAR, 255, "\1ab", 3), 1);
    cr_assert_eq(size_of(MY_TYPE_VARCHAR, 256, "\1\0ab", 4), 1);
    cr_assert_eq(size_of(MY_TYPE_BLOB, 1, "\2ab", 3), 2);
    cr_assert_eq(size_of(MY_TYPE_BLOB, 4, "\2\0\0\0ab", 6), 2);
    cr_assert_eq(size_of(MY_TYPE_VARCHAR, 10, "\0", 1), 0);
    /* CHAR(255) with 4 bytes a character: 1020 = 0x3fc, whose two upper bits are inverted in the type. */
    cr_assert_eq(size_of(MY_TYPE_STRING, 0xfc00 | (MY_TYPE_STRING ^ 0x30), "\1\0ab", 4), 1);
    cr_assert_eq(size_of(MY_TYPE_STRING, 0xff00 | MY_TYPE_STRING, "\1ab", 3), 1);
    cr_assert_eq(size_of(MY_TYPE_STRING, 0x0200 | MY_TYPE_ENUM, "ab", 2), 2);
}

Test(mysql_binlog_values, decimals)
{
    static const char bytes[64] = "";
    cr_assert_eq(size_of(MY_TYPE_NEWDECIMAL, 10 | 2 << 8, bytes, 64), 5);
    cr_assert_eq(size_of(MY_TYPE_NEWDECIMAL, 65 | 30 << 8, bytes, 64), 30);
    cr_assert_eq(size_of(MY_TYPE_NEWDECIMAL, 1, bytes, 64), 1);
    cr_assert_eq(size_of(MY_TYPE_NEWDECIMAL, 9 | 9 << 8, bytes, 64), 4);
}

Test(mysql_binlog_values, bits)
{
    static const char bytes[16] = "";
    cr_assert_eq(size_of(MY_TYPE_BIT, 1, bytes, 16), 1);
    cr_assert_eq(size_of(MY_TYPE_BIT, 8 << 8, bytes, 16), 8);
    cr_assert_eq(size_of(MY_TYPE_BIT, 1 | 2 << 8, bytes, 16), 3);
}

Test(mysql_binlog_values, too_few_bytes)
{
    reader = reader_of((struct span){"\5ab", 3});
    (void)my_value_read(&reader, (struct my_column_type){MY_TYPE_VARCHAR, 10});
    cr_assert(reader.bad);
    reader = reader_of((struct span){"\0\0\0\0\0\0\0\0", 8});
    (void)my_value_read(&reader, (struct my_column_type){MY_TYPE_BLOB, 5});
    cr_assert(reader.bad, "a length of five bytes");
}

Test(mysql_binlog_values, types_of_unknown_length)
{
    static const uint8_t types[] = {0, 7, 11, 12, 20, 100, 243, 244};
    struct my_column_type column;
    for (size_t i = 0; i < sizeof(types); i++) {
        reader = reader_of((struct span){"\0\0", 2});
        cr_assert_not(my_value_metadata(&reader, types[i], &column), "type %u", types[i]);
    }
}

/* ---- times ---- */

static int64_t
us_of(unsigned year, unsigned month, unsigned day, unsigned second, const char *fraction,
      unsigned digits)
{
    const uint64_t packed =
        UINT64_C(1) << 39 | (uint64_t)(year * 13 + month) << 22 | (uint64_t)day << 17 | second;
    uint8_t bytes[8];
    for (unsigned i = 0; i < 5; i++) {
        bytes[i] = (uint8_t)(packed >> (32 - 8 * i));
    }
    memcpy(bytes + 5, fraction, 3);
    return my_value_datetime_us((struct span){bytes, 5 + (digits + 1) / 2}, digits);
}

Test(mysql_binlog_values, days)
{
    cr_assert_eq(us_of(1970, 1, 1, 0, "\0\0\0", 6), 0);
    cr_assert_eq(us_of(1969, 12, 31, 59, "\0\0\0", 6), INT64_C(-86341000000));
    cr_assert_eq(us_of(2000, 2, 29, 0, "\0\0\0", 6), INT64_C(951782400000000));
    cr_assert_eq(us_of(1900, 3, 1, 0, "\0\0\0", 6), INT64_C(-2203891200000000));
    cr_assert_eq(us_of(2100, 3, 1, 0, "\0\0\0", 6), INT64_C(4107542400000000));
    cr_assert_eq(us_of(9999, 12, 31, 0, "\0\0\0", 6), INT64_C(253402214400000000));
}

Test(mysql_binlog_values, fractions)
{
    cr_assert_eq(us_of(1970, 1, 1, 0, "\0\0\1", 6), 1);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\x0f\x42\x3f", 6), 999999);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\0\0\x0a", 5), 10);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\0\1\0", 4), 100);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\0\x0a\0", 3), 1000);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\1\0\0", 2), 10000);
    cr_assert_eq(us_of(1970, 1, 1, 0, "\x0a\0\0", 1), 100000);
    cr_assert_eq(us_of(1970, 1, 1, 7, "\1\0\0", 0), INT64_C(7000000));
}

Test(mysql_binlog_values, no_date)
{
    cr_assert_eq(us_of(0, 0, 0, 0, "\0\0\0", 6), INT64_MIN);
    cr_assert_eq(us_of(2024, 0, 1, 0, "\0\0\0", 6), INT64_MIN);
    cr_assert_eq(us_of(2024, 1, 0, 0, "\0\0\0", 6), INT64_MIN);
    cr_assert_eq(my_value_datetime_us((struct span){"\0\0\0\0\0", 5}, 0), INT64_MIN);
}
