#include "tests/integration/mysql_proxy_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 50
#define HEADER_BYTES 4 /* the size in three bytes, and the number of the packet in its exchange */
#define PACKET_BYTES_MAX (HEADER_BYTES + (1 << 24))
#define COMMAND_QUIT 0x01
#define COMMAND_QUERY 0x03
#define ERROR_PACKET 0xff
#define END_PACKET \
    0xfe /* the first byte of the last packet of an answer with rows, as of no row with less than 16 MiB */

static const char error_words[] =
    "\x06\x04#HY000Got error 192 from storage engine"; /* 1030, ER_GET_ERRNO */

enum session { OWN, OTHER, SESSIONS };

struct client {
    struct client *next;
    struct mysql_proxy *proxy;
    pthread_t thread;
    int fd;
    int sessions[SESSIONS];
    enum session session; /* the session that got the last statement */
    bool refused;         /* the rest of its answer is dropped */
    size_t size;
    uint8_t *packet; /* the last packet, with its header */
};

struct mysql_proxy {
    pthread_t thread;
    int listening;
    int server_port;
    int port;
    int other;
    _Atomic enum mysql_proxy_way way;
    _Atomic(const char *) refused;
    atomic_bool ending;
    struct client *clients; /* including those that have ended */
};

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
            abort();                                                                             \
        }                                                                                        \
    } while (0)

/* ---- packets -------------------------------------------------------------------------------------------- */

/* False when the proxy ends. */
static bool
wait_for(const struct client *client, int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    while (!atomic_load(&client->proxy->ending)) {
        if (poll(&one, 1, TICK_MS) > 0) {
            return true;
        }
    }
    return false;
}

static bool
is_to_be_tried_again(ssize_t done)
{
    return done < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool
read_bytes(const struct client *client, int fd, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        if (!wait_for(client, fd, POLLIN)) {
            return false;
        }
        const ssize_t done = recv(fd, bytes, size, MSG_DONTWAIT);
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        } else if (!is_to_be_tried_again(done)) {
            return false;
        }
    }
    return true;
}

static bool
write_bytes(const struct client *client, int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        if (!wait_for(client, fd, POLLOUT)) {
            return false;
        }
        const ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done >= 0) {
            bytes += done;
            size -= (size_t)done;
        } else if (!is_to_be_tried_again(done)) {
            return false;
        }
    }
    return true;
}

/* False when the connection is over. */
static bool
read_packet(struct client *client, int fd)
{
    uint8_t *const packet = client->packet;
    if (!read_bytes(client, fd, packet, HEADER_BYTES)) {
        return false;
    }
    client->size = HEADER_BYTES + packet[0] + ((size_t)packet[1] << 8) + ((size_t)packet[2] << 16);
    return read_bytes(client, fd, packet + HEADER_BYTES, client->size - HEADER_BYTES);
}

static bool
write_packet(const struct client *client, int fd)
{
    return write_bytes(client, fd, client->packet, client->size);
}

/* The first byte of the content: the kind of command or answer. */
static uint8_t
first_byte(const struct client *client)
{
    return client->size > HEADER_BYTES ? client->packet[HEADER_BYTES] : 0;
}

/* ---- from the client ------------------------------------------------------------------------------------ */

/* The bytes that libmysqlclient sends before the text of a query: one set of zero attributes. */
static const char *
skip_attributes(const char *text)
{
    return text[0] == 0 ? text + 2 : text;
}

static bool
is_read(const struct client *client)
{
    static const char word[] = "select";
    const char *const text = skip_attributes((const char *)client->packet + HEADER_BYTES + 1);
    return first_byte(client) == COMMAND_QUERY && client->size > HEADER_BYTES + 2 + sizeof(word) &&
           strncasecmp(text, word, sizeof(word) - 1) == 0;
}

static enum session
session_of(const struct client *client)
{
    if (client->sessions[OTHER] < 0 || first_byte(client) == COMMAND_QUIT) {
        return OWN;
    }
    switch (atomic_load(&client->proxy->way)) {
    case MYSQL_PROXY_OTHER:
        return OTHER;
    case MYSQL_PROXY_IN_TURN:
        return client->session == OWN ? OTHER : OWN;
    case MYSQL_PROXY_READS_TO_OTHER:
        return is_read(client) ? OTHER : OWN;
    case MYSQL_PROXY_OWN:
        break;
    }
    return OWN;
}

/* A command is the first packet of an exchange; in the handshake clients only answer. */
static bool
carry_to_server(struct client *client)
{
    if (!read_packet(client, client->fd)) {
        return false;
    }
    if (client->packet[HEADER_BYTES - 1] == 0) {
        client->session = session_of(client);
        client->refused = false;
    }
    return write_packet(client, client->sessions[client->session]);
}

/* ---- from the server ------------------------------------------------------------------------------------ */

static bool
has_refused(const struct client *client)
{
    const char *const text = atomic_load(&client->proxy->refused);
    return text != NULL && memmem(client->packet, client->size, text, strlen(text)) != NULL;
}

/* Sends the error instead of the packet. */
static void
make_error(struct client *client)
{
    const size_t size = 1 + sizeof(error_words) - 1;
    client->packet[0] = (uint8_t)size;
    client->packet[1] = 0;
    client->packet[2] = 0;
    client->packet[HEADER_BYTES] = ERROR_PACKET;
    memcpy(client->packet + HEADER_BYTES + 1, error_words, size - 1);
    client->size = HEADER_BYTES + size;
}

static bool
carry_to_client(struct client *client, enum session session)
{
    if (!read_packet(client, client->sessions[session])) {
        return false;
    }
    if (client->refused) {
        client->refused = first_byte(client) != END_PACKET;
        return true;
    }
    if (has_refused(client)) {
        client->refused = true;
        make_error(client);
    }
    return write_packet(client, client->fd);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

/* False when the client's connection is over. */
static bool
carry(struct client *client)
{
    struct pollfd polls[] = {
        {.fd = client->sessions[client->session], .events = POLLIN},
        {.fd = client->fd, .events = POLLIN},
    };
    if (poll(polls, 2, TICK_MS) <= 0) {
        return true;
    }
    return polls[0].revents != 0 ? carry_to_client(client, client->session)
                                 : carry_to_server(client);
}

static void *
serve(void *context)
{
    struct client *client = context;
    while (!atomic_load(&client->proxy->ending) && carry(client)) {
    }
    close(client->fd);
    close(client->sessions[OWN]);
    free(client->packet);
    return NULL;
}

static struct sockaddr_in
loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
connect_to_server(const struct mysql_proxy *proxy)
{
    const int at_once = 1;
    const struct sockaddr_in server = loopback(proxy->server_port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (const struct sockaddr *)&server, sizeof(server)) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)) == 0);
    return fd;
}

static void
take_client(struct mysql_proxy *proxy)
{
    struct client *client = calloc(1, sizeof(*client));
    CHECK(client != NULL);
    client->proxy = proxy;
    client->packet = malloc(PACKET_BYTES_MAX);
    CHECK(client->packet != NULL);
    client->fd = accept4(proxy->listening, NULL, NULL, SOCK_CLOEXEC);
    CHECK(client->fd >= 0);
    client->sessions[OWN] = connect_to_server(proxy);
    client->sessions[OTHER] = proxy->other;
    client->next = proxy->clients;
    proxy->clients = client;
    CHECK(pthread_create(&client->thread, NULL, serve, client) == 0);
}

static void *
listen_for_clients(void *context)
{
    struct mysql_proxy *proxy = context;
    while (!atomic_load(&proxy->ending)) {
        struct pollfd one = {.fd = proxy->listening, .events = POLLIN};
        if (poll(&one, 1, TICK_MS) > 0) {
            take_client(proxy);
        }
    }
    return NULL;
}

/* ---- what the test asks for ----------------------------------------------------------------------------- */

struct mysql_proxy *
mysql_proxy_open(int port, int other)
{
    struct mysql_proxy *proxy = calloc(1, sizeof(*proxy));
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    CHECK(proxy != NULL);
    proxy->server_port = port;
    proxy->other = other;
    proxy->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(proxy->listening >= 0);
    CHECK(bind(proxy->listening, (const struct sockaddr *)&address, size) == 0);
    CHECK(listen(proxy->listening, SOMAXCONN) == 0);
    CHECK(getsockname(proxy->listening, (struct sockaddr *)&address, &size) == 0);
    proxy->port = ntohs(address.sin_port);
    CHECK(pthread_create(&proxy->thread, NULL, listen_for_clients, proxy) == 0);
    return proxy;
}

int
mysql_proxy_port(const struct mysql_proxy *proxy)
{
    return proxy->port;
}

void
mysql_proxy_take(struct mysql_proxy *proxy, enum mysql_proxy_way way)
{
    atomic_store(&proxy->way, way);
}

void
mysql_proxy_refuse(struct mysql_proxy *proxy, const char *text)
{
    atomic_store(&proxy->refused, text);
}

void
mysql_proxy_close(struct mysql_proxy *proxy)
{
    atomic_store(&proxy->ending, true);
    CHECK(pthread_join(proxy->thread, NULL) == 0);
    while (proxy->clients != NULL) {
        struct client *client = proxy->clients;
        proxy->clients = client->next;
        CHECK(pthread_join(client->thread, NULL) == 0);
        free(client);
    }
    close(proxy->listening);
    free(proxy);
}
