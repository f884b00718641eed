/* tests/integration/http_fixture.h - a client of the relay's HTTP, which sends what it is told to. Any failure fails the
 * test (relay_fixture.h). Main thread only. */
#ifndef TESTS_INTEGRATION_HTTP_FIXTURE_H
#define TESTS_INTEGRATION_HTTP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A loopback port that nobody had when this process asked first. */
unsigned http_port(void);

/* For relay_options.global: a section `http` that listens there, with more keys in it. Static. */
const char *http_section(const char *keys);

/* The last answer; valid until the next request. */
struct http_reply {
    unsigned status; /* 0: there was none */
    const char *head;
    const char *body;
};

/* Sends these bytes on a connection of their own, and takes what comes until the other side closes. */
struct http_reply http_send(const char *bytes, size_t size);

/* A whole request with `Connection: close`; `headers`: more lines, each with its line feed; or NULL. */
struct http_reply http_ask(const char *method, const char *path, const char *headers);
struct http_reply http_get(const char *path);

/* Waits until the path is answered with this status, and the body has this text; NULL: any. */
struct http_reply http_await(const char *path, unsigned status, const char *text);

/* Waits until /metrics has this line. */
void http_await_metric(const char *format, ...) PRINTF_LIKE(1, 2);

/* The number of the metric: `outbox_relay_pending_messages{source="test"}`; NAN: it is not there. */
double http_metric(const char *name);

/* A connection, on which nothing was sent yet; -1 while nobody listens. */
int http_connect(void);

#endif
