/* relay/http/route.h - what the parts that answer share: a request, its answer, and the table of routes (routes.c). A new
 * path is a line there and a handler.
 *
 * A handler sees only requests that may be answered: the method is the route's, the host and the origin are good, and for
 * HTTP_CHANGES the token too. It fills in the answer and returns. It runs in the server's only thread and must not wait
 * for anything, unless its route has HTTP_ASKS: then it runs in a thread of the crew, and may ask a database. Any number
 * of those run at the same time. */
#ifndef RELAY_HTTP_ROUTE_H
#define RELAY_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "relay/daemon/board.h"

enum http_flags {
    HTTP_CHANGES = 1, /* needs the token, and is refused across origins */
    HTTP_ASKS = 2,    /* may wait: runs in a thread of the crew */
};

/* Valid until the handler returns. */
struct http_request {
    const char *path; /* without its arguments, decoded */
    const char *rest; /* what stands in the place of the route's `*`; else "" */
    const void *body; /* NULL if there is none */
    size_t body_size;
    char peer[64]; /* the address of the other side */
    /* The server's; for the functions below. */
    void *connection;
    const char *(*find_argument)(void *connection, const char *name);
    const char *(*find_header)(void *connection, const char *name);
};

/* Decoded, "" for an argument without a value; NULL: it is not there. */
const char *http_argument(const struct http_request *request, const char *name);
/* NULL: it is not there. */
const char *http_header(const struct http_request *request, const char *name);

/* All zero to begin with, but for the status, which is 200. */
struct http_answer {
    unsigned status;
    const char *type; /* Content-Type; lives for ever; NULL: plain text */
    char *body;       /* NULL: none */
    size_t size;
    bool lasts; /* the body lives for ever; else it is from malloc, and is freed */
};

/* Answers with words, and a line feed behind them. */
void http_answer_words(struct http_answer *answer, unsigned status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* A stream for the body, which is in the answer after http_answer_end. */
FILE *http_answer_begin(struct http_answer *answer);
void http_answer_end(struct http_answer *answer, FILE *stream);

struct api_askers;
struct facts;

/* What handlers work with; lives as long as the server. */
struct http_context {
    struct board *board;
    struct facts *facts;
    struct api_askers *askers;
};

struct http_route {
    const char *method; /* "GET", which answers HEAD too, or "POST" */
    const char *path;   /* may end in a `*`, for any rest */
    unsigned flags;
    void (*handle)(const struct http_context *context, const struct http_request *request,
                   struct http_answer *answer);
};

/* Ends with a route without a path. */
extern const struct http_route http_routes[];

/* The route of a request, with what stands for its `*`; NULL: there is none. Then *ret_allowed says which methods the path
 * has, NULL: none, there is no such path. */
const struct http_route *http_route_find(const struct http_route *routes, const char *method,
                                         const char *path, const char **ret_rest,
                                         const char **ret_allowed);

#endif
