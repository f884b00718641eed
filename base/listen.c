#include "base/listen.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define EXPECTED \
    "expected an address and a port, such as 127.0.0.1:8372, [::1]:8372 or 0.0.0.0:8372"
#define HOST_BYTES (INET6_ADDRSTRLEN + 1)

/* Splits "host:port" or "[host]:port". */
static bool
split(const char *text, char ret_host[HOST_BYTES], uint64_t *ret_port, bool *ret_v6)
{
    const char *const colon = strrchr(text, ':');
    if (colon == NULL || colon == text || !text_parse_number(colon + 1, ret_port) ||
        *ret_port == 0 || *ret_port > UINT16_MAX) {
        return false;
    }
    *ret_v6 = text[0] == '[';
    const char *const start = *ret_v6 ? text + 1 : text;
    const char *const end = *ret_v6 ? colon - 1 : colon;
    if (end <= start || (*ret_v6 && *end != ']') || (size_t)(end - start) >= HOST_BYTES) {
        return false;
    }
    memcpy(ret_host, start, (size_t)(end - start));
    ret_host[end - start] = '\0';
    return true;
}

static bool
is_loopback_v4(struct in_addr address)
{
    return (ntohl(address.s_addr) >> 24) == 127;
}

bool
listen_parse(const char *text, struct listen_address *ret_address, struct error *reterr)
{
    char host[HOST_BYTES];
    uint64_t port;
    bool v6;
    struct listen_address address = {0};
    if (!split(text, host, &port, &v6)) {
        return error_set(reterr, ERROR_CONFIG, EXPECTED);
    }
    if (v6) {
        address.socket.v6.sin6_family = AF_INET6;
        address.socket.v6.sin6_port = htons((uint16_t)port);
    } else {
        address.socket.v4.sin_family = AF_INET;
        address.socket.v4.sin_port = htons((uint16_t)port);
    }
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host,
                  v6 ? (void *)&address.socket.v6.sin6_addr
                     : (void *)&address.socket.v4.sin_addr) != 1) {
        return error_set(reterr, ERROR_CONFIG, EXPECTED);
    }
    address.loopback = v6 ? IN6_IS_ADDR_LOOPBACK(&address.socket.v6.sin6_addr)
                          : is_loopback_v4(address.socket.v4.sin_addr);
    *ret_address = address;
    return true;
}

bool
listen_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    return (inet_pton(AF_INET, host, &v4) == 1 && is_loopback_v4(v4)) ||
           (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}
