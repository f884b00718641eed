#include "amqp/frame.h"

#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

/* The frame's header before the payload: type, channel, size. */
#define FRAME_HEADER_SIZE 7u

static bool
plausible(uint8_t type, uint16_t channel, uint32_t size, uint32_t frame_max)
{
    if (channel > RABBIT_CHANNEL_MAX || size > frame_max - FRAME_OVERHEAD) {
        return false;
    }
    switch (type) {
    case FRAME_METHOD:
        return size >= 4;
    case FRAME_HEADER:
        return size >= 14 && channel > 0;
    case FRAME_BODY:
        return channel > 0;
    case FRAME_HEARTBEAT:
        return size == 0 && channel == 0;
    default:
        return false;
    }
}

enum frame_result
frame_read(const uint8_t *data, size_t size, uint32_t frame_max, struct frame *ret_frame)
{
    if (size < FRAME_HEADER_SIZE) {
        return FRAME_PARTIAL;
    }
    struct reader reader = reader_of((struct span){data, size});
    const uint8_t type = read_u8(&reader);
    const uint16_t channel = read_u16(&reader);
    const uint32_t payload_size = read_u32(&reader);
    if (!plausible(type, channel, payload_size, frame_max)) {
        return FRAME_BAD;
    }
    if (size < (size_t)payload_size + FRAME_OVERHEAD) {
        return FRAME_PARTIAL;
    }
    if (data[FRAME_HEADER_SIZE + payload_size] != FRAME_END) {
        return FRAME_BAD;
    }
    *ret_frame = (struct frame){
        .type = (enum frame_type)type,
        .channel = channel,
        .payload = {data + FRAME_HEADER_SIZE, payload_size},
    };
    return FRAME_COMPLETE;
}

static size_t
optional_short(struct span text)
{
    return text.size > 0 ? 1 + text.size : 0;
}

/* class, weight, body size, flags, properties */
static size_t
header_size(const struct rabbit_message *message)
{
    return 2 + 2 + 8 + 2 + optional_short(message->content_type) +
           (message->headers.size > 0 ? 4 + message->headers.size : 0) +
           (message->delivery_mode > 0 ? 1 : 0) + (message->has_priority ? 1 : 0) +
           optional_short(message->correlation_id) + optional_short(message->reply_to) +
           optional_short(message->expiration) + optional_short(message->message_id) +
           (message->timestamp_s > 0 ? 8 : 0) + optional_short(message->type) +
           optional_short(message->app_id);
}

/* ticket, exchange, routing key, bits */
static size_t
publish_size(const struct rabbit_message *message)
{
    return 2 + 1 + message->exchange.size + 1 + message->routing_key.size + 1;
}

static bool
check_short(struct span text, const char *name, struct error *reterr)
{
    if (text.size > SHORT_STRING_MAX) {
        return error_set(reterr, ERROR_MESSAGE, "the %s has %zu bytes, AMQP allows %d", name,
                         text.size, SHORT_STRING_MAX);
    }
    return true;
}

bool
frame_check_message(const struct rabbit_message *message, uint32_t frame_max, struct error *reterr)
{
    if (!check_short(message->exchange, "exchange", reterr) ||
        !check_short(message->routing_key, "routing key", reterr) ||
        !check_short(message->message_id, "message id", reterr) ||
        !check_short(message->type, "type", reterr) ||
        !check_short(message->content_type, "content type", reterr) ||
        !check_short(message->app_id, "app id", reterr) ||
        !check_short(message->correlation_id, "correlation id", reterr) ||
        !check_short(message->reply_to, "reply-to", reterr) ||
        !check_short(message->expiration, "expiration", reterr)) {
        return false;
    }
    if (message->headers.size > frame_max || header_size(message) > frame_max - FRAME_OVERHEAD) {
        return error_set(reterr, ERROR_MESSAGE,
                         "the headers have %zu bytes, more than a frame of %u takes",
                         message->headers.size, frame_max);
    }
    return true;
}

size_t
frame_publish_size(const struct rabbit_message *message, uint32_t frame_max)
{
    const size_t room = frame_max - FRAME_OVERHEAD;
    const size_t bodies = (message->body.size + room - 1) / room;
    return FRAME_OVERHEAD + 4 + publish_size(message) + FRAME_OVERHEAD + header_size(message) +
           bodies * FRAME_OVERHEAD + message->body.size;
}

static uint8_t *
begin_frame(uint8_t *at, enum frame_type type, uint16_t channel, size_t size)
{
    at = put_u8(at, (uint8_t)type);
    at = put_u16(at, channel);
    return put_u32(at, (uint32_t)size);
}

uint8_t *
frame_begin_method(uint8_t *at, uint16_t channel, uint32_t method, size_t size)
{
    return put_u32(begin_frame(at, FRAME_METHOD, channel, 4 + size), method);
}

static uint8_t *
put_optional_short(uint8_t *at, struct span text)
{
    return text.size > 0 ? put_short_string(at, text) : at;
}

static uint16_t
property_flags(const struct rabbit_message *message)
{
    return (uint16_t)((message->content_type.size > 0 ? AMQP_BASIC_CONTENT_TYPE_FLAG : 0) |
                      (message->headers.size > 0 ? AMQP_BASIC_HEADERS_FLAG : 0) |
                      (message->delivery_mode > 0 ? AMQP_BASIC_DELIVERY_MODE_FLAG : 0) |
                      (message->has_priority ? AMQP_BASIC_PRIORITY_FLAG : 0) |
                      (message->correlation_id.size > 0 ? AMQP_BASIC_CORRELATION_ID_FLAG : 0) |
                      (message->reply_to.size > 0 ? AMQP_BASIC_REPLY_TO_FLAG : 0) |
                      (message->expiration.size > 0 ? AMQP_BASIC_EXPIRATION_FLAG : 0) |
                      (message->message_id.size > 0 ? AMQP_BASIC_MESSAGE_ID_FLAG : 0) |
                      (message->timestamp_s > 0 ? AMQP_BASIC_TIMESTAMP_FLAG : 0) |
                      (message->type.size > 0 ? AMQP_BASIC_TYPE_FLAG : 0) |
                      (message->app_id.size > 0 ? AMQP_BASIC_APP_ID_FLAG : 0));
}

/* The order of the fields is the specification's, not this file's. */
static uint8_t *
put_properties(uint8_t *at, const struct rabbit_message *message)
{
    at = put_u16(at, property_flags(message));
    at = put_optional_short(at, message->content_type);
    if (message->headers.size > 0) {
        at = put_u32(at, (uint32_t)message->headers.size);
        at = put_bytes(at, message->headers.data, message->headers.size);
    }
    if (message->delivery_mode > 0) {
        at = put_u8(at, message->delivery_mode);
    }
    if (message->has_priority) {
        at = put_u8(at, message->priority);
    }
    at = put_optional_short(at, message->correlation_id);
    at = put_optional_short(at, message->reply_to);
    at = put_optional_short(at, message->expiration);
    at = put_optional_short(at, message->message_id);
    if (message->timestamp_s > 0) {
        at = put_u64(at, message->timestamp_s);
    }
    at = put_optional_short(at, message->type);
    return put_optional_short(at, message->app_id);
}

static uint8_t *
put_body(uint8_t *at, uint16_t channel, struct span body, uint32_t frame_max)
{
    const size_t room = frame_max - FRAME_OVERHEAD;
    const uint8_t *from = body.data;
    for (size_t left = body.size; left > 0;) {
        const size_t size = left < room ? left : room;
        at = begin_frame(at, FRAME_BODY, channel, size);
        at = put_bytes(at, from, size);
        at = put_u8(at, FRAME_END);
        from += size;
        left -= size;
    }
    return at;
}

uint8_t *
frame_put_publish(uint8_t *at, uint16_t channel, const struct rabbit_message *message,
                  uint32_t frame_max)
{
    at = frame_begin_method(at, channel, AMQP_BASIC_PUBLISH_METHOD, publish_size(message));
    at = put_u16(at, 0);
    at = put_short_string(at, message->exchange);
    at = put_short_string(at, message->routing_key);
    at = put_u8(at, message->mandatory ? 1 : 0);
    at = put_u8(at, FRAME_END);
    at = begin_frame(at, FRAME_HEADER, channel, header_size(message));
    at = put_u16(at, AMQP_BASIC_CLASS);
    at = put_u16(at, 0);
    at = put_u64(at, message->body.size);
    at = put_properties(at, message);
    at = put_u8(at, FRAME_END);
    return put_body(at, channel, message->body, frame_max);
}

bool
frame_append_heartbeat(struct buffer *output)
{
    static const uint8_t heartbeat[] = {FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END};
    return buffer_append(output, heartbeat, sizeof(heartbeat));
}
