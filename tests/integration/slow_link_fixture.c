#include "tests/integration/slow_link_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "base/random.h"

#define CONNECTIONS_MAX 24
#define WAYS (2 * CONNECTIONS_MAX)
/* With the kernel's larger buffers a short transfer would look as if the link were fast. */
#define SOCKET_BYTES 16384
/* The loopback sends up to 64 KiB at a time. If the window is never that large, the server's TCP_USER_TIMEOUT regards
 * the connection as stuck, however many bytes pass. */
#define SERVER_SOCKET_BYTES 98304
#define PACKET_BYTES 1448
/* The text at which to cut is shorter than this. */
#define TAIL_BYTES 64
/* The most bytes in transit, as limited by a connection's window. */
#define WAY_BYTES ((size_t)128 << 10)
/* How far ahead the line may be reserved; beyond that nothing more is read from the sender. */
#define HORIZON_US (20 * CLOCK_MS_US)
#define RETRANSMIT_US (200 * CLOCK_MS_US)
#define TICK_MS 50

enum direction { FROM_CLIENT, FROM_SERVER };

/* Bytes on their way; `sent` of them have arrived. */
struct packet {
    struct packet *next;
    uint64_t due_us;
    size_t size;
    size_t sent;
    char bytes[PACKET_BYTES];
};

/* One direction of a connection. The index of the other one differs in the last bit. */
struct way {
    int from; /* -1: free */
    int to;
    struct packet *first;
    struct packet *last;
    size_t bytes;
    char tail[TAIL_BYTES]; /* the end of the last bytes, searched for the text */
    size_t tail_size;
    bool ended;   /* the sender has ended */
    bool blocked; /* the receiver accepts no more now */
};

struct slow_link {
    pthread_t thread;
    int listening;
    int server_port;
    int port;
    _Atomic uint64_t bytes_per_s;
    _Atomic uint64_t delay_us;
    atomic_uint loss_percent;
    _Atomic(const char *) cut_at;
    atomic_bool cut_all;
    atomic_int connections;
    atomic_int cuts;
    atomic_bool ending;
    _Atomic uint64_t carried[2];
    uint64_t free_us[2]; /* when the line is free for the next packet, in each direction */
    size_t turn;         /* the connection that may send first */
    struct random random;
    struct way ways[WAYS];
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

static void
set_option(int fd, int level, int option, int value)
{
    CHECK(setsockopt(fd, level, option, &value, sizeof(value)) == 0);
}

/* receive_bytes: the size of the buffer at the near end of the link. */
static int
new_socket(int receive_bytes)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
    return fd;
}

/* ---- connections ---- */

static void
take_connection(struct slow_link *link)
{
    const struct sockaddr_in server = loopback(link->server_port);
    const int client_fd = accept4(link->listening, NULL, NULL, SOCK_CLOEXEC);
    const int server_fd = new_socket(SERVER_SOCKET_BYTES);
    size_t at = 0;
    CHECK(client_fd >= 0);
    while (at < WAYS && link->ways[at].from >= 0) {
        at += 2;
    }
    CHECK(at < WAYS);
    if (connect(server_fd, (const struct sockaddr *)&server, sizeof(server)) != 0) {
        close(client_fd);
        close(server_fd);
        return;
    }
    set_option(client_fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(server_fd, IPPROTO_TCP, TCP_NODELAY, 1);
    link->ways[at + FROM_CLIENT] = (struct way){.from = client_fd, .to = server_fd};
    link->ways[at + FROM_SERVER] = (struct way){.from = server_fd, .to = client_fd};
    atomic_fetch_add(&link->connections, 1);
}

static void
drop_packets(struct way *way)
{
    while (way->first != NULL) {
        struct packet *packet = way->first;
        way->first = packet->next;
        free(packet);
    }
}

static void
end_connection(struct slow_link *link, size_t at)
{
    at -= at % 2;
    for (size_t i = at; i < at + 2; i++) {
        drop_packets(&link->ways[i]);
        close(link->ways[i].from);
        link->ways[i].from = -1;
    }
}

/* Resets both ends, which lose what they have not read. */
static void
cut_connection(struct slow_link *link, size_t at)
{
    const struct linger at_once = {.l_onoff = 1};
    at -= at % 2;
    for (size_t i = at; i < at + 2; i++) {
        CHECK(setsockopt(link->ways[i].from, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) ==
              0);
    }
    end_connection(link, at);
    atomic_fetch_add(&link->cuts, 1);
}

/* ---- bytes ---- */

/* When a packet that is sent now arrives. The line takes one packet at a time, and TCP keeps their order. */
static uint64_t
arrival_us(struct slow_link *link, const struct way *way, size_t direction, size_t size,
           uint64_t now_us)
{
    const uint64_t rate = atomic_load(&link->bytes_per_s);
    const uint64_t delay_us = atomic_load(&link->delay_us);
    uint64_t *free_us = &link->free_us[direction];
    if (*free_us < now_us) {
        *free_us = now_us;
    }
    if (rate != UINT64_MAX && rate > 0) { /* 0: since the packet was read */
        *free_us += size * CLOCK_S_US / rate;
    }
    uint64_t due_us = *free_us + delay_us;
    if (random_between(&link->random, 0, 99) < atomic_load(&link->loss_percent)) {
        due_us += 2 * delay_us + RETRANSMIT_US;
    }
    return way->last != NULL && way->last->due_us > due_us ? way->last->due_us : due_us;
}

static void
append(struct way *way, struct packet *packet)
{
    if (way->first == NULL) {
        way->first = packet;
    } else {
        way->last->next = packet;
    }
    way->last = packet;
    way->bytes += packet->size;
}

static bool
may_read(const struct slow_link *link, size_t at, uint64_t now_us)
{
    const struct way *way = &link->ways[at];
    return way->from >= 0 && !way->ended && way->bytes < WAY_BYTES &&
           atomic_load(&link->bytes_per_s) > 0 && link->free_us[at % 2] <= now_us + HORIZON_US;
}

/* The text may span packets, the first of which may be gone already; so the end of earlier bytes is kept. */
static bool
is_to_be_cut(const struct slow_link *link, struct way *way, const struct packet *packet)
{
    const char *text = atomic_load(&link->cut_at);
    char both[TAIL_BYTES + PACKET_BYTES];
    memcpy(both, way->tail, way->tail_size);
    memcpy(both + way->tail_size, packet->bytes, packet->size);
    const size_t size = way->tail_size + packet->size;
    way->tail_size = size < TAIL_BYTES ? size : TAIL_BYTES;
    memcpy(way->tail, both + size - way->tail_size, way->tail_size);
    return text != NULL && memmem(both, size, text, strlen(text)) != NULL;
}

/* Puts one packet on the line. False if the connection is gone. */
static bool
read_packet(struct slow_link *link, size_t at, uint64_t now_us)
{
    struct way *way = &link->ways[at];
    struct packet *packet = malloc(sizeof(*packet));
    CHECK(packet != NULL);
    const ssize_t size = recv(way->from, packet->bytes, PACKET_BYTES, MSG_DONTWAIT);
    if (size <= 0) {
        const bool later = size < 0 && (errno == EAGAIN || errno == EINTR);
        free(packet);
        way->ended = !later;
        return later || size == 0;
    }
    packet->size = (size_t)size;
    packet->sent = 0;
    packet->next = NULL;
    packet->due_us = arrival_us(link, way, at % 2, packet->size, now_us);
    atomic_fetch_add(&link->carried[at % 2], packet->size);
    const bool cut = at % 2 == FROM_CLIENT && is_to_be_cut(link, way, packet);
    append(way, packet);
    if (cut) {
        cut_connection(link, at);
    }
    return true;
}

/* Delivers what has arrived. False if the connection is over. */
static bool
write_packets(struct way *way, uint64_t now_us)
{
    way->blocked = false;
    while (way->first != NULL && way->first->due_us <= now_us) {
        struct packet *packet = way->first;
        const ssize_t sent = send(way->to, packet->bytes + packet->sent,
                                  packet->size - packet->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            way->blocked = errno == EAGAIN || errno == EINTR;
            return way->blocked;
        }
        packet->sent += (size_t)sent;
        if (packet->sent == packet->size) {
            way->first = packet->next;
            way->bytes -= packet->size;
            free(packet);
        }
        if (way->first == NULL) {
            way->last = NULL;
        }
    }
    return !way->ended || way->first != NULL;
}

/* Lets each connection in turn send one packet. */
static void
carry(struct slow_link *link)
{
    const uint64_t now_us = clock_monotonic_us();
    link->turn = (link->turn + 2) % WAYS;
    for (size_t i = 0; i < WAYS; i++) {
        const size_t at = (link->turn + i) % WAYS;
        if (may_read(link, at, now_us) && !read_packet(link, at, now_us)) {
            end_connection(link, at);
        }
        if (link->ways[at].from >= 0 && !write_packets(&link->ways[at], now_us)) {
            end_connection(link, at);
        }
    }
    if (atomic_exchange(&link->cut_all, false)) {
        for (size_t at = 0; at < WAYS; at += 2) {
            if (link->ways[at].from >= 0) {
                cut_connection(link, at);
            }
        }
    }
}

/* ---- the thread ---- */

static uint64_t
next_us(const struct slow_link *link, uint64_t now_us)
{
    uint64_t next_us = now_us + TICK_MS * CLOCK_MS_US;
    for (size_t i = 0; i < WAYS; i++) {
        const struct way *way = &link->ways[i];
        if (way->from >= 0 && way->first != NULL && !way->blocked) {
            next_us = clock_earlier_us(next_us, way->first->due_us);
        }
        if (link->free_us[i % 2] > now_us + HORIZON_US) {
            next_us = clock_earlier_us(next_us, link->free_us[i % 2] - HORIZON_US);
        }
    }
    return next_us;
}

/* Waits until something can be read or written, or a packet arrives. */
static void
wait_for_bytes(struct slow_link *link)
{
    struct pollfd polls[1 + 2 * WAYS];
    const uint64_t now_us = clock_monotonic_us();
    polls[0] = (struct pollfd){.fd = link->listening, .events = POLLIN};
    for (size_t i = 0; i < WAYS; i++) {
        const struct way *way = &link->ways[i];
        const bool reads = may_read(link, i, now_us);
        const bool writes = way->from >= 0 && way->blocked;
        polls[1 + 2 * i] = (struct pollfd){.fd = reads ? way->from : -1, .events = POLLIN};
        polls[2 + 2 * i] = (struct pollfd){.fd = writes ? way->to : -1, .events = POLLOUT};
    }
    /* Its results except the first are not needed: reads and writes are simply tried. */
    (void)poll(polls, 1 + 2 * WAYS, clock_poll_timeout_ms(now_us, next_us(link, now_us)));
    if (polls[0].revents != 0) {
        take_connection(link);
    }
}

static void *
work(void *context)
{
    struct slow_link *link = context;
    while (!atomic_load(&link->ending)) {
        wait_for_bytes(link);
        carry(link);
    }
    for (size_t at = 0; at < WAYS; at += 2) {
        if (link->ways[at].from >= 0) {
            end_connection(link, at);
        }
    }
    return NULL;
}

/* ---- what the test asks for ---- */

struct slow_link *
slow_link_open(int port, uint64_t bytes_per_s)
{
    struct slow_link *link = calloc(1, sizeof(*link));
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    CHECK(link != NULL);
    link->listening = new_socket(SOCKET_BYTES);
    link->server_port = port;
    link->bytes_per_s = bytes_per_s;
    random_seed(&link->random, 1);
    for (size_t i = 0; i < WAYS; i++) {
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

void
slow_link_delay(struct slow_link *link, uint64_t one_way_us)
{
    atomic_store(&link->delay_us, one_way_us);
}

void
slow_link_loss(struct slow_link *link, unsigned percent)
{
    atomic_store(&link->loss_percent, percent);
}

void
slow_link_cut_at(struct slow_link *link, const char *text)
{
    CHECK(text == NULL || strlen(text) < TAIL_BYTES);
    atomic_store(&link->cut_at, text);
}

void
slow_link_cut(struct slow_link *link)
{
    atomic_store(&link->cut_all, true);
}

int
slow_link_connections(const struct slow_link *link)
{
    return atomic_load(&link->connections);
}

int
slow_link_cuts(const struct slow_link *link)
{
    return atomic_load(&link->cuts);
}

uint64_t
slow_link_bytes(const struct slow_link *link, int from_server)
{
    return atomic_load(&link->carried[from_server]);
}

void
slow_link_close(struct slow_link *link)
{
    atomic_store(&link->ending, true);
    CHECK(pthread_join(link->thread, NULL) == 0);
    close(link->listening);
    free(link);
}
