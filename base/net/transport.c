#include "base/net/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/net/resolve.h"

struct transport {
    enum transport_state state;
    const char *host;
    const struct tls_context *context;
    const char *server_name;
    struct resolve *resolve;
    struct addrinfo *addresses;
    struct addrinfo *address; /* being tried */
    int fd;
    struct tls *tls;
    short wanted; /* POLLIN, POLLOUT: what TLS waits for */
    uint64_t give_up_us;
    uint64_t address_deadline_us;
    struct error error;
};

static void
fail(struct transport *transport)
{
    transport->state = TRANSPORT_FAILED;
}

static void
close_socket(struct transport *transport)
{
    tls_free(transport->tls);
    transport->tls = NULL;
    if (transport->fd >= 0) {
        close(transport->fd);
        transport->fd = -1;
    }
}

struct transport *
transport_new(const char *host, uint16_t port, const struct tls_context *context,
              const char *server_name, uint64_t give_up_us, uint64_t now_us)
{
    struct transport *transport = calloc(1, sizeof(*transport));
    if (transport == NULL) {
        return NULL;
    }
    transport->host = host;
    transport->context = context;
    transport->server_name = server_name;
    transport->fd = -1;
    transport->give_up_us = give_up_us;
    transport->address_deadline_us = give_up_us;
    transport->resolve = resolve_start(host, port, &transport->error);
    if (transport->resolve == NULL) {
        fail(transport);
    } else {
        (void)transport_process(transport, now_us); /* the state is asked for later */
    }
    return transport;
}

void
transport_free(struct transport *transport)
{
    if (transport == NULL) {
        return;
    }
    close_socket(transport);
    resolve_free(transport->resolve);
    if (transport->addresses != NULL) {
        freeaddrinfo(transport->addresses);
    }
    free(transport);
}

/* With SO_LINGER and no time, close(2) empties the buffer, and resets the connection. */
void
transport_discard(struct transport *transport)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (transport != NULL && transport_unsent(transport) > 0) {
        /* Without success it is closed as usual. */
        (void)setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    transport_free(transport);
}

static void
set_option(int fd, int level, int option, int value)
{
    /* If the option cannot be set, nothing breaks: heartbeats find a dead peer as well. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* No TCP_USER_TIMEOUT: it also ends connections whose peer is alive and keeps its window shut
 * (tcp(7); tried on 6.x), and that is exactly what RabbitMQ does to publishers while it has a
 * resource alarm. */
static void
set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static unsigned
addresses_left(const struct transport *transport)
{
    unsigned count = 0;
    for (const struct addrinfo *at = transport->address; at != NULL; at = at->ai_next) {
        count++;
    }
    return count;
}

/* True if the connection is made or being made. */
static bool
connect_address(struct transport *transport, uint64_t now_us)
{
    const struct addrinfo *address = transport->address;
    const int fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return error_set(&transport->error, ERROR_CONNECTION, "%s", strerror(errno));
    }
    set_options(fd);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        error_set(&transport->error, ERROR_CONNECTION, "%s", strerror(errno));
        close(fd);
        return false;
    }
    transport->fd = fd;
    transport->state = TRANSPORT_CONNECTING;
    const uint64_t left_us = transport->give_up_us > now_us ? transport->give_up_us - now_us : 0;
    transport->address_deadline_us = now_us + left_us / addresses_left(transport);
    return true;
}

static void
try_addresses(struct transport *transport, uint64_t now_us)
{
    while (transport->address != NULL) {
        if (connect_address(transport, now_us)) {
            return;
        }
        transport->address = transport->address->ai_next;
    }
    fail(transport);
}

static void
try_next_address(struct transport *transport, uint64_t now_us)
{
    close_socket(transport);
    transport->address = transport->address->ai_next;
    try_addresses(transport, now_us);
}

static void
process_resolving(struct transport *transport, uint64_t now_us)
{
    if (!resolve_take(transport->resolve, &transport->addresses, &transport->error)) {
        if (now_us >= transport->give_up_us) {
            error_set(&transport->error, ERROR_CONNECTION, "the name look-up took too long");
            fail(transport);
        }
        return;
    }
    resolve_free(transport->resolve);
    transport->resolve = NULL;
    transport->address = transport->addresses;
    try_addresses(transport, now_us);
}

static void
start_tls(struct transport *transport)
{
    transport->tls = tls_new(transport->context, transport->fd, transport->host,
                             transport->server_name, &transport->error);
    if (transport->tls == NULL) {
        fail(transport);
        return;
    }
    transport->state = TRANSPORT_SECURING;
    transport->wanted = POLLOUT;
    transport->address_deadline_us = transport->give_up_us;
}

static void
connected(struct transport *transport)
{
    if (transport->context != NULL) {
        start_tls(transport);
    } else {
        transport->state = TRANSPORT_READY;
    }
}

static void
process_connecting(struct transport *transport, uint64_t now_us)
{
    struct pollfd poll_fd = {.fd = transport->fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, 0) <= 0) {
        if (now_us >= transport->address_deadline_us) {
            error_set(&transport->error, ERROR_CONNECTION, "%s", strerror(ETIMEDOUT));
            try_next_address(transport, now_us);
        }
        return;
    }
    int result = 0;
    socklen_t size = sizeof(result);
    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0) {
        result = errno;
    }
    if (result != 0) {
        error_set(&transport->error, ERROR_CONNECTION, "%s", strerror(result));
        try_next_address(transport, now_us);
        return;
    }
    connected(transport);
}

static short
events_of(enum tls_result result)
{
    return result == TLS_WANT_READ ? POLLIN : result == TLS_WANT_WRITE ? POLLOUT : 0;
}

static void
process_securing(struct transport *transport, uint64_t now_us)
{
    const enum tls_result result = tls_handshake(transport->tls, &transport->error);
    transport->wanted = events_of(result);
    if (result == TLS_DONE) {
        transport->state = TRANSPORT_READY;
    } else if (result == TLS_FAILED) {
        fail(transport);
    } else if (now_us >= transport->give_up_us) {
        error_set(&transport->error, ERROR_CONNECTION, "the TLS handshake took too long");
        fail(transport);
    }
}

enum transport_state
transport_process(struct transport *transport, uint64_t now_us)
{
    if (transport->state == TRANSPORT_RESOLVING) {
        process_resolving(transport, now_us);
    }
    if (transport->state == TRANSPORT_CONNECTING) {
        process_connecting(transport, now_us);
    }
    if (transport->state == TRANSPORT_SECURING) {
        process_securing(transport, now_us);
    }
    return transport->state;
}

int
transport_fd(const struct transport *transport)
{
    if (transport->state == TRANSPORT_FAILED) {
        return -1;
    }
    return transport->state == TRANSPORT_RESOLVING ? resolve_fd(transport->resolve) : transport->fd;
}

short
transport_poll_events(const struct transport *transport)
{
    switch (transport->state) {
    case TRANSPORT_RESOLVING:
        return POLLIN;
    case TRANSPORT_CONNECTING:
        return POLLOUT;
    case TRANSPORT_SECURING:
        return transport->wanted;
    case TRANSPORT_READY:
    case TRANSPORT_FAILED:
        break;
    }
    return 0;
}

uint64_t
transport_deadline_us(const struct transport *transport)
{
    switch (transport->state) {
    case TRANSPORT_RESOLVING:
    case TRANSPORT_SECURING:
        return transport->give_up_us;
    case TRANSPORT_CONNECTING:
        return transport->address_deadline_us;
    case TRANSPORT_FAILED:
        return 0;
    case TRANSPORT_READY:
        break;
    }
    return CLOCK_NEVER_US;
}

const struct error *
transport_error(const struct transport *transport)
{
    return &transport->error;
}

static ssize_t
lost(struct transport *transport, const char *why)
{
    error_set(&transport->error, ERROR_CONNECTION, "%s", why);
    fail(transport);
    return -1;
}

/* What a TLS read or write amounts to for the caller. */
static ssize_t
moved(struct transport *transport, enum tls_result result, size_t size)
{
    if (result == TLS_DONE) {
        return (ssize_t)size;
    }
    if (result == TLS_END) {
        return lost(transport, "the broker closed the connection");
    }
    if (result == TLS_FAILED) {
        fail(transport);
        return -1;
    }
    return 0;
}

ssize_t
transport_read(struct transport *transport, void *data, size_t size)
{
    if (transport->tls != NULL) {
        size_t got = 0;
        const enum tls_result result =
            tls_read(transport->tls, data, size, &got, &transport->error);
        transport->wanted = events_of(result);
        return moved(transport, result, got);
    }
    const ssize_t got = recv(transport->fd, data, size, 0);
    if (got > 0) {
        return got;
    }
    if (got == 0) {
        return lost(transport, "the broker closed the connection");
    }
    return errno == EAGAIN || errno == EINTR ? 0 : lost(transport, strerror(errno));
}

ssize_t
transport_write(struct transport *transport, const void *data, size_t size)
{
    if (transport->tls != NULL) {
        size_t written = 0;
        const enum tls_result result =
            tls_write(transport->tls, data, size, &written, &transport->error);
        return moved(transport, result, written);
    }
    const ssize_t written = send(transport->fd, data, size, MSG_NOSIGNAL);
    if (written >= 0) {
        return written;
    }
    return errno == EAGAIN || errno == EINTR ? 0 : lost(transport, strerror(errno));
}

size_t
transport_unsent(const struct transport *transport)
{
    int bytes = 0;
    return transport->fd >= 0 && ioctl(transport->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0
               ? (size_t)bytes
               : 0;
}

bool
transport_pending(const struct transport *transport)
{
    return transport->state == TRANSPORT_READY && transport->tls != NULL &&
           tls_pending(transport->tls);
}

short
transport_wanted_events(const struct transport *transport)
{
    return transport->wanted;
}

bool
transport_tls_peer(const struct transport *transport, struct tls_peer *ret_peer)
{
    return transport->state == TRANSPORT_READY && transport->tls != NULL &&
           tls_peer(transport->tls, ret_peer);
}
