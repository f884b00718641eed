#include "tests/integration/slow_link_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define CONNECTIONS_MAX 16
#define TICK_MS 5
/* The kernel's own buffers would make a short transfer look as if the link were fast. */
#define SOCKET_BYTES 16384
#define PIECE_BYTES 16384

/* One way of a connection. */
struct way {
    int from;
    int to;
    uint64_t credit; /* bytes that may go now */
};

struct slow_link {
    pthread_t thread;
    int listening;
    int server_port;
    int port;
    _Atomic uint64_t bytes_per_s;
    atomic_int connections;
    atomic_bool ending;
    struct way ways[2 * CONNECTIONS_MAX]; /* both of a connection side by side; -1: free */
};

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
            abort();                                                                             \
        }                                                                                        \
    } while (0)

static struct sockaddr_in
loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
new_socket(void)
{
    const int bytes = SOCKET_BYTES;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0);
    return fd;
}

static void
take_connection(struct slow_link *link)
{
    const struct sockaddr_in server = loopback(link->server_port);
    const int client_fd = accept4(link->listening, NULL, NULL, SOCK_CLOEXEC);
    const int server_fd = new_socket();
    size_t at = 0;
    CHECK(client_fd >= 0);
    while (at < 2 * CONNECTIONS_MAX && link->ways[at].from >= 0) {
        at += 2;
    }
    CHECK(at < 2 * CONNECTIONS_MAX);
    if (connect(server_fd, (const struct sockaddr *)&server, sizeof(server)) != 0) {
        close(client_fd);
        close(server_fd);
        return;
    }
    link->ways[at] = (struct way){.from = client_fd, .to = server_fd};
    link->ways[at + 1] = (struct way){.from = server_fd, .to = client_fd};
    atomic_fetch_add(&link->connections, 1);
}

static void
end_connection(struct slow_link *link, size_t at)
{
    at -= at % 2;
    close(link->ways[at].from);
    close(link->ways[at].to);
    link->ways[at].from = -1;
    link->ways[at + 1].from = -1;
}

/* False if the connection is over. */
static bool
carry(struct way *way)
{
    char piece[PIECE_BYTES];
    const size_t most = way->credit < sizeof(piece) ? (size_t)way->credit : sizeof(piece);
    const ssize_t size = recv(way->from, piece, most, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (size <= 0) {
        return false;
    }
    way->credit -= (uint64_t)size;
    for (ssize_t sent = 0; sent < size;) {
        const ssize_t step = send(way->to, piece + sent, (size_t)(size - sent), MSG_NOSIGNAL);
        if (step < 0 && errno != EINTR) {
            return false;
        }
        sent += step > 0 ? step : 0;
    }
    return true;
}

static void
give_credit(struct slow_link *link, uint64_t spent_us)
{
    const uint64_t rate = atomic_load(&link->bytes_per_s);
    for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i++) {
        struct way *way = &link->ways[i];
        way->credit =
            rate == UINT64_MAX ? UINT64_MAX / 2 : way->credit + rate * spent_us / CLOCK_S_US;
        if (rate != UINT64_MAX && way->credit > rate / 10 + 1) {
            way->credit = rate / 10 + 1; /* a pause is not made up for */
        }
    }
}

/* Whoever has credit left and bytes to take, takes them. */
static void
carry_all(struct slow_link *link)
{
    for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i++) {
        if (link->ways[i].from >= 0 && link->ways[i].credit > 0 && !carry(&link->ways[i])) {
            end_connection(link, i);
        }
    }
}

static int
wait_for_bytes(struct slow_link *link)
{
    struct pollfd polls[2 * CONNECTIONS_MAX + 1];
    polls[0] = (struct pollfd){.fd = link->listening, .events = POLLIN};
    for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i++) {
        const struct way *way = &link->ways[i];
        polls[i + 1] = (struct pollfd){.fd = way->credit > 0 ? way->from : -1, .events = POLLIN};
    }
    (void)poll(polls, 2 * CONNECTIONS_MAX + 1,
               TICK_MS); /* what it says of others is seen by trying */
    return polls[0].revents;
}

static void *
work(void *context)
{
    struct slow_link *link = context;
    uint64_t last_us = clock_monotonic_us();
    while (!atomic_load(&link->ending)) {
        if (wait_for_bytes(link) != 0) {
            take_connection(link);
        }
        const uint64_t now_us = clock_monotonic_us();
        give_credit(link, now_us - last_us);
        last_us = now_us;
        carry_all(link);
    }
    for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i += 2) {
        if (link->ways[i].from >= 0) {
            end_connection(link, i);
        }
    }
    return NULL;
}

struct slow_link *
slow_link_open(int port, uint64_t bytes_per_s)
{
    struct slow_link *link = calloc(1, sizeof(*link));
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    CHECK(link != NULL);
    link->listening = new_socket();
    link->server_port = port;
    link->bytes_per_s = bytes_per_s;
    for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i++) {
        link->ways[i].from = -1;
    }
    CHECK(bind(link->listening, (const struct sockaddr *)&address, size) == 0);
    CHECK(listen(link->listening, CONNECTIONS_MAX) == 0);
    CHECK(getsockname(link->listening, (struct sockaddr *)&address, &size) == 0);
    link->port = ntohs(address.sin_port);
    CHECK(pthread_create(&link->thread, NULL, work, link) == 0);
    return link;
}

int
slow_link_port(const struct slow_link *link)
{
    return link->port;
}

void
slow_link_rate(struct slow_link *link, uint64_t bytes_per_s)
{
    atomic_store(&link->bytes_per_s, bytes_per_s);
}

int
slow_link_connections(const struct slow_link *link)
{
    return atomic_load(&link->connections);
}

void
slow_link_close(struct slow_link *link)
{
    atomic_store(&link->ending, true);
    CHECK(pthread_join(link->thread, NULL) == 0);
    close(link->listening);
    free(link);
}
