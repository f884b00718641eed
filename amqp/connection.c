#include "amqp/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/connection_private.h"
#include "amqp/rabbitmq_c.h"
#include "base/clock.h"

#define FRAME_MAX_DEFAULT 131072u
#define OUTPUT_MAX_DEFAULT ((size_t)192 << 20)
/* Acknowledgements, answers and heartbeats still find room when publishes have filled the
 * output. */
#define OUTPUT_SLACK ((size_t)1 << 20)
#define OUTPUT_KEEP ((size_t)1 << 20)
#define INPUT_KEEP ((size_t)512 << 10)
#define HANDSHAKE_US (30 * CLOCK_S_US)
#define CLOSE_US (10 * CLOCK_S_US)

static char *
copy(const char *text, const char *otherwise)
{
    return strdup(text != NULL ? text : otherwise);
}

static bool
copy_options(struct rabbit *rabbit, const struct rabbit_options *options)
{
    rabbit->vhost = copy(options->vhost, "/");
    rabbit->user = copy(options->user, "guest");
    rabbit->password = copy(options->password, "");
    rabbit->name = copy(options->connection_name, "");
    rabbit->external = options->external;
    rabbit->heartbeat_s = options->heartbeat_s;
    rabbit->frame_max = options->frame_max > 0 ? options->frame_max : FRAME_MAX_DEFAULT;
    if (rabbit->frame_max < FRAME_MAX_LEAST) {
        rabbit->frame_max = FRAME_MAX_LEAST;
    }
    rabbit->output_max = options->output_max > 0 ? options->output_max : OUTPUT_MAX_DEFAULT;
    return rabbit->vhost != NULL && rabbit->user != NULL && rabbit->password != NULL &&
           rabbit->name != NULL;
}

struct rabbit *
rabbit_new(const struct rabbit_options *options)
{
    struct rabbit *rabbit = calloc(1, sizeof(*rabbit));
    if (rabbit == NULL) {
        return NULL;
    }
    buffer_init(&rabbit->input, INPUT_KEEP, RABBIT_INPUT_MAX);
    for (unsigned i = 0; i <= RABBIT_CHANNEL_MAX; i++) {
        content_init(&rabbit->channels[i].content);
    }
    rabbit->give_up_us = CLOCK_NEVER_US;
    rabbit->codec = codec_new();
    if (!copy_options(rabbit, options) || rabbit->codec == NULL) {
        rabbit_free(rabbit);
        return NULL;
    }
    buffer_init(&rabbit->output, OUTPUT_KEEP, rabbit->output_max + OUTPUT_SLACK);
    return rabbit;
}

static void
wipe_password(struct rabbit *rabbit)
{
    if (rabbit->password != NULL) {
        explicit_bzero(rabbit->password, strlen(rabbit->password));
        free(rabbit->password);
        rabbit->password = NULL;
    }
}

void
rabbit_free(struct rabbit *rabbit)
{
    if (rabbit == NULL) {
        return;
    }
    wipe_password(rabbit);
    free(rabbit->vhost);
    free(rabbit->user);
    free(rabbit->name);
    for (unsigned i = 0; i <= RABBIT_CHANNEL_MAX; i++) {
        content_done(&rabbit->channels[i].content);
    }
    codec_free(rabbit->codec);
    buffer_done(&rabbit->input);
    buffer_done(&rabbit->output);
    free(rabbit);
}

void
connection_fail(struct rabbit *rabbit, enum error_class class, const char *format, ...)
{
    if (rabbit->state == CONNECTION_CLOSED) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof(rabbit->error.text)];
    (void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
    va_end(arguments);
    (void)error_set(&rabbit->error, class, "%s", text); /* returns false by design */
    rabbit->state = CONNECTION_CLOSED;
    wipe_password(rabbit);
}

void
connection_send(struct rabbit *rabbit, uint16_t channel, uint32_t method, const void *decoded)
{
    if (!codec_append(&rabbit->output, channel, method, decoded, METHOD_ROOM)) {
        connection_fail(rabbit, ERROR_CONFIG,
                        "cannot send %s: a name is over 255 bytes, or the output is full",
                        amqp_method_name(method));
    }
}

const void *
connection_decode(struct rabbit *rabbit, uint32_t method, struct span arguments)
{
    const void *decoded = codec_decode(rabbit->codec, method, arguments);
    if (decoded == NULL) {
        connection_fail(rabbit, ERROR_CONNECTION, "the broker sent a malformed %s",
                        amqp_method_name(method));
    }
    return decoded;
}

bool
rabbit_is_mistake(uint16_t code)
{
    return (code >= AMQP_FRAME_ERROR && code <= AMQP_UNEXPECTED_FRAME) ||
           code == AMQP_NOT_IMPLEMENTED || code == AMQP_INTERNAL_ERROR;
}

void
channel_reset(struct channel *channel)
{
    content_reset(&channel->content);
    channel->state = CHANNEL_CLOSED;
    channel->pending = 0;
    channel->published = 0;
    channel->delivered = 0;
}

void
rabbit_start(struct rabbit *rabbit, uint64_t now_us)
{
    assert(rabbit->state == CONNECTION_NEW);
    rabbit->now_us = now_us;
    rabbit->fed_us = now_us;
    rabbit->give_up_us = now_us + HANDSHAKE_US;
    rabbit->state = CONNECTION_WAIT_START;
    if (!buffer_append(&rabbit->output, "AMQP\0\0\x09\x01", 8)) {
        connection_fail(rabbit, ERROR_TRANSIENT, "out of memory");
    }
}

/* What the last event pointed into is no longer needed. */
static void
release(struct rabbit *rabbit)
{
    if (rabbit->taken > 0) {
        buffer_consume(&rabbit->input, rabbit->taken);
        rabbit->taken = 0;
    }
    if (rabbit->handed != NULL) {
        content_reset(rabbit->handed);
        rabbit->handed = NULL;
    }
}

void
rabbit_feed(struct rabbit *rabbit, const void *data, size_t size, uint64_t now_us)
{
    release(rabbit);
    rabbit->now_us = now_us;
    rabbit->fed_us = now_us;
    if (rabbit->state == CONNECTION_CLOSED || size == 0) {
        return;
    }
    if (!buffer_append(&rabbit->input, data, size)) {
        connection_fail(rabbit, ERROR_CONNECTION,
                        "%zu bytes from the broker wait to be taken, no room for more",
                        buffer_size(&rabbit->input));
    }
}

size_t
rabbit_unread_bytes(const struct rabbit *rabbit)
{
    return buffer_size(&rabbit->input) - rabbit->taken;
}

/* The first bytes of other protocols, told apart because a wrong port is the usual mistake. */
static void
fail_on_nonsense(struct rabbit *rabbit)
{
    const uint8_t *front = buffer_front(&rabbit->input);
    const size_t size = buffer_size(&rabbit->input);
    if (rabbit->state != CONNECTION_WAIT_START) {
        connection_fail(rabbit, ERROR_CONNECTION, "the broker sent bytes that are no AMQP frame");
    } else if (size >= 8 && memcmp(front, "AMQP", 4) == 0) {
        connection_fail(rabbit, ERROR_CONFIG, "the broker wants AMQP %u.%u.%u, not 0.9.1", front[5],
                        front[6], front[7]);
    } else if (front[0] == 0x15) { /* TLS alert record */
        connection_fail(rabbit, ERROR_CONFIG, "the peer speaks TLS: use amqps://");
    } else {
        connection_fail(rabbit, ERROR_CONNECTION, "the peer does not speak AMQP 0-9-1");
    }
}

static bool
give_closed(struct rabbit *rabbit, struct rabbit_event *ret_event)
{
    if (rabbit->closed_taken) {
        return false;
    }
    rabbit->closed_taken = true;
    ret_event->type = RABBIT_CLOSED;
    ret_event->error = rabbit->error;
    ret_event->code = rabbit->close_code;
    buffer_clear(&rabbit->input);
    return true;
}

/* One frame from the input; false if there is no whole one. Sets *ret_made if it became an
 * event. */
static bool
take_frame(struct rabbit *rabbit, struct rabbit_event *ret_event, bool *ret_made)
{
    struct frame frame;
    const enum frame_result result = frame_read(
        buffer_front(&rabbit->input), buffer_size(&rabbit->input), rabbit->frame_max, &frame);
    if (result == FRAME_PARTIAL) {
        return false;
    }
    if (result == FRAME_BAD) {
        fail_on_nonsense(rabbit);
        return false;
    }
    rabbit->taken = frame.payload.size + FRAME_OVERHEAD;
    *ret_made = dispatch_frame(rabbit, &frame, ret_event);
    return true;
}

bool
rabbit_next(struct rabbit *rabbit, struct rabbit_event *ret_event)
{
    bool made = false;
    do {
        release(rabbit);
        /* Not the 400 bytes of the error, which only RABBIT_CLOSED fills. */
        memset(ret_event, 0, offsetof(struct rabbit_event, error));
    } while (rabbit->state != CONNECTION_CLOSED && buffer_size(&rabbit->input) > 0 &&
             take_frame(rabbit, ret_event, &made) && !made);
    if (made && rabbit->state != CONNECTION_CLOSED) {
        if (ret_event->type == RABBIT_OPENED) {
            wipe_password(rabbit);
        }
        return true;
    }
    return rabbit->state == CONNECTION_CLOSED && give_closed(rabbit, ret_event);
}

static bool
heartbeats(const struct rabbit *rabbit)
{
    return rabbit->heartbeat_s > 0 &&
           (rabbit->state == CONNECTION_OPEN || rabbit->state == CONNECTION_CLOSING);
}

static uint64_t
missed_us(const struct rabbit *rabbit)
{
    return rabbit->fed_us + 2 * rabbit->heartbeat_s * CLOCK_S_US;
}

/* Both sides are to send something at least every heartbeat_s. Brokers send after half of that time, and then ours goes with
 * theirs (connection_heartbeat): so it is due a little later by itself. */
static void
schedule_heartbeat(struct rabbit *rabbit, uint64_t now_us)
{
    rabbit->heartbeat_send_us = now_us + rabbit->heartbeat_s * CLOCK_S_US * 5 / 8;
}

/* Ours follows at once if it is due soon, so that an idle connection wakes its owner once for both. */
void
connection_heartbeat(struct rabbit *rabbit)
{
    if (rabbit->heartbeat_send_us <= rabbit->now_us + rabbit->heartbeat_s * CLOCK_S_US / 4) {
        rabbit->heartbeat_send_us = rabbit->now_us;
    }
}

static void
tick_heartbeats(struct rabbit *rabbit, uint64_t now_us)
{
    if (now_us >= missed_us(rabbit)) {
        connection_fail(rabbit, ERROR_CONNECTION,
                        "the broker was silent for two heartbeat intervals of %u s",
                        rabbit->heartbeat_s);
        return;
    }
    if (now_us < rabbit->heartbeat_send_us) {
        return;
    }
    schedule_heartbeat(rabbit, now_us);
    /* What already waits to be written tells the broker as much. */
    if (buffer_size(&rabbit->output) == 0 && !frame_append_heartbeat(&rabbit->output)) {
        connection_fail(rabbit, ERROR_TRANSIENT, "out of memory");
    }
}

void
rabbit_tick(struct rabbit *rabbit, uint64_t now_us)
{
    rabbit->now_us = now_us;
    if (rabbit->state == CONNECTION_CLOSED) {
        return;
    }
    if (now_us >= rabbit->give_up_us) {
        connection_fail(rabbit, ERROR_CONNECTION, "%s",
                        rabbit->state == CONNECTION_CLOSING
                            ? "closed, the broker did not answer"
                            : "the broker did not finish the handshake in 30 s");
        return;
    }
    if (heartbeats(rabbit)) {
        tick_heartbeats(rabbit, now_us);
    }
}

uint64_t
rabbit_deadline_us(const struct rabbit *rabbit)
{
    if (rabbit->state == CONNECTION_CLOSED) {
        return rabbit->closed_taken ? CLOCK_NEVER_US : 0;
    }
    uint64_t deadline_us = rabbit->give_up_us;
    if (heartbeats(rabbit)) {
        const uint64_t missed = missed_us(rabbit);
        deadline_us = missed < deadline_us ? missed : deadline_us;
        deadline_us =
            rabbit->heartbeat_send_us < deadline_us ? rabbit->heartbeat_send_us : deadline_us;
    }
    return deadline_us;
}

const struct buffer *
rabbit_output(const struct rabbit *rabbit)
{
    return &rabbit->output;
}

void
rabbit_written(struct rabbit *rabbit, size_t size, uint64_t now_us)
{
    rabbit->now_us = now_us;
    buffer_consume(&rabbit->output, size);
    schedule_heartbeat(rabbit, now_us);
}

bool
rabbit_is_open(const struct rabbit *rabbit)
{
    return rabbit->state == CONNECTION_OPEN;
}

uint32_t
rabbit_frame_max(const struct rabbit *rabbit)
{
    return rabbit->frame_max;
}

uint16_t
rabbit_heartbeat_s(const struct rabbit *rabbit)
{
    return rabbit->heartbeat_s;
}

uint32_t
rabbit_declared_count(const struct rabbit *rabbit)
{
    return rabbit->declared_count;
}

void
rabbit_close(struct rabbit *rabbit)
{
    if (rabbit->state >= CONNECTION_CLOSING) {
        return;
    }
    if (rabbit->state != CONNECTION_OPEN) {
        connection_fail(rabbit, ERROR_CONNECTION, "closed");
        return;
    }
    connection_send(rabbit, 0, AMQP_CONNECTION_CLOSE_METHOD,
                    &(amqp_connection_close_t){
                        .reply_code = AMQP_REPLY_SUCCESS,
                        .reply_text = amqp_cstring_bytes("closed"),
                    });
    if (rabbit->state == CONNECTION_OPEN) {
        rabbit->state = CONNECTION_CLOSING;
        rabbit->give_up_us = rabbit->now_us + CLOSE_US;
    }
}
