#include "amqp/session.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "broker_bytes.h"

#define DEADLINE_US (10 * CLOCK_S_US)

static struct broker_bytes out;

/* A listening socket and an accepted connection: the test itself plays the broker. */
struct peer {
    int listen_fd;
    int fd;
    uint16_t port;
};

static struct peer
peer_new(void)
{
    struct peer peer = {.fd = -1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    peer.listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(peer.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(peer.listen_fd, 8), 0);
    cr_assert_eq(getsockname(peer.listen_fd, (struct sockaddr *)&address, &size), 0);
    peer.port = ntohs(address.sin_port);
    return peer;
}

static void
peer_accept(struct peer *peer)
{
    struct pollfd poll_fd = {.fd = peer->listen_fd, .events = POLLIN};
    cr_assert_eq(poll(&poll_fd, 1, 10000), 1, "nobody connects");
    peer->fd = accept(peer->listen_fd, NULL, NULL);
    cr_assert_geq(peer->fd, 0);
}

static void
peer_send(struct peer *peer)
{
    cr_assert_eq(send(peer->fd, out.bytes, out.size, MSG_NOSIGNAL), (ssize_t)out.size);
    out.size = 0;
}

/* Reads what has come first, because closing a socket with unread bytes resets the connection. */
static void
peer_hang_up(struct peer *peer)
{
    char bytes[4096];
    while (recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
    close(peer->fd);
    peer->fd = -1;
}

static void
peer_done(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    close(peer->listen_fd);
}

static struct session *
new_session(const char *host, unsigned port, unsigned second_port)
{
    char uri[200];
    struct amqp_endpoint endpoint;
    struct error error;
    const int length = snprintf(uri, sizeof(uri), "amqp://%s:%u", host, port);
    if (second_port > 0) {
        (void)snprintf(uri + length, sizeof(uri) - (size_t)length, ",127.0.0.1:%u", second_port);
    }
    cr_assert(amqp_uri_parse(uri, &endpoint, &error), "%s", error.text);
    struct session *session = session_new(
        &(struct session_options){
            .endpoint = &endpoint, .heartbeat_s = 10, .connect_timeout_us = 5 * CLOCK_S_US},
        &error);
    cr_assert_not_null(session, "%s", error.text);
    amqp_endpoint_done(&endpoint);
    return session;
}

static bool
wait_event(struct session *session, struct rabbit_event *ret_event)
{
    const uint64_t until_us = clock_monotonic_us() + DEADLINE_US;
    while (!session_next(session, ret_event)) {
        const uint64_t now_us = clock_monotonic_us();
        if (now_us >= until_us) {
            return false;
        }
        const uint64_t due_us = session_deadline_us(session);
        struct pollfd poll_fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        const int wait_ms = clock_poll_timeout_ms(now_us, due_us < until_us ? due_us : until_us);
        cr_assert_geq(poll(&poll_fd, 1, wait_ms), 0);
        session_process(session, poll_fd.revents, clock_monotonic_us());
    }
    return true;
}

static struct rabbit_event
expect(struct session *session, enum rabbit_event_type type)
{
    struct rabbit_event event;
    cr_assert(wait_event(session, &event), "event %d did not come", type);
    cr_assert_eq(event.type, type, "event %d instead of %d: %s", event.type, type,
                 event.type == RABBIT_CLOSED ? event.error.text : "");
    return event;
}

static void
expect_closed(struct session *session, const char *words)
{
    const struct rabbit_event event = expect(session, RABBIT_CLOSED);
    cr_assert_not_null(strstr(event.error.text, words), "%s", event.error.text);
    cr_assert_null(session_rabbit(session));
    cr_assert_eq(session_fd(session), -1);
    cr_assert_eq(session_deadline_us(session), CLOCK_NEVER_US);
}

/* Connects to the peer's first connection. */
static struct session *
open_session(struct peer *peer)
{
    struct session *session = new_session("127.0.0.1", peer->port, 0);
    session_open(session, clock_monotonic_us());
    peer_accept(peer);
    broker_handshake(&out, 131072, 10);
    peer_send(peer);
    expect(session, RABBIT_OPENED);
    session_flush(session, clock_monotonic_us());
    return session;
}

/* A port where nothing listens. */
static uint16_t
dead_port(void)
{
    struct peer peer = peer_new();
    peer_done(&peer);
    return peer.port;
}

Test(session, opens_over_tcp_and_by_name)
{
    struct peer peer = peer_new();
    struct session *session = new_session("localhost", peer.port, 0);
    session_open(session, clock_monotonic_us());
    broker_handshake(&out, 131072, 10);
    struct rabbit_event event;
    while (!session_next(session, &event)) {
        struct pollfd fds[] = {{.fd = session_fd(session), .events = session_poll_events(session)},
                               {.fd = peer.fd < 0 ? peer.listen_fd : -1, .events = POLLIN}};
        cr_assert_gt(poll(fds, 2, 10000), 0, "nothing happens");
        if (fds[1].revents != 0) {
            peer_accept(&peer);
            peer_send(&peer);
        }
        session_process(session, fds[0].revents, clock_monotonic_us());
    }
    cr_assert_eq(event.type, RABBIT_OPENED);
    cr_assert_not_null(strstr(session_peer(session), "localhost:"));
    session_free(session);
    peer_done(&peer);
}

Test(session, refused_everywhere_it_says_where)
{
    struct session *session = new_session("127.0.0.1", dead_port(), dead_port());
    session_open(session, clock_monotonic_us());
    expect_closed(session, "Connection refused");
    struct rabbit_event event;
    cr_assert_not(session_next(session, &event), "once");
    session_free(session);
}

Test(session, goes_on_to_the_next_host_and_begins_there_next_time)
{
    struct peer peer = peer_new();
    struct session *session = new_session("127.0.0.1", dead_port(), peer.port);
    for (int round = 0; round < 3; round++) {
        session_open(session, clock_monotonic_us());
        broker_handshake(&out, 131072, 10);
        struct rabbit_event event;
        while (session_rabbit(session) == NULL) {
            cr_assert_not(session_next(session, &event));
            struct pollfd poll_fd = {.fd = session_fd(session),
                                     .events = session_poll_events(session)};
            cr_assert_gt(poll(&poll_fd, 1, 10000), 0);
            session_process(session, poll_fd.revents, clock_monotonic_us());
        }
        peer_accept(&peer);
        peer_send(&peer);
        expect(session, RABBIT_OPENED);
        peer_hang_up(&peer);
    }
    session_free(session);
    peer_done(&peer);
}

Test(session, begins_with_the_host_it_is_told)
{
    struct peer peers[] = {peer_new(), peer_new()};
    struct session *session = new_session("127.0.0.1", peers[0].port, peers[1].port);
    for (unsigned host = 2; host-- > 0;) {
        session_begin_at(session, host, false);
        session_open(session, clock_monotonic_us());
        peer_accept(&peers[host]);
        cr_assert_eq(session_host(session), host);
    }
    session_free(session);
    peer_done(&peers[0]);
    peer_done(&peers[1]);
}

Test(session, tries_one_host_alone)
{
    struct peer peer = peer_new();
    struct session *session = new_session("127.0.0.1", dead_port(), peer.port);
    session_begin_at(session, 0, true);
    session_open(session, clock_monotonic_us());
    expect_closed(session, "refused");
    cr_assert_eq(session_host(session), 0);
    session_begin_at(session, 0, false);
    session_open(session, clock_monotonic_us());
    peer_accept(&peer);
    session_free(session);
    peer_done(&peer);
}

Test(session, a_silent_host_is_given_up)
{
    struct peer peer = peer_new();
    struct session *session = new_session("127.0.0.1", peer.port, 0);
    const uint64_t now_us = clock_monotonic_us();
    session_open(session, now_us);
    peer_accept(&peer);
    struct rabbit_event event;
    session_process(session, POLLOUT, now_us + CLOCK_S_US);
    cr_assert_not(session_next(session, &event));
    cr_assert_leq(session_deadline_us(session), now_us + 5 * CLOCK_S_US);
    session_process(session, 0, now_us + 5 * CLOCK_S_US);
    expect_closed(session, "no connection within 5000 ms");
    session_free(session);
    peer_done(&peer);
}

Test(session, a_lost_stream_is_told_after_what_it_brought)
{
    struct peer peer = peer_new();
    struct session *session = open_session(&peer);
    broker_simple(&out, 0, AMQP_CONNECTION_BLOCKED_METHOD, "low on disk");
    peer_send(&peer);
    peer_hang_up(&peer);
    expect(session, RABBIT_BLOCKED);
    expect_closed(session, "the broker closed the connection");
    session_free(session);
    peer_done(&peer);
}

Test(session, why_the_broker_closed_is_told_although_it_hung_up)
{
    struct peer peer = peer_new();
    struct session *session = open_session(&peer);
    broker_close(&out, 0, 320, "CONNECTION_FORCED - for the test");
    peer_send(&peer);
    peer_hang_up(&peer);
    rabbit_channel_open(session_rabbit(session), 1, true);
    session_flush(session, clock_monotonic_us()); /* no SIGPIPE, and the error is kept */
    rabbit_channel_open(session_rabbit(session), 2, true);
    session_flush(session, clock_monotonic_us());
    expect_closed(session, "320 CONNECTION_FORCED - for the test");
    session_free(session);
    peer_done(&peer);
}

Test(session, hanging_up_in_the_handshake_counts_as_a_failed_host)
{
    struct peer peer = peer_new();
    struct session *session = new_session("127.0.0.1", peer.port, 0);
    session_open(session, clock_monotonic_us());
    peer_accept(&peer);
    broker_start(&out, "PLAIN");
    peer_send(&peer);
    peer_hang_up(&peer);
    /* A TCP socket that is closed with unread bytes is reset, so either error may come. */
    const struct rabbit_event event = expect(session, RABBIT_CLOSED);
    cr_assert_eq(event.error.class, ERROR_CONNECTION);
    session_free(session);
    peer_done(&peer);
}

Test(session, abort_and_free_at_any_time_give_no_event)
{
    struct peer peer = peer_new();
    struct rabbit_event event;
    struct session *session = open_session(&peer);
    session_abort(session);
    cr_assert_not(session_next(session, &event));
    cr_assert_null(session_rabbit(session));
    cr_assert_eq(session_queued_bytes(session), 0);
    session_open(session, clock_monotonic_us());
    session_abort(session);
    session_free(session);
    session = new_session("no-such-host.invalid", 1, 0);
    session_open(session, clock_monotonic_us());
    session_free(session); /* the look-up may still be running */
    session_free(NULL);
    peer_done(&peer);
}

static void
flood(struct peer *peer, size_t bytes)
{
    const size_t frame = 8;
    for (size_t i = 0; i < bytes / frame; i++) {
        broker_raw(&out, "\x08\0\0\0\0\0\0\xce", frame);
    }
    const size_t size = out.size;
    size_t sent = 0;
    while (sent < size) {
        const ssize_t now =
            send(peer->fd, out.bytes + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now < 0) {
            break;
        }
        sent += (size_t)now;
    }
    out.size = 0;
}

Test(session, an_owner_that_takes_nothing_stops_the_reading)
{
    struct peer peer = peer_new();
    struct session *session = open_session(&peer);
    cr_assert((session_poll_events(session) & POLLIN) != 0);
    for (int i = 0; i < 100; i++) {
        flood(&peer, 1 << 19);
        session_process(session, POLLIN, clock_monotonic_us());
    }
    cr_assert_eq(session_poll_events(session) & POLLIN, 0);
    struct rabbit_event event;
    cr_assert_not(session_next(session, &event), "heartbeats only");
    cr_assert((session_poll_events(session) & POLLIN) != 0);
    session_free(session);
    peer_done(&peer);
}

Test(session, a_certificate_file_that_is_not_there_is_said_at_once)
{
    struct amqp_endpoint endpoint;
    struct error error;
    cr_assert(amqp_uri_parse("amqps://h/?cacertfile=/no/such/file", &endpoint, &error));
    cr_assert_null(session_new(&(struct session_options){.endpoint = &endpoint}, &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "/no/such/file"), "%s", error.text);
    amqp_endpoint_done(&endpoint);
}
