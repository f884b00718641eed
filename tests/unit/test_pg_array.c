#include <criterion/criterion.h>
#include <string.h>

#include "outbox-sql/pg_array.h"

Test(pg_array, bytes_as_the_server_reads_them)
{
    /* clang-format off */
    static const uint8_t wanted[] = {
        0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 17, 0, 0, 0, 4, 0, 0, 0, 1, /* the head */
        0, 0, 0, 2, 'a', 'b',                                        /* ab */
        0xff, 0xff, 0xff, 0xff,                                      /* NULL */
        0, 0, 0, 0,                                                  /* empty */
        0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,  /* -2 */
    };
    /* clang-format on */
    struct pg_array array;
    pg_array_init(&array, 17, 4);
    pg_array_add_text(&array, "ab");
    pg_array_add_text(&array, NULL);
    pg_array_add(&array, NULL, 0);
    pg_array_add_int64(&array, -2);
    cr_assert_not(array.failed);
    cr_assert_eq(array.left, 0u);
    cr_assert_eq(buffer_size(&array.bytes), sizeof(wanted));
    cr_assert_arr_eq(buffer_front(&array.bytes), wanted, sizeof(wanted));
    pg_array_done(&array);
}

Test(pg_array, too_much_is_remembered)
{
    struct pg_array array;
    pg_array_init(&array, 17, 2);
    pg_array_add(&array, "", (size_t)1 << 30); /* refused before any byte is read */
    cr_assert(array.failed);
    pg_array_add_text(&array, "x");
    cr_assert(array.failed);
    pg_array_done(&array);
}
