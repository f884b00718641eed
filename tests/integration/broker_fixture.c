#include "tests/integration/broker_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/session.h"
#include "amqp/table.h"
#include "base/clock.h"
#include "tests/integration/relay_fixture.h"

enum { CHANNEL = 1, PREFETCH = 500 };

struct broker {
    struct session *session;
};

struct consumer {
    struct broker broker;
    uint64_t tag; /* of the delivery that is not acknowledged yet; 0: none */
};

static void
turn(struct session *session, uint64_t until_us)
{
    session_flush(session, clock_monotonic_us());
    const uint64_t due_us = session_deadline_us(session);
    struct pollfd descriptor = {.fd = session_fd(session), .events = session_poll_events(session)};
    const int timeout_ms =
        clock_poll_timeout_ms(clock_monotonic_us(), due_us < until_us ? due_us : until_us);
    (void)poll(&descriptor, 1, timeout_ms); /* if it fails, the next turn tries again */
    session_process(session, descriptor.revents, clock_monotonic_us());
}

static bool
next_event(struct session *session, uint64_t until_us, struct rabbit_event *ret_event)
{
    while (!session_next(session, ret_event)) {
        if (clock_monotonic_us() >= until_us) {
            return false;
        }
        turn(session, until_us);
    }
    return true;
}

static void
check_alive(const struct rabbit_event *event)
{
    check(event->type != RABBIT_CLOSED, "the test's broker connection: %s", event->error.text);
    check(event->type != RABBIT_CHANNEL_CLOSED, "the test's broker channel: %.*s",
          (int)event->text.size, (const char *)event->text.data);
    check(event->type != RABBIT_CANCELLED, "the test's consumer was cancelled");
}

/* Waits for an event of this type; others are ignored unless they end something. */
static void
await_event(struct session *session, enum rabbit_event_type type)
{
    struct rabbit_event event;
    const uint64_t until_us = clock_monotonic_us() + PATIENCE_S * CLOCK_S_US;
    do {
        check(next_event(session, until_us, &event), "the broker does not answer the test (%d)",
              (int)type);
        check_alive(&event);
    } while (event.type != type);
}

static struct session *
new_session(const char *uri)
{
    struct amqp_endpoint endpoint;
    struct error error;
    const char *text = uri != NULL ? uri : test_env("OUTBOX_TEST_AMQP_URI");
    check(amqp_uri_parse(text, &endpoint, &error), "%s", error.text);
    const struct session_options options = {
        .endpoint = &endpoint, .connection_name = "test", .unread_max = SIZE_MAX};
    struct session *session = session_new(&options, &error);
    check(session != NULL, "%s", error.text);
    amqp_endpoint_done(&endpoint);
    return session;
}

static bool
is_open(void *context)
{
    struct session *session = context;
    struct rabbit_event event;
    session_open(session, clock_monotonic_us());
    return next_event(session, clock_monotonic_us() + 10 * CLOCK_S_US, &event) &&
           event.type == RABBIT_OPENED;
}

static struct session *
open_session(const char *uri)
{
    struct session *session = new_session(uri);
    await(is_open, session, "the broker lets the test in", PATIENCE_S);
    rabbit_channel_open(session_rabbit(session), CHANNEL, false);
    await_event(session, RABBIT_CHANNEL_OPENED);
    return session;
}

static void
close_session(struct session *session)
{
    struct rabbit_event event;
    const uint64_t until_us = clock_monotonic_us() + 5 * CLOCK_S_US;
    if (session_rabbit(session) != NULL && rabbit_is_open(session_rabbit(session))) {
        rabbit_close(session_rabbit(session));
        do {
        } while (next_event(session, until_us, &event) && event.type != RABBIT_CLOSED);
    }
    session_free(session);
}

struct broker *
broker_open(const char *uri)
{
    struct broker *broker = calloc(1, sizeof(*broker));
    check(broker != NULL, "out of memory");
    broker->session = open_session(uri);
    return broker;
}

void
broker_close(struct broker *broker)
{
    if (broker != NULL) {
        close_session(broker->session);
        free(broker);
    }
}

const char *
broker_name(const char *word)
{
    static char names[64][96];
    static unsigned count;
    check(count < 64, "too many names");
    (void)snprintf(names[count], sizeof(names[0]), "test-%ld-%s", (long)getpid(), word);
    return names[count++];
}

static struct rabbit *
rabbit_of(const struct broker *broker)
{
    return session_rabbit(broker->session);
}

static struct span
span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
declare_queue(struct broker *broker, const char *queue, const char *type, unsigned messages)
{
    struct buffer arguments;
    struct table_writer writer;
    buffer_init(&arguments, 0, 4096);
    table_writer_init(&writer, &arguments);
    bool written = table_put_string(&writer, span_of("x-queue-type"), span_of(type));
    if (messages > 0) {
        written = written && table_put_int(&writer, span_of("x-max-length"), messages) &&
                  table_put_string(&writer, span_of("x-overflow"), span_of("reject-publish"));
    }
    check(written, "cannot encode the arguments of a queue");
    rabbit_queue_declare(rabbit_of(broker), CHANNEL, queue, true,
                         (struct span){buffer_front(&arguments), buffer_size(&arguments)});
    await_event(broker->session, RABBIT_DONE);
    buffer_done(&arguments);
}

void
broker_declare_queue(struct broker *broker, const char *queue)
{
    declare_queue(broker, queue, "quorum", 0);
}

void
broker_declare_small_queue(struct broker *broker, const char *queue, unsigned messages)
{
    declare_queue(broker, queue, "classic", messages);
}

void
broker_delete_queue(struct broker *broker, const char *queue)
{
    rabbit_queue_delete(rabbit_of(broker), CHANNEL, queue);
    await_event(broker->session, RABBIT_DONE);
}

void
broker_declare_exchange(struct broker *broker, const char *exchange, const char *type)
{
    rabbit_exchange_declare(rabbit_of(broker), CHANNEL, exchange, type, true);
    await_event(broker->session, RABBIT_DONE);
}

void
broker_delete_exchange(struct broker *broker, const char *exchange)
{
    rabbit_exchange_delete(rabbit_of(broker), CHANNEL, exchange);
    await_event(broker->session, RABBIT_DONE);
}

void
broker_bind(struct broker *broker, const char *queue, const char *exchange, const char *routing_key)
{
    rabbit_queue_bind(rabbit_of(broker), CHANNEL, queue, exchange, routing_key);
    await_event(broker->session, RABBIT_DONE);
}

void
broker_unbind(struct broker *broker, const char *queue, const char *exchange,
              const char *routing_key)
{
    rabbit_queue_unbind(rabbit_of(broker), CHANNEL, queue, exchange, routing_key);
    await_event(broker->session, RABBIT_DONE);
}

void
broker_take_queue(struct broker *broker, const char *queue)
{
    rabbit_queue_declare_exclusive(rabbit_of(broker), CHANNEL, queue);
    await_event(broker->session, RABBIT_DONE);
}

bool
broker_is_taken(struct broker *broker, const char *queue)
{
    struct rabbit_event event;
    rabbit_queue_check(rabbit_of(broker), CHANNEL, queue);
    check(next_event(broker->session, clock_monotonic_us() + PATIENCE_S * CLOCK_S_US, &event),
          "the broker does not answer the test");
    if (event.type == RABBIT_DONE) {
        return false; /* it is this connection's own */
    }
    check(event.type == RABBIT_CHANNEL_CLOSED, "the test's broker connection: event %d",
          (int)event.type);
    check(event.code == 404 || event.code == 405, "queue \"%s\": %.*s", queue, (int)event.text.size,
          (const char *)event.text.data);
    rabbit_channel_open(rabbit_of(broker), CHANNEL, false);
    const bool taken = event.code == 405;
    await_event(broker->session, RABBIT_CHANNEL_OPENED);
    return taken;
}

uint32_t
broker_count(struct broker *broker, const char *queue)
{
    rabbit_queue_check(rabbit_of(broker), CHANNEL, queue);
    await_event(broker->session, RABBIT_DONE);
    return rabbit_declared_count(rabbit_of(broker));
}

struct consumer *
consumer_open(const char *uri, const char *queue)
{
    struct consumer *consumer = calloc(1, sizeof(*consumer));
    check(consumer != NULL, "out of memory");
    consumer->broker.session = open_session(uri);
    rabbit_qos(rabbit_of(&consumer->broker), CHANNEL, PREFETCH);
    await_event(consumer->broker.session, RABBIT_DONE);
    rabbit_consume(rabbit_of(&consumer->broker), CHANNEL, queue, "test");
    await_event(consumer->broker.session, RABBIT_CONSUMING);
    return consumer;
}

/* Acknowledges the last taken message before the next is asked for. */
static void
acknowledge(struct consumer *consumer)
{
    if (consumer->tag != 0) {
        rabbit_ack(rabbit_of(&consumer->broker), CHANNEL, consumer->tag, false);
        consumer->tag = 0;
    }
}

void
consumer_refuse(struct consumer *consumer, bool requeue)
{
    rabbit_nack(rabbit_of(&consumer->broker), CHANNEL, consumer->tag, false, requeue);
    consumer->tag = 0;
    session_flush(consumer->broker.session, clock_monotonic_us());
}

void
consumer_close(struct consumer *consumer)
{
    if (consumer != NULL) {
        if (session_rabbit(consumer->broker.session) != NULL) {
            acknowledge(consumer);
        }
        close_session(consumer->broker.session);
        free(consumer);
    }
}

void
consumer_leave(struct consumer *consumer)
{
    consumer->tag = 0;
    consumer_close(consumer);
}

static void
copy_text(char *text, size_t size, struct span span)
{
    const size_t length = span.size < size - 1 ? span.size : size - 1;
    if (length > 0) {
        memcpy(text, span.data, length);
    }
    text[length] = '\0';
}

bool
consumer_take_within(struct consumer *consumer, uint64_t wait_us, struct delivery *ret_delivery)
{
    struct rabbit_event event;
    const uint64_t until_us = clock_monotonic_us() + wait_us;
    acknowledge(consumer);
    do {
        if (!next_event(consumer->broker.session, until_us, &event)) {
            session_flush(consumer->broker.session, clock_monotonic_us());
            return false;
        }
        check_alive(&event);
    } while (event.type != RABBIT_DELIVERED);
    consumer->tag = event.tag;
    *ret_delivery = (struct delivery){.message = event.message, .redelivered = event.redelivered};
    copy_text(ret_delivery->message_id, sizeof(ret_delivery->message_id), event.message.message_id);
    copy_text(ret_delivery->body, sizeof(ret_delivery->body), event.message.body);
    return true;
}

void
consumer_take(struct consumer *consumer, struct delivery *ret_delivery)
{
    check(consumer_take_within(consumer, PATIENCE_S * CLOCK_S_US, ret_delivery),
          "no message within %d s", PATIENCE_S);
}

void
consumer_expect(struct consumer *consumer, const char *body)
{
    struct delivery delivery;
    check(consumer_take_within(consumer, PATIENCE_S * CLOCK_S_US, &delivery),
          "no message within %d s, \"%s\" was expected", PATIENCE_S, body);
    check(strcmp(delivery.body, body) == 0, "\"%s\" came where \"%s\" was expected", delivery.body,
          body);
}
