#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "relay/api/text.h"

#define S INT64_C(1000000)

Test(api_text, ages)
{
    static const struct {
        int64_t us;
        const char *age;
        const char *until;
    } cases[] = {
        {-1, "0 s", "now"},
        {0, "0 s", "now"},
        {1, "0 s", "in 1 s"},
        {12 * S, "12 s", "in 12 s"},
        {12 * S + 1, "12 s", "in 13 s"},
        {60 * S - 1, "59 s", "in 1 min"},
        {180 * S, "3 min", "in 3 min"},
        {181 * S, "3 min", "in 4 min"},
        {3600 * S, "1 h", "in 1 h"},
        {47 * 3600 * S, "47 h", "in 47 h"},
        {48 * 3600 * S, "2 d", "in 2 d"},
        {INT64_MAX, "106751991 d", "in 106751992 d"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[API_AGE_BYTES];
        api_text_age(cases[i].us, text);
        cr_assert_str_eq(text, cases[i].age);
        api_text_until(cases[i].us, text);
        cr_assert_str_eq(text, cases[i].until, "%s", text);
    }
}

Test(api_text, times)
{
    char text[API_TIME_BYTES];
    api_text_utc(INT64_C(1795000000123456), text);
    cr_assert_str_eq(text, "2026-11-18T11:06:40.123Z");
    api_text_utc(-1, text);
    cr_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
    cr_assert_eq(setenv("TZ", "XYZ-5:30", 1), 0);
    tzset();
    api_text_time(INT64_C(1795000000999999), text);
    cr_assert_str_eq(text, "2026-11-18 16:36:40+05:30");
}

static void
expect_clean(const char *text, const char *expected)
{
    char *const clean = api_text_clean(text);
    cr_assert_str_eq(clean, expected, "%s", clean);
    memory_free(clean);
}

Test(api_text, nothing_reaches_the_terminal_as_a_command)
{
    expect_clean("", "");
    expect_clean("größe 日本 …", "größe 日本 …");
    expect_clean("a\nb\tc\r\x1b[31m\x7f", "a\\nb\\tc\\x0d\\x1b[31m\\x7f");
    expect_clean("\xc2\x9b"
                 "1m\xc2\xa0",
                 "\\x9b1m\xc2\xa0");
    expect_clean("\xff\xc2", "\\xff\\xc2"); /* not UTF-8 */
    expect_clean("\xff\xc2\x9b", "\\xff\\xc2\\x9b");
}

static bool
is_plain(const char *text)
{
    return api_text_is_plain((const uint8_t *)text, strlen(text));
}

Test(api_text, plain_text)
{
    cr_assert(is_plain(""));
    cr_assert(is_plain("{\"a\": \"größe\"}\n\tx\r\n"));
    cr_assert_not(is_plain("a\rb"));
    cr_assert_not(is_plain("a\r"));
    cr_assert_not(is_plain("a\x1b[0m"));
    cr_assert_not(is_plain("a\x7f"));
    cr_assert_not(is_plain("\xc2\x9b"));
    cr_assert_not(is_plain("\xff"));
    cr_assert_not(api_text_is_plain((const uint8_t *)"a\0b", 3));
}

Test(api_text, base64_of_the_rfc)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"\x66o", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff", "+/8="},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *const text = api_text_base64((const uint8_t *)cases[i][0], strlen(cases[i][0]));
        cr_assert_str_eq(text, cases[i][1]);
        memory_free(text);
    }
}
