/* What we say on a channel: each call queues one method. The frequent ones are written by hand. */
#include <assert.h>
#include <string.h>

#include "amqp/connection_private.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

/* NULL when the connection is over or ending: the call is then ignored. */
static struct channel *
channel_for_call(struct rabbit *rabbit, uint16_t number)
{
    assert(number >= 1 && number <= RABBIT_CHANNEL_MAX);
    if (rabbit->state >= CONNECTION_CLOSING) {
        return NULL;
    }
    struct channel *channel = &rabbit->channels[number];
    assert(rabbit->state == CONNECTION_OPEN);
    assert(channel->state == CHANNEL_OPEN);
    return channel;
}

/* A call that has an answer. */
static void
call(struct rabbit *rabbit, uint16_t number, uint32_t method, const void *decoded)
{
    struct channel *channel = channel_for_call(rabbit, number);
    if (channel != NULL) {
        channel->pending++;
        connection_send(rabbit, number, method, decoded);
    }
}

void
rabbit_channel_open(struct rabbit *rabbit, uint16_t channel, bool confirms)
{
    assert(channel >= 1 && channel <= RABBIT_CHANNEL_MAX);
    if (rabbit->state >= CONNECTION_CLOSING) {
        return;
    }
    assert(rabbit->state == CONNECTION_OPEN);
    assert(rabbit->channels[channel].state == CHANNEL_CLOSED);
    rabbit->channels[channel].state = CHANNEL_OPENING;
    rabbit->channels[channel].confirms = confirms;
    connection_send(rabbit, channel, AMQP_CHANNEL_OPEN_METHOD, &(amqp_channel_open_t){0});
}

void
rabbit_channel_close(struct rabbit *rabbit, uint16_t channel)
{
    struct channel *closing = channel_for_call(rabbit, channel);
    if (closing == NULL) {
        return;
    }
    closing->state = CHANNEL_CLOSING;
    connection_send(rabbit, channel, AMQP_CHANNEL_CLOSE_METHOD,
                    &(amqp_channel_close_t){
                        .reply_code = AMQP_REPLY_SUCCESS,
                        .reply_text = amqp_cstring_bytes("closed"),
                    });
}

static bool
fits_output(const struct rabbit *rabbit, size_t size, struct error *reterr)
{
    if (size > rabbit->output_max) {
        return error_set(reterr, ERROR_MESSAGE, "the message takes %zu bytes, the output holds %zu",
                         size, rabbit->output_max);
    }
    if (buffer_size(&rabbit->output) > rabbit->output_max - size) {
        return error_set(reterr, ERROR_TRANSIENT, "the output is full: %zu bytes wait",
                         buffer_size(&rabbit->output));
    }
    return true;
}

bool
rabbit_publish(struct rabbit *rabbit, uint16_t channel, const struct rabbit_message *message,
               struct error *reterr)
{
    struct channel *open = channel_for_call(rabbit, channel);
    if (open == NULL) {
        return error_set(reterr, ERROR_CONNECTION, "the connection is closed");
    }
    if (message->body.size > rabbit->output_max) {
        return error_set(reterr, ERROR_MESSAGE, "the body has %zu bytes, the output holds %zu",
                         message->body.size, rabbit->output_max);
    }
    if (!frame_check_message(message, rabbit->frame_max, reterr)) {
        return false;
    }
    const size_t size = frame_publish_size(message, rabbit->frame_max);
    if (!fits_output(rabbit, size, reterr)) {
        return false;
    }
    uint8_t *at = buffer_reserve(&rabbit->output, size);
    if (at == NULL) {
        return error_set(reterr, ERROR_TRANSIENT, "out of memory for %zu bytes", size);
    }
    const uint8_t *end = frame_put_publish(at, channel, message, rabbit->frame_max);
    assert((size_t)(end - at) == size);
    buffer_commit(&rabbit->output, size);
    open->published++;
    return true;
}

static amqp_bytes_t
name(const char *text)
{
    return amqp_cstring_bytes(text);
}

void
rabbit_exchange_check(struct rabbit *rabbit, uint16_t channel, const char *exchange)
{
    call(rabbit, channel, AMQP_EXCHANGE_DECLARE_METHOD,
         &(amqp_exchange_declare_t){
             .exchange = name(exchange), .type = name("direct"), .passive = 1});
}

void
rabbit_exchange_declare(struct rabbit *rabbit, uint16_t channel, const char *exchange,
                        const char *type, bool durable)
{
    call(rabbit, channel, AMQP_EXCHANGE_DECLARE_METHOD,
         &(amqp_exchange_declare_t){
             .exchange = name(exchange), .type = name(type), .durable = durable});
}

void
rabbit_exchange_delete(struct rabbit *rabbit, uint16_t channel, const char *exchange)
{
    call(rabbit, channel, AMQP_EXCHANGE_DELETE_METHOD,
         &(amqp_exchange_delete_t){.exchange = name(exchange)});
}

#define QUEUE_PASSIVE 1u
#define QUEUE_DURABLE 2u
#define QUEUE_EXCLUSIVE 4u

/* By hand, because the arguments are an encoded table already. */
static void
declare_queue(struct rabbit *rabbit, uint16_t number, const char *queue, uint8_t bits,
              struct span arguments)
{
    struct channel *channel = channel_for_call(rabbit, number);
    if (channel == NULL) {
        return;
    }
    const struct span queue_name = {queue, strlen(queue)};
    const size_t size = 2 + 1 + queue_name.size + 1 + 4 + arguments.size;
    const bool fits = queue_name.size <= SHORT_STRING_MAX &&
                      arguments.size < rabbit->frame_max - SHORT_STRING_MAX - 2 * FRAME_OVERHEAD;
    uint8_t *start = fits ? buffer_reserve(&rabbit->output, FRAME_OVERHEAD + 4 + size) : NULL;
    if (start == NULL) {
        connection_fail(rabbit, ERROR_CONFIG,
                        "cannot declare a queue: its name or arguments are too long");
        return;
    }
    uint8_t *at = frame_begin_method(start, number, AMQP_QUEUE_DECLARE_METHOD, size);
    at = put_u16(at, 0);
    at = put_short_string(at, queue_name);
    at = put_u8(at, bits);
    at = put_u32(at, (uint32_t)arguments.size);
    at = put_bytes(at, arguments.data, arguments.size);
    at = put_u8(at, FRAME_END);
    buffer_commit(&rabbit->output, (size_t)(at - start));
    channel->pending++;
}

void
rabbit_queue_declare(struct rabbit *rabbit, uint16_t channel, const char *queue, bool durable,
                     struct span arguments)
{
    declare_queue(rabbit, channel, queue, durable ? QUEUE_DURABLE : 0, arguments);
}

void
rabbit_queue_declare_exclusive(struct rabbit *rabbit, uint16_t channel, const char *queue)
{
    declare_queue(rabbit, channel, queue, QUEUE_EXCLUSIVE, (struct span){0});
}

void
rabbit_queue_check(struct rabbit *rabbit, uint16_t channel, const char *queue)
{
    declare_queue(rabbit, channel, queue, QUEUE_PASSIVE, (struct span){0});
}

void
rabbit_queue_bind(struct rabbit *rabbit, uint16_t channel, const char *queue, const char *exchange,
                  const char *routing_key)
{
    call(rabbit, channel, AMQP_QUEUE_BIND_METHOD,
         &(amqp_queue_bind_t){
             .queue = name(queue), .exchange = name(exchange), .routing_key = name(routing_key)});
}

void
rabbit_queue_unbind(struct rabbit *rabbit, uint16_t channel, const char *queue,
                    const char *exchange, const char *routing_key)
{
    call(rabbit, channel, AMQP_QUEUE_UNBIND_METHOD,
         &(amqp_queue_unbind_t){
             .queue = name(queue), .exchange = name(exchange), .routing_key = name(routing_key)});
}

void
rabbit_queue_purge(struct rabbit *rabbit, uint16_t channel, const char *queue)
{
    call(rabbit, channel, AMQP_QUEUE_PURGE_METHOD, &(amqp_queue_purge_t){.queue = name(queue)});
}

void
rabbit_queue_delete(struct rabbit *rabbit, uint16_t channel, const char *queue)
{
    call(rabbit, channel, AMQP_QUEUE_DELETE_METHOD, &(amqp_queue_delete_t){.queue = name(queue)});
}

void
rabbit_qos(struct rabbit *rabbit, uint16_t channel, uint16_t prefetch)
{
    call(rabbit, channel, AMQP_BASIC_QOS_METHOD, &(amqp_basic_qos_t){.prefetch_count = prefetch});
}

void
rabbit_consume(struct rabbit *rabbit, uint16_t channel, const char *queue, const char *consumer_tag)
{
    call(rabbit, channel, AMQP_BASIC_CONSUME_METHOD,
         &(amqp_basic_consume_t){.queue = name(queue), .consumer_tag = name(consumer_tag)});
}

void
rabbit_consume_before(struct rabbit *rabbit, uint16_t channel, const char *queue,
                      const char *consumer_tag, int32_t priority)
{
    amqp_table_entry_t entry = {.key = name("x-priority"),
                                .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = priority}};
    call(rabbit, channel, AMQP_BASIC_CONSUME_METHOD,
         &(amqp_basic_consume_t){.queue = name(queue),
                                 .consumer_tag = name(consumer_tag),
                                 .arguments = {.num_entries = 1, .entries = &entry}});
}

void
rabbit_cancel(struct rabbit *rabbit, uint16_t channel, const char *consumer_tag)
{
    call(rabbit, channel, AMQP_BASIC_CANCEL_METHOD,
         &(amqp_basic_cancel_t){.consumer_tag = name(consumer_tag)});
}

static void
settle(struct rabbit *rabbit, uint16_t channel, uint32_t method, uint64_t tag, unsigned bits)
{
    if (channel_for_call(rabbit, channel) == NULL) {
        return;
    }
    uint8_t *start = buffer_reserve(&rabbit->output, FRAME_OVERHEAD + 4 + 9);
    if (start == NULL) {
        connection_fail(rabbit, ERROR_CONNECTION, "no room for an acknowledgement: %zu bytes wait",
                        buffer_size(&rabbit->output));
        return;
    }
    uint8_t *at = frame_begin_method(start, channel, method, 9);
    at = put_u64(at, tag);
    at = put_u8(at, (uint8_t)bits);
    at = put_u8(at, FRAME_END);
    buffer_commit(&rabbit->output, (size_t)(at - start));
}

void
rabbit_ack(struct rabbit *rabbit, uint16_t channel, uint64_t tag, bool multiple)
{
    settle(rabbit, channel, AMQP_BASIC_ACK_METHOD, tag, multiple ? 1 : 0);
}

void
rabbit_nack(struct rabbit *rabbit, uint16_t channel, uint64_t tag, bool multiple, bool requeue)
{
    settle(rabbit, channel, AMQP_BASIC_NACK_METHOD, tag,
           (multiple ? 1u : 0u) | (requeue ? 2u : 0u));
}
