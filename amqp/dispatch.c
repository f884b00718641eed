/* What an open connection brings: methods and content on channels become events. */
#include <inttypes.h>

#include "amqp/connection_private.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

static bool
fail_method(struct rabbit *rabbit, uint16_t channel, uint32_t method)
{
    const char *name = amqp_method_name(method);
    connection_fail(rabbit, ERROR_CONNECTION,
                    "the broker sent %s (0x%08x) on channel %u, malformed or out of turn",
                    name != NULL ? name : "a method", method, channel);
    return false;
}

/* basic.ack and basic.nack are the most frequent of all that comes in: read here, without
 * rabbitmq-c. */
static bool
on_confirm(struct rabbit *rabbit, uint16_t number, uint32_t method, struct span arguments,
           struct rabbit_event *event)
{
    const struct channel *channel = &rabbit->channels[number];
    struct reader reader = reader_of(arguments);
    const uint64_t tag = read_u64(&reader);
    const bool multiple = (read_u8(&reader) & 1) != 0;
    if (reader.bad || !channel->confirms || tag > channel->published || (tag == 0 && !multiple)) {
        return fail_method(rabbit, number, method);
    }
    event->type = method == AMQP_BASIC_ACK_METHOD ? RABBIT_CONFIRMED : RABBIT_NACKED;
    event->tag = tag > 0 ? tag : channel->published; /* 0 and multiple: all so far */
    event->multiple = multiple;
    return true;
}

static bool
on_channel_close(struct rabbit *rabbit, uint16_t number, struct span arguments,
                 struct rabbit_event *event)
{
    struct channel *channel = &rabbit->channels[number];
    struct reader reader = reader_of(arguments);
    event->type = RABBIT_CHANNEL_CLOSED;
    event->code = read_u16(&reader);
    event->text = read_short_string(&reader);
    if (reader.bad) {
        return fail_method(rabbit, number, AMQP_CHANNEL_CLOSE_METHOD);
    }
    connection_send(rabbit, number, AMQP_CHANNEL_CLOSE_OK_METHOD, &(amqp_channel_close_ok_t){0});
    if (channel->state == CHANNEL_CLOSING) {
        return false; /* both at once: ours is still to be answered */
    }
    channel_reset(channel);
    return true;
}

/* Everything but the two ways to end it is dropped while our channel.close travels. */
static bool
on_closing_channel(struct rabbit *rabbit, uint16_t number, uint32_t method, struct span arguments,
                   struct rabbit_event *event)
{
    if (method == AMQP_CHANNEL_CLOSE_METHOD) {
        return on_channel_close(rabbit, number, arguments, event);
    }
    if (method != AMQP_CHANNEL_CLOSE_OK_METHOD) {
        return false;
    }
    channel_reset(&rabbit->channels[number]);
    event->type = RABBIT_CHANNEL_CLOSED;
    event->code = AMQP_REPLY_SUCCESS;
    event->text = (struct span){"closed", 6};
    return true;
}

/* The answers to channel.open and confirm.select. */
static bool
on_opening_channel(struct rabbit *rabbit, uint16_t number, uint32_t method,
                   struct rabbit_event *event)
{
    struct channel *channel = &rabbit->channels[number];
    const bool opened = channel->state == CHANNEL_OPENING && method == AMQP_CHANNEL_OPEN_OK_METHOD;
    const bool selected =
        channel->state == CHANNEL_SELECTING && method == AMQP_CONFIRM_SELECT_OK_METHOD;
    if (!opened && !selected) {
        return fail_method(rabbit, number, method);
    }
    if (opened && channel->confirms) {
        channel->state = CHANNEL_SELECTING;
        connection_send(rabbit, number, AMQP_CONFIRM_SELECT_METHOD, &(amqp_confirm_select_t){0});
        return false;
    }
    channel->state = CHANNEL_OPEN;
    event->type = RABBIT_CHANNEL_OPENED;
    return true;
}

static bool
note_count(struct rabbit *rabbit, uint32_t method, struct span arguments)
{
    const void *decoded = connection_decode(rabbit, method, arguments);
    if (decoded == NULL) {
        return false;
    }
    if (method == AMQP_QUEUE_DECLARE_OK_METHOD) {
        rabbit->declared_count = ((const amqp_queue_declare_ok_t *)decoded)->message_count;
    } else if (method == AMQP_QUEUE_PURGE_OK_METHOD) {
        rabbit->declared_count = ((const amqp_queue_purge_ok_t *)decoded)->message_count;
    } else {
        rabbit->declared_count = ((const amqp_queue_delete_ok_t *)decoded)->message_count;
    }
    return true;
}

static bool
on_consumer(struct rabbit *rabbit, uint32_t method, struct span arguments,
            struct rabbit_event *event)
{
    struct reader reader = reader_of(arguments);
    event->consumer_tag = read_short_string(&reader);
    event->type = method == AMQP_BASIC_CONSUME_OK_METHOD ? RABBIT_CONSUMING : RABBIT_CANCELLED;
    if (reader.bad) {
        return fail_method(rabbit, 0, method);
    }
    return true;
}

/* An answer to a call of ours; one that nobody waits for is the broker's mistake. */
static bool
on_answer(struct rabbit *rabbit, uint16_t number, uint32_t method, struct span arguments,
          struct rabbit_event *event)
{
    struct channel *channel = &rabbit->channels[number];
    if (channel->pending == 0) {
        return fail_method(rabbit, number, method);
    }
    channel->pending--;
    event->type = RABBIT_DONE;
    switch (method) {
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_PURGE_OK_METHOD:
    case AMQP_QUEUE_DELETE_OK_METHOD:
        return note_count(rabbit, method, arguments);
    case AMQP_BASIC_CONSUME_OK_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
        return on_consumer(rabbit, method, arguments, event);
    default:
        return true;
    }
}

/* The broker ends a consumer, say because its queue was deleted. */
static bool
on_cancel(struct rabbit *rabbit, uint16_t number, struct span arguments, struct rabbit_event *event)
{
    const amqp_basic_cancel_t *cancel =
        connection_decode(rabbit, AMQP_BASIC_CANCEL_METHOD, arguments);
    if (cancel == NULL) {
        return false;
    }
    if (!cancel->nowait) {
        connection_send(rabbit, number, AMQP_BASIC_CANCEL_OK_METHOD,
                        &(amqp_basic_cancel_ok_t){.consumer_tag = cancel->consumer_tag});
    }
    return on_consumer(rabbit, AMQP_BASIC_CANCEL_METHOD, arguments, event);
}

static bool
on_open_channel(struct rabbit *rabbit, uint16_t number, uint32_t method, struct span arguments,
                struct rabbit_event *event)
{
    switch (method) {
    case AMQP_BASIC_ACK_METHOD:
    case AMQP_BASIC_NACK_METHOD:
        return on_confirm(rabbit, number, method, arguments, event);
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_RETURN_METHOD:
        if (content_begin(&rabbit->channels[number].content, method, arguments) == CONTENT_BAD) {
            return fail_method(rabbit, number, method);
        }
        return false;
    case AMQP_BASIC_CANCEL_METHOD:
        return on_cancel(rabbit, number, arguments, event);
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_EXCHANGE_DELETE_OK_METHOD:
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
    case AMQP_QUEUE_UNBIND_OK_METHOD:
    case AMQP_QUEUE_PURGE_OK_METHOD:
    case AMQP_QUEUE_DELETE_OK_METHOD:
    case AMQP_BASIC_QOS_OK_METHOD:
    case AMQP_BASIC_CONSUME_OK_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
        return on_answer(rabbit, number, method, arguments, event);
    default:
        return fail_method(rabbit, number, method);
    }
}

static bool
channel_method(struct rabbit *rabbit, uint16_t number, uint32_t method, struct span arguments,
               struct rabbit_event *event)
{
    const struct channel *channel = &rabbit->channels[number];
    event->channel = number;
    if (channel->state == CHANNEL_CLOSING) {
        return on_closing_channel(rabbit, number, method, arguments, event);
    }
    if (channel->state == CHANNEL_CLOSED || channel->content.method != 0) {
        return fail_method(rabbit, number, method);
    }
    if (method == AMQP_CHANNEL_CLOSE_METHOD) {
        return on_channel_close(rabbit, number, arguments, event);
    }
    if (channel->state != CHANNEL_OPEN) {
        return on_opening_channel(rabbit, number, method, event);
    }
    return on_open_channel(rabbit, number, method, arguments, event);
}

static bool
on_method(struct rabbit *rabbit, const struct frame *frame, struct rabbit_event *event)
{
    struct reader reader = reader_of(frame->payload);
    const uint32_t method = read_u32(&reader);
    const struct span arguments = read_bytes(&reader, frame->payload.size - 4);
    if (frame->channel == 0) {
        return handshake_method(rabbit, method, arguments, event);
    }
    if (rabbit->state == CONNECTION_CLOSING) {
        return false;
    }
    if (rabbit->state != CONNECTION_OPEN) {
        return fail_method(rabbit, frame->channel, method);
    }
    return channel_method(rabbit, frame->channel, method, arguments, event);
}

/* Tags of deliveries ascend; whoever consumes relies on it. */
static bool
check_tag(struct rabbit *rabbit, const struct rabbit_event *event)
{
    struct channel *channel = &rabbit->channels[event->channel];
    if (event->type != RABBIT_DELIVERED) {
        return true;
    }
    if (event->tag <= channel->delivered) {
        connection_fail(rabbit, ERROR_CONNECTION,
                        "the broker delivered tag %" PRIu64 " on channel %u after tag %" PRIu64,
                        event->tag, event->channel, channel->delivered);
        return false;
    }
    channel->delivered = event->tag;
    return true;
}

static bool
on_content(struct rabbit *rabbit, const struct frame *frame, struct rabbit_event *event)
{
    struct channel *channel = &rabbit->channels[frame->channel];
    if (rabbit->state == CONNECTION_CLOSING || channel->state == CHANNEL_CLOSING) {
        return false;
    }
    struct content *content = &channel->content;
    enum content_result result = CONTENT_BAD;
    if (channel->state == CHANNEL_OPEN) {
        result = frame->type == FRAME_HEADER ? content_add_header(content, frame->payload)
                                             : content_add_body(content, frame->payload);
    }
    if (result == CONTENT_MORE) {
        return false;
    }
    event->channel = frame->channel;
    if (result == CONTENT_BAD || !content_event(content, event)) {
        connection_fail(rabbit, ERROR_CONNECTION,
                        "the broker sent content on channel %u, malformed or out of turn",
                        frame->channel);
        return false;
    }
    if (!check_tag(rabbit, event)) {
        return false;
    }
    rabbit->handed = content;
    return true;
}

bool
dispatch_frame(struct rabbit *rabbit, const struct frame *frame, struct rabbit_event *event)
{
    switch (frame->type) {
    case FRAME_METHOD:
        return on_method(rabbit, frame, event);
    case FRAME_HEADER:
    case FRAME_BODY:
        return on_content(rabbit, frame, event);
    case FRAME_HEARTBEAT:
        connection_heartbeat(rabbit);
        break;
    }
    return false;
}
