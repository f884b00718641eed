#include <criterion/criterion.h>
#include <string.h>

#include "amqp/table.h"
#include "consumers/runner_delivery.h"

static struct runner_delivery delivery;
static struct buffer headers;
static struct rabbit_event event;

static struct span
text_span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
put_text(const char *name, const char *value)
{
    struct table_writer writer;
    table_writer_init(&writer, &headers);
    cr_assert(table_put_string(&writer, text_span(name), text_span(value)));
    event.message.headers = (struct span){buffer_front(&headers), buffer_size(&headers)};
}

static void
setup(void)
{
    buffer_init(&headers, 0, 1 << 16);
}

static void
teardown(void)
{
    buffer_done(&headers);
    runner_delivery_done(&delivery);
}

TestSuite(runner_delivery, .init = setup, .fini = teardown);

static uint64_t
hash_of(const char *source, const char *key)
{
    buffer_clear(&headers);
    put_text("x-outbox-source", source);
    put_text("x-outbox-key", key);
    cr_assert(runner_delivery_set(&delivery, &event));
    return delivery.key_hash;
}

Test(runner_delivery, a_bare_message_has_empty_texts_and_no_key)
{
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_str_eq(delivery.shown.message_id, "");
    cr_expect_str_eq(delivery.shown.source, "");
    cr_expect_str_eq(delivery.shown.body, "");
    cr_expect_null(delivery.shown.key);
    cr_expect_eq(delivery.key_hash, 0);
    cr_expect_eq(delivery.shown.outbox_id, 0);
    cr_expect_str_eq(delivery.shown.correlation_id, "");
    cr_expect_str_eq(delivery.shown.reply_to, "");
    cr_expect_str_eq(delivery.shown.expiration, "");
    cr_expect_eq(delivery.shown.priority, -1);
}

Test(runner_delivery, what_an_answer_needs_is_shown)
{
    event.message.correlation_id = text_span("order-4711");
    event.message.reply_to = text_span("shop.replies");
    event.message.expiration = text_span("60000");
    event.message.has_priority = true; /* priority 0 differs from none */
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_str_eq(delivery.shown.correlation_id, "order-4711");
    cr_expect_str_eq(delivery.shown.reply_to, "shop.replies");
    cr_expect_str_eq(delivery.shown.expiration, "60000");
    cr_expect_eq(delivery.shown.priority, 0);
}

Test(runner_delivery, it_outlives_the_event)
{
    char body[] = "body";
    put_text("x-outbox-key", "k");
    event.message.body = text_span(body);
    cr_assert(runner_delivery_set(&delivery, &event));
    memset(body, '#', 4);
    buffer_clear(&headers);
    cr_expect_str_eq(delivery.shown.body, "body");
    cr_expect_str_eq(delivery.shown.key, "k");
    const char *value;
    size_t length;
    cr_assert(inbox_delivery_header(&delivery.shown, "x-outbox-key", &value, &length));
    cr_expect_eq(length, 1);
}

Test(runner_delivery, an_empty_key_is_a_key)
{
    put_text("x-outbox-key", "");
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_str_eq(delivery.shown.key, "");
    cr_expect_neq(delivery.key_hash, 0);
}

Test(runner_delivery, keys_of_two_sources_are_two_keys)
{
    const uint64_t hash = hash_of("a", "b");
    cr_expect_eq(hash_of("a", "b"), hash);
    cr_expect_neq(hash_of("ab", ""), hash);
    cr_expect_neq(hash_of("b", "b"), hash);
}

Test(runner_delivery, a_key_that_is_a_number_is_none)
{
    struct table_writer writer;
    table_writer_init(&writer, &headers);
    cr_assert(table_put_int(&writer, text_span("x-outbox-key"), 5));
    cr_assert(table_put_int(&writer, text_span("x-outbox-id"), -5));
    event.message.headers = (struct span){buffer_front(&headers), buffer_size(&headers)};
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_null(delivery.shown.key);
    cr_expect_eq(delivery.shown.outbox_id, -5);
}

Test(runner_delivery, memory_of_a_large_message_is_given_back)
{
    static char large[1 << 20];
    event.message.body = (struct span){large, sizeof(large)};
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_geq(delivery.capacity, sizeof(large));
    event.message.body = text_span("small");
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_lt(delivery.capacity, 1000);
}

Test(runner_delivery, malformed_headers_are_no_headers)
{
    event.message.headers = text_span("\x0cx-outbox-keyS\xff\xff\xff\xff");
    cr_assert(runner_delivery_set(&delivery, &event));
    cr_expect_null(delivery.shown.key);
}
