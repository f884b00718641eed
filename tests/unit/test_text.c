#include <criterion/criterion.h>
#include <string.h>

#include "base/text.h"

Test(text, reads_numbers)
{
    uint64_t number = 7;
    cr_assert(text_parse_number("0", &number));
    cr_assert_eq(number, 0);
    cr_assert(text_parse_number("18446744073709551615", &number));
    cr_assert_eq(number, UINT64_MAX);
}

Test(text, refuses_what_is_no_number)
{
    static const char *const bad[] = {
        "", " 1", "1 ", "-1", "+1", "1.5", "0x10", "18446744073709551616", "one"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t number = 7;
        cr_assert_not(text_parse_number(bad[i], &number), "accepted \"%s\"", bad[i]);
        cr_assert_eq(number, 7, "touched the result");
    }
}

Test(text, reads_durations)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {
        {"0", 0},          {"0s", 0},         {"250us", 250},     {"250ms", 250000},
        {"30s", 30000000}, {"5m", 300000000}, {"2h", 7200000000}, {"1d", 86400000000},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t us = 7;
        cr_assert(text_parse_duration(good[i].text, &us), "refused \"%s\"", good[i].text);
        cr_assert_eq(us, good[i].us, "%s", good[i].text);
    }
}

Test(text, refuses_what_is_no_duration)
{
    static const char *const bad[] = {"",     "5",  "s",    "5 s",   "-5s",
                                      "1.5s", "5S", "5sec", "1h30m", "213503983d"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t us = 7;
        cr_assert_not(text_parse_duration(bad[i], &us), "accepted \"%s\"", bad[i]);
        cr_assert_eq(us, 7, "touched the result");
    }
}

Test(text, reads_sizes)
{
    uint64_t bytes = 0;
    cr_assert(text_parse_size("512", &bytes));
    cr_assert_eq(bytes, 512);
    cr_assert(text_parse_size("512KiB", &bytes));
    cr_assert_eq(bytes, 524288);
    cr_assert(text_parse_size("4MiB", &bytes));
    cr_assert_eq(bytes, 4194304);
    cr_assert(text_parse_size("1GiB", &bytes));
    cr_assert_eq(bytes, 1073741824);
    cr_assert_not(text_parse_size("4MB", &bytes));
    cr_assert_not(text_parse_size("4 MiB", &bytes));
    cr_assert_not(text_parse_size("17179869184GiB", &bytes), "it does not fit into 64 bits");
}

Test(text, writes_the_largest_unit_that_divides)
{
    char text[TEXT_UNIT_BYTES];
    text_format_duration(90000000, text);
    cr_assert_str_eq(text, "90s");
    text_format_duration(120000000, text);
    cr_assert_str_eq(text, "2m");
    text_format_duration(1500, text);
    cr_assert_str_eq(text, "1500us");
    text_format_duration(0, text);
    cr_assert_str_eq(text, "0");
    text_format_duration(UINT64_MAX, text);
    cr_assert_str_eq(text, "18446744073709551615us");
    text_format_size(4194304, text);
    cr_assert_str_eq(text, "4MiB");
    text_format_size(1000, text);
    cr_assert_str_eq(text, "1000");
    text_format_size(0, text);
    cr_assert_str_eq(text, "0");
}

Test(text, distance)
{
    cr_assert_eq(text_distance("", ""), 0);
    cr_assert_eq(text_distance("exchange", "exchange"), 0);
    cr_assert_eq(text_distance("exchage", "exchange"), 1);
    cr_assert_eq(text_distance("exchnage", "exchange"), 1, "neighbours swapped are one slip");
    cr_assert_eq(text_distance("", "abc"), 3);
    cr_assert_eq(text_distance("kitten", "sitting"), 3);
}

Test(text, long_words_are_far)
{
    char longer[65];
    memset(longer, 'a', 64);
    longer[64] = '\0';
    cr_assert_eq(text_distance(longer, longer), SIZE_MAX);
    longer[63] = '\0';
    cr_assert_eq(text_distance(longer, longer), 0);
}

Test(text, nearest_name)
{
    static const char *const names[] = {"dsn", "broker", "exchange", "batch_rows"};
    cr_assert_str_eq(text_nearest("exchage", names, 4), "exchange");
    cr_assert_str_eq(text_nearest("dns", names, 4), "dsn");
    cr_assert_str_eq(text_nearest("batch-rows", names, 4), "batch_rows");
    cr_assert_null(text_nearest("colour", names, 4));
    cr_assert_null(text_nearest("", names, 4));
    cr_assert_null(text_nearest("dsn", names, 0));
}
