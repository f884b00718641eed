/* amqp/ against a real RabbitMQ. The broker comes from tests/services/services; see `services
 * DIR env`. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/session.h"
#include "amqp/table.h"
#include "base/clock.h"

#define DEADLINE_US (20 * CLOCK_S_US)

static const char *
env(const char *name)
{
    const char *value = getenv(name);
    cr_assert_not_null(value, "%s is not set: eval \"$(tests/services/services DIR env)\" first",
                       name);
    return value;
}

/* The plain broker with other credentials, vhost or query. */
static const char *
uri_of(const char *userinfo, const char *rest)
{
    static char uri[1000];
    (void)snprintf(uri, sizeof(uri), "amqp://%s@%s:%s/%s", userinfo, env("OUTBOX_TEST_AMQP_HOST"),
                   env("OUTBOX_TEST_AMQP_PORT"), rest);
    return uri;
}

static const char *
tls_uri_of(const char *ca_file, const char *rest)
{
    static char uri[2000];
    (void)snprintf(uri, sizeof(uri), "amqps://guest:guest@%s:%s/?cacertfile=%s%s",
                   env("OUTBOX_TEST_AMQP_HOST"), env("OUTBOX_TEST_AMQP_TLS_PORT"), ca_file, rest);
    return uri;
}

static struct session *
new_session(const char *uri, const char *name)
{
    struct amqp_endpoint endpoint;
    struct error error;
    cr_assert(amqp_uri_parse(uri, &endpoint, &error), "%s", error.text);
    const struct session_options options = {
        .endpoint = &endpoint, .connection_name = name, .heartbeat_s = 30};
    struct session *session = session_new(&options, &error);
    cr_assert_not_null(session, "%s", error.text);
    amqp_endpoint_done(&endpoint);
    session_open(session, clock_monotonic_us());
    return session;
}

/* One turn of an owner's loop. */
static void
turn(struct session *session, uint64_t until_us)
{
    session_flush(session, clock_monotonic_us());
    const uint64_t due_us = session_deadline_us(session);
    struct pollfd poll_fd = {.fd = session_fd(session), .events = session_poll_events(session)};
    const int timeout_ms =
        clock_poll_timeout_ms(clock_monotonic_us(), due_us < until_us ? due_us : until_us);
    cr_assert_geq(poll(&poll_fd, 1, timeout_ms), 0);
    session_process(session, poll_fd.revents, clock_monotonic_us());
}

static bool
wait_event(struct session *session, struct rabbit_event *ret_event, uint64_t wait_us)
{
    const uint64_t until_us = clock_monotonic_us() + wait_us;
    while (!session_next(session, ret_event)) {
        if (clock_monotonic_us() >= until_us) {
            return false;
        }
        turn(session, until_us);
    }
    return true;
}

static struct rabbit_event
expect(struct session *session, enum rabbit_event_type type)
{
    struct rabbit_event event;
    cr_assert(wait_event(session, &event, DEADLINE_US), "event %d did not come", type);
    cr_assert_eq(event.type, type, "event %d instead of %d: %.*s%s", event.type, type,
                 (int)event.text.size, event.text.size > 0 ? (const char *)event.text.data : "",
                 event.type == RABBIT_CLOSED ? event.error.text : "");
    return event;
}

static struct session *
open_session(const char *uri, const char *name)
{
    struct session *session = new_session(uri, name);
    expect(session, RABBIT_OPENED);
    return session;
}

static void
open_channel(struct session *session, uint16_t channel, bool confirms)
{
    rabbit_channel_open(session_rabbit(session), channel, confirms);
    expect(session, RABBIT_CHANNEL_OPENED);
}

static void
close_session(struct session *session)
{
    rabbit_close(session_rabbit(session));
    const struct rabbit_event event = expect(session, RABBIT_CLOSED);
    cr_assert_str_eq(event.error.text, "closed");
    cr_assert_null(session_rabbit(session));
    session_free(session);
}

static void
publish(struct session *session, const char *exchange, const char *routing_key, struct span body)
{
    struct error error;
    const struct rabbit_message message = {
        .exchange = {exchange, strlen(exchange)},
        .routing_key = {routing_key, strlen(routing_key)},
        .message_id = {"message-1", 9},
        .type = {"order.paid", 10},
        .content_type = {"text/plain", 10},
        .app_id = {"test", 4},
        .timestamp_s = 1700000000,
        .delivery_mode = 2,
        .mandatory = true,
        .body = body,
    };
    cr_assert(rabbit_publish(session_rabbit(session), 1, &message, &error), "%s", error.text);
}

static const char *
fresh_queue(struct session *session)
{
    static char name[64];
    static int count;
    (void)snprintf(name, sizeof(name), "test-amqp-%d-%d", (int)getpid(), count++);
    rabbit_queue_declare(session_rabbit(session), 1, name, true, (struct span){0});
    expect(session, RABBIT_DONE);
    cr_assert_eq(rabbit_declared_count(session_rabbit(session)), 0);
    return name;
}

static void
delete_queue(struct session *session, const char *queue, uint32_t expected_count)
{
    rabbit_queue_delete(session_rabbit(session), 1, queue);
    expect(session, RABBIT_DONE);
    cr_assert_eq(rabbit_declared_count(session_rabbit(session)), expected_count);
}

/* Publishes `count` messages, never more than 1000 unconfirmed, until all are confirmed. */
static void
publish_and_confirm(struct session *session, const char *queue, uint64_t count)
{
    static const char body[256] = "body";
    uint64_t sent = 0;
    uint64_t confirmed = 0;
    bool *done = calloc(count + 1, sizeof(*done));
    while (confirmed < count) {
        for (; sent < count && sent - confirmed < 1000; sent++) {
            publish(session, "", queue, (struct span){body, sizeof(body)});
        }
        const struct rabbit_event event = expect(session, RABBIT_CONFIRMED);
        for (uint64_t tag = event.tag; tag > 0 && !done[tag]; tag--) {
            done[tag] = true;
            confirmed++;
            if (!event.multiple) {
                break;
            }
        }
    }
    free(done);
}

Test(amqp, publishes_and_confirms, .timeout = 120)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "confirms");
    open_channel(session, 1, true);
    const char *queue = fresh_queue(session);
    publish_and_confirm(session, queue, 10000);
    rabbit_queue_check(session_rabbit(session), 1, queue);
    expect(session, RABBIT_DONE);
    cr_assert_eq(rabbit_declared_count(session_rabbit(session)), 10000);
    delete_queue(session, queue, 10000);
    close_session(session);
}

Test(amqp, an_unroutable_message_returns_before_its_confirm, .timeout = 60)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "returns");
    open_channel(session, 1, true);
    publish(session, "amq.direct", "nobody", (struct span){"hello", 5});
    const struct rabbit_event event = expect(session, RABBIT_RETURNED);
    cr_assert_eq(event.code, 312);
    cr_assert_eq(event.message.body.size, 5);
    cr_assert_eq(memcmp(event.message.body.data, "hello", 5), 0);
    cr_assert_eq(memcmp(event.message.message_id.data, "message-1", 9), 0);
    cr_assert_eq(memcmp(event.message.exchange.data, "amq.direct", 10), 0);
    cr_assert_eq(expect(session, RABBIT_CONFIRMED).tag, 1);
    close_session(session);
}

Test(amqp, a_missing_exchange_closes_the_channel_which_opens_again, .timeout = 60)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "channel");
    open_channel(session, 1, true);
    for (int round = 0; round < 3; round++) {
        publish(session, "no such exchange", "key", (struct span){"hello", 5});
        publish(session, "no such exchange", "key", (struct span){"again", 5});
        cr_assert_eq(expect(session, RABBIT_CHANNEL_CLOSED).code, 404);
        open_channel(session, 1, true);
    }
    publish(session, "amq.topic", "nobody", (struct span){"hello", 5});
    expect(session, RABBIT_RETURNED);
    cr_assert_eq(expect(session, RABBIT_CONFIRMED).tag, 1);
    rabbit_channel_close(session_rabbit(session), 1);
    cr_assert_eq(expect(session, RABBIT_CHANNEL_CLOSED).code, 200);
    open_channel(session, 1, false);
    close_session(session);
}

Test(amqp, exchanges_queues_and_bindings, .timeout = 60)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "topology");
    struct rabbit *rabbit = session_rabbit(session);
    struct table_writer writer;
    struct buffer arguments;
    open_channel(session, 1, true);
    buffer_init(&arguments, 64, 1024);
    table_writer_init(&writer, &arguments);
    cr_assert(
        table_put_string(&writer, (struct span){"x-queue-type", 12}, (struct span){"quorum", 6}));
    rabbit_queue_declare(rabbit, 1, "test-amqp-quorum", true,
                         (struct span){buffer_front(&arguments), buffer_size(&arguments)});
    buffer_done(&arguments);
    rabbit_exchange_declare(rabbit, 1, "test-amqp", "topic", true);
    rabbit_exchange_check(rabbit, 1, "test-amqp");
    rabbit_queue_bind(rabbit, 1, "test-amqp-quorum", "test-amqp", "order.#");
    for (int i = 0; i < 4; i++) {
        expect(session, RABBIT_DONE);
    }
    publish(session, "test-amqp", "order.paid", (struct span){0});
    expect(session, RABBIT_CONFIRMED);
    rabbit_queue_purge(rabbit, 1, "test-amqp-quorum");
    rabbit_queue_unbind(rabbit, 1, "test-amqp-quorum", "test-amqp", "order.#");
    rabbit_queue_delete(rabbit, 1, "test-amqp-quorum");
    rabbit_exchange_delete(rabbit, 1, "test-amqp");
    for (int i = 0; i < 4; i++) {
        expect(session, RABBIT_DONE);
    }
    close_session(session);
}

static uint8_t *
pattern(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)((i * 2654435761u) >> 13);
    }
    return bytes;
}

Test(amqp, payloads_of_all_sizes_arrive_as_they_left, .timeout = 120)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "sizes");
    struct rabbit *rabbit = session_rabbit(session);
    const size_t room = rabbit_frame_max(rabbit) - 8;
    const size_t sizes[] = {
        0, 1, room - 1, room, room + 1, 2 * room - 1, 2 * room, 2 * room + 1, 16u << 20};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    open_channel(session, 1, false);
    const char *queue = fresh_queue(session);
    open_channel(session, 2, false);
    rabbit_qos(rabbit, 2, 2);
    rabbit_consume(rabbit, 2, queue, "all sizes");
    expect(session, RABBIT_DONE);
    expect(session, RABBIT_CONSUMING);
    uint8_t *bytes = pattern(16u << 20);
    for (size_t i = 0; i < count; i++) {
        publish(session, "", queue, (struct span){bytes, sizes[i]});
    }
    for (size_t got = 0; got < count; got++) {
        const struct rabbit_event event = expect(session, RABBIT_DELIVERED);
        cr_assert_eq(event.message.body.size, sizes[got]);
        cr_assert_eq(memcmp(event.message.body.data, bytes, sizes[got]), 0);
        cr_assert_eq(event.message.timestamp_s, 1700000000);
        rabbit_ack(rabbit, 2, event.tag, false);
    }
    free(bytes);
    rabbit_cancel(rabbit, 2, "all sizes");
    expect(session, RABBIT_CANCELLED);
    delete_queue(session, queue, 0);
    close_session(session);
}

Test(amqp, the_broker_cancels_when_the_queue_goes, .timeout = 60)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "cancel");
    struct rabbit *rabbit = session_rabbit(session);
    open_channel(session, 1, true);
    const char *queue = fresh_queue(session);
    open_channel(session, 2, false);
    rabbit_consume(rabbit, 2, queue, "mine");
    expect(session, RABBIT_CONSUMING);
    rabbit_queue_delete(rabbit, 1, queue);
    int cancelled = 0;
    for (int i = 0; i < 2; i++) {
        struct rabbit_event event;
        cr_assert(wait_event(session, &event, DEADLINE_US));
        cancelled += event.type == RABBIT_CANCELLED;
    }
    cr_assert_eq(cancelled, 1);
    close_session(session);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static struct error
refused(const char *uri)
{
    struct session *session = new_session(uri, "refused");
    const struct rabbit_event event = expect(session, RABBIT_CLOSED);
    session_free(session);
    return event.error;
}

Test(amqp, a_wrong_password_is_said_and_not_shown, .timeout = 60)
{
    const struct error error = refused(uri_of("guest:s3cret", ""));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "the broker refused the user name or password"), "%s",
                       error.text);
    cr_assert_null(strstr(error.text, "s3cret"));
}

Test(amqp, a_missing_vhost_is_said, .timeout = 60)
{
    const struct error error = refused(uri_of("guest:guest", "nowhere"));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "vhost nowhere not found"), "%s", error.text);
}

Test(amqp, a_name_that_nobody_has_is_said, .timeout = 60)
{
    const struct error error = refused("amqp://no-such-host.invalid");
    cr_assert_eq(error.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(error.text, "no-such-host.invalid:5672: cannot look up"), "%s",
                       error.text);
}

Test(amqp, plain_bytes_to_the_tls_port_are_said, .timeout = 60)
{
    char uri[300];
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@%s:%s", env("OUTBOX_TEST_AMQP_HOST"),
                   env("OUTBOX_TEST_AMQP_TLS_PORT"));
    const struct error error = refused(uri);
    cr_assert_not_null(strstr(error.text, "amqps://"), "%s", error.text);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

Test(amqp, tls_carries_messages, .timeout = 120)
{
    struct session *session = open_session(tls_uri_of(env("OUTBOX_TEST_AMQP_CA"), ""), "over tls");
    open_channel(session, 1, true);
    const char *queue = fresh_queue(session);
    publish_and_confirm(session, queue, 10000);
    uint8_t *bytes = pattern(4u << 20);
    publish(session, "", queue, (struct span){bytes, 4u << 20});
    expect(session, RABBIT_CONFIRMED);
    free(bytes);
    open_channel(session, 2, false);
    rabbit_consume(session_rabbit(session), 2, queue, "over tls");
    expect(session, RABBIT_CONSUMING);
    struct rabbit_event event;
    size_t last = 0;
    for (int i = 0; i < 10001; i++) {
        event = expect(session, RABBIT_DELIVERED);
        last = event.message.body.size;
    }
    cr_assert_eq(last, 4u << 20);
    rabbit_ack(session_rabbit(session), 2, event.tag, true);
    rabbit_cancel(session_rabbit(session), 2, "over tls");
    expect(session, RABBIT_CANCELLED);
    delete_queue(session, queue, 0);
    close_session(session);
}

Test(amqp, tls_refuses_a_certificate_of_others, .timeout = 60)
{
    /* the client's certificate is no authority for the server's */
    const struct error error = refused(tls_uri_of(env("OUTBOX_TEST_AMQP_CERT"), ""));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "certificate verify failed: "), "%s", error.text);
}

Test(amqp, tls_refuses_another_host_name, .timeout = 60)
{
    const struct error error =
        refused(tls_uri_of(env("OUTBOX_TEST_AMQP_CA"), "&server_name_indication=wrong.example"));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "hostname mismatch"), "%s", error.text);
}

Test(amqp, tls_without_verification_takes_anything, .timeout = 60)
{
    close_session(open_session(tls_uri_of(env("OUTBOX_TEST_AMQP_CERT"), "&verify=verify_none"),
                               "unverified"));
}

Test(amqp, a_client_certificate_logs_in, .timeout = 60)
{
    char rest[1000];
    (void)snprintf(rest, sizeof(rest), "&certfile=%s&keyfile=%s&auth_mechanism=external",
                   env("OUTBOX_TEST_AMQP_CERT"), env("OUTBOX_TEST_AMQP_KEY"));
    close_session(open_session(tls_uri_of(env("OUTBOX_TEST_AMQP_CA"), rest), "external"));
}

/* ---- the life of a connection ---------------------------------------------------------------- */

Test(amqp, the_second_host_is_used_when_the_first_is_dead, .timeout = 60)
{
    char uri[300];
    (void)snprintf(uri, sizeof(uri), "amqp://guest:guest@127.0.0.1:1,no-such-host.invalid,%s:%s",
                   env("OUTBOX_TEST_AMQP_HOST"), env("OUTBOX_TEST_AMQP_PORT"));
    struct session *session = open_session(uri, "third host");
    cr_assert_not_null(strstr(session_peer(session), env("OUTBOX_TEST_AMQP_PORT")));
    session_open(session, clock_monotonic_us());
    expect(session, RABBIT_OPENED);
    close_session(session);
}

Test(amqp, heartbeats_keep_an_idle_connection_open, .timeout = 60)
{
    struct session *session = open_session(uri_of("guest:guest", "?heartbeat=1"), "idle");
    cr_assert_eq(rabbit_heartbeat_s(session_rabbit(session)), 1);
    open_channel(session, 1, true);
    struct rabbit_event event;
    cr_assert_not(wait_event(session, &event, 4 * CLOCK_S_US), "event %d", event.type);
    publish(session, "amq.direct", "nobody", (struct span){0});
    expect(session, RABBIT_RETURNED);
    expect(session, RABBIT_CONFIRMED);
    close_session(session);
}

/* Runs a command while the session's turns go on; its output goes to `output`. */
static void
run(const char *command, char *output, size_t size)
{
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    const size_t got = fread(output, 1, size - 1, pipe);
    output[got] = '\0';
    cr_assert_eq(pclose(pipe), 0, "%s: %s", command, output);
}

/* The Erlang pid of the connection with this name, as rabbitmqctl shows it. */
static void
broker_pid(const char *name, char *pid, size_t size)
{
    char command[1000];
    (void)snprintf(command, sizeof(command),
                   "%s -q list_connections pid client_properties | grep '\"%s\"' | cut -f1",
                   env("OUTBOX_TEST_RABBITMQCTL"), name);
    const uint64_t until_us = clock_monotonic_us() + DEADLINE_US;
    do {
        run(command, pid, size);
        cr_assert_lt(clock_monotonic_us(), until_us, "the connection is not listed");
    } while (pid[0] == '\0');
    pid[strcspn(pid, "\n")] = '\0';
}

Test(amqp, an_operator_closes_the_connection, .timeout = 90)
{
    struct session *session = open_session(env("OUTBOX_TEST_AMQP_URI"), "to be closed");
    char pid[1000];
    char command[3000];
    broker_pid("to be closed", pid, sizeof(pid));
    (void)snprintf(command, sizeof(command), "%s -q close_connection '%s' 'for the test' 2>&1",
                   env("OUTBOX_TEST_RABBITMQCTL"), pid);
    run(command, pid, sizeof(pid));
    const struct rabbit_event event = expect(session, RABBIT_CLOSED);
    cr_assert_eq(event.error.class, ERROR_CONNECTION);
    cr_assert_not_null(strstr(event.error.text, "320 CONNECTION_FORCED"), "%s", event.error.text);
    cr_assert_not_null(strstr(event.error.text, "for the test"), "%s", event.error.text);
    cr_assert_eq(session_fd(session), -1);
    session_open(session, clock_monotonic_us());
    expect(session, RABBIT_OPENED);
    close_session(session);
}

static void
alarm_is(const char *state)
{
    char command[2000];
    char output[1000];
    (void)snprintf(command, sizeof(command), "%s %s alarm %s 2>&1", env("OUTBOX_TEST_SERVICES"),
                   env("OUTBOX_TEST_DIR"), state);
    run(command, output, sizeof(output));
}

/* Other tests use this broker too: the alarm must end whatever happens here. */
static void
alarm_off(void)
{
    alarm_is("off");
}

Test(amqp, a_memory_alarm_blocks_and_unblocks, .timeout = 120, .fini = alarm_off)
{
    struct session *session = open_session(uri_of("guest:guest", "?heartbeat=2"), "alarmed");
    open_channel(session, 1, true);
    alarm_is("on");
    publish(session, "amq.direct", "nobody", (struct span){"hello", 5});
    cr_assert_gt(expect(session, RABBIT_BLOCKED).text.size, 0);
    /* The broker does not read any more: its receive window is full, but it goes on sending heartbeats. */
    uint8_t *bytes = pattern(1u << 20);
    for (int i = 0; i < 16; i++) {
        publish(session, "amq.direct", "nobody", (struct span){bytes, 1u << 20});
    }
    free(bytes);
    struct rabbit_event event;
    cr_assert_not(wait_event(session, &event, 7 * CLOCK_S_US), "stays open: event %d", event.type);
    cr_assert_gt(session_queued_bytes(session), 0);
    alarm_is("off");
    bool unblocked = false;
    uint64_t confirmed = 0;
    while (!unblocked || confirmed < 17) {
        cr_assert(wait_event(session, &event, DEADLINE_US));
        cr_assert_neq(event.type, RABBIT_CLOSED, "%s", event.error.text);
        unblocked |= event.type == RABBIT_UNBLOCKED;
        confirmed = event.type == RABBIT_CONFIRMED ? event.tag : confirmed;
    }
    close_session(session);
}
