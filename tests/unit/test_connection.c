#include "amqp/connection.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "broker_bytes.h"

#define SECOND CLOCK_S_US

static struct broker_bytes out;

static struct rabbit *
new_rabbit(uint16_t heartbeat_s)
{
    struct rabbit *rabbit = rabbit_new(&(struct rabbit_options){
        .vhost = "/shop",
        .user = "relay",
        .password = "s3cret",
        .heartbeat_s = heartbeat_s,
        .connection_name = "relay of orders",
    });
    cr_assert_not_null(rabbit);
    rabbit_start(rabbit, SECOND);
    return rabbit;
}

static void
feed(struct rabbit *rabbit, uint64_t now_us)
{
    rabbit_feed(rabbit, out.bytes, out.size, now_us);
    out.size = 0;
}

static struct rabbit_event
next(struct rabbit *rabbit, enum rabbit_event_type type)
{
    struct rabbit_event event;
    cr_assert(rabbit_next(rabbit, &event), "expected event %d, got none", type);
    cr_assert_eq(event.type, type, "expected event %d, got %d", type, event.type);
    return event;
}

static void
nothing(struct rabbit *rabbit)
{
    struct rabbit_event event;
    cr_assert_not(rabbit_next(rabbit, &event));
}

static void
closed(struct rabbit *rabbit, enum error_class class, const char *words)
{
    const struct rabbit_event event = next(rabbit, RABBIT_CLOSED);
    cr_assert_eq(event.error.class, class, "class %d: %s", event.error.class, event.error.text);
    cr_assert_not_null(strstr(event.error.text, words), "%s", event.error.text);
    nothing(rabbit);
    rabbit_free(rabbit);
}

static void
written(struct rabbit *rabbit, uint64_t now_us)
{
    rabbit_written(rabbit, buffer_size(rabbit_output(rabbit)), now_us);
}

/* True if the output contains these bytes. */
static bool
says(const struct rabbit *rabbit, const void *data, size_t size)
{
    const struct buffer *output = rabbit_output(rabbit);
    return memmem(buffer_front(output), buffer_size(output), data, size) != NULL;
}

static bool
says_method(const struct rabbit *rabbit, uint32_t method)
{
    uint8_t bytes[4];
    put_u32(bytes, method);
    return says(rabbit, bytes, sizeof(bytes));
}

static struct rabbit *
open_rabbit(uint16_t heartbeat_s)
{
    struct rabbit *rabbit = new_rabbit(heartbeat_s);
    broker_handshake(&out, 131072, heartbeat_s);
    feed(rabbit, SECOND);
    next(rabbit, RABBIT_OPENED);
    written(rabbit, SECOND);
    return rabbit;
}

static void
open_channel(struct rabbit *rabbit, uint16_t channel, bool confirms)
{
    rabbit_channel_open(rabbit, channel, confirms);
    broker_channel_opened(&out, channel, confirms);
    feed(rabbit, SECOND);
    cr_assert_eq(next(rabbit, RABBIT_CHANNEL_OPENED).channel, channel);
    written(rabbit, SECOND);
}

static void
publish(struct rabbit *rabbit, uint16_t channel, size_t count)
{
    struct error error;
    const struct rabbit_message message = {
        .exchange = {"orders", 6},
        .routing_key = {"key", 3},
        .mandatory = true,
        .body = {"hello", 5},
    };
    for (size_t i = 0; i < count; i++) {
        cr_assert(rabbit_publish(rabbit, channel, &message, &error), "%s", error.text);
    }
}

static bool
text_is(struct span text, const char *expected)
{
    return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

Test(connection, handshake_says_who_we_are_and_what_we_understand)
{
    struct rabbit *rabbit = new_rabbit(10);
    cr_assert(says(rabbit, "AMQP\0\0\x09\x01", 8));
    written(rabbit, SECOND);
    broker_start(&out, "EXTERNAL PLAIN");
    feed(rabbit, SECOND);
    nothing(rabbit);
    cr_assert(says(rabbit, "\0relay\0s3cret", 13));
    cr_assert(says(rabbit,
                   "\x12"
                   "connection.blockedt\x01",
                   21));
    cr_assert(says(rabbit, "publisher_confirmst\x01", 20));
    cr_assert(says(rabbit, "consumer_cancel_notifyt\x01", 24));
    cr_assert(says(rabbit, "relay of orders", 15));
    written(rabbit, SECOND);
    broker_tune(&out, 8192, 60);
    feed(rabbit, SECOND);
    nothing(rabbit);
    cr_assert(says(rabbit, "\0\x0a\0\x1f\0\x10\0\0\x20\0\0\x0a", 12), "tune-ok: 16, 8192, 10");
    cr_assert(says(rabbit, "\x05/shop", 6));
    cr_assert_eq(rabbit_frame_max(rabbit), 8192);
    cr_assert_eq(rabbit_heartbeat_s(rabbit), 10);
    cr_assert_not(rabbit_is_open(rabbit));
    broker_simple(&out, 0, AMQP_CONNECTION_OPEN_OK_METHOD, "");
    feed(rabbit, SECOND);
    next(rabbit, RABBIT_OPENED);
    cr_assert(rabbit_is_open(rabbit));
    rabbit_free(rabbit);
}

Test(connection, agrees_on_the_lower_heartbeat)
{
    static const struct {
        uint16_t ours, theirs, agreed;
    } cases[] = {{10, 60, 10}, {60, 10, 10}, {10, 0, 10}, {0, 60, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rabbit *rabbit = new_rabbit(cases[i].ours);
        broker_handshake(&out, 0, cases[i].theirs);
        feed(rabbit, SECOND);
        next(rabbit, RABBIT_OPENED);
        cr_assert_eq(rabbit_heartbeat_s(rabbit), cases[i].agreed);
        cr_assert_eq(rabbit_frame_max(rabbit), 131072);
        rabbit_free(rabbit);
    }
}

Test(connection, a_refused_login_names_no_password)
{
    struct rabbit *rabbit = new_rabbit(10);
    broker_start(&out, "PLAIN");
    broker_close(&out, 0, 403, "ACCESS_REFUSED - Login was refused");
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONFIG, "the broker refused the user name or password");

    rabbit = new_rabbit(10);
    broker_start(&out, "PLAIN");
    broker_close(&out, 0, 403, "no, not s3cret");
    feed(rabbit, SECOND);
    const struct rabbit_event event = next(rabbit, RABBIT_CLOSED);
    cr_assert_null(strstr(event.error.text, "s3cret"));
    rabbit_free(rabbit);
}

Test(connection, a_missing_vhost_is_for_the_operator_and_a_limit_is_not)
{
    struct rabbit *rabbit = new_rabbit(10);
    broker_start(&out, "PLAIN");
    broker_tune(&out, 131072, 60);
    broker_close(&out, 0, 530, "NOT_ALLOWED - vhost /shop not found");
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONFIG, "vhost /shop not found");

    rabbit = new_rabbit(10);
    broker_start(&out, "PLAIN");
    broker_tune(&out, 131072, 60);
    broker_close(&out, 0, 530, "NOT_ALLOWED - connection limit (10) is reached");
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "limit (10)");
}

Test(connection, needs_a_mechanism_that_the_broker_offers)
{
    struct rabbit *rabbit = new_rabbit(10);
    broker_start(&out, "AMQPLAIN EXTERNAL");
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONFIG, "does not offer PLAIN");
}

Test(connection, the_handshake_has_a_deadline)
{
    struct rabbit *rabbit = new_rabbit(10);
    cr_assert_eq(rabbit_deadline_us(rabbit), 31 * SECOND);
    rabbit_tick(rabbit, 31 * SECOND - 1);
    nothing(rabbit);
    rabbit_tick(rabbit, 31 * SECOND);
    cr_assert_eq(rabbit_deadline_us(rabbit), 0);
    closed(rabbit, ERROR_CONNECTION, "handshake");
}

Test(connection, tells_other_protocols_apart)
{
    static const struct {
        const char *bytes;
        const char *words;
    } cases[] = {
        {"AMQP\x00\x01\x00\x00", "wants AMQP 1.0.0"},
        {"\x15\x03\x03\x00\x02\x02\x0a\x00", "amqps://"},
        {"HTTP/1.1", "does not speak AMQP"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rabbit *rabbit = new_rabbit(10);
        rabbit_feed(rabbit, cases[i].bytes, 8, SECOND);
        const struct rabbit_event event = next(rabbit, RABBIT_CLOSED);
        cr_assert_not_null(strstr(event.error.text, cases[i].words), "%s", event.error.text);
        rabbit_free(rabbit);
    }
}

Test(connection, sends_heartbeats_when_nothing_else_is_sent)
{
    static const char heartbeat[] = "\x08\0\0\0\0\0\0\xce";
    struct rabbit *rabbit = open_rabbit(16);
    rabbit_tick(rabbit, 11 * SECOND - 1);
    cr_assert_eq(buffer_size(rabbit_output(rabbit)), 0);
    rabbit_tick(rabbit, 11 * SECOND);
    cr_assert(says(rabbit, heartbeat, 8));
    rabbit_tick(rabbit, 22 * SECOND);
    cr_assert_eq(buffer_size(rabbit_output(rabbit)), 8, "one that waits is enough");
    written(rabbit, 22 * SECOND);
    cr_assert_eq(rabbit_deadline_us(rabbit), 32 * SECOND, "written at 22, due at 32");
    rabbit_feed(rabbit, heartbeat, 8, 29 * SECOND);
    nothing(rabbit);
    cr_assert_eq(rabbit_deadline_us(rabbit), 29 * SECOND, "it goes with the broker's");
    rabbit_free(rabbit);
}

Test(connection, missed_heartbeats_end_it_and_any_byte_counts)
{
    struct rabbit *rabbit = open_rabbit(10);
    rabbit_feed(rabbit, "\x08", 1, 15 * SECOND);
    rabbit_tick(rabbit, 35 * SECOND - 1);
    nothing(rabbit);
    rabbit_tick(rabbit, 35 * SECOND);
    closed(rabbit, ERROR_CONNECTION, "silent");
}

Test(connection, without_heartbeats_nothing_is_due)
{
    struct rabbit *rabbit = open_rabbit(0);
    cr_assert_eq(rabbit_deadline_us(rabbit), CLOCK_NEVER_US);
    rabbit_tick(rabbit, 100000 * SECOND);
    nothing(rabbit);
    rabbit_free(rabbit);
}

Test(connection, blocked_and_unblocked)
{
    struct rabbit *rabbit = open_rabbit(10);
    broker_simple(&out, 0, AMQP_CONNECTION_BLOCKED_METHOD, "low on memory");
    broker_simple(&out, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, NULL);
    feed(rabbit, SECOND);
    cr_assert(text_is(next(rabbit, RABBIT_BLOCKED).text, "low on memory"));
    next(rabbit, RABBIT_UNBLOCKED);
    nothing(rabbit);
    rabbit_free(rabbit);
}

Test(connection, confirms_single_and_multiple)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 3, true);
    publish(rabbit, 3, 10);
    broker_confirm(&out, 3, AMQP_BASIC_ACK_METHOD, 2, false);
    broker_confirm(&out, 3, AMQP_BASIC_ACK_METHOD, 7, true);
    broker_confirm(&out, 3, AMQP_BASIC_NACK_METHOD, 8, false);
    broker_confirm(&out, 3, AMQP_BASIC_ACK_METHOD, 0, true);
    feed(rabbit, SECOND);
    struct rabbit_event event = next(rabbit, RABBIT_CONFIRMED);
    cr_assert(event.channel == 3 && event.tag == 2 && !event.multiple);
    event = next(rabbit, RABBIT_CONFIRMED);
    cr_assert(event.tag == 7 && event.multiple);
    event = next(rabbit, RABBIT_NACKED);
    cr_assert(event.tag == 8 && !event.multiple);
    event = next(rabbit, RABBIT_CONFIRMED);
    cr_assert(event.tag == 10 && event.multiple, "tag 0 means all so far");
    nothing(rabbit);
    rabbit_free(rabbit);
}

Test(connection, a_confirm_of_what_was_never_sent_ends_it)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 10);
    broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, 11, false);
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "out of turn");
}

Test(connection, a_return_comes_with_its_content_before_its_confirm)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 1);
    broker_returned(&out, 1, "nowhere");
    broker_header(&out, 1, 5);
    broker_body(&out, 1, "hello", 5);
    broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, 1, false);
    feed(rabbit, SECOND);
    const struct rabbit_event event = next(rabbit, RABBIT_RETURNED);
    cr_assert_eq(event.code, 312);
    cr_assert(text_is(event.text, "NO_ROUTE"));
    cr_assert(text_is(event.message.exchange, "orders"));
    cr_assert(text_is(event.message.routing_key, "nowhere"));
    cr_assert(text_is(event.message.body, "hello"));
    cr_assert(text_is(event.message.message_id, "message-1"));
    next(rabbit, RABBIT_CONFIRMED);
    rabbit_free(rabbit);
}

Test(connection, a_delivery_in_several_frames_has_all_properties)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, false);
    broker_delivery(&out, 1, 77);
    broker_header(&out, 1, 11);
    broker_body(&out, 1, "hello", 5);
    broker_body(&out, 1, "", 0);
    broker_body(&out, 1, " world", 6);
    feed(rabbit, SECOND);
    const struct rabbit_event event = next(rabbit, RABBIT_DELIVERED);
    cr_assert(event.tag == 77 && event.redelivered);
    cr_assert(text_is(event.consumer_tag, "consumer"));
    cr_assert(text_is(event.message.body, "hello world"));
    cr_assert(text_is(event.message.content_type, "text/plain"));
    cr_assert(text_is(event.message.type, "order.paid"));
    cr_assert(text_is(event.message.app_id, "shop"));
    cr_assert(text_is(event.message.headers, "\x01nt\x01"));
    cr_assert_eq(event.message.timestamp_s, 1700000000);
    cr_assert_eq(event.message.delivery_mode, 2);
    nothing(rabbit);
    rabbit_free(rabbit);
}

/* Every second one blames what was sent. */
Test(connection, tells_the_code_by_which_the_broker_ended_it)
{
    static const uint16_t codes[] = {320, 501, 506, 505, 530, 541};
    for (size_t i = 0; i < 6; i++) {
        struct rabbit *rabbit = open_rabbit(10);
        broker_close(&out, 0, codes[i], "words");
        feed(rabbit, SECOND);
        cr_assert_eq(next(rabbit, RABBIT_CLOSED).code, codes[i]);
        cr_assert_eq(rabbit_is_mistake(codes[i]), i % 2 == 1, "%u", codes[i]);
        rabbit_free(rabbit);
    }
}

/* A window of deliveries is ordered by tags: a broker that breaks the order ends the connection, not the process. */
Test(connection, tags_of_deliveries_ascend)
{
    static const uint64_t wrong[] = {7, 6, 0};
    for (size_t i = 0; i < 3; i++) {
        struct rabbit *rabbit = open_rabbit(10);
        open_channel(rabbit, 1, false);
        broker_delivery(&out, 1, 7);
        broker_header(&out, 1, 0);
        broker_delivery(&out, 1, wrong[i]);
        broker_header(&out, 1, 0);
        feed(rabbit, SECOND);
        cr_assert_eq(next(rabbit, RABBIT_DELIVERED).tag, 7);
        closed(rabbit, ERROR_CONNECTION, "after tag 7");
    }
}

Test(connection, deliveries_of_two_channels_may_interleave)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, false);
    open_channel(rabbit, 2, false);
    broker_delivery(&out, 1, 1);
    broker_delivery(&out, 2, 2);
    broker_header(&out, 1, 3);
    broker_header(&out, 2, 0);
    broker_body(&out, 1, "one", 3);
    feed(rabbit, SECOND);
    struct rabbit_event event = next(rabbit, RABBIT_DELIVERED);
    cr_assert(event.channel == 2 && event.tag == 2 && event.message.body.size == 0);
    event = next(rabbit, RABBIT_DELIVERED);
    cr_assert(event.channel == 1 && text_is(event.message.body, "one"));
    rabbit_free(rabbit);
}

Test(connection, a_closed_channel_is_answered_and_can_be_opened_again)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 5);
    rabbit_exchange_check(rabbit, 1, "orders");
    written(rabbit, SECOND);
    broker_close(&out, 1, 404, "NOT_FOUND - no exchange 'orders'");
    feed(rabbit, SECOND);
    const struct rabbit_event event = next(rabbit, RABBIT_CHANNEL_CLOSED);
    cr_assert(event.channel == 1 && event.code == 404);
    cr_assert(text_is(event.text, "NOT_FOUND - no exchange 'orders'"));
    cr_assert(says_method(rabbit, AMQP_CHANNEL_CLOSE_OK_METHOD));
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 1);
    broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, 1, false);
    feed(rabbit, SECOND);
    cr_assert_eq(next(rabbit, RABBIT_CONFIRMED).tag, 1, "tags begin again");
    rabbit_free(rabbit);
}

Test(connection, what_arrives_on_a_channel_we_closed_is_dropped)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 3);
    rabbit_channel_close(rabbit, 1);
    broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, 3, true);
    broker_delivery(&out, 1, 1);
    broker_header(&out, 1, 2);
    broker_body(&out, 1, "hi", 2);
    broker_close(&out, 1, 404, "at the same time");
    broker_simple(&out, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    feed(rabbit, SECOND);
    cr_assert_eq(next(rabbit, RABBIT_CHANNEL_CLOSED).code, 200);
    nothing(rabbit);
    open_channel(rabbit, 1, false);
    rabbit_free(rabbit);
}

Test(connection, calls_are_answered_in_turn)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, false);
    rabbit_queue_declare(rabbit, 1, "q", true, (struct span){"\x01xS\0\0\0\x01y", 8});
    cr_assert(says(rabbit, "\0\x32\0\x0a\0\0\x01q\x02\0\0\0\x08\x01xS\0\0\0\x01y\xce", 22));
    rabbit_qos(rabbit, 1, 100);
    rabbit_consume(rabbit, 1, "q", "consumer");
    broker_method(&out, 1, AMQP_QUEUE_DECLARE_OK_METHOD);
    broker_short(&out, "q");
    broker_u32(&out, 42);
    broker_u32(&out, 0);
    broker_end(&out);
    broker_simple(&out, 1, AMQP_BASIC_QOS_OK_METHOD, NULL);
    broker_simple(&out, 1, AMQP_BASIC_CONSUME_OK_METHOD, "consumer");
    feed(rabbit, SECOND);
    next(rabbit, RABBIT_DONE);
    cr_assert_eq(rabbit_declared_count(rabbit), 42);
    next(rabbit, RABBIT_DONE);
    cr_assert(text_is(next(rabbit, RABBIT_CONSUMING).consumer_tag, "consumer"));
    rabbit_cancel(rabbit, 1, "consumer");
    broker_simple(&out, 1, AMQP_BASIC_CANCEL_OK_METHOD, "consumer");
    feed(rabbit, SECOND);
    cr_assert(text_is(next(rabbit, RABBIT_CANCELLED).consumer_tag, "consumer"));
    broker_simple(&out, 1, AMQP_BASIC_QOS_OK_METHOD, NULL);
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "out of turn");
}

Test(connection, the_broker_cancels_and_wants_an_answer_only_if_it_says_so)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, false);
    for (uint8_t nowait = 0; nowait <= 1; nowait++) {
        broker_method(&out, 1, AMQP_BASIC_CANCEL_METHOD);
        broker_short(&out, "consumer");
        broker_u8(&out, nowait);
        broker_end(&out);
        feed(rabbit, SECOND);
        cr_assert(text_is(next(rabbit, RABBIT_CANCELLED).consumer_tag, "consumer"));
        cr_assert_eq(says_method(rabbit, AMQP_BASIC_CANCEL_OK_METHOD), nowait == 0);
        written(rabbit, SECOND);
    }
    rabbit_free(rabbit);
}

Test(connection, the_brokers_close_is_answered)
{
    struct rabbit *rabbit = open_rabbit(10);
    broker_close(&out, 0, 320, "CONNECTION_FORCED - Closed via management\nplugin");
    feed(rabbit, SECOND);
    const struct rabbit_event event = next(rabbit, RABBIT_CLOSED);
    cr_assert_eq(event.error.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(event.error.text, "320 CONNECTION_FORCED"));
    cr_assert_null(strchr(event.error.text, '\n'));
    cr_assert(says_method(rabbit, AMQP_CONNECTION_CLOSE_OK_METHOD));
    rabbit_free(rabbit);
}

Test(connection, our_close_waits_for_its_answer_and_drops_the_rest)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    publish(rabbit, 1, 1);
    rabbit_close(rabbit);
    cr_assert(says_method(rabbit, AMQP_CONNECTION_CLOSE_METHOD));
    rabbit_ack(rabbit, 1, 1, false);
    struct error error;
    cr_assert_not(rabbit_publish(rabbit, 1, &(struct rabbit_message){0}, &error));
    cr_assert_eq(error.class, ERROR_CONNECTION);
    broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, 1, false);
    broker_simple(&out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, NULL);
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "closed");

    rabbit = open_rabbit(10);
    rabbit_close(rabbit);
    rabbit_tick(rabbit, 11 * SECOND);
    closed(rabbit, ERROR_CONNECTION, "did not answer");
}

Test(connection, a_message_that_can_never_go_is_told_from_one_that_cannot_go_now)
{
    struct rabbit *rabbit = rabbit_new(&(struct rabbit_options){.output_max = 10000});
    rabbit_start(rabbit, SECOND);
    broker_handshake(&out, 4096, 0);
    feed(rabbit, SECOND);
    next(rabbit, RABBIT_OPENED);
    open_channel(rabbit, 1, true);
    static char bytes[10001];
    struct error error;
    struct rabbit_message message = {.routing_key = {bytes, 256}};
    cr_assert_not(rabbit_publish(rabbit, 1, &message, &error));
    cr_assert_eq(error.class, ERROR_MESSAGE, "%s", error.text);
    message = (struct rabbit_message){.headers = {bytes, 4096}};
    cr_assert_not(rabbit_publish(rabbit, 1, &message, &error));
    cr_assert_eq(error.class, ERROR_MESSAGE, "%s", error.text);
    message = (struct rabbit_message){.body = {bytes, 10000}};
    cr_assert_not(rabbit_publish(rabbit, 1, &message, &error));
    cr_assert_eq(error.class, ERROR_MESSAGE, "%s", error.text);
    message = (struct rabbit_message){.body = {bytes, 6000}};
    cr_assert(rabbit_publish(rabbit, 1, &message, &error), "%s", error.text);
    cr_assert_not(rabbit_publish(rabbit, 1, &message, &error));
    cr_assert_eq(error.class, ERROR_TRANSIENT, "%s", error.text);
    rabbit_ack(rabbit, 1, 1, false); /* the consumer still works */
    nothing(rabbit);
    written(rabbit, SECOND);
    cr_assert(rabbit_publish(rabbit, 1, &message, &error), "%s", error.text);
    rabbit_free(rabbit);
}

/* ---- whatever the peer sends ----------------------------------------------------------------- */

/* Everything that a broker may send in one connection, with channels 1 (confirms) and 2 open. */
static size_t
record_life(struct broker_bytes *life)
{
    life->size = 0;
    broker_simple(life, 0, AMQP_CONNECTION_BLOCKED_METHOD, "low on disk");
    broker_simple(life, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, NULL);
    broker_raw(life, "\x08\0\0\0\0\0\0\xce", 8);
    broker_returned(life, 1, "nowhere");
    broker_header(life, 1, 5);
    broker_body(life, 1, "hello", 5);
    broker_confirm(life, 1, AMQP_BASIC_ACK_METHOD, 3, true);
    broker_delivery(life, 2, 1);
    broker_header(life, 2, 300);
    broker_confirm(life, 1, AMQP_BASIC_NACK_METHOD, 4, false);
    static const char part[150] = {1};
    broker_body(life, 2, part, sizeof(part));
    broker_body(life, 2, part, sizeof(part));
    broker_close(life, 2, 406, "PRECONDITION_FAILED");
    broker_close(life, 0, 320, "CONNECTION_FORCED");
    return life->size;
}

static struct rabbit *
rabbit_in_life(void)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    open_channel(rabbit, 2, false);
    publish(rabbit, 1, 5);
    return rabbit;
}

/* Appends a summary of each event to `story`; returns their number. */
static size_t
take_all(struct rabbit *rabbit, char *story, size_t story_size)
{
    struct rabbit_event event;
    size_t count = 0;
    while (rabbit_next(rabbit, &event)) {
        const size_t used = strlen(story);
        (void)snprintf(
            story + used, story_size - used, "%d %u %u %llu %d %.*s %zu %s\n", event.type,
            event.channel, event.code, (unsigned long long)event.tag, event.multiple,
            (int)event.text.size, event.text.size > 0 ? (const char *)event.text.data : "",
            event.message.body.size, event.type == RABBIT_CLOSED ? event.error.text : "");
        cr_assert_lt(++count, 1000, "events without end");
    }
    return count;
}

Test(connection, byte_by_byte_gives_the_same_events)
{
    static struct broker_bytes life;
    const size_t size = record_life(&life);
    char whole[4096] = "";
    struct rabbit *rabbit = rabbit_in_life();
    rabbit_feed(rabbit, life.bytes, size, SECOND);
    cr_assert_eq(take_all(rabbit, whole, sizeof(whole)), 8, "%s", whole);
    rabbit_free(rabbit);

    char pieces[4096] = "";
    rabbit = rabbit_in_life();
    for (size_t i = 0; i < size; i++) {
        rabbit_feed(rabbit, life.bytes + i, 1, SECOND);
        take_all(rabbit, pieces, sizeof(pieces));
    }
    cr_assert_str_eq(whole, pieces);
    rabbit_free(rabbit);
}

Test(connection, cut_off_anywhere_it_waits_or_ends)
{
    static struct broker_bytes life;
    const size_t size = record_life(&life);
    for (size_t i = 0; i < size; i++) {
        char story[4096] = "";
        struct rabbit *rabbit = rabbit_in_life();
        rabbit_feed(rabbit, life.bytes, i, SECOND);
        take_all(rabbit, story, sizeof(story));
        rabbit_tick(rabbit, 21 * SECOND);
        cr_assert_eq(take_all(rabbit, story, sizeof(story)), 1, "missed heartbeats end it");
        rabbit_free(rabbit);
    }
}

/* Changes bytes at random; each seed is a case of its own, watched by the sanitizers. */
Test(connection, damaged_bytes_never_crash_or_loop, .timeout = 120)
{
    static struct broker_bytes life;
    static struct broker_bytes broken;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct random random;
        random_seed(&random, seed);
        const bool handshake = random_chance(&random, 30);
        life.size = 0;
        if (handshake) {
            broker_handshake(&life, 131072, 10);
        } else {
            record_life(&life);
        }
        memcpy(broken.bytes, life.bytes, life.size);
        for (uint64_t i = random_between(&random, 1, 4); i > 0; i--) {
            broken.bytes[random_between(&random, 0, life.size - 1)] = (uint8_t)random_next(&random);
        }
        char story[8192] = "";
        struct rabbit *rabbit = handshake ? new_rabbit(10) : rabbit_in_life();
        rabbit_feed(rabbit, broken.bytes, life.size, SECOND);
        take_all(rabbit, story, sizeof(story));
        rabbit_free(rabbit);
    }
}

Test(connection, garbage_ends_it)
{
    struct rabbit *rabbit = rabbit_in_life();
    rabbit_feed(rabbit, "garbage!garbage!", 16, SECOND);
    closed(rabbit, ERROR_CONNECTION, "no AMQP frame");
}

Test(connection, frames_beyond_what_was_agreed_end_it)
{
    struct rabbit *rabbit = rabbit_in_life();
    rabbit_feed(rabbit, "\x03\0\x02\x7f\xff\xff\xff", 7, SECOND);
    closed(rabbit, ERROR_CONNECTION, "no AMQP frame");
    rabbit = rabbit_in_life();
    rabbit_feed(rabbit, "\x01\xff\xff\0\0\0\x04", 7, SECOND);
    closed(rabbit, ERROR_CONNECTION, "no AMQP frame");
}

Test(connection, a_promised_giant_is_refused_and_a_liar_costs_nothing)
{
    struct rabbit *rabbit = rabbit_in_life();
    broker_delivery(&out, 2, 1);
    broker_header(&out, 2, UINT64_MAX);
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "content");
    rabbit = rabbit_in_life();
    broker_delivery(&out, 2, 1);
    broker_header(&out, 2, 2);
    broker_body(&out, 2, "abc", 3);
    feed(rabbit, SECOND);
    closed(rabbit, ERROR_CONNECTION, "content");
}

Test(connection, tables_inside_tables_without_end_do_no_harm)
{
    struct rabbit *rabbit = new_rabbit(10);
    broker_method(&out, 0, AMQP_CONNECTION_START_METHOD);
    broker_u8(&out, 0);
    broker_u8(&out, 9);
    const uint32_t depth = 18000;
    broker_u32(&out, depth * 7);
    for (uint32_t i = 1; i <= depth; i++) {
        broker_raw(&out, "\x01xF", 3);
        broker_u32(&out, (depth - i) * 7);
    }
    broker_long(&out, "PLAIN");
    broker_long(&out, "en_US");
    broker_end(&out);
    feed(rabbit, SECOND);
    nothing(rabbit);
    cr_assert(says_method(rabbit, AMQP_CONNECTION_START_OK_METHOD));
    rabbit_free(rabbit);
}

Test(connection, an_owner_that_never_takes_events_is_stopped)
{
    struct rabbit *rabbit = open_rabbit(10);
    static char block[1 << 20];
    for (int i = 0; i < 520; i++) {
        rabbit_feed(rabbit, block, sizeof(block), SECOND);
    }
    closed(rabbit, ERROR_CONNECTION, "no room");
}

Test(connection, memory_stays_flat_over_a_million_confirms, .timeout = 120)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, true);
    size_t before = 0;
    uint64_t tag = 0;
    for (int round = 0; round < 1000; round++) {
        publish(rabbit, 1, 1000);
        written(rabbit, SECOND);
        for (int i = 0; i < 1000; i++) {
            broker_confirm(&out, 1, AMQP_BASIC_ACK_METHOD, ++tag, false);
        }
        feed(rabbit, SECOND);
        struct rabbit_event event;
        while (rabbit_next(rabbit, &event)) {
            cr_assert_eq(event.type, RABBIT_CONFIRMED);
        }
        if (round == 10) {
            before = mallinfo2().uordblks;
        }
    }
    cr_assert_eq(mallinfo2().uordblks, before);
    rabbit_free(rabbit);
}

Test(connection, memory_stays_flat_over_many_deliveries_and_declares, .timeout = 120)
{
    struct rabbit *rabbit = open_rabbit(10);
    open_channel(rabbit, 1, false);
    size_t before = 0;
    for (uint64_t round = 1; round <= 100000; round++) {
        rabbit_qos(rabbit, 1, 1);
        rabbit_ack(rabbit, 1, round, false);
        written(rabbit, SECOND);
        broker_simple(&out, 1, AMQP_BASIC_QOS_OK_METHOD, NULL);
        broker_delivery(&out, 1, round);
        broker_header(&out, 1, 5);
        broker_body(&out, 1, "hello", 5);
        feed(rabbit, SECOND);
        next(rabbit, RABBIT_DONE);
        next(rabbit, RABBIT_DELIVERED);
        nothing(rabbit);
        if (round == 100) {
            before = mallinfo2().uordblks;
        }
    }
    cr_assert_eq(mallinfo2().uordblks, before);
    rabbit_free(rabbit);
}
