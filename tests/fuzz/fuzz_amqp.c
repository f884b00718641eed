/* Any bytes that a broker may send. The same bytes go through each decoder: as the stream of a connection that does
 * what a relay and a consumer do (the first byte gives the size of the pieces in which it arrives), as a frame, as a
 * field table, and as the arguments of each method that rabbitmq-c decodes. Each of these but the stream has its own
 * memory, so that the sanitizer sees reads outside of it; of the stream, everything that events point to is read. */
#include <stdlib.h>
#include <string.h>

#include "amqp/codec.h"
#include "amqp/connection.h"
#include "amqp/frame.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/table.h"
#include "base/clock.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 8
#define PUBLISHES 3
enum { PUBLISHING = 1, CONSUMING = 2, CHANNELS };

/* Must hold for any input. Not assert(), because that does nothing in some builds. */
static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint8_t *
exact_copy(struct span bytes)
{
    uint8_t *const copy = malloc(bytes.size > 0 ? bytes.size : 1);
    require(copy != NULL);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

/* Reads all bytes, so that the sanitizer checks them. */
static void
look_at(struct span span)
{
    static volatile uint8_t sink;
    const uint8_t *bytes = span.data;
    require(bytes != NULL || span.size == 0);
    for (size_t i = 0; i < span.size; i++) {
        sink = bytes[i];
    }
    (void)sink; /* only the reading matters */
}

static bool
is_within(struct span part, struct span whole)
{
    const uint8_t *start = part.data;
    const uint8_t *from = whole.data;
    return part.size == 0 || (start >= from && start < from + whole.size &&
                              part.size <= (size_t)(from + whole.size - start));
}

/* ---- tables, frames, methods ---- */

static void
walk_table(struct span fields, bool array, unsigned depth)
{
    struct table_field field;
    size_t position = 0;
    for (size_t before = 0; table_next(fields, array, &position, &field); before = position) {
        require(position > before && position <= fields.size);
        require(is_within(field.name, fields) && is_within(field.text, fields));
        if ((field.type == 'F' || field.type == 'A') && depth < DEPTH_MAX) {
            walk_table(field.text, field.type == 'A', depth + 1);
        }
    }
}

static void
read_table(struct span bytes)
{
    struct table_field field;
    walk_table(bytes, false, 0);
    walk_table(bytes, true, 0);
    if (table_find(bytes, "x-outbox-id", &field)) {
        require(is_within(field.name, bytes) && is_within(field.text, bytes));
    }
}

static void
read_frame(struct span bytes)
{
    struct frame frame;
    if (frame_read(bytes.data, bytes.size, FRAME_MAX_LEAST, &frame) == FRAME_COMPLETE) {
        require(is_within(frame.payload, bytes) && frame.channel <= RABBIT_CHANNEL_MAX);
        require(frame.payload.size + FRAME_OVERHEAD <= FRAME_MAX_LEAST);
    }
}

static void
decode_methods(struct span bytes)
{
    static const uint32_t methods[] = {
        AMQP_CONNECTION_TUNE_METHOD,  AMQP_CONNECTION_CLOSE_METHOD, AMQP_BASIC_CANCEL_METHOD,
        AMQP_QUEUE_DECLARE_OK_METHOD, AMQP_QUEUE_PURGE_OK_METHOD,   AMQP_QUEUE_DELETE_OK_METHOD,
    };
    struct codec *const codec = codec_new();
    require(codec != NULL);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const void *decoded = codec_decode(codec, methods[i], bytes);
        if (decoded != NULL && methods[i] == AMQP_CONNECTION_CLOSE_METHOD) {
            const amqp_bytes_t text = ((const amqp_connection_close_t *)decoded)->reply_text;
            require(is_within((struct span){text.bytes, text.len}, bytes));
        }
    }
    codec_free(codec);
}

/* ---- a connection ---- */

struct peer {
    struct rabbit *rabbit;
    bool open[CHANNELS];
    uint64_t published;
    uint64_t delivered;
    bool closed;
};

static void
publish(struct peer *peer)
{
    static const struct rabbit_message message = {.routing_key = {"key", 3}, .body = {"body", 4}};
    struct error error;
    for (int i = 0; i < PUBLISHES; i++) {
        peer->published += rabbit_publish(peer->rabbit, PUBLISHING, &message, &error) ? 1 : 0;
    }
    rabbit_queue_check(peer->rabbit, PUBLISHING, "queue");
    rabbit_exchange_check(peer->rabbit, PUBLISHING, "exchange");
}

static void
channel_opened(struct peer *peer, uint16_t channel)
{
    require(channel < CHANNELS && !peer->open[channel]);
    peer->open[channel] = true;
    if (channel == PUBLISHING) {
        peer->published = 0;
        publish(peer);
    } else {
        peer->delivered = 0;
        rabbit_qos(peer->rabbit, channel, 1);
        rabbit_consume(peer->rabbit, channel, "queue", "tag");
    }
}

static void
look_at_message(const struct rabbit_message *message)
{
    const struct span parts[] = {
        message->exchange,       message->routing_key,  message->message_id,
        message->type,           message->content_type, message->app_id,
        message->correlation_id, message->reply_to,     message->expiration,
        message->headers,        message->body};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        look_at(parts[i]);
    }
    walk_table(message->headers, false, 0);
}

static void
channel_closed(struct peer *peer, uint16_t channel)
{
    require(channel < CHANNELS);
    peer->open[channel] = false;
    rabbit_channel_open(peer->rabbit, channel, channel == PUBLISHING);
}

static void
delivered(struct peer *peer, const struct rabbit_event *event)
{
    require(event->channel < CHANNELS && peer->open[event->channel]);
    if (event->channel == CONSUMING) {
        require(event->tag > peer->delivered);
        peer->delivered = event->tag;
        rabbit_ack(peer->rabbit, CONSUMING, event->tag, false);
    }
}

static void
take_event(struct peer *peer, const struct rabbit_event *event)
{
    require(!peer->closed);
    switch (event->type) {
    case RABBIT_OPENED:
        rabbit_channel_open(peer->rabbit, PUBLISHING, true);
        rabbit_channel_open(peer->rabbit, CONSUMING, false);
        break;
    case RABBIT_CHANNEL_OPENED:
        channel_opened(peer, event->channel);
        break;
    case RABBIT_CONFIRMED:
    case RABBIT_NACKED:
        require(event->channel == PUBLISHING && event->tag <= peer->published);
        break;
    case RABBIT_RETURNED:
    case RABBIT_DELIVERED:
        look_at(event->text);
        look_at(event->consumer_tag);
        look_at_message(&event->message);
        if (event->type == RABBIT_DELIVERED) {
            delivered(peer, event);
        }
        break;
    case RABBIT_CHANNEL_CLOSED:
        look_at(event->text);
        channel_closed(peer, event->channel);
        break;
    case RABBIT_CLOSED:
        require(event->error.text[0] != '\0');
        peer->closed = true;
        break;
    case RABBIT_BLOCKED:
    case RABBIT_CONSUMING:
    case RABBIT_CANCELLED:
        look_at(event->text);
        look_at(event->consumer_tag);
        break;
    case RABBIT_UNBLOCKED:
    case RABBIT_DONE:
        break;
    }
}

static void
take_events(struct peer *peer)
{
    struct rabbit_event event;
    while (rabbit_next(peer->rabbit, &event)) {
        take_event(peer, &event);
    }
    rabbit_written(peer->rabbit, buffer_size(rabbit_output(peer->rabbit)), 0);
}

static void
run_stream(const uint8_t *bytes, size_t size)
{
    struct peer peer = {
        .rabbit = rabbit_new(&(struct rabbit_options){.user = "user", .password = "secret"})};
    require(peer.rabbit != NULL);
    const size_t piece = size > 0 && bytes[0] > 0 ? bytes[0] : SIZE_MAX;
    rabbit_start(peer.rabbit, 0);
    for (size_t at = 1; at < size; at += piece) {
        const size_t left = size - at;
        rabbit_feed(peer.rabbit, bytes + at, piece < left ? piece : left, 0);
        take_events(&peer);
        if (piece >= left) {
            break;
        }
    }
    rabbit_tick(peer.rabbit, 3600 * CLOCK_S_US);
    take_events(&peer);
    rabbit_free(peer.rabbit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct span all = {bytes, size};
    uint8_t *const copy = exact_copy(all);
    const struct span exact = {copy, size};
    read_table(exact);
    read_frame(exact);
    decode_methods(exact);
    run_stream(copy, size);
    free(copy);
    return 0;
}
