/* broker.c - the exchange and the queues of the demo.
 *
 *     demo_broker URI create | delete | drain
 *
 * create    exchange "transfers" → quorum queue "credits", one consumer at a time, which dead-letters to "credits-dead"
 * drain     waits until "credits" has nothing to hand out, at most 30 s */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/session.h"
#include "amqp/table.h"
#include "base/clock.h"

#define DEADLINE_US (30 * CLOCK_S_US)
#define CHANNEL 1

static const char exchange[] = "transfers", queue[] = "credits", dead_queue[] = "credits-dead";
static struct session *session;

static _Noreturn void
die(const char *what, struct span detail)
{
    (void)fprintf(stderr, "demo_broker: %s: %.*s\n", what, (int)detail.size,
                  detail.size > 0 ? (const char *)detail.data : "");
    exit(EXIT_FAILURE);
}

static struct span
text_span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
await(enum rabbit_event_type type)
{
    struct rabbit_event event;
    const uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    for (uint64_t now_us = clock_monotonic_us(); now_us < deadline_us;
         now_us = clock_monotonic_us()) {
        session_flush(session, now_us);
        while (session_next(session, &event)) {
            if (event.type == type) {
                return;
            }
            if (event.type == RABBIT_CLOSED) {
                die("connection", text_span(event.error.text));
            }
            if (event.type == RABBIT_CHANNEL_CLOSED) {
                die("refused", event.text);
            }
        }
        const uint64_t wake_us = session_deadline_us(session);
        struct pollfd descriptor = {.fd = session_fd(session),
                                    .events = session_poll_events(session)};
        (void)poll(&descriptor, 1,
                   clock_poll_timeout_ms(now_us, wake_us < deadline_us ? wake_us : deadline_us));
        session_process(session, descriptor.revents, clock_monotonic_us());
    }
    die("no answer within 30 s", (struct span){0});
}

static struct rabbit *
connect_broker(const char *uri)
{
    struct amqp_endpoint endpoint;
    struct error error;
    if (!amqp_uri_parse(uri, &endpoint, &error)) {
        die("URI", text_span(error.text));
    }
    session = session_new(
        &(struct session_options){.endpoint = &endpoint, .connection_name = "demo"}, &error);
    amqp_endpoint_done(&endpoint);
    if (session == NULL) {
        die("session", text_span(error.text));
    }
    session_open(session, clock_monotonic_us());
    await(RABBIT_OPENED);
    rabbit_channel_open(session_rabbit(session), CHANNEL, false);
    await(RABBIT_CHANNEL_OPENED);
    return session_rabbit(session);
}

static void
declare_queue(struct rabbit *rabbit, const char *name, const char *dead_letters)
{
    struct buffer arguments;
    struct table_writer writer;
    buffer_init(&arguments, 0, 4096);
    table_writer_init(&writer, &arguments);
    bool written = table_put_string(&writer, text_span("x-queue-type"), text_span("quorum")) &&
                   table_put_bool(&writer, text_span("x-single-active-consumer"), true);
    if (dead_letters != NULL) {
        written = written &&
                  table_put_string(&writer, text_span("x-dead-letter-exchange"), text_span("")) &&
                  table_put_string(&writer, text_span("x-dead-letter-routing-key"),
                                   text_span(dead_letters));
    }
    if (!written) {
        die("arguments of the queue", text_span(name));
    }
    rabbit_queue_declare(rabbit, CHANNEL, name, true,
                         (struct span){buffer_front(&arguments), buffer_size(&arguments)});
    await(RABBIT_DONE);
    buffer_done(&arguments);
}

static void
create(struct rabbit *rabbit)
{
    rabbit_exchange_declare(rabbit, CHANNEL, exchange, "topic", true);
    await(RABBIT_DONE);
    declare_queue(rabbit, dead_queue, NULL);
    declare_queue(rabbit, queue, dead_queue);
    rabbit_queue_bind(rabbit, CHANNEL, queue, exchange, "#");
    await(RABBIT_DONE);
}

static void delete (struct rabbit *rabbit)
{
    rabbit_queue_delete(rabbit, CHANNEL, queue);
    await(RABBIT_DONE);
    rabbit_queue_delete(rabbit, CHANNEL, dead_queue);
    await(RABBIT_DONE);
    rabbit_exchange_delete(rabbit, CHANNEL, exchange);
    await(RABBIT_DONE);
}

static void
drain(struct rabbit *rabbit)
{
    const uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    do {
        rabbit_queue_check(rabbit, CHANNEL, queue);
        await(RABBIT_DONE);
    } while (rabbit_declared_count(rabbit) > 0 && clock_monotonic_us() < deadline_us);
    if (rabbit_declared_count(rabbit) > 0) {
        die("messages are left after 30 s in", text_span(queue));
    }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct rabbit *rabbit);
    } commands[] = {{"create", create}, {"delete", delete}, {"drain", drain}};
    for (size_t i = 0; argc == 3 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[2], commands[i].name) == 0) {
            commands[i].run(connect_broker(argv[1]));
            rabbit_close(session_rabbit(session));
            await(RABBIT_CLOSED);
            session_free(session);
            return EXIT_SUCCESS;
        }
    }
    (void)fprintf(stderr, "usage: demo_broker URI create | delete | drain\n");
    return 64;
}
