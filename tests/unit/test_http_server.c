/* The server with routes of the test's own, over loopback. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/http/server.h"

#define LONG_US (60 * CLOCK_S_US)

static char token_path[] = "/tmp/test_http_server.XXXXXX";
static char listen_text[40];
static unsigned port;
static struct http_config config;
static struct board *board;
static struct crew *crew;
static struct server *server;
static sem_t may_answer;
static sem_t asking;
static atomic_uint changes;

/* ---- what is answered ---- */

static void
answer_echo(const struct http_context *context, const struct http_request *request,
            struct http_answer *answer)
{
    const char *const word = http_argument(request, "word");
    cr_assert_eq(context->board, board);
    http_answer_words(answer, 200, "%s %s %s %.*s", request->path, request->rest,
                      word == NULL ? "-" : word, (int)request->body_size,
                      request->body == NULL ? "" : (const char *)request->body);
}

static void
answer_slowly(const struct http_context *context, const struct http_request *request,
              struct http_answer *answer)
{
    (void)context; /* has the shape of a handler */
    (void)sem_post(&asking);
    while (sem_wait(&may_answer) != 0) {
    }
    http_answer_words(answer, 200, "slowly, %s", http_header(request, "Host"));
}

static void
answer_change(const struct http_context *context, const struct http_request *request,
              struct http_answer *answer)
{
    static char done[] = "done";
    (void)context; /* as above */
    (void)request;
    changes++;
    answer->body = done;
    answer->size = strlen(done);
    answer->lasts = true;
    answer->status = 202;
}

static const struct http_route routes[] = {
    {"GET", "/echo/*", 0, answer_echo},
    {"POST", "/echo/*", 0, answer_echo},
    {"GET", "/slow", HTTP_ASKS, answer_slowly},
    {"POST", "/change", HTTP_CHANGES, answer_change},
    {0},
};

/* ---- a client ---- */

static char answer[200000];

static int
connect_to_server(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 60};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void
send_all(int fd, const char *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        const ssize_t part = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
            return; /* it was cut off */
        }
        sent += (size_t)part;
    }
}

/* The status; 0: the connection ended without an answer. */
static unsigned
receive(int fd)
{
    unsigned status = 0;
    size_t size = 0;
    for (ssize_t part = 1;
         part > 0 && size<sizeof(answer) - 1; size += part> 0 ? (size_t)part : 0) {
        part = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);
        cr_assert(part >= 0 || errno == ECONNRESET, "%s", strerror(errno));
    }
    answer[size] = '\0';
    cr_assert_eq(close(fd), 0);
    return sscanf(answer, "HTTP/1.%*d %u", &status) == 1 ? status : 0;
}

static int
ask(const char *method, const char *path, const char *headers)
{
    char request[1000];
    const int fd = connect_to_server();
    const int size = snprintf(request, sizeof(request),
                              "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                              method, path, headers);
    send_all(fd, request, (size_t)size);
    return fd;
}

static void
expect(int fd, unsigned status, const char *text)
{
    cr_assert_eq(receive(fd), status, "%s", answer);
    cr_assert_not_null(strstr(answer, text), "no %s in: %s", text, answer);
}

/* ---- the server ---- */

static unsigned
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    cr_assert_eq(close(fd), 0);
    return ntohs(address.sin_port);
}

static void
write_token(const char *token)
{
    FILE *const file = fopen(token_path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(token, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static struct http_context context;

static void
set_up(void)
{
    struct error error;
    const int fd = mkstemp(token_path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    write_token("first\n");
    cr_assert_eq(sem_init(&may_answer, 0, 0), 0);
    cr_assert_eq(sem_init(&asking, 0, 0), 0);
    port = free_port();
    (void)snprintf(listen_text, sizeof(listen_text), "127.0.0.1:%u", port);
    config = (struct http_config){.listen = listen_text, .token_file = token_path};
    board = board_new();
    context.board = board;
    crew = crew_new(1, 1);
    server = server_start(&config, routes, &context, crew, &error);
    cr_assert_not_null(server, "%s", error.text);
}

static void
tear_down(void)
{
    cr_assert(crew_stop(crew, LONG_US));
    server_stop(server);
    board_free(board);
    cr_assert_eq(unlink(token_path), 0);
}

TestSuite(http_server, .init = set_up, .fini = tear_down, .timeout = 120);

Test(http_server, path_arguments_and_body)
{
    expect(ask("GET", "/echo/a%20b?word=x%26y&other=", ""), 200, "/echo/a b a b x&y \n");
    expect(ask("POST", "/echo/?word", "Content-Length: 5\r\n\r\nhello"), 200, "/echo/   hello\n");
    expect(ask("DELETE", "/echo/", ""), 405, "Allow: GET, HEAD, POST\r\n");
    expect(ask("GET", "/", ""), 404, "\r\nX-Frame-Options: DENY\r\n");
}

Test(http_server, a_body_has_a_limit)
{
    static char body[2 * SERVER_BODY_BYTES];
    char headers[100];
    memset(body, 'x', sizeof(body));
    for (unsigned more = 0; more < 2; more++) {
        (void)snprintf(headers, sizeof(headers), "Content-Length: %u\r\n",
                       SERVER_BODY_BYTES + more);
        const int fd = ask("POST", "/echo/", headers);
        send_all(fd, body, SERVER_BODY_BYTES + more);
        const unsigned status = receive(fd);
        cr_assert(more == 0 ? status == 200 : status == 0 || status == 413, "%u", status);
    }
    const int fd = ask("POST", "/echo/", "Transfer-Encoding: chunked\r\n");
    for (unsigned i = 0; i < 2 * SERVER_BODY_BYTES / 0x1000; i++) {
        send_all(fd, "1000\r\n", 6);
        send_all(fd, body, 0x1000);
        send_all(fd, "\r\n", 2);
    }
    send_all(fd, "0\r\n\r\n", 5);
    const unsigned status = receive(fd);
    cr_assert(status == 0 || status == 413, "%u", status);
}

Test(http_server, a_change_needs_the_present_token)
{
    expect(ask("POST", "/change", "Content-Length: 0\r\nAuthorization: Bearer first\r\n"), 202,
           "\r\n\r\ndone");
    expect(ask("POST", "/change", "Content-Length: 0\r\n"), 401, "WWW-Authenticate: Bearer");
    expect(ask("POST", "/change", "Content-Length: 0\r\nAuthorization: Bearer second\r\n"), 401,
           "");
    expect(
        ask("POST", "/change",
            "Content-Length: 0\r\nAuthorization: Bearer first\r\nOrigin: http://evil.example\r\n"),
        403, "another site");
    write_token("second");
    expect(ask("POST", "/change", "Content-Length: 0\r\nAuthorization: Bearer first\r\n"), 401, "");
    expect(ask("POST", "/change", "Content-Length: 0\r\nAuthorization: Bearer second\r\n"), 202,
           "");
    write_token("");
    expect(ask("POST", "/change", "Content-Length: 0\r\nAuthorization: Bearer \r\n"), 403,
           "token_file");
    cr_assert_eq(changes, 2);
}

static void
await_asking(void)
{
    while (sem_wait(&asking) != 0) {
    }
}

/* Promise: what waits for a database does not keep the others waiting, and has its limit too. */
Test(http_server, what_asks_keeps_nobody_waiting)
{
    const int first = ask("GET", "/slow", "");
    await_asking();
    const int second = ask("GET", "/slow", ""); /* waits for its turn */
    expect(ask("GET", "/echo/quick", ""), 200, "quick");
    expect(ask("GET", "/slow", ""), 503, "too many");
    (void)sem_post(&may_answer);
    expect(first, 200, "slowly, localhost");
    (void)sem_post(&may_answer);
    expect(second, 200, "slowly, localhost");
}

Test(http_server, one_that_asks_and_leaves_does_no_harm)
{
    const int fd = ask("GET", "/slow", "");
    await_asking();
    cr_assert_eq(close(fd), 0);
    (void)sem_post(&may_answer);
    expect(ask("GET", "/echo/", ""), 200, "echo");
}

/* Sends a byte now and then, so that the connection is never silent, until the other side ends it. */
static void
expect_end(int fd)
{
    char byte;
    const uint64_t until_us = clock_monotonic_us() + LONG_US;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0) {
        cr_assert_lt(clock_monotonic_us(), until_us, "it was not cut");
        (void)send(fd, "x", 1, MSG_NOSIGNAL); /* it may be cut just now */
        (void)usleep(100000);
    }
    cr_assert_eq(close(fd), 0);
}

/* Promise: a connection whose request does not come to its end is ended, however slowly it sends. */
Test(http_server, a_slow_request_is_cut)
{
    const uint64_t now_us = clock_monotonic_us();
    cr_assert_eq(server_cut(server, now_us), CLOCK_NEVER_US, "there is none");
    const int fd = connect_to_server();
    static const char start[] = "GET /echo/ HTTP/1.1\r\nHost: loc";
    send_all(fd, start, strlen(start));
    uint64_t due_us;
    while ((due_us = server_cut(server, now_us)) == CLOCK_NEVER_US) { /* until it was accepted */
    }
    cr_assert_geq(due_us, now_us + SERVER_REQUEST_US);
    (void)server_cut(server, due_us - 1); /* it is not due yet */
    char byte;
    cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    (void)server_cut(server, due_us); /* now it is */
    expect_end(fd);
}

Test(http_server, a_taken_port_and_a_bad_certificate_are_errors)
{
    struct error error;
    cr_assert_null(server_start(&config, routes, &context, crew, &error));
    cr_assert_not_null(strstr(error.text, "Address already in use"), "%s", error.text);
    char other[40];
    (void)snprintf(other, sizeof(other), "127.0.0.1:%u", free_port());
    const struct http_config tls = {.listen = other, .tls_cert = token_path, .tls_key = token_path};
    cr_assert_null(server_start(&tls, routes, &context, crew, &error));
    cr_assert_eq(error.class, ERROR_CONFIG, "%s", error.text);
    expect(ask("GET", "/echo/", ""), 200, "echo");
}

static atomic_uint woken;

static void
wake(void *nothing)
{
    (void)nothing; /* has the shape of a wake */
    woken++;
}

Test(http_server, tells_of_each_connection)
{
    server_on_connection(server, wake, NULL);
    expect(ask("GET", "/echo/", ""), 200, "echo");
    expect(ask("GET", "/echo/", ""), 200, "echo");
    cr_assert_eq(woken, 2);
}
