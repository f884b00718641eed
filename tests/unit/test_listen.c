#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "base/listen.h"

static struct listen_address
parse(const char *text)
{
    struct listen_address address;
    struct error error;
    cr_assert(listen_parse(text, &address, &error), "%s: %s", text, error.text);
    return address;
}

Test(listen, addresses_of_both_kinds)
{
    const struct listen_address v4 = parse("127.0.0.1:8372");
    cr_assert_eq(v4.socket.v4.sin_family, AF_INET);
    cr_assert_eq(ntohs(v4.socket.v4.sin_port), 8372);
    cr_assert_eq(ntohl(v4.socket.v4.sin_addr.s_addr), INADDR_LOOPBACK);
    const struct listen_address v6 = parse("[2001:db8::7]:65535");
    cr_assert_eq(v6.socket.v6.sin6_family, AF_INET6);
    cr_assert_eq(ntohs(v6.socket.v6.sin6_port), 65535);
    cr_assert_eq(v6.socket.v6.sin6_addr.s6_addr[15], 7);
}

Test(listen, loopback)
{
    cr_assert(parse("127.0.0.1:1").loopback);
    cr_assert(parse("127.9.9.9:1").loopback);
    cr_assert(parse("[::1]:1").loopback);
    cr_assert_not(parse("0.0.0.0:1").loopback);
    cr_assert_not(parse("[::]:1").loopback);
    cr_assert_not(parse("192.168.1.1:1").loopback);
    cr_assert(listen_is_loopback("LocalHost"));
    cr_assert(listen_is_loopback("127.0.0.1"));
    cr_assert(listen_is_loopback("::1"));
    cr_assert_not(listen_is_loopback("localhost.evil.example"));
    cr_assert_not(listen_is_loopback("127.0.0.1.evil.example"));
    cr_assert_not(listen_is_loopback("::"));
    cr_assert_not(listen_is_loopback(""));
}

Test(listen, refuses_everything_else)
{
    static const char *const wrong[] = {
        "",
        "8372",
        ":8372",
        "127.0.0.1",
        "127.0.0.1:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "localhost:1",
        "::1:8372",
        "[::1]8372",
        "[::1:8372",
        "[]:1",
        "[1.2.3.4]:1",
        "1.2.3.4:80x",
        "1.2.3:80",
        "[::1]: 80",
        "1.2.3.4:+80",
        " 1.2.3.4:80",
        "[::1]]:80",
        "[:]:1",
        "[::1%lo]:1",
        "0:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4:5:6:7:8:9:a:b:80",
        NULL,
    };
    for (size_t i = 0; wrong[i] != NULL; i++) {
        struct listen_address address;
        struct error error;
        cr_assert_not(listen_parse(wrong[i], &address, &error), "%s", wrong[i]);
        cr_assert_eq(error.class, ERROR_CONFIG);
    }
}
