#include "base/net/local.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text);
    const size_t end_size = strlen(end);
    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

/* "localhost" and what is below it: RFC 6761. */
static bool
is_local(const char *host)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &six) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&six);
    }
    return host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
           strcasecmp(host, "localhost") == 0 || ends_with(host, ".localhost");
}

bool
local_find_remote(const char *list, char ret_host[LOCAL_HOST_BYTES])
{
    while (list != NULL) {
        const size_t size = strcspn(list, ",");
        (void)snprintf(ret_host, LOCAL_HOST_BYTES, "%.*s", (int)size, list); /* cut is fine */
        if (!is_local(ret_host)) {
            return true;
        }
        list = list[size] == ',' ? list + size + 1 : NULL;
    }
    return false;
}
