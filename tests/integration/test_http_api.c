/* Promise: over HTTP operators see what the command line shows and do what it does, once for each request, with the token and
 * from no other site; and a database that is away delays nobody. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/http_fixture.h"
#include "tests/integration/scene_fixture.h"

#define TOKEN "tomato"
#define AUTHORIZED "Authorization: Bearer " TOKEN "\r\n"

TestSuite(http_api, .init = scene_open_route, .fini = scene_close, .timeout = 240);

static char token_path[200];

/* Refused messages stay held for an hour. more: sections of the configuration; dsn NULL: that of an administrator. */
static void
start_as(const char *dsn, const char *more)
{
    static char global[3000];
    char keys[300];
    (void)snprintf(token_path, sizeof(token_path), "%s/token.%d", test_env("OUTBOX_TEST_DIR"),
                   (int)getpid()); /* fits */
    FILE *const file = fopen(token_path, "w");
    check(file != NULL && fputs(TOKEN "\n", file) >= 0 && fclose(file) == 0, "no %s", token_path);
    (void)snprintf(keys, sizeof(keys), "token_file = \"%s\"", token_path);      /* fits */
    (void)snprintf(global, sizeof(global), "%s\n%s", http_section(keys), more); /* fits */
    scene.relay = relay_start(&(struct relay_options){.dsn = dsn,
                                                      .global = global,
                                                      .exchange = scene.exchange,
                                                      .retry_initial = "1h",
                                                      .retry_max = "1h"});
    (void)relay_await_log(scene.relay, "event=http_listening", NULL); /* is enough */
}

static void
start(const char *more)
{
    start_as(NULL, more);
}

static void
stop(void)
{
    relay_drain(scene.relay);
    (void)unlink(token_path); /* it is there */
}

/* Writes a message that no queue takes, and waits until it is held. */
static int64_t
hold(const char *key, const char *payload)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload_text) values ('nowhere', '%s', "
               "'%s')",
               key, payload);
    scene_await("it is held", "select count(*) = 1 from outbox_held where \"key\" = '%s'", key);
    return scene_count("select id from outbox_held where \"key\" = '%s'", key);
}

static json_t *
parsed(struct http_reply reply, unsigned status)
{
    check(reply.status == status, "expected %u, got %u: %s%s", status, reply.status, reply.head,
          reply.body);
    check(strstr(reply.head, "Content-Type: application/json") != NULL, "%s", reply.head);
    json_t *const json = json_loads(reply.body, 0, NULL);
    check(json != NULL, "%s", reply.body);
    return json;
}

static json_t *
get(const char *path)
{
    return parsed(http_get(path), 200);
}

static struct http_reply
post(const char *what, const char *headers, const char *body)
{
    static char request[70000];
    const int size =
        snprintf(request, sizeof(request),
                 "POST /api/held/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
                 what, strlen(body), headers, body); /* fits */
    return http_send(request, (size_t)size);
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *const text = json_string_value(json_object_get(object, name));
    check(text != NULL, "no text %s", name);
    return text;
}

static json_int_t
number_of(const json_t *object, const char *name)
{
    check(json_is_integer(json_object_get(object, name)), "no number %s", name);
    return json_integer_value(json_object_get(object, name));
}

static void
expect_error(struct http_reply reply, unsigned status, const char *words)
{
    json_t *const json = parsed(reply, status);
    check(strstr(text_of(json, "error"), words) != NULL, "%s", reply.body);
    json_decref(json);
}

Test(http_api, a_held_message_is_seen)
{
    char path[100];
    start("");
    const int64_t id = hold("k<1>", "{\"a\": \"<b>\"}");
    (void)hold("k2", "x");
    json_t *json = get("/api/held?count=true&limit=1");
    const json_t *const first = json_array_get(json_object_get(json, "messages"), 0);
    const json_t *const part = json_array_get(json_object_get(json, "sources"), 0);
    check(json_array_size(json_object_get(json, "messages")) == 1, "more than the limit");
    check(number_of(first, "id") == id, "another id");
    check(strcmp(text_of(first, "source"), "test") == 0, "another source");
    check(strcmp(text_of(first, "state"), "retrying") == 0, "another state");
    check(strstr(text_of(first, "last_error"), "unroutable") != NULL, "another reason");
    check(json_is_true(json_object_get(part, "more")), "there is one more");
    check(number_of(part, "after") == id, "another place to go on");
    check(number_of(json_object_get(part, "matching"), "retrying") == 2, "they were not counted");
    json_decref(json);
    json = get("/api/held?key=k2&state=retrying&reason=unroutable");
    check(json_array_size(json_object_get(json, "messages")) == 1, "the filter");
    json_decref(json);
    (void)snprintf(path, sizeof(path), "/api/held?source=test&after=%lld",
                   (long long)id); /* fits */
    json = get(path);
    check(json_array_size(json_object_get(json, "messages")) == 1, "the next page");
    json_decref(json);
    (void)snprintf(path, sizeof(path), "/api/held/%lld", (long long)id); /* fits */
    json = get(path);
    const json_t *const whole = json_array_get(json, 0);
    check(strcmp(text_of(whole, "payload"), "{\"a\": \"<b>\"}") == 0, "another payload");
    check(strcmp(text_of(whole, "key"), "k<1>") == 0, "another key");
    json_decref(json);
    (void)snprintf(path, sizeof(path), "/api/explain?id=%lld", (long long)id); /* fits */
    json = get(path);
    const json_t *const story = json_array_get(json_object_get(json, "stories"), 0);
    check(strcmp(text_of(story, "where"), "retrying") == 0, "it is elsewhere");
    check(json_array_size(json_object_get(story, "text")) > 1, "no story");
    json_decref(json);
    stop();
}

Test(http_api, what_is_wrong_is_told)
{
    start("");
    expect_error(http_get("/api/held?state=dad"), 400, "state: expected");
    expect_error(http_get("/api/held?limit=x"), 400, "limit: expected");
    expect_error(http_get("/api/held?source=none"), 404, "no source");
    expect_error(http_get("/api/held/4711"), 404, "no held message");
    expect_error(http_get("/api/held/x"), 400, "id: expected");
    expect_error(http_get("/api/explain"), 400, "id: expected");
    expect_error(http_get("/api/status?after=x"), 400, "after: expected");
    expect_error(post("retry", AUTHORIZED, "{"), 400, "an object in JSON");
    expect_error(post("retry", AUTHORIZED, "{\"ids\":[1]}"), 400, "source: expected");
    expect_error(post("retry", AUTHORIZED, "{\"source\":\"test\"}"), 400, "which messages");
    expect_error(post("retry", AUTHORIZED, "{\"source\":\"none\",\"ids\":[1]}"), 404, "no source");
    stop();
}

/* As deep as the parser takes it, and as large as the server does: the stack of the thread must do. */
Test(http_api, a_deep_body_is_refused)
{
    enum { DEEP = 2046, DEEPER = 20000 };
    static char body[60000];
    const size_t depths[] = {DEEP, DEEPER};
    start("");
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        const size_t depth = depths[i];
        static char brackets[2][DEEPER + 1];
        memset(brackets[0], '[', depth);
        memset(brackets[1], ']', depth);
        (void)snprintf(body, sizeof(body), "{\"source\":\"test\",\"ids\":[1],\"more\":%s%s}",
                       brackets[0], brackets[1]); /* fits */
        const struct http_reply reply = post("retry", AUTHORIZED, body);
        check(reply.status == (depth == DEEP ? 200 : 400), "%u: %s", reply.status, reply.body);
    }
    stop();
}

Test(http_api, only_with_the_token_and_from_here)
{
    char body[200];
    start("");
    const int64_t id = hold("k", "x");
    (void)snprintf(body, sizeof(body), "{\"source\":\"test\",\"ids\":[%lld]}",
                   (long long)id); /* fits */
    static const struct {
        const char *headers;
        unsigned status;
    } cases[] = {
        {"", 401},
        {"Authorization: Bearer " TOKEN "s\r\n", 401},
        {"Authorization: Bearer\r\n", 401},
        {AUTHORIZED "Origin: http://evil.example\r\n", 403},
        {AUTHORIZED "Sec-Fetch-Site: cross-site\r\n", 403},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct http_reply reply = post("discard", cases[i].headers, body);
        check(reply.status == cases[i].status, "%s: %u", cases[i].headers, reply.status);
    }
    check(scene_count("select count(*) from outbox_held") == 1, "it was discarded");
    check(scene_count("select count(*) from outbox_held_act") == 0, "something was done");
    stop();
}

/* The route is mended, and the message tried again: twice in one request, and once more in another. */
Test(http_api, a_retry_is_done_once)
{
    char body[200];
    start("");
    const int64_t id = hold("k", "x");
    scene_bind("nowhere");
    (void)snprintf(body, sizeof(body), "{\"source\":\"test\",\"ids\":[%lld],\"request\":\"r1\"}",
                   (long long)id); /* fits */
    json_t *json = parsed(post("retry", AUTHORIZED "Outbox-Who: Ada%20L\r\n", body), 200);
    check(number_of(json_object_get(json, "done"), "retrying") == 1, "it was not done");
    check(json_is_false(json_object_get(json, "again")), "it is the first time");
    json_decref(json);
    json = parsed(post("retry", AUTHORIZED "Outbox-Who: Ada%20L\r\n", body), 200);
    check(number_of(json_object_get(json, "done"), "retrying") == 1, "another answer");
    check(json_is_true(json_object_get(json, "again")), "it is the second time");
    json_decref(json);
    scene_await("it was sent", "select count(*) = 0 from outbox_held");
    check(scene_count("select count(*) from outbox_held_act") == 1, "not one act");
    check(scene_count("select count(*) from outbox_held_act where what = 'retry' and who like "
                      "'http: Ada L (127.0.0.1), %%'") == 1,
          "by another one");
    (void)snprintf(body, sizeof(body), "{\"source\":\"test\",\"ids\":[%lld],\"request\":\"r2\"}",
                   (long long)id); /* fits */
    json = parsed(post("retry", AUTHORIZED, body), 200);
    check(number_of(json, "gone") == 1, "it is gone");
    json_decref(json);
    check(scene_count("select count(*) from outbox_held_act") == 1, "another act");
    stop();
}

Test(http_api, what_nobody_saw_is_not_discarded)
{
    start("");
    (void)hold("k1", "x");
    (void)hold("k2", "x");
    static const char one[] = "{\"source\":\"test\",\"filter\":{\"reason\":\"unroutable\"},"
                              "\"count\":1,\"request\":\"r1\"}";
    static const char two[] = "{\"source\":\"test\",\"filter\":{\"reason\":\"unroutable\"},"
                              "\"count\":2,\"request\":\"r2\"}";
    json_t *json = parsed(post("discard", AUTHORIZED, one), 409);
    check(strstr(text_of(json, "refused"), "2 messages match now, not 1") != NULL, "no reason");
    json_decref(json);
    check(scene_count("select count(*) from outbox_held") == 2, "they were discarded");
    for (int i = 0; i < 2; i++) { /* a doubled click */
        json = parsed(post("discard", AUTHORIZED, two), 200);
        check(number_of(json_object_get(json, "done"), "retrying") == 2, "they were not discarded");
        check(json_is_true(json_object_get(json, "again")) == (i == 1), "again");
        json_decref(json);
    }
    check(scene_count("select count(*) from outbox_held") == 0, "they are still there");
    check(scene_count("select count(*) from outbox_held_act where what = 'discard'") == 2,
          "not one act for each");
    check(scene_count(
              "select count(*) from outbox_held_act where who like 'http: 127.0.0.1, %%'") == 2,
          "by another one");
    stop();
}

/* The relay's account may look with what it needs anyway. It may act when it has an operator's right to, and is told so. */
Test(http_api, acts_need_the_rights_of_an_operator)
{
    char dsn[600];
    char name[100];
    char body[200];
    (void)snprintf(name, sizeof(name), "u%d", (int)getpid()); /* these fit */
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s password=secret", db_dsn(), name);
    db_create_user(scene.db, name, "secret");
    db_grant_relay(scene.db, name);
    start_as(dsn, "");
    const int64_t id = hold("k", "x");
    const struct http_reply seen = http_get("/api/held");
    check(seen.status == 200 && strstr(seen.body, "unroutable") != NULL, "%s", seen.body);
    (void)snprintf(body, sizeof(body), "{\"source\":\"test\",\"ids\":[%lld],\"request\":\"r1\"}",
                   (long long)id);
    expect_error(post("discard", AUTHORIZED, body), 503, "it needs the role outbox_operator too");
    check(scene_count("select count(*) from outbox_held") == 1, "it was discarded");
    db_grant(scene.db, name, "insert", "outbox_held_act");
    json_t *const json = parsed(post("discard", AUTHORIZED, body), 200);
    check(number_of(json_object_get(json, "done"), "retrying") == 1, "it was not discarded");
    json_decref(json);
    stop();
    db_drop_user(scene.db, name);
}

/* ---- status --------------------------------------------------------------------------------------------- */

/* A port where whoever connects gets no answer. */
static int
mute_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 16) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &size) == 0,
          "no socket");
    *ret_fd = fd;
    return ntohs(address.sin_port);
}

static const json_t *
source_of(const json_t *status, const char *name)
{
    size_t i;
    json_t *source;
    json_array_foreach(json_object_get(status, "sources"), i, source)
    {
        if (strcmp(text_of(source, "source"), name) == 0) {
            return source;
        }
    }
    fail_test("no source %s", name);
}

/* A database that hangs keeps a connection waiting for ten seconds; nobody else may wait for so long. */
static json_t *
get_status(void)
{
    const uint64_t begun_us = clock_monotonic_us();
    json_t *const json = get("/api/status");
    const uint64_t took_us = clock_monotonic_us() - begun_us;
    check(took_us < 8 * CLOCK_S_US, "it took %lld us", (long long)took_us);
    return json;
}

static bool
is_whole(void *unused)
{
    (void)unused;
    json_t *const json = get_status();
    const json_t *const source = source_of(json, "test");
    const json_t *const live = json_object_get(source, "live");
    const json_t *const status = json_object_get(source, "status");
    const bool whole = json_is_null(json_object_get(source, "error")) && json_is_object(live) &&
                       strcmp(text_of(live, "state"), "owned") == 0 &&
                       number_of(live, "confirmed") == 1 && json_is_object(status) &&
                       number_of(json_object_get(status, "held"), "retrying") == 1;
    json_decref(json);
    return whole;
}

Test(http_api, the_status_of_a_source_and_of_one_that_is_away)
{
    char away[600];
    int fd;
    (void)snprintf(away, sizeof(away),
                   "source \"away\" { kind = \"%s\"\n dsn = \"host=127.0.0.1 port=%d user=u "
                   "dbname=d\"\n broker = \"main\" }",
                   db_kind(), mute_port(&fd)); /* fits */
    start(away);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', '')", scene.queue);
    (void)hold("k", "x");
    await(is_whole, NULL, "the status has what the worker and the database know", PATIENCE_S);
    json_t *const json = get_status();
    const json_t *const source = source_of(json, "away");
    check(strlen(text_of(source, "error")) > 0, "no error");
    check(json_is_null(json_object_get(source, "status")), "a status of nothing");
    check(json_array_size(json_object_get(json, "events")) > 0, "no events");
    check(json_array_size(json_object_get(json, "latency_bounds_us")) == 23, "no bounds");
    check(json_is_true(json_object_get(json, "may_change")), "there is a token");
    json_decref(json);
    (void)close(fd); /* was only listened on */
    stop();
}

Test(http_api, the_page_is_whole)
{
    static const char *const paths[] = {"/", "/page.css", "/page.js", "/page.svg"};
    static const char *const types[] = {"text/html", "text/css", "text/javascript",
                                        "image/svg+xml"};
    start("");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct http_reply reply = http_get(paths[i]);
        check(reply.status == 200, "%s: %u", paths[i], reply.status);
        check(strstr(reply.head, types[i]) != NULL, "%s: %s", paths[i], reply.head);
        check(strstr(reply.head, "Content-Security-Policy: default-src 'self'") != NULL, "%s",
              reply.head);
    }
    stop();
}
