/* Promise: HTTP answers whom it may, within limits, and whatever is sent to it changes nothing for the messages. */
#include <criterion/criterion.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/http_fixture.h"
#include "tests/integration/scene_fixture.h"

TestSuite(http, .init = scene_open, .fini = scene_close, .timeout = 240);

static void
start(const char *keys)
{
    scene.relay = relay_start(&(struct relay_options){.global = http_section(keys)});
    (void)relay_await_log(scene.relay, "event=http_listening", NULL); /* is enough */
    relay_await_work(scene.relay);
}

static void
expect_status(struct http_reply reply, unsigned status)
{
    check(reply.status == status, "expected %u, got %u: %s%s", status, reply.status, reply.head,
          reply.body);
}

static bool
has_line(const char *text, const char *line)
{
    const char *const at = strstr(text, line);
    return at != NULL && (at == text || at[-1] == '\n');
}

/* Everything that is answered by the relay itself has these. */
static void
expect_safe(struct http_reply reply)
{
    static const char *const lines[] = {"Content-Security-Policy: default-src 'self'",
                                        "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
                                        "Referrer-Policy: no-referrer", "Cache-Control: no-store"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        check(has_line(reply.head, lines[i]), "no %s in: %s", lines[i], reply.head);
    }
}

Test(http, paths_methods_and_hosts)
{
    start(NULL);
    struct http_reply reply = http_get("/healthz");
    expect_status(reply, 200);
    expect_safe(reply);
    check(strcmp(reply.body, "alive\n") == 0, "%s", reply.body);
    reply = http_get("/readyz");
    expect_status(reply, 200);
    expect_safe(reply);
    check(strncmp(reply.body, "test: ", 6) == 0, "%s", reply.body);
    reply = http_ask("HEAD", "/metrics", NULL);
    expect_status(reply, 200);
    check(reply.body[0] == '\0', "HEAD with a body: %s", reply.body);
    reply = http_get("/nothing");
    expect_status(reply, 404);
    expect_safe(reply);
    reply = http_ask("POST", "/metrics", "Content-Length: 0\r\n");
    expect_status(reply, 405);
    check(has_line(reply.head, "Allow: GET, HEAD"), "%s", reply.head);
    expect_status(http_ask("TRACE", "/metrics", NULL), 405);
    static const char foreign[] = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    expect_status(http_send(foreign, strlen(foreign)), 421);
    relay_drain(scene.relay);
}

/* promtool reads it as Prometheus does, and knows what metrics should be called. */
Test(http, metrics_are_as_prometheus_takes_them)
{
    start(NULL);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'x')", scene.queue);
    http_await_metric("outbox_relay_confirmed_messages_total{source=\"test\"} 1");
    http_await_metric("outbox_relay_database_figures_up{source=\"test\"} 1");
    const struct http_reply reply = http_get("/metrics");
    check(strstr(reply.head, "Content-Type: text/plain; version=0.0.4;") != NULL, "%s", reply.head);
    FILE *const promtool = popen("promtool check metrics", "w");
    check(promtool != NULL && fputs(reply.body, promtool) >= 0, "promtool");
    const int status = pclose(promtool);
    check(status == 0, "promtool: %d", status);
    const struct http_reply open =
        http_ask("GET", "/metrics",
                 "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    check(strstr(open.head, "Content-Type: application/openmetrics-text; version=1.0.0;") != NULL,
          "%s", open.head);
    check(strstr(open.body, "\n# EOF\n") != NULL, "%s", open.body);
    relay_drain(scene.relay);
}

static bool
is_cut(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool
some_are_cut(void *context)
{
    const int *fds = context;
    for (; *fds > 0; fds++) {
        if (is_cut(*fds)) {
            return true;
        }
    }
    return false;
}

/* One address may have so many connections, and no more; and those in use do not keep the relay from ending. */
Test(http, one_address_has_so_many_connections)
{
    enum { MANY = 40, MOST = 32 };
    int fds[MANY + 1] = {0};
    unsigned cut = 0;
    start(NULL);
    for (unsigned i = 0; i < MANY; i++) {
        fds[i] = http_connect();
        check(fds[i] > 0, "nobody listens");
    }
    await(some_are_cut, fds, "connections above the limit are cut", PATIENCE_S);
    for (unsigned i = 0; i < MANY; i++) {
        cut += is_cut(fds[i]) ? 1 : 0;
    }
    check(cut <= MANY - MOST, "%u of %u were cut", cut, MANY);
    relay_drain(scene.relay);
    for (unsigned i = 0; i < MANY; i++) {
        (void)close(fds[i]);
    }
}

static void
expect_refused(const char *before, const char *behind)
{
    enum { LARGE = 100 * 1024 };
    static char filling[LARGE + 1];
    static char request[LARGE + 200];
    memset(filling, 'a', LARGE);
    const int size = snprintf(request, sizeof(request), "%s%s%s", before, filling, behind);
    const unsigned status = http_send(request, (size_t)size).status;
    check(status == 0 || (status >= 400 && status < 500), "%s: %u", before, status);
}

Test(http, what_is_too_large_is_refused)
{
    start(NULL);
    expect_refused("GET /", " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_refused("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ", "\r\n\r\n");
    expect_status(http_get("/healthz"), 200);
    relay_drain(scene.relay);
}

/* Nonsense ends its own connection; the others, and the messages, go on. */
Test(http, nonsense_is_survived)
{
    static const char *const requests[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /metrics\r\n\r\n",
        "GET /metrics HTTP/9.9\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n\r\n",
        "GET /%00%ff%zz%2e%2e/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    };
    int fds[sizeof(requests) / sizeof(requests[0])];
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    start(NULL);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        fds[i] = http_connect();
        check(fds[i] > 0, "nobody listens");
        (void)send(fds[i], requests[i], strlen(requests[i]), MSG_NOSIGNAL); /* it may be cut */
    }
    expect_status(http_get("/healthz"), 200);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'on')", scene.queue);
    consumer_expect(consumer, "on");
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        (void)close(fds[i]);
    }
    expect_status(http_get("/healthz"), 200);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* Promise: a client that sends a byte now and then is cut after 30 s, while a request that comes to its end has its
 * answer. */
Test(http, a_slow_client_is_cut)
{
    if (getenv("OUTBOX_TEST_LONG") == NULL) {
        return; /* test_http_server.c does it without the wait */
    }
    static const char request[] = "GET /healthz HTTP/1.1\r\nX: and so on";
    start(NULL);
    const int fd = http_connect();
    const uint64_t since_us = clock_monotonic_us();
    check(fd > 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0, "nobody listens");
    while (!is_cut(fd)) {
        const uint64_t waited_us = clock_monotonic_us() - since_us;
        check(waited_us < PATIENCE_S * CLOCK_S_US, "it was not cut");
        (void)send(fd, "x", 1, MSG_NOSIGNAL); /* it may be cut just now */
        expect_status(http_get("/healthz"), 200);
        (void)usleep(500000); /* the wait itself is tested */
    }
    check(clock_monotonic_us() - since_us > 29 * CLOCK_S_US, "it was cut too early");
    (void)close(fd);
    relay_drain(scene.relay);
}

static int
occupy_port(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)http_port()),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    check(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
              bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(fd, 1) == 0,
          "the port cannot be taken");
    return fd;
}

/* Promise: where the port is taken, messages are relayed all the same, one line says so, and HTTP comes when the port is
 * free. */
Test(http, a_taken_port_is_no_reason_to_stand_still)
{
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    const int port = occupy_port();
    scene.relay = relay_start(&(struct relay_options){.global = http_section(NULL)});
    (void)relay_await_log(scene.relay, "event=http_failed", "Address already in use");
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'all the same')",
               scene.queue);
    consumer_expect(consumer, "all the same");
    (void)close(port);
    (void)http_await("/healthz", 200, NULL); /* is enough */
    check(relay_logged(scene.relay, "event=http_failed") == 1, "told more than once");
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* Promise: a database whose server takes connections and says nothing keeps neither HTTP nor the end of the process
 * waiting. */
Test(http, a_database_that_never_answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char dsn[100];
    const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(silent >= 0 && bind(silent, (struct sockaddr *)&address, size) == 0 &&
              listen(silent, 50) == 0 &&
              getsockname(silent, (struct sockaddr *)&address, &size) == 0,
          "no socket");
    (void)snprintf(dsn, sizeof(dsn),
                   "host=127.0.0.1 port=%d dbname=shop user=shop connect_timeout=600",
                   ntohs(address.sin_port)); /* fits */
    scene.relay = relay_start(&(struct relay_options){.global = http_section(NULL), .dsn = dsn});
    (void)http_await("/readyz", 503, "test: starting: "); /* is enough */
    http_await_metric("outbox_relay_database_figures_up{source=\"test\"} 0");
    expect_status(http_get("/metrics"), 200);
    relay_drain(scene.relay);
    (void)close(silent);
}

static char pem[2][300];

/* A key and its certificate, in the directory of the tests. */
static const char *
make_certificate(void)
{
    static char keys[700];
    char command[800];
    (void)snprintf(pem[0], sizeof(pem[0]), "%s/http-%d.pem", test_env("OUTBOX_TEST_DIR"), getpid());
    (void)snprintf(pem[1], sizeof(pem[1]), "%s/http-%d.key", test_env("OUTBOX_TEST_DIR"), getpid());
    (void)snprintf(
        command, sizeof(command),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost -out %s -keyout %s "
        "2>/dev/null",
        pem[0], pem[1]);
    check(system(command) == 0, "openssl req failed");
    (void)snprintf(keys, sizeof(keys), "tls_cert = \"%s\"\n    tls_key = \"%s\"", pem[0], pem[1]);
    return keys;
}

/* Whether "alive" is the answer to somebody who speaks this version alone. */
static bool
answers_over(const char *version)
{
    char command[900];
    (void)snprintf(command, sizeof(command),
                   "printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: "
                   "close\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error -CAfile %s "
                   "-verify_hostname localhost -cipher ALL:@SECLEVEL=0 %s -connect 127.0.0.1:%u "
                   "2>/dev/null | grep -q '^alive'",
                   pem[0], version, http_port());
    return system(command) == 0;
}

Test(http, over_tls)
{
    start(make_certificate());
    check(answers_over("-tls1_3"), "TLS 1.3");
    check(answers_over("-tls1_2"), "TLS 1.2");
    check(!answers_over("-tls1_1"), "TLS 1.1 is not safe");
    check(!answers_over("-tls1"), "TLS 1.0 is not safe");
    check(http_get("/healthz").status == 0, "answered without TLS");
    relay_drain(scene.relay);
    (void)unlink(pem[0]);
    (void)unlink(pem[1]);
}
