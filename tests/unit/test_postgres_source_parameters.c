#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/postgres/source_private.h"

Test(postgres_source_parameters, an_array_is_encoded_as_postgresql_reads_it)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 4096);
    pg_parameters_encode(&buffer, (int64_t[]){1, -1}, 2);
    const uint8_t two[] = {0, 0, 0, 1, 0, 0, 0,    0,    0,    0,    0,    20,   0,    0,   0,
                           2, 0, 0, 0, 1, 0, 0,    0,    8,    0,    0,    0,    0,    0,   0,
                           0, 1, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    cr_assert_eq(buffer_size(&buffer), sizeof(two));
    cr_assert_arr_eq(buffer_front(&buffer), two, sizeof(two));
    pg_parameters_encode(&buffer, NULL, 0);
    const uint8_t none[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20};
    cr_assert_eq(buffer_size(&buffer), sizeof(none), "it replaces what was there");
    cr_assert_arr_eq(buffer_front(&buffer), none, sizeof(none));
    buffer_done(&buffer);
}

Test(postgres_source_parameters, numbers_are_big_endian)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_int8(&parameters, 258);
    pg_parameters_oid(&parameters, 0x01020304);
    cr_assert_eq(parameters.count, 2);
    cr_assert_eq(parameters.lengths[0], 8);
    cr_assert_eq(memcmp(parameters.values[0], "\0\0\0\0\0\0\1\2", 8), 0);
    cr_assert_eq(parameters.lengths[1], 4);
    cr_assert_eq(memcmp(parameters.values[1], "\1\2\3\4", 4), 0);
    cr_assert_eq(parameters.formats[1], 1);
}

Test(postgres_source_parameters, an_array_of_text_has_nulls)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 4096);
    pg_array_begin_text(&buffer, 3);
    pg_array_put_text(&buffer, "ab", true);
    pg_array_put_text(&buffer, NULL, true);
    pg_array_put_text(&buffer, "", true);
    const uint8_t three[] = {0, 0, 0, 1, 0, 0, 0, 0,   0,   0,    0,    25,   0,    0, 0, 3, 0,
                             0, 0, 1, 0, 0, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    cr_assert_eq(buffer_size(&buffer), sizeof(three));
    cr_assert_arr_eq(buffer_front(&buffer), three, sizeof(three));
    pg_array_begin_text(&buffer, 0);
    const uint8_t none[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25};
    cr_assert_eq(buffer_size(&buffer), sizeof(none), "it replaces what was there");
    cr_assert_arr_eq(buffer_front(&buffer), none, sizeof(none));
    buffer_done(&buffer);
}

Test(postgres_source_parameters, an_array_of_bytes_learns_its_length_at_the_end)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 4096);
    pg_array_begin_bytea(&buffer);
    pg_array_put_bytes(&buffer, "\0\xff", 2);
    pg_array_put_bytes(&buffer, "", 0);
    pg_array_end(&buffer, 2);
    const uint8_t two[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,    17, 0, 0, 0,
                           2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0xff, 0,  0, 0, 0};
    cr_assert_eq(buffer_size(&buffer), sizeof(two));
    cr_assert_arr_eq(buffer_front(&buffer), two, sizeof(two));
    buffer_done(&buffer);
}

/* The buffer grows between the elements. */
Test(postgres_source_parameters, a_large_array_of_text_is_whole)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 1 << 20);
    pg_array_begin_text(&buffer, 1000);
    for (int i = 0; i < 1000; i++) {
        pg_array_put_text(&buffer, "\xc3\xa9\xff", true);
    }
    cr_assert_eq(buffer_size(&buffer), 20 + 1000 * 7);
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_arr_eq(buffer_front(&buffer) + 20 + i * 7, "\0\0\0\3???", 7);
    }
    buffer_done(&buffer);
}

static void
expect_clean(const char *text, bool utf8, const char *expected)
{
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%s", text); /* fits */
    pg_text_clean(copy, strlen(copy), utf8);
    cr_assert_str_eq(copy, expected);
}

Test(postgres_source_parameters, text_is_made_such_that_the_server_takes_it)
{
    expect_clean("caf\xc3\xa9", true, "caf\xc3\xa9");
    expect_clean("caf\xc3\xa9", false, "caf??");
    expect_clean("cut \xc3", true, "cut ?");
    expect_clean("\xed\xa0\x80 surrogate", true, "??? surrogate");
    expect_clean("plain", false, "plain");
    expect_clean("", true, "");
}

Test(postgres_source_parameters, other_parameters)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_null(&parameters);
    pg_parameters_text(&parameters, "abc");
    pg_parameters_text(&parameters, NULL);
    pg_parameters_text(&parameters, "");
    pg_parameters_double(&parameters, 1.0);
    cr_assert_eq(parameters.count, 5);
    cr_assert_null(parameters.values[0]);
    cr_assert(strncmp(parameters.values[1], "abc", 3) == 0 && parameters.lengths[1] == 3);
    cr_assert_null(parameters.values[2]);
    cr_assert(parameters.values[3] != NULL && parameters.lengths[3] == 0);
    cr_assert_eq(memcmp(parameters.values[4], "\x3f\xf0\0\0\0\0\0\0", 8), 0);
    cr_assert_eq(parameters.lengths[4], 8);
}

Test(postgres_source_parameters, a_span_can_be_added_to_a_time)
{
    cr_assert_eq(pg_parameters_span_us(0), 0);
    cr_assert_eq(pg_parameters_span_us(5), 5);
    cr_assert_eq(pg_parameters_span_us(UINT64_MAX), INT64_C(3162240000000000));
}
