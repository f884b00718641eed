/* relay/http/guard.h - whether a request may be answered, by what its headers say. Pure: no server, no file. */
#ifndef RELAY_HTTP_GUARD_H
#define RELAY_HTTP_GUARD_H

#include <stdbool.h>

struct guard_request {
    bool loopback;    /* the server listens on loopback, and no proxy stands before it */
    bool changes;     /* the request would change something */
    const char *host; /* the headers; NULL: not there */
    const char *origin;
    const char *site; /* Sec-Fetch-Site */
    const char *authorization;
    const char *token; /* what is needed to change something; NULL: nothing can be changed */
};

/* 0: it may be answered. Else the status to refuse it with, and words that say why. */
unsigned guard_refuses(const struct guard_request *request, const char **ret_words);

#endif
