#include "outbox-sql/mysql_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct mysql_text text;

static void
expect(const char *wanted)
{
    cr_assert(!text.full && !text.failed);
    cr_assert_eq(buffer_size(&text.bytes), strlen(wanted));
    cr_assert_arr_eq(buffer_front(&text.bytes), wanted, strlen(wanted), "%.*s, not %s",
                     (int)buffer_size(&text.bytes), (const char *)buffer_front(&text.bytes),
                     wanted);
    mysql_text_done(&text);
}

Test(mysql_text, values)
{
    mysql_text_init(&text, 1000);
    mysql_text_add_sql(&text, "select ");
    mysql_text_add_bytes(&text, "\x00\x7f\x80\xff'\\", 6);
    mysql_text_add_sql(&text, ",");
    mysql_text_add_bytes(&text, NULL, 0);
    mysql_text_add_sql(&text, ",");
    mysql_text_add_string(&text, "a'b");
    mysql_text_add_sql(&text, ",");
    mysql_text_add_string(&text, "");
    mysql_text_add_sql(&text, ",");
    mysql_text_add_string(&text, NULL);
    expect("select x'007F80FF275C',x'',x'612762',x'',NULL");
}

static void
expect_time(int64_t unix_us, const char *wanted)
{
    mysql_text_init(&text, 1000);
    mysql_text_add_time(&text, unix_us);
    expect(wanted);
}

Test(mysql_text, times_are_utc)
{
    (void)setenv("TZ", "UTC-9", 1);
    tzset();
    expect_time(0, "'1970-01-01 00:00:00.000000'");
    expect_time(1, "'1970-01-01 00:00:00.000001'");
    expect_time(INT64_C(951827696000000), "'2000-02-29 12:34:56.000000'");
    expect_time(MYSQL_TEXT_TIME_MAX_US, "'9999-12-31 23:59:59.999999'");
}

Test(mysql_text, full_to_the_byte_and_for_good)
{
    mysql_text_init(&text, 7);
    mysql_text_add_bytes(&text, "ab", 2);
    expect("x'6162'");
    mysql_text_init(&text, 6);
    mysql_text_add_bytes(&text, "ab", 2);
    cr_assert(text.full && !text.failed);
    mysql_text_add_sql(&text, "a");
    cr_assert_eq(buffer_size(&text.bytes), 0, "a hole in a statement");
    mysql_text_done(&text);
}
