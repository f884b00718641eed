#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* Encodes any number below 2^21 in the given number of bytes, valid or not. */
static void
encode(uint32_t code, size_t length, uint8_t *ret_bytes)
{
    static const uint8_t leads[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        ret_bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    ret_bytes[0] = (uint8_t)(leads[length] | code);
}

static size_t
shortest_length(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

Test(utf8, every_code_point_in_every_length)
{
    static const uint32_t limits[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    for (size_t length = 1; length <= 4; length++) {
        for (uint32_t code = 0; code < limits[length]; code++) {
            uint8_t bytes[4];
            encode(code, length, bytes);
            const bool surrogate = code >= 0xd800 && code <= 0xdfff;
            const bool good =
                code != 0 && code <= 0x10ffff && !surrogate && length == shortest_length(code);
            cr_assert_eq(utf8_is_text(bytes, length), good, "U+%X in %zu bytes", code, length);
        }
    }
}

Test(utf8, cut_short_and_stray_bytes)
{
    static const char *const bad[] = {
        "\x80",  "\xbf",      "\xc3",          "\xe2\x82",         "\xf0\x9f\x98", "a\xff",
        "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(", "\xe2\x82\xac\x80", "\xfe"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_not(utf8_is_text(bad[i], strlen(bad[i])), "number %zu", i);
    }
    cr_assert_not(utf8_is_text("a\0b", 3));
    cr_assert(utf8_is_text("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15));
    cr_assert(utf8_is_text(NULL, 0));
}
