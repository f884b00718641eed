#include "relay/http/guard.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/listen.h"

#define HOST_BYTES 64 /* every way to write a loopback address is shorter */

/* "localhost:8372", "127.0.0.1", "[::1]:8372". A page of another site whose name was made to lead to 127.0.0.1 has that
 * site's name here. */
static bool
is_own_host(const char *host)
{
    char name[HOST_BYTES];
    const bool bracket = host[0] == '[';
    const char *const start = bracket ? host + 1 : host;
    const size_t length = strcspn(start, bracket ? "]" : ":");
    const char *const behind = start + length + (bracket && start[length] == ']' ? 1 : 0);
    if (length >= sizeof(name) || (bracket && start[length] != ']') ||
        (behind[0] != '\0' && behind[0] != ':')) {
        return false;
    }
    if (behind[0] == ':' && strspn(behind + 1, "0123456789") != strlen(behind + 1)) {
        return false;
    }
    memcpy(name, start, length);
    name[length] = '\0';
    return listen_is_loopback(name);
}

/* "http://HOST" or "https://HOST": a proxy may do the TLS, so the scheme says nothing. */
static bool
is_own_origin(const char *origin, const char *host)
{
    const char *const at = strstr(origin, "://");
    return at != NULL && host != NULL && strcasecmp(at + 3, host) == 0;
}

/* Browsers say where a request comes from, and pages cannot change what they say. */
static bool
is_foreign(const struct guard_request *request)
{
    if (request->site != NULL && strcasecmp(request->site, "same-origin") != 0 &&
        strcasecmp(request->site, "none") != 0) {
        return true;
    }
    return request->origin != NULL && !is_own_origin(request->origin, request->host);
}

/* Takes as long whatever the first difference is. */
static bool
is_same_secret(const char *a, const char *b)
{
    const size_t length = strlen(a);
    volatile uint8_t difference = strlen(b) == length ? 0 : 1;
    if (difference == 0) {
        for (size_t i = 0; i < length; i++) {
            difference |= (uint8_t)(a[i] ^ b[i]);
        }
    }
    return difference == 0;
}

static bool
has_token(const struct guard_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *const given = request->authorization;
    if (given == NULL || strncasecmp(given, scheme, strlen(scheme)) != 0) {
        return false;
    }
    return is_same_secret(request->token,
                          given + strlen(scheme) + strspn(given + strlen(scheme), " "));
}

unsigned
guard_refuses(const struct guard_request *request, const char **ret_words)
{
    if (request->host == NULL) {
        *ret_words = "a request needs a Host";
        return 400;
    }
    if (request->loopback && !is_own_host(request->host)) {
        *ret_words = "this server is known as localhost or by its loopback address alone; if a "
                     "proxy stands before it, set behind_proxy";
        return 421;
    }
    if (!request->changes) {
        return 0;
    }
    if (is_foreign(request)) {
        *ret_words = "nothing is changed for a page of another site";
        return 403;
    }
    if (request->token == NULL) {
        *ret_words =
            "nothing can be changed over HTTP: no token_file is configured, or it cannot be "
            "read";
        return 403;
    }
    if (!has_token(request)) {
        *ret_words = "this needs the token of token_file: Authorization: Bearer TOKEN";
        return 401;
    }
    return 0;
}
