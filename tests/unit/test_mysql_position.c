#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/mysql/position.h"

static struct my_log log_name;
static uint64_t position;

static bool
take(const char *name, uint64_t offset)
{
    return my_position_of((struct span){name, strlen(name)}, offset, &log_name, &position);
}

static void
assert_place(const char *expected, uint32_t expected_offset)
{
    char name[MY_LOG_NAME_BYTES];
    uint32_t offset;
    my_position_place(&log_name, position, name, &offset);
    cr_assert_str_eq(name, expected);
    cr_assert_eq(offset, expected_offset);
}

Test(mysql_position, there_and_back)
{
    static const char *const names[] = {"log.000001", "binlog.999999", "db-1.bin.1234567",
                                        "a.2147483647"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert(take(names[i], 4711), "%s", names[i]);
        assert_place(names[i], 4711);
    }
}

Test(mysql_position, ascends_with_the_log)
{
    cr_assert(take("log.000009", 1000));
    const uint64_t before = position;
    cr_assert(take("log.000010", 4));
    cr_assert_lt(before, position);
    cr_assert_lt(position, my_position_at(position, 5));
    cr_assert_eq(my_position_at(my_position_at(position, 5), 4), position);
}

Test(mysql_position, the_base_is_what_the_names_have_in_common)
{
    cr_assert(take("shop-bin.000001", 4));
    cr_assert_str_eq(log_name.base, "shop-bin.");
}

/* The number of the file does not change. */
Test(mysql_position, an_offset_of_4_gib_is_the_last_below)
{
    cr_assert(take("log.000003", UINT64_C(1) << 32));
    assert_place("log.000003", UINT32_MAX);
    cr_assert(take("log.000003", UINT64_MAX));
    assert_place("log.000003", UINT32_MAX);
}

Test(mysql_position, what_is_no_name_of_a_file)
{
    static const char *const names[] = {"",
                                        "log",
                                        "000001",
                                        "log000001",
                                        "log.",
                                        "log.00000a",
                                        "log.2147483648",
                                        "log.000000",
                                        "log.99999999999999999999"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_not(take(names[i], 4), "%s", names[i]);
    }
}

/* A later file of the log has more digits, and is named as well. */
Test(mysql_position, the_longest_name)
{
    enum { DIGITS = 6 };
    char name[MY_LOG_NAME_BYTES - MY_LOG_DIGITS_MAX + DIGITS + 1];
    char last[MY_LOG_NAME_BYTES];
    uint32_t offset;
    memset(name, 'a', sizeof(name));
    memcpy(name + sizeof(name) - DIGITS - 2, ".000001", DIGITS + 2);
    cr_assert_not(take(name, 4), "too long");
    cr_assert(take(name + 1, 4));
    my_position_place(&log_name, (uint64_t)INT32_MAX << 32, last, &offset);
    cr_assert_eq(strlen(last), sizeof(last) - 1);
}
