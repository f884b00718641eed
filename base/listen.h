/* base/listen.h - where a server listens: "127.0.0.1:8372", "[::1]:8372", "0.0.0.0:80". Only numbers: a name could mean several
 * addresses, and another one tomorrow. */
#ifndef BASE_LISTEN_H
#define BASE_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

struct listen_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    bool loopback; /* only this machine reaches it */
};

/* The whole of `text`. False with *reterr, ERROR_CONFIG, which says what was expected. */
bool listen_parse(const char *text, struct listen_address *ret_address,
                  struct error *reterr) MUST_CHECK;

/* Whether `host` is a number or a name by which this machine means itself: "localhost", "127.0.0.1", "::1". Without port
 * and brackets. */
bool listen_is_loopback(const char *host);

#endif
