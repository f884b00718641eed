#include "tests/integration/queue_fixture.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/session.h"
#include "amqp/table.h"
#include "base/clock.h"

#define DEADLINE_US (30 * CLOCK_S_US)
enum { CHANNEL = 1 };

static struct session *session;
static char name[64], dead_name[64];
static char taken[256];
static uint64_t published, confirmed;

static _Noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

const char *
queue_fixture_uri(void)
{
    const char *uri = getenv("OUTBOX_TEST_AMQP_URI");
    if (uri == NULL || uri[0] == '\0') {
        die("OUTBOX_TEST_AMQP_URI is not set: this test needs a RabbitMQ server; see "
            "tests/services");
    }
    return uri;
}

const char *
queue_fixture_name(void)
{
    return name;
}

/* Waits for an event of this type; others are ignored, except failures. */
static struct rabbit_event
await(enum rabbit_event_type type)
{
    struct rabbit_event event;
    const uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    for (uint64_t now_us = clock_monotonic_us(); now_us < deadline_us;
         now_us = clock_monotonic_us()) {
        session_flush(session, now_us);
        while (session_next(session, &event)) {
            if (event.type == type) {
                return event;
            }
            if (event.type == RABBIT_CLOSED) {
                die("broker: %s", event.error.text);
            }
            if (event.type == RABBIT_CHANNEL_CLOSED || event.type == RABBIT_NACKED) {
                die("broker: %.*s", (int)event.text.size, (const char *)event.text.data);
            }
        }
        const uint64_t wake_us = session_deadline_us(session);
        struct pollfd descriptor = {.fd = session_fd(session),
                                    .events = session_poll_events(session)};
        (void)poll(&descriptor, 1,
                   clock_poll_timeout_ms(now_us, wake_us < deadline_us ? wake_us : deadline_us));
        session_process(session, descriptor.revents, clock_monotonic_us());
    }
    die("broker: no answer within 30 s (event %d)", (int)type);
}

static struct span
text_span(const char *text)
{
    return (struct span){text, text != NULL ? strlen(text) : 0};
}

static bool
put_kind(struct table_writer *writer, const struct queue_fixture_kind *kind)
{
    return table_put_string(writer, text_span("x-queue-type"), text_span(kind->type)) &&
           (kind->delivery_limit == 0 ||
            table_put_int(writer, text_span("x-delivery-limit"), kind->delivery_limit)) &&
           (!kind->single_active ||
            table_put_bool(writer, text_span("x-single-active-consumer"), true));
}

static void
declare(const char *queue, const struct queue_fixture_kind *kind, const char *dead_letters)
{
    struct buffer arguments;
    struct table_writer writer;
    buffer_init(&arguments, 0, 4096);
    table_writer_init(&writer, &arguments);
    bool written = put_kind(&writer, kind);
    if (dead_letters != NULL) {
        written = written &&
                  table_put_string(&writer, text_span("x-dead-letter-exchange"), text_span("")) &&
                  table_put_string(&writer, text_span("x-dead-letter-routing-key"),
                                   text_span(dead_letters));
    }
    if (!written) {
        die("cannot encode the arguments of a queue");
    }
    rabbit_queue_declare(session_rabbit(session), CHANNEL, queue, true,
                         (struct span){buffer_front(&arguments), buffer_size(&arguments)});
    (void)await(RABBIT_DONE);
    buffer_done(&arguments);
}

static void
open_session(void)
{
    struct amqp_endpoint endpoint;
    struct error error;
    if (!amqp_uri_parse(queue_fixture_uri(), &endpoint, &error)) {
        die("%s", error.text);
    }
    session = session_new(
        &(struct session_options){.endpoint = &endpoint, .connection_name = "test"}, &error);
    if (session == NULL) {
        die("%s", error.text);
    }
    amqp_endpoint_done(&endpoint);
    session_open(session, clock_monotonic_us());
    (void)await(RABBIT_OPENED);
    rabbit_channel_open(session_rabbit(session), CHANNEL, true);
    (void)await(RABBIT_CHANNEL_OPENED);
}

static const struct queue_fixture_kind usual = {.type = "quorum"};

void
queue_fixture_create(void)
{
    queue_fixture_create_kind(&usual);
}

void
queue_fixture_create_kind(const struct queue_fixture_kind *kind)
{
    open_session();
    (void)snprintf(name, sizeof(name), "test-%ld", (long)getpid());
    (void)snprintf(dead_name, sizeof(dead_name), "test-%ld-dead", (long)getpid());
    declare(dead_name, &usual, NULL);
    declare(name, kind, dead_name);
}

void
queue_fixture_delete(void)
{
    const char *const names[] = {name, dead_name};
    for (size_t i = 0; i < 2; i++) {
        rabbit_queue_delete(session_rabbit(session), CHANNEL, names[i]);
        (void)await(RABBIT_DONE);
    }
    session_free(session);
    session = NULL;
    published = confirmed = 0;
}

static void
publish(const char *id, const char *key, const char *body, size_t body_length)
{
    struct buffer headers;
    struct table_writer writer;
    struct error error;
    buffer_init(&headers, 0, 4096);
    table_writer_init(&writer, &headers);
    if (!table_put_string(&writer, text_span("x-outbox-source"), text_span("test")) ||
        !table_put_int(&writer, text_span("x-outbox-id"), 42) ||
        (key != NULL && !table_put_string(&writer, text_span("x-outbox-key"), text_span(key)))) {
        die("cannot encode headers");
    }
    struct rabbit_message message = {.routing_key = text_span(name),
                                     .message_id = text_span(id),
                                     .type = text_span("test.type"),
                                     .content_type = text_span("text/plain"),
                                     .headers = {buffer_front(&headers), buffer_size(&headers)},
                                     .timestamp_s = 1700000000,
                                     .delivery_mode = 2,
                                     .mandatory = true,
                                     .body = {body, body_length}};
    if (!rabbit_publish(session_rabbit(session), CHANNEL, &message, &error)) {
        die("publish: %s", error.text);
    }
    buffer_done(&headers);
    published++;
}

/* The tags of a channel count the messages that were published on it. */
static void
await_confirms(void)
{
    while (confirmed < published) {
        const struct rabbit_event event = await(RABBIT_CONFIRMED);
        confirmed = event.multiple ? event.tag : confirmed + 1;
    }
}

void
queue_fixture_publish(const char *id, const char *key, const char *body, size_t body_length)
{
    publish(id, key, body, body_length);
    await_confirms();
}

void
queue_fixture_publish_many(int count,
                           void (*name_one)(int index, char ret_id[32], char ret_key[32]))
{
    for (int i = 0; i < count; i++) {
        char id[32], key[32];
        name_one(i, id, key);
        publish(id, key, "x", 1);
    }
    await_confirms();
}

uint32_t
queue_fixture_count_dead(void)
{
    rabbit_queue_check(session_rabbit(session), CHANNEL, dead_name);
    (void)await(RABBIT_DONE);
    return rabbit_declared_count(session_rabbit(session));
}

const char *
queue_fixture_take_dead(void)
{
    rabbit_qos(session_rabbit(session), CHANNEL, 1);
    rabbit_consume(session_rabbit(session), CHANNEL, dead_name, "taker");
    struct rabbit_event event = await(RABBIT_DELIVERED);
    (void)snprintf(taken, sizeof(taken), "%.*s", (int)event.message.message_id.size,
                   event.message.message_id.size > 0 ? (const char *)event.message.message_id.data
                                                     : "");
    rabbit_cancel(session_rabbit(session), CHANNEL,
                  "taker"); /* first, so that no second message comes */
    rabbit_ack(session_rabbit(session), CHANNEL, event.tag, false);
    (void)await(RABBIT_CANCELLED);
    return taken;
}
