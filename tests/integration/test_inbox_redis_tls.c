/* Redis over TLS: whom the library believes, and what it says of the others. */
#include <criterion/criterion.h>
#include <inbox/inbox_redis.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/certificates_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/relay_fixture.h"

static unsigned short port;

static void
set_up(void)
{
    cli_enter();
    certificates_make();
}

static void
tear_down(void)
{
    certificates_end_server();
    cli_leave();
}

TestSuite(inbox_redis_tls, .init = set_up, .fini = tear_down, .timeout = 240);

/* With further options; port_option: "port" or "tls-port". */
static void
launch(const char *port_option, const char *options)
{
    char line[600];
    const char *const program = getenv("OUTBOX_TEST_REDIS_SERVER");
    certificates_end_server();
    port = cli_free_port();
    (void)snprintf(line, sizeof(line),
                   "exec %s --bind 127.0.0.1 --%s %u --save '' %s >redis.log 2>&1",
                   program != NULL ? program : "redis-server", port_option, port, options);
    certificates_serve(line, port);
}

/* With the certificate NAME.pem; clients: whether these need one, "yes" or "no". */
static void
start_server(const char *name, const char *clients)
{
    char options[300];
    (void)snprintf(options, sizeof(options),
                   "--port 0 --tls-cert-file %s.pem --tls-key-file %s.key --tls-ca-cert-file "
                   "ca.pem --tls-auth-clients %s",
                   name, name, clients); /* fits */
    launch("tls-port", options);
}

static struct inbox_redis_options
options_with(const char *ca)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    options.consumer = "shipping";
    options.host = "localhost";
    options.port = port;
    options.timeout_ms = 60000;
    options.tls = true;
    options.ca_file = ca;
    return options;
}

/* Claims twice: the second call finds the connection of the first one, or makes another. */
static void
expect_work(const struct inbox_redis_options *options)
{
    struct inbox_error error;
    inbox_redis *redis;
    inbox_verdict verdict;
    struct inbox_redis_lease lease;
    check(inbox_redis_new(options, &redis, &error) == INBOX_OK, "%s", error.message);
    for (int i = 0; i < 2; i++) {
        check(inbox_redis_claim(redis, "m", 1, &verdict, &lease, &error) == INBOX_OK, "%s",
              error.message);
        check(verdict == (i == 0 ? INBOX_FIRST : INBOX_BUSY), "%d: %d", i, (int)verdict);
    }
    inbox_redis_free(redis);
}

static void
expect_refusal(const struct inbox_redis_options *options, const char *words)
{
    struct inbox_error error;
    inbox_redis *redis;
    inbox_verdict verdict;
    struct inbox_redis_lease lease;
    check(inbox_redis_new(options, &redis, &error) == INBOX_OK, "%s", error.message);
    const inbox_result result = inbox_redis_claim(redis, "m", 1, &verdict, &lease, &error);
    check(result == INBOX_CONNECTION, "%s: %s", words, inbox_result_name(result));
    check(strstr(error.message, words) != NULL, "\"%s\" was expected: %s", words, error.message);
    inbox_redis_free(redis);
}

Test(inbox_redis_tls, a_private_authority)
{
    start_server("good", "no");
    const struct inbox_redis_options ours = options_with("ca.pem");
    const struct inbox_redis_options others = options_with("other.pem");
    const struct inbox_redis_options of_system = options_with(NULL);
    expect_work(&ours);
    expect_refusal(&others, "TLS: certificate verify failed: ");
    expect_refusal(&of_system, "TLS: certificate verify failed: ");
}

/* A batch of some hundred kilobytes: many records of TLS, in both directions. */
Test(inbox_redis_tls, large_commands_and_replies)
{
    enum { COUNT = 4000 };
    static char texts[COUNT][64];
    static struct inbox_id ids[COUNT];
    static bool seen[COUNT];
    struct inbox_error error;
    inbox_redis *redis;
    start_server("good", "no");
    const struct inbox_redis_options options = options_with("ca.pem");
    check(inbox_redis_new(&options, &redis, &error) == INBOX_OK, "%s", error.message);
    for (int i = 0; i < COUNT; i++) {
        ids[i].bytes = texts[i];
        ids[i].length = (size_t)snprintf(texts[i], sizeof(texts[i]), "%050d", i);
    }
    check(inbox_redis_remember(redis, ids, COUNT, &error) == INBOX_OK, "%s", error.message);
    check(inbox_redis_seen(redis, ids, COUNT, seen, &error) == INBOX_OK, "%s", error.message);
    for (int i = 0; i < COUNT; i++) {
        check(seen[i], "%d", i);
    }
    inbox_redis_free(redis);
}

Test(inbox_redis_tls, bad_certificates)
{
    static const struct {
        const char *name;
        const char *words;
    } cases[] = {
        {"expired", "TLS: certificate verify failed: certificate has expired"},
        {"wrong", "hostname mismatch: it is not for localhost; see tls_name"},
        {"nameless", "it names no host, because it has no subjectAltName"},
        {"self", "TLS: certificate verify failed: self-signed certificate"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start_server(cases[i].name, "no");
        const struct inbox_redis_options options = options_with("ca.pem");
        expect_refusal(&options, cases[i].words);
    }
    start_server("wrong", "no");
    struct inbox_redis_options options = options_with("ca.pem");
    options.tls_name = "elsewhere.example";
    expect_work(&options);
}

Test(inbox_redis_tls, a_client_certificate)
{
    start_server("good", "yes");
    struct inbox_redis_options options = options_with("ca.pem");
    expect_refusal(&options,
                   "Redis demands a client certificate: name one by cert_file and key_file");
    options.cert_file = "self.pem";
    options.key_file = "self.key";
    expect_refusal(&options, "Redis does not know the authority that signed the certificate of "
                             "cert_file");
    options.cert_file = "expired.pem";
    options.key_file = "expired.key";
    expect_refusal(&options, "Redis says that the certificate of cert_file has expired");
    options.cert_file = "client.pem";
    options.key_file = "client.key";
    expect_work(&options);
}

/* Promise: a new connection takes what the files have then. */
Test(inbox_redis_tls, files_are_read_for_each_connection)
{
    struct inbox_error error;
    inbox_redis *redis;
    inbox_verdict verdict;
    struct inbox_redis_lease lease;
    start_server("good", "no");
    check(system("cp other.pem now.pem") == 0, "cp");
    struct inbox_redis_options options = options_with("now.pem");
    options.backoff_max_ms = 100;
    check(inbox_redis_new(&options, &redis, &error) == INBOX_OK, "%s", error.message);
    check(inbox_redis_claim(redis, "m", 1, &verdict, &lease, &error) == INBOX_CONNECTION, "%s",
          "refused");
    check(system("cp ca.pem now.pem") == 0, "cp");
    const uint64_t until_us = clock_monotonic_us() + PATIENCE_S * CLOCK_S_US;
    while (inbox_redis_claim(redis, "m", 1, &verdict, &lease, &error) != INBOX_OK) {
        check(clock_monotonic_us() < until_us, "%s", error.message); /* left alone for a while */
    }
    inbox_redis_free(redis);
}

Test(inbox_redis_tls, files_that_cannot_be_used)
{
    static const struct {
        const char *ca;
        const char *cert;
        const char *key;
        const char *words;
    } cases[] = {
        {"none", NULL, NULL, "cannot use ca_file none: No such file or directory"},
        {"pipe", NULL, NULL, "cannot use ca_file pipe: this is no regular file"},
        {"ca.pem", "client.pem", "enc.key", "key_file enc.key: the key is encrypted"},
        {"ca.pem", "client.pem", "self.key", "it is not the key of cert_file client.pem"},
        {"ca.pem", "client.pem", NULL, "give cert_file and key_file, or neither"},
    };
    port = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct inbox_error error;
        inbox_redis *redis;
        struct inbox_redis_options options = options_with(cases[i].ca);
        options.cert_file = cases[i].cert;
        options.key_file = cases[i].key;
        check(inbox_redis_new(&options, &redis, &error) == INBOX_INVALID, "%s", cases[i].words);
        check(strstr(error.message, cases[i].words) != NULL, "%s: %s", cases[i].words,
              error.message);
    }
}

/* Promise: a server without TLS is named as such, and one that says nothing costs no more than the time of a call. */
Test(inbox_redis_tls, a_server_without_tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    launch("port", "");
    struct inbox_redis_options options = options_with("ca.pem");
    options.timeout_ms = 300;
    expect_refusal(&options, "no answer to TLS in time: is this its port for TLS?");
    const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    options.port = cli_free_port();
    address.sin_port = htons(options.port);
    check(bind(silent, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(silent, 5) == 0,
          "listen");
    expect_refusal(&options, "no answer to TLS in time");
    check(close(silent) == 0, "close");
}
