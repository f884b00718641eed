#include <criterion/criterion.h>
#include <string.h>

#include "base/buffer.h"

Test(buffer, what_goes_in_comes_out)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 1024);
    cr_assert_eq(buffer_size(&buffer), 0);
    cr_assert(buffer_append(&buffer, "hello ", 6));
    cr_assert(buffer_append(&buffer, "world", 5));
    buffer_consume(&buffer, 6);
    cr_assert_eq(buffer_size(&buffer), 5);
    cr_assert_arr_eq(buffer_front(&buffer), "world", 5);
    buffer_done(&buffer);
}

Test(buffer, refuses_beyond_its_ceiling_and_keeps_its_content)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 100);
    char block[101] = {0};
    cr_assert(buffer_append(&buffer, block, 60));
    cr_assert_not(buffer_append(&buffer, block, 41));
    cr_assert_eq(buffer_size(&buffer), 60);
    cr_assert(buffer_append(&buffer, block, 40));
    cr_assert_null(buffer_reserve(&buffer, SIZE_MAX));
    buffer_done(&buffer);
}

Test(buffer, reuses_the_room_of_what_was_consumed)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 100);
    char block[90] = {0};
    for (int i = 0; i < 1000; i++) {
        cr_assert(buffer_append(&buffer, block, 60));
        buffer_consume(&buffer, 59);
        cr_assert(buffer_append(&buffer, block, 30));
        buffer_consume(&buffer, 31);
    }
    cr_assert_eq(buffer_size(&buffer), 0);
    buffer_done(&buffer);
}

Test(buffer, gives_back_what_one_large_message_took)
{
    struct buffer buffer;
    buffer_init(&buffer, 128, 1 << 20);
    uint8_t *place = buffer_reserve(&buffer, 1 << 19);
    cr_assert_not_null(place);
    memset(place, 1, 1 << 19);
    buffer_commit(&buffer, 1 << 19);
    cr_assert_geq(buffer.capacity, 1 << 19);
    buffer_consume(&buffer, 1 << 19);
    cr_assert_leq(buffer.capacity, 128);
    cr_assert(buffer_append(&buffer, "x", 1), "usable after shrinking");
    buffer_done(&buffer);
}

Test(buffer, a_nearly_full_one_is_not_moved_for_each_addition)
{
    struct buffer buffer;
    buffer_init(&buffer, 64, 1 << 20);
    char block[1000] = {0};
    while (buffer_size(&buffer) < 200000) {
        cr_assert(buffer_append(&buffer, block, sizeof(block)));
    }
    unsigned moves = 0;
    for (int i = 0; i < 10000; i++) {
        buffer_consume(&buffer, 10);
        const size_t start = buffer.start;
        cr_assert(buffer_append(&buffer, block, 10));
        moves += buffer.start < start;
    }
    cr_assert_leq(moves, 4, "%u moves of 200 kB for 100 kB added", moves);
    buffer_done(&buffer);
}
