#include <criterion/criterion.h>
#include <string.h>

#include "relay/source_postgres_private.h"

Test(source_postgres_parameters, an_array_is_encoded_as_postgresql_reads_it)
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

Test(source_postgres_parameters, numbers_are_big_endian)
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
