#include "amqp/content.h"

#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

#define CONTENT_KEEP (64u << 10)
/* Memory for a body of up to this size is allocated at once; for a larger one it grows as the body arrives. */
#define CONTENT_PRESIZE_MAX (16u << 20)

void
content_init(struct content *content)
{
    *content = (struct content){0};
    /* The arguments and the header are a frame each, of at most 128 KiB. */
    buffer_init(&content->bytes, CONTENT_KEEP, CONTENT_BODY_MAX + (1u << 20));
}

void
content_done(struct content *content)
{
    buffer_done(&content->bytes);
}

void
content_reset(struct content *content)
{
    content->method = 0;
    content->header_seen = false;
    buffer_clear(&content->bytes);
}

enum content_result
content_begin(struct content *content, uint32_t method, struct span arguments)
{
    if (content->method != 0 || !buffer_append(&content->bytes, arguments.data, arguments.size)) {
        return CONTENT_BAD;
    }
    content->method = method;
    content->arguments_size = arguments.size;
    return CONTENT_MORE;
}

enum content_result
content_add_header(struct content *content, struct span payload)
{
    struct reader reader = reader_of(payload);
    const uint16_t class = read_u16(&reader);
    (void)read_u16(&reader); /* weight: unused by the protocol */
    content->body_size = read_u64(&reader);
    if (content->method == 0 || content->header_seen || reader.bad || class != AMQP_BASIC_CLASS ||
        content->body_size > CONTENT_BODY_MAX ||
        !buffer_append(&content->bytes, payload.data, payload.size)) {
        return CONTENT_BAD;
    }
    content->header_seen = true;
    content->header_size = payload.size;
    if (content->body_size == 0) {
        return CONTENT_DONE;
    }
    const size_t room =
        content->body_size < CONTENT_PRESIZE_MAX ? content->body_size : CONTENT_PRESIZE_MAX;
    return buffer_reserve(&content->bytes, room) != NULL ? CONTENT_MORE : CONTENT_BAD;
}

static uint64_t
body_arrived(const struct content *content)
{
    return buffer_size(&content->bytes) - content->arguments_size - content->header_size;
}

enum content_result
content_add_body(struct content *content, struct span payload)
{
    if (!content->header_seen || payload.size > content->body_size - body_arrived(content) ||
        !buffer_append(&content->bytes, payload.data, payload.size)) {
        return CONTENT_BAD;
    }
    return body_arrived(content) == content->body_size ? CONTENT_DONE : CONTENT_MORE;
}

static void
read_arguments(struct reader *reader, uint32_t method, struct rabbit_event *event)
{
    if (method == AMQP_BASIC_DELIVER_METHOD) {
        event->type = RABBIT_DELIVERED;
        event->consumer_tag = read_short_string(reader);
        event->tag = read_u64(reader);
        event->redelivered = (read_u8(reader) & 1) != 0;
    } else {
        event->type = RABBIT_RETURNED;
        event->code = read_u16(reader);
        event->text = read_short_string(reader);
    }
    event->message.exchange = read_short_string(reader);
    event->message.routing_key = read_short_string(reader);
}

static struct span
short_if(struct reader *reader, uint16_t flags, uint16_t flag)
{
    return (flags & flag) != 0 ? read_short_string(reader) : (struct span){0};
}

/* By hand, because the headers are needed as raw bytes, and a peer must not be able to cause deep recursion by tables inside
 * tables. */
static void
read_properties(struct reader *reader, struct rabbit_message *message)
{
    (void)read_bytes(reader, 2 + 2 + 8); /* class, weight, body size: seen before */
    const uint16_t flags = read_u16(reader);
    if ((flags & 1) != 0) { /* more flags follow: basic has none */
        reader->bad = true;
        return;
    }
    message->content_type = short_if(reader, flags, AMQP_BASIC_CONTENT_TYPE_FLAG);
    (void)short_if(reader, flags, AMQP_BASIC_CONTENT_ENCODING_FLAG);
    if ((flags & AMQP_BASIC_HEADERS_FLAG) != 0) {
        message->headers = read_long_string(reader);
    }
    if ((flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0) {
        message->delivery_mode = read_u8(reader);
    }
    if ((flags & AMQP_BASIC_PRIORITY_FLAG) != 0) {
        message->has_priority = true;
        message->priority = read_u8(reader);
    }
    message->correlation_id = short_if(reader, flags, AMQP_BASIC_CORRELATION_ID_FLAG);
    message->reply_to = short_if(reader, flags, AMQP_BASIC_REPLY_TO_FLAG);
    message->expiration = short_if(reader, flags, AMQP_BASIC_EXPIRATION_FLAG);
    message->message_id = short_if(reader, flags, AMQP_BASIC_MESSAGE_ID_FLAG);
    if ((flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0) {
        message->timestamp_s = read_u64(reader);
    }
    message->type = short_if(reader, flags, AMQP_BASIC_TYPE_FLAG);
    (void)short_if(reader, flags, AMQP_BASIC_USER_ID_FLAG);
    message->app_id = short_if(reader, flags, AMQP_BASIC_APP_ID_FLAG);
}

bool
content_event(const struct content *content, struct rabbit_event *ret_event)
{
    const uint8_t *bytes = buffer_front(&content->bytes);
    struct reader arguments = reader_of((struct span){bytes, content->arguments_size});
    read_arguments(&arguments, content->method, ret_event);
    bytes += content->arguments_size;
    struct reader header = reader_of((struct span){bytes, content->header_size});
    read_properties(&header, &ret_event->message);
    bytes += content->header_size;
    ret_event->message.body = (struct span){bytes, (size_t)content->body_size};
    return !arguments.bad && !header.bad;
}
