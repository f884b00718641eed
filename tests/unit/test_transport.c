#include "base/net/transport.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct place {
    char *name;
    uint16_t port;
};

static int
listen_on_loopback(struct place *ret_host, char *name)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_host = (struct place){.name = name, .port = ntohs(address.sin_port)};
    return fd;
}

static enum transport_state
settle(struct transport *transport)
{
    const uint64_t until_us = clock_monotonic_us() + 10 * CLOCK_S_US;
    enum transport_state state;
    while ((state = transport_process(transport, clock_monotonic_us())) < TRANSPORT_READY) {
        const uint64_t now_us = clock_monotonic_us();
        cr_assert_lt(now_us, until_us);
        struct pollfd poll_fd = {.fd = transport_fd(transport),
                                 .events = transport_poll_events(transport)};
        cr_assert_geq(
            poll(&poll_fd, 1, clock_poll_timeout_ms(now_us, transport_deadline_us(transport))), 0);
    }
    return state;
}

static struct transport *
connect_to(const struct place *host, const struct tls_context *context)
{
    const uint64_t now_us = clock_monotonic_us();
    struct transport *transport =
        transport_new(host->name, host->port, context, NULL, now_us + 5 * CLOCK_S_US, now_us);
    cr_assert_not_null(transport);
    return transport;
}

Test(transport, carries_bytes_both_ways_without_delay)
{
    struct place host;
    /* The first address may be ::1, where nothing listens; then the next one is tried. */
    char name[] = "localhost";
    const int listener = listen_on_loopback(&host, name);
    struct transport *transport = connect_to(&host, NULL);
    cr_assert_eq(settle(transport), TRANSPORT_READY);
    const int peer = accept(listener, NULL, NULL);
    char bytes[8];
    cr_assert_eq(transport_read(transport, bytes, sizeof(bytes)), 0, "nothing there yet");
    cr_assert_eq(transport_write(transport, "hello", 5), 5);
    cr_assert_eq(recv(peer, bytes, sizeof(bytes), 0), 5);
    cr_assert_eq(send(peer, "world", 5, 0), 5);
    cr_assert_eq(transport_read(transport, bytes, sizeof(bytes)), 5);
    int value = 0;
    socklen_t size = sizeof(value);
    getsockopt(transport_fd(transport), IPPROTO_TCP, TCP_NODELAY, &value, &size);
    cr_assert_eq(value, 1);
    close(peer);
    cr_assert_eq(transport_read(transport, bytes, sizeof(bytes)), -1);
    cr_assert_str_eq(transport_error(transport)->text, "the broker closed the connection");
    transport_free(transport);
    close(listener);
}

Test(transport, a_write_to_nobody_is_an_error_and_no_signal)
{
    struct place host;
    char name[] = "127.0.0.1";
    const int listener = listen_on_loopback(&host, name);
    struct transport *transport = connect_to(&host, NULL);
    cr_assert_eq(settle(transport), TRANSPORT_READY);
    close(accept(listener, NULL, NULL));
    ssize_t written = 0;
    for (int i = 0; i < 3 && written >= 0; i++) {
        written = transport_write(transport, "hello", 5);
    }
    cr_assert_eq(written, -1);
    transport_free(transport);
    close(listener);
}

/* Writes until the peer's machine takes no more. */
static void
fill(struct transport *transport)
{
    static const char bytes[65536];
    while (transport_write(transport, bytes, sizeof(bytes)) > 0) {
    }
    cr_assert_gt(transport_unsent(transport), 0);
}

/* Reads all that comes; returns the error at the end, 0 for a proper one. */
static int
drain(int peer)
{
    static char bytes[65536];
    ssize_t size;
    do {
        size = recv(peer, bytes, sizeof(bytes), 0);
    } while (size > 0);
    return size < 0 ? errno : 0;
}

Test(transport, what_has_not_arrived_arrives_or_is_discarded)
{
    struct place host;
    char name[] = "127.0.0.1";
    const int listener = listen_on_loopback(&host, name);
    for (int discards = 0; discards < 2; discards++) {
        struct transport *transport = connect_to(&host, NULL);
        cr_assert_eq(settle(transport), TRANSPORT_READY);
        const int peer = accept(listener, NULL, NULL);
        fill(transport);
        (discards ? transport_discard : transport_free)(transport);
        cr_assert_eq(drain(peer), discards ? ECONNRESET : 0);
        close(peer);
    }
    transport_discard(NULL);
    close(listener);
}

Test(transport, what_speaks_no_tls_is_told)
{
    struct place host;
    struct error error;
    char name[] = "127.0.0.1";
    const int listener = listen_on_loopback(&host, name);
    struct tls_context *context = tls_context_new(&(struct tls_files){0}, true, &error);
    cr_assert_not_null(context, "%s", error.text);
    struct transport *transport = connect_to(&host, context);
    const int peer = accept(listener, NULL, NULL);
    cr_assert_eq(send(peer, "AMQP\0\0\x09\x01", 8, 0), 8);
    cr_assert_eq(settle(transport), TRANSPORT_FAILED);
    cr_assert_not_null(strstr(transport_error(transport)->text, "TLS: "));
    transport_free(transport);
    tls_context_free(context);
    close(peer);
    close(listener);
}

Test(transport, a_tls_handshake_that_nobody_answers_ends)
{
    struct place host;
    struct error error;
    char name[] = "127.0.0.1";
    const int listener = listen_on_loopback(&host, name);
    struct tls_context *context = tls_context_new(&(struct tls_files){0}, true, &error);
    struct transport *transport = connect_to(&host, context);
    const int peer = accept(listener, NULL, NULL);
    const uint64_t now_us = clock_monotonic_us();
    while (transport_process(transport, now_us) == TRANSPORT_CONNECTING) {
    }
    cr_assert_eq(transport_process(transport, now_us + CLOCK_S_US), TRANSPORT_SECURING);
    cr_assert_eq(transport_process(transport, now_us + 6 * CLOCK_S_US), TRANSPORT_FAILED);
    cr_assert_not_null(strstr(transport_error(transport)->text, "took too long"));
    transport_free(transport);
    tls_context_free(context);
    close(peer);
    close(listener);
}
