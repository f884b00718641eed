#include "consumers/redis_link.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "consumers/inbox_private.h"

static inbox_result
use_unix_socket(struct redis_link *link, const char *path, struct inbox_error *reterr)
{
    struct redis_address *address = &link->addresses[0];
    struct sockaddr_un *name = (struct sockaddr_un *)&address->bytes;
    if (strlen(path) >= sizeof(name->sun_path)) {
        return inbox_fail(reterr, INBOX_INVALID, "host: the path of a socket has at most %zu bytes",
                          sizeof(name->sun_path) - 1);
    }
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, strlen(path) + 1);
    address->length = sizeof(*name);
    link->address_count = 1;
    return INBOX_OK;
}

static inbox_result
use_host(struct redis_link *link, const char *host, uint16_t port, struct inbox_error *reterr)
{
    char service[8];
    struct addrinfo *found = NULL;
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    (void)snprintf(service, sizeof(service), "%u", port);
    const int status = getaddrinfo(host, service, &wanted, &found);
    if (status != 0) {
        return inbox_fail(reterr, status == EAI_MEMORY ? INBOX_NO_MEMORY : INBOX_CONNECTION,
                          "host %s: %s", host, gai_strerror(status));
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (link->address_count < REDIS_LINK_ADDRESSES_MAX) {
            struct redis_address *address = &link->addresses[link->address_count++];
            memcpy(&address->bytes, at->ai_addr, at->ai_addrlen);
            address->length = at->ai_addrlen;
        }
    }
    freeaddrinfo(found);
    return INBOX_OK;
}

inbox_result
redis_link_init(struct redis_link *link, const char *host, uint16_t port,
                const struct redis_link_tls *tls, struct inbox_error *reterr)
{
    *link = (struct redis_link){.fd = -1, .wanted = tls};
    return host[0] == '/' ? use_unix_socket(link, host, reterr)
                          : use_host(link, host, port, reterr);
}

void
redis_link_close(struct redis_link *link)
{
    tls_free(link->tls);
    tls_context_free(link->context);
    link->tls = NULL;
    link->context = NULL;
    if (link->fd >= 0) {
        (void)close(link->fd);
        link->fd = -1;
    }
    if (link->reader != NULL) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }
}

void
redis_link_done(struct redis_link *link)
{
    redis_link_close(link);
}

/* Closes the connection, because replies that still arrive are useless. */
static inbox_result
fail_with(struct redis_link *link, struct inbox_error *reterr, inbox_result code, const char *words)
{
    /* first, as `words` may belong to the reader */
    (void)inbox_fail(reterr, code, "Redis: %s", words);
    redis_link_close(link);
    return code;
}

static inbox_result
fail_with_errno(struct redis_link *link, struct inbox_error *reterr)
{
    char words[128];
    return fail_with(link, reterr, INBOX_CONNECTION, strerror_r(errno, words, sizeof(words)));
}

/* Waits until one of `events` occurs. */
static inbox_result
wait_for(struct redis_link *link, short events, uint64_t deadline_us, struct inbox_error *reterr)
{
    struct pollfd watched = {.fd = link->fd, .events = events};
    for (;;) {
        const uint64_t now_us = clock_monotonic_us();
        if (now_us >= deadline_us) {
            return fail_with(link, reterr, INBOX_CONNECTION, "no answer in time");
        }
        const int ready = poll(&watched, 1, clock_poll_timeout_ms(now_us, deadline_us));
        if (ready > 0) {
            return INBOX_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return fail_with_errno(link, reterr);
        }
    }
}

static inbox_result
finish_connecting(struct redis_link *link, uint64_t deadline_us, struct inbox_error *reterr)
{
    const inbox_result code = wait_for(link, POLLOUT, deadline_us, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    int status = 0;
    socklen_t size = sizeof(status);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &status, &size) != 0) {
        return fail_with_errno(link, reterr);
    }
    errno = status;
    return status == 0 ? INBOX_OK : fail_with_errno(link, reterr);
}

/* Where TLS has failed, or cannot go on yet. */
static inbox_result
after_tls(struct redis_link *link, enum tls_result result, const struct error *error,
          uint64_t deadline_us, struct inbox_error *reterr)
{
    switch (result) {
    case TLS_DONE:
        return INBOX_OK;
    case TLS_WANT_READ:
        return wait_for(link, POLLIN, deadline_us, reterr);
    case TLS_WANT_WRITE:
        return wait_for(link, POLLOUT, deadline_us, reterr);
    case TLS_END:
        return fail_with(link, reterr, INBOX_CONNECTION, "the connection was closed");
    case TLS_FAILED:
        break;
    }
    return fail_with(link, reterr, INBOX_CONNECTION, error->text);
}

static inbox_result
secure(struct redis_link *link, uint64_t deadline_us, struct inbox_error *reterr)
{
    struct error error;
    enum tls_result result = TLS_FAILED;
    inbox_result code = INBOX_OK;
    link->context = tls_context_new(&link->wanted->files, true, &error);
    if (link->context != NULL) {
        link->tls = tls_new(link->context, link->fd, link->wanted->name, NULL, &error);
    }
    if (link->tls == NULL) {
        return fail_with(link, reterr, INBOX_CONNECTION, error.text);
    }
    while (code == INBOX_OK && result != TLS_DONE) {
        result = tls_handshake(link->tls, &error);
        code = after_tls(link, result, &error, deadline_us, reterr);
    }
    if (code == INBOX_CONNECTION && clock_monotonic_us() >= deadline_us) {
        /* A Redis without TLS takes the first bytes of it for a command that is not complete yet. */
        return inbox_fail(reterr, code,
                          "Redis: no answer to TLS in time: is this its port for TLS?");
    }
    return code;
}

static inbox_result
connect_to(struct redis_link *link, const struct redis_address *address, uint64_t deadline_us,
           struct inbox_error *reterr)
{
    if (connect(link->fd, (const struct sockaddr *)&address->bytes, address->length) == 0) {
        return INBOX_OK;
    }
    /* A Unix socket whose backlog is full gives EAGAIN, and that is final. */
    return errno == EINPROGRESS ? finish_connecting(link, deadline_us, reterr)
                                : fail_with_errno(link, reterr);
}

inbox_result
redis_link_connect(struct redis_link *link, uint64_t deadline_us, struct inbox_error *reterr)
{
    redis_link_close(link);
    const struct redis_address *address = &link->addresses[link->address_next];
    link->address_next = (link->address_next + 1) % link->address_count;
    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory to read from Redis");
    }
    link->fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        return fail_with_errno(link, reterr);
    }
    if (address->bytes.ss_family != AF_UNIX) {
        const int on = 1;
        (void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    const inbox_result code = connect_to(link, address, deadline_us, reterr);
    return code == INBOX_OK && link->wanted != NULL ? secure(link, deadline_us, reterr) : code;
}

/* Between two replies nothing comes but what TLS itself says. */
static bool
is_quiet(struct redis_link *link)
{
    char byte;
    size_t got;
    if (link->tls != NULL) {
        return tls_read(link->tls, &byte, 1, &got, NULL) == TLS_WANT_READ;
    }
    return recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

bool
redis_link_is_open(struct redis_link *link)
{
    if (link->fd < 0) {
        return false;
    }
    if (is_quiet(link)) {
        return true;
    }
    /* The end of the connection, an error, or unexpected bytes. */
    redis_link_close(link);
    return false;
}

/* Sends what can be sent, or waits until more can. */
static inbox_result
send_some(struct redis_link *link, const char *bytes, size_t size, uint64_t deadline_us,
          size_t *ret_sent, struct inbox_error *reterr)
{
    *ret_sent = 0;
    if (link->tls != NULL) {
        struct error error;
        const enum tls_result result = tls_write(link->tls, bytes, size, ret_sent, &error);
        return after_tls(link, result, &error, deadline_us, reterr);
    }
    const ssize_t sent = send(link->fd, bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) {
        *ret_sent = (size_t)sent;
        return INBOX_OK;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        return fail_with_errno(link, reterr);
    }
    return wait_for(link, POLLOUT, deadline_us, reterr);
}

static inbox_result
send_all(struct redis_link *link, const char *bytes, size_t size, uint64_t deadline_us,
         struct inbox_error *reterr)
{
    inbox_result code = INBOX_OK;
    while (size > 0 && code == INBOX_OK) {
        size_t sent;
        code = send_some(link, bytes, size, deadline_us, &sent, reterr);
        bytes += sent;
        size -= sent;
    }
    return code;
}

/* Reads once, which may give nothing, or waits. */
static inbox_result
read_some(struct redis_link *link, char *bytes, size_t size, uint64_t deadline_us, size_t *ret_got,
          struct inbox_error *reterr)
{
    *ret_got = 0;
    if (link->tls != NULL) {
        struct error error;
        const enum tls_result result = tls_read(link->tls, bytes, size, ret_got, &error);
        return after_tls(link, result, &error, deadline_us, reterr);
    }
    const inbox_result code = wait_for(link, POLLIN, deadline_us, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    const ssize_t got = recv(link->fd, bytes, size, 0);
    if (got == 0) {
        return fail_with(link, reterr, INBOX_CONNECTION, "the connection was closed");
    }
    *ret_got = got > 0 ? (size_t)got : 0;
    return got > 0 || errno == EAGAIN || errno == EINTR ? INBOX_OK : fail_with_errno(link, reterr);
}

static inbox_result
feed(struct redis_link *link, uint64_t deadline_us, struct inbox_error *reterr)
{
    char bytes[16384];
    size_t got;
    const inbox_result code = read_some(link, bytes, sizeof(bytes), deadline_us, &got, reterr);
    if (code == INBOX_OK && redisReaderFeed(link->reader, bytes, got) != REDIS_OK) {
        return fail_with(link, reterr, INBOX_NO_MEMORY, link->reader->errstr);
    }
    return code;
}

static inbox_result
receive(struct redis_link *link, uint64_t deadline_us, redisReply **ret_reply,
        struct inbox_error *reterr)
{
    void *reply = NULL;
    for (;;) {
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            return fail_with(link, reterr,
                             link->reader->err == REDIS_ERR_OOM ? INBOX_NO_MEMORY
                                                                : INBOX_CONNECTION,
                             link->reader->errstr);
        }
        if (reply != NULL) {
            *ret_reply = reply;
            return INBOX_OK;
        }
        const inbox_result code = feed(link, deadline_us, reterr);
        if (code != INBOX_OK) {
            return code;
        }
    }
}

inbox_result
redis_link_call(struct redis_link *link, size_t count, const char **words, const size_t *lengths,
                uint64_t deadline_us, redisReply **ret_reply, struct inbox_error *reterr)
{
    char *command = NULL;
    const long long size = redisFormatCommandArgv(&command, (int)count, words, lengths);
    if (size < 0) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for a command to Redis");
    }
    const inbox_result code = send_all(link, command, (size_t)size, deadline_us, reterr);
    redisFreeCommand(command);
    return code == INBOX_OK ? receive(link, deadline_us, ret_reply, reterr) : code;
}
