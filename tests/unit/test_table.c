#include "amqp/table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

static struct span
text(const char *words)
{
    return (struct span){words, strlen(words)};
}

static bool
is(struct span span, const char *words)
{
    return span.size == strlen(words) && memcmp(span.data, words, span.size) == 0;
}

static struct span
content_of(const struct buffer *buffer)
{
    return (struct span){buffer_front(buffer), buffer_size(buffer)};
}

Test(table, what_is_written_is_read)
{
    struct buffer buffer;
    struct table_writer writer;
    struct table_field field;
    buffer_init(&buffer, 64, 4096);
    cr_assert(buffer_append(&buffer, "before", 6));
    table_writer_init(&writer, &buffer);
    cr_assert(table_put_string(&writer, text("s"), text("hello")));
    cr_assert(table_put_int(&writer, text("i"), INT64_MIN));
    cr_assert(table_put_double(&writer, text("d"), -1.5));
    cr_assert(table_put_bool(&writer, text("b"), true));
    cr_assert(table_put_null(&writer, text("n")));
    cr_assert(table_open_table(&writer, text("t")));
    cr_assert(table_open_array(&writer, text("a")));
    cr_assert(table_put_int(&writer, (struct span){0}, 1));
    cr_assert(table_put_string(&writer, (struct span){0}, text("two")));
    cr_assert(table_close(&writer));
    cr_assert(table_close(&writer));
    cr_assert(table_put_bool(&writer, text("last"), false));
    cr_assert_not(table_close(&writer), "nothing is open");
    buffer_consume(&buffer, 6);
    const struct span fields = content_of(&buffer);
    cr_assert(table_find(fields, "s", &field) && field.type == 'S' && is(field.text, "hello"));
    cr_assert(table_find(fields, "i", &field) && field.type == 'l' && field.integer == INT64_MIN);
    cr_assert(table_find(fields, "d", &field) && field.type == 'd' && field.number == -1.5);
    cr_assert(table_find(fields, "b", &field) && field.type == 't' && field.integer == 1);
    cr_assert(table_find(fields, "n", &field) && field.type == 'V');
    cr_assert(table_find(fields, "last", &field) && field.integer == 0);
    cr_assert_not(table_find(fields, "missing", &field));
    cr_assert(table_find(fields, "t", &field) && field.type == 'F');
    cr_assert(table_find(field.text, "a", &field) && field.type == 'A');
    const struct span array = field.text;
    size_t position = 0;
    cr_assert(table_next(array, true, &position, &field) && field.integer == 1);
    cr_assert(table_next(array, true, &position, &field) && is(field.text, "two"));
    cr_assert_not(table_next(array, true, &position, &field));
    buffer_done(&buffer);
}

Test(table, every_type_of_the_broker_is_read)
{
    static const struct {
        const char *bytes;
        size_t size;
        int64_t integer;
        double number;
    } cases[] = {
        {"t\x01", 2, 1, 0},
        {"b\xff", 2, -1, 0},
        {"B\xff", 2, 255, 0},
        {"s\xff\xfe", 3, -2, 0},
        {"U\xff\xfe", 3, -2, 0},
        {"u\xff\xfe", 3, 65534, 0},
        {"I\xff\xff\xff\xff", 5, -1, 0},
        {"i\xff\xff\xff\xff", 5, 4294967295, 0},
        {"l\xff\xff\xff\xff\xff\xff\xff\xff", 9, -1, 0},
        {"L\0\0\0\0\0\0\0\x07", 9, 7, 0},
        {"T\0\0\0\0\0\0\0\x07", 9, 7, 0},
        {"f\x3f\xc0\0\0", 5, 0, 1.5},
        {"d\x3f\xf8\0\0\0\0\0\0", 9, 0, 1.5},
        {"D\x02\0\0\0\x96", 6, 0, 1.5},
        {"V", 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table_field field;
        size_t position = 0;
        const struct span bytes = {cases[i].bytes, cases[i].size};
        cr_assert(table_next(bytes, true, &position, &field), "type %c", cases[i].bytes[0]);
        cr_assert_eq(position, cases[i].size);
        cr_assert_eq(field.integer, cases[i].integer, "type %c", cases[i].bytes[0]);
        cr_assert(fabs(field.number - cases[i].number) < 1e-9, "type %c", cases[i].bytes[0]);
        position = 0;
        const struct span cut = {cases[i].bytes, cases[i].size - 1};
        cr_assert_not(table_next(cut, true, &position, &field), "type %c", cases[i].bytes[0]);
    }
}

Test(table, limits_are_refused)
{
    struct buffer buffer;
    struct table_writer writer;
    static char name[256];
    buffer_init(&buffer, 64, 1000);
    table_writer_init(&writer, &buffer);
    cr_assert_not(table_put_null(&writer, (struct span){name, 256}));
    cr_assert_not(table_put_string(&writer, text("s"), (struct span){name, SIZE_MAX / 2}));
    cr_assert_eq(buffer_size(&buffer), 0, "nothing half-written");
    for (int i = 0; i < TABLE_DEPTH_MAX; i++) {
        cr_assert(table_open_table(&writer, text("t")));
    }
    cr_assert_not(table_open_table(&writer, text("t")));
    while (table_put_int(&writer, text("i"), 1)) {
    }
    cr_assert_leq(buffer_size(&buffer), 1000);
    buffer_done(&buffer);
}

Test(table, no_bytes_lead_the_reader_astray)
{
    uint8_t bytes[64];
    struct random random;
    random_seed(&random, 1);
    for (int round = 0; round < 100000; round++) {
        const size_t size = random_between(&random, 0, sizeof(bytes));
        for (size_t i = 0; i < size; i++) {
            /* Small numbers become lengths that fit, letters become types. */
            bytes[i] = random_chance(&random, 50)
                           ? (uint8_t)random_between(&random, 0, 4)
                           : (uint8_t) "tbBsuIilfdDSAxFTV"[random_next(&random) % 17];
        }
        const struct span fields = {bytes, size};
        struct table_field field;
        size_t position = 0;
        while (table_next(fields, round % 2 == 0, &position, &field)) {
            cr_assert_leq(position, size);
        }
        (void)table_find(fields, "t", &field);
    }
}
