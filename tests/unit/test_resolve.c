#include "base/net/resolve.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>

static bool
answered(struct resolve *resolve, int wait_ms)
{
    struct pollfd poll_fd = {.fd = resolve_fd(resolve), .events = POLLIN};
    return poll(&poll_fd, 1, wait_ms) == 1;
}

Test(resolve, an_address_is_there_at_once)
{
    static const char *const names[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        struct error error;
        struct addrinfo *addresses;
        struct resolve *resolve = resolve_start(names[i], 5672, &error);
        cr_assert(answered(resolve, 0));
        cr_assert(resolve_take(resolve, &addresses, &error));
        cr_assert_not_null(addresses);
        cr_assert_eq(addresses->ai_family, i == 0 ? AF_INET : AF_INET6);
        freeaddrinfo(addresses);
        resolve_free(resolve);
    }
}

Test(resolve, a_name_wakes_who_polls)
{
    struct error error;
    struct addrinfo *addresses;
    struct resolve *resolve = resolve_start("localhost", 5672, &error);
    cr_assert(answered(resolve, 10000));
    cr_assert(resolve_take(resolve, &addresses, &error));
    cr_assert_not_null(addresses);
    const struct sockaddr_in *address = (const void *)addresses->ai_addr;
    cr_assert_eq(ntohs(address->sin_port), 5672);
    freeaddrinfo(addresses);
    resolve_free(resolve);
}

Test(resolve, a_name_nobody_has_is_an_error, .timeout = 60)
{
    struct error error;
    struct addrinfo *addresses;
    struct resolve *resolve = resolve_start("no-such-host.invalid", 1, &error);
    cr_assert(answered(resolve, 50000));
    cr_assert(resolve_take(resolve, &addresses, &error));
    cr_assert_null(addresses);
    cr_assert_eq(error.class, ERROR_CONNECTION);
    resolve_free(resolve);
}

Test(resolve, nobody_needs_to_wait)
{
    for (int i = 0; i < 50; i++) {
        struct error error;
        struct resolve *resolve = resolve_start("localhost", 1, &error);
        cr_assert_not_null(resolve);
        resolve_free(resolve);
    }
    resolve_free(NULL);
}
