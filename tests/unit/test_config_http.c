/* The section `http` of the configuration, through config_load and by the exact lines. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/config/config.h"
#include "tests/unit/config_fixture.h"

#define BROKER "broker \"main\" { uri = \"amqp://relay@rabbit/\" }\n"
#define SOURCE "source \"orders\" { kind = postgres dsn = \"dbname=shop\" broker = main }\n"

TestSuite(config_http, .init = conf_enter, .fini = conf_leave);

/* Like expect_problems, after a good broker in line 1 and a good source in line 2. */
static void
expect_more_problems(const char *text, const char *expected)
{
    char whole[2000];
    (void)snprintf(whole, sizeof(whole), BROKER SOURCE "%s", text); /* fits */
    conf_expect_problems(whole, expected);
}

Test(config_http, section)
{
    conf_write("cert.pem", "x", 0600);
    conf_write("key.pem", "x", 0600);
    conf_write("token", "open\n", 0600);
    struct config *config = conf_load_good(BROKER SOURCE);
    cr_assert_null(config->http, "no section, no HTTP");
    config_free(config);
    config = conf_load_good(BROKER SOURCE "http { }\n");
    cr_assert_str_eq(config->http->listen, "127.0.0.1:8372");
    cr_assert_null(config->http->tls_cert);
    cr_assert_null(config->http->token_file);
    cr_assert_not(config->http->behind_proxy);
    cr_assert_not(config->http->stuck_unready);
    config_free(config);
    config = conf_load_good(BROKER SOURCE
                            "http { listen = \"[::]:80\" tls_cert = cert.pem tls_key = key.pem\n"
                            "token_file = token stuck_unready = true }\n");
    cr_assert_str_eq(config->http->listen, "[::]:80");
    cr_assert_str_eq(config->http->tls_cert, "./cert.pem");
    cr_assert_str_eq(config->http->token_file, "./token");
    cr_assert(config->http->stuck_unready);
    config_free(config);
    config_free(
        conf_load_good(BROKER SOURCE "http { listen = \"0.0.0.0:80\" behind_proxy = true }\n"));
    config_free(conf_load_good(BROKER SOURCE "http { listen = \"[::1]:80\" }\n"));
}

Test(config_http, conf_problems)
{
    conf_write("key.pem", "x", 0600);
    expect_more_problems("http \"a\" { }\n", "relay.conf:3: an http has no name: http { ... }\n");
    expect_more_problems("http { }\nhttp { }\n",
                         "relay.conf:4: http: there is one in line 3 already\n");
    expect_more_problems(
        "http { listen = 8372 }\n",
        "relay.conf:3: http: listen = 8372: expected an address and a port, such as "
        "127.0.0.1:8372, [::1]:8372 or 0.0.0.0:8372\n");
    expect_more_problems(
        "http {\nlisten = \"0.0.0.0:80\"\n}\n",
        "relay.conf:4: http: listen = 0.0.0.0:80 is reached from other machines, and "
        "without TLS: give tls_cert and tls_key; or behind_proxy = true, if only a "
        "proxy that does TLS reaches it; or listen on 127.0.0.1\n");
    expect_more_problems("http { tls_key = key.pem }\n",
                         "relay.conf:3: http: tls_key needs tls_cert\n");
    expect_more_problems(
        "http { tls_cert = none.pem tls_key = key.pem }\n",
        "relay.conf:3: http: tls_cert = none.pem: cannot use tls_cert ./none.pem: No "
        "such file or directory\n");
    expect_more_problems("http { token_file = none }\n",
                         "relay.conf:3: http: token_file = none: cannot be opened: No such file or "
                         "directory\n");
}

Test(config_http, a_token_that_everybody_may_read_is_warned_of)
{
    conf_write("token", "open\n", 0644);
    struct config *const config = conf_load_good(BROKER SOURCE "http { token_file = token }\n");
    cr_assert_eq(config->warnings.count, 1);
    cr_assert_not_null(strstr(config->warnings.texts[0], "the token file"));
    config_free(config);
}
