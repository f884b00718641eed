#include "tests/integration/http_fixture.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/relay_fixture.h"

#define ANSWER_BYTES (1024 * 1024)

static char answer[ANSWER_BYTES];

static struct sockaddr_in
loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool
is_free(unsigned port)
{
    const struct sockaddr_in address = loopback(port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket: %s", strerror(errno));
    const bool bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd); /* was only bound */
    return bound;
}

/* None of those that the kernel gives to outgoing connections, of which other tests make many. */
unsigned
http_port(void)
{
    static unsigned port;
    while (port == 0) {
        uint16_t random;
        check(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random), "no random number");
        const unsigned tried = 15000 + random % 17000; /* as tests/services does */
        port = is_free(tried) ? tried : 0;
    }
    return port;
}

const char *
http_section(const char *keys)
{
    static char section[500];
    (void)snprintf(section, sizeof(section), "http {\n    listen = \"127.0.0.1:%u\"\n    %s\n}\n",
                   http_port(), keys == NULL ? "" : keys); /* fits */
    return section;
}

int
http_connect(void)
{
    const struct sockaddr_in address = loopback(http_port());
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* All that comes until the end, as text. */
static void
receive(int fd)
{
    size_t size = 0;
    for (;;) {
        const ssize_t part = recv(fd, answer + size, ANSWER_BYTES - 1 - size, 0);
        check(part >= 0 || errno == ECONNRESET, "no end of the answer: %s", strerror(errno));
        if (part <= 0) {
            break;
        }
        size += (size_t)part;
        check(size < ANSWER_BYTES - 1, "the answer is too long");
    }
    answer[size] = '\0';
}

struct http_reply
http_send(const char *bytes, size_t size)
{
    struct http_reply reply = {.head = answer, .body = ""};
    const int fd = http_connect();
    answer[0] = '\0';
    if (fd < 0) {
        return reply;
    }
    for (size_t sent = 0; sent < size;) {
        const ssize_t part = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
            break; /* it was cut off; there may be an answer */
        }
        sent += (size_t)part;
    }
    receive(fd);
    (void)close(fd);
    char *const end = strstr(answer, "\r\n\r\n");
    if (end != NULL) {
        end[2] = '\0';
        reply.body = end + 4;
    }
    if (sscanf(answer, "HTTP/1.%*d %u", &reply.status) != 1) {
        reply.status = 0;
    }
    return reply;
}

struct http_reply
http_ask(const char *method, const char *path, const char *headers)
{
    char request[8192];
    const int size = snprintf(request, sizeof(request),
                              "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                              method, path, headers == NULL ? "" : headers);
    check(size > 0 && (size_t)size < sizeof(request), "the request is too long");
    return http_send(request, (size_t)size);
}

struct http_reply
http_get(const char *path)
{
    return http_ask("GET", path, NULL);
}

struct wanted {
    const char *path;
    unsigned status;
    const char *text;
    struct http_reply reply;
};

static bool
is_answered(void *context)
{
    struct wanted *const wanted = context;
    wanted->reply = http_get(wanted->path);
    return wanted->reply.status == wanted->status &&
           (wanted->text == NULL || strstr(wanted->reply.body, wanted->text) != NULL);
}

struct http_reply
http_await(const char *path, unsigned status, const char *text)
{
    char what[600];
    struct wanted wanted = {.path = path, .status = status, .text = text};
    (void)snprintf(what, sizeof(what), "%s is answered by %u, with \"%s\"", path, status,
                   text == NULL ? "" : text); /* cut is fine */
    await(is_answered, &wanted, what, PATIENCE_S);
    return wanted.reply;
}

void
http_await_metric(const char *format, ...)
{
    char line[400];
    char whole[402];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments); /* fits */
    va_end(arguments);
    (void)snprintf(whole, sizeof(whole), "\n%s\n", line); /* fits */
    (void)http_await("/metrics", 200, whole);             /* is enough */
}

double
http_metric(const char *name)
{
    char start[300];
    (void)snprintf(start, sizeof(start), "\n%s ", name); /* fits */
    const struct http_reply reply = http_get("/metrics");
    check(reply.status == 200, "/metrics: %s", answer);
    const char *const line = strstr(reply.body, start);
    return line == NULL ? NAN : strtod(line + strlen(start), NULL);
}
