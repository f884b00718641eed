#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/row_copies.h"

static struct my_row_copies copies;
static char text[100000]; /* rows point into it, and it changes afterwards */

static struct span
put(size_t at, const char *value)
{
    const size_t size = strlen(value);
    memcpy(text + at, value, size);
    return (struct span){text + at, size};
}

static struct row
make_row(int64_t id, size_t payload_size)
{
    memset(text + 1000, (int)('a' + id % 26), payload_size);
    return (struct row){
        .id = id,
        .position = 4711,
        .exchange = put(0, "shop"),
        .routing_key = put(10, "order.placed"),
        .key = put(30, "order-1"),
        .type = put(40, "placed"),
        .content_type = put(50, "text/plain"),
        .headers = put(70, "{}"),
        .payload = {text + 1000, payload_size},
    };
}

static void
assert_text(struct span span, const char *expected)
{
    cr_assert_eq(span.size, strlen(expected));
    cr_assert(memcmp(span.data, expected, span.size) == 0, "%.*s instead of %s", (int)span.size,
              (const char *)span.data, expected);
}

Test(mysql_row_copies, all_of_a_row)
{
    struct row row = make_row(1, 5);
    my_row_copies_add(&copies, &row);
    cr_assert_eq(copies.content_bytes, 7);
    memset(text, 'x', sizeof(text));
    struct batch *const batch = my_row_copies_take(&copies, true);
    cr_assert_eq(batch->count, 1);
    cr_assert(batch->complete);
    const struct row *const copy = &batch->rows[0];
    cr_assert_eq(copy->id, 1);
    cr_assert_eq(copy->position, 4711);
    assert_text(copy->exchange, "shop");
    assert_text(copy->routing_key, "order.placed");
    assert_text(copy->key, "order-1");
    assert_text(copy->type, "placed");
    assert_text(copy->content_type, "text/plain");
    assert_text(copy->headers, "{}");
    assert_text(copy->payload, "bbbbb");
    batch_free(batch);
    cr_assert_eq(copies.count, 0);
}

Test(mysql_row_copies, many_rows_of_all_sizes)
{
    for (int64_t id = 0; id < 1000; id++) {
        const struct row row = make_row(id, id % 100 == 0 ? 90000 : (size_t)id);
        my_row_copies_add(&copies, &row);
    }
    cr_assert_gt(copies.bytes, copies.content_bytes);
    cr_assert_lt(copies.bytes, 2 * copies.content_bytes, "%lu for %lu", copies.bytes,
                 copies.content_bytes);
    struct batch *const batch = my_row_copies_take(&copies, false);
    cr_assert_eq(batch->count, 1000);
    cr_assert_not(batch->complete);
    for (size_t i = 0; i < batch->count; i++) {
        const struct span payload = batch->rows[i].payload;
        cr_assert_eq(payload.size, i % 100 == 0 ? 90000 : i);
        for (size_t k = 0; k < payload.size; k++) {
            cr_assert_eq(((const char *)payload.data)[k], (char)('a' + i % 26));
        }
    }
    batch_free(batch);
}

Test(mysql_row_copies, none)
{
    batch_free(my_row_copies_take(&copies, true));
    my_row_copies_done(&copies);
}

Test(mysql_row_copies, let_go_of)
{
    const struct row row = make_row(1, 5000);
    my_row_copies_add(&copies, &row);
    my_row_copies_done(&copies);
    cr_assert_eq(copies.count + copies.bytes + copies.content_bytes, 0);
}

/* An empty value has a pointer too, because NULL means something else. */
Test(mysql_row_copies, empty_values)
{
    const struct row row = {.id = 1};
    my_row_copies_add(&copies, &row);
    cr_assert_not_null(copies.rows[0].payload.data);
    my_row_copies_done(&copies);
}
