/* consumers/redis_link.h - private to libinbox-redis: one connection to Redis, one command at a time, each with a
 * strict deadline. hiredis formats and parses. The socket is ours, and so is TLS: hiredis writes with write(2), so a
 * Redis that closed the connection would end the program with SIGPIPE; its timeouts are for a read, not for a call; and
 * before version 1.0 it has no TLS. */
#ifndef CONSUMERS_REDIS_LINK_H
#define CONSUMERS_REDIS_LINK_H

#include <hiredis/hiredis.h>
#include <inbox/inbox.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/net/tls.h"

#define REDIS_LINK_ADDRESSES_MAX 4

struct redis_address {
    struct sockaddr_storage bytes;
    socklen_t length;
};

struct redis_link {
    struct redis_address addresses[REDIS_LINK_ADDRESSES_MAX];
    size_t address_count;
    size_t address_next; /* to be tried next */
    int fd;              /* -1: not connected */
    redisReader *reader;
    const struct redis_link_tls *wanted; /* NULL: plain text */
    struct tls_context *context;         /* of this connection, as the files may have changed */
    struct tls *tls;
};

/* The other side must have a certificate for `name`, signed by an authority of the files. */
struct redis_link_tls {
    struct tls_files files;
    const char *name;
};

/* Looks the host up (one that begins with '/' is the path of a Unix socket); may block as long as the resolver does.
 * `tls` must outlive the link; NULL: plain text. */
inbox_result redis_link_init(struct redis_link *link, const char *host, uint16_t port,
                             const struct redis_link_tls *tls,
                             struct inbox_error *reterr) MUST_CHECK;
void redis_link_done(struct redis_link *link);

/* Tries one address, TLS included; the next call tries the next. */
inbox_result redis_link_connect(struct redis_link *link, uint64_t deadline_us,
                                struct inbox_error *reterr) MUST_CHECK;
void redis_link_close(struct redis_link *link);

/* False if not connected, or the other side has closed since the last reply. */
bool redis_link_is_open(struct redis_link *link);

/* Sends a command and waits for its reply, which the caller frees with freeReplyObject. An error reply is a reply. On
 * failure the connection is closed, because a late reply would be taken for that of another command. */
inbox_result redis_link_call(struct redis_link *link, size_t count, const char **words,
                             const size_t *lengths, uint64_t deadline_us, redisReply **ret_reply,
                             struct inbox_error *reterr) MUST_CHECK;

#endif
