#include "relay/http/route.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"

const char *
http_argument(const struct http_request *request, const char *name)
{
    return request->find_argument(request->connection, name);
}

const char *
http_header(const struct http_request *request, const char *name)
{
    return request->find_header(request->connection, name);
}

void
http_answer_words(struct http_answer *answer, unsigned status, const char *format, ...)
{
    FILE *const stream = http_answer_begin(answer);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stream, format, arguments); /* into memory */
    va_end(arguments);
    (void)fputc('\n', stream); /* as above */
    http_answer_end(answer, stream);
    answer->status = status;
}

FILE *
http_answer_begin(struct http_answer *answer)
{
    FILE *const stream = open_memstream(&answer->body, &answer->size);
    if (stream == NULL) {
        memory_exhausted();
    }
    return stream;
}

void
http_answer_end(struct http_answer *answer, FILE *stream)
{
    if (fclose(stream) != 0 || answer->body == NULL) {
        memory_exhausted();
    }
}

static bool
matches(const struct http_route *route, const char *path, const char **ret_rest)
{
    const size_t length = strlen(route->path);
    if (length > 0 && route->path[length - 1] == '*') {
        *ret_rest = path + length - 1;
        return strncmp(route->path, path, length - 1) == 0;
    }
    *ret_rest = "";
    return strcmp(route->path, path) == 0;
}

static bool
is_method(const struct http_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

const struct http_route *
http_route_find(const struct http_route *routes, const char *method, const char *path,
                const char **ret_rest, const char **ret_allowed)
{
    bool gets = false;
    bool posts = false;
    for (const struct http_route *route = routes; route->path != NULL; route++) {
        if (!matches(route, path, ret_rest)) {
            continue;
        }
        if (is_method(route, method)) {
            return route;
        }
        gets |= strcmp(route->method, "GET") == 0;
        posts |= strcmp(route->method, "POST") == 0;
    }
    *ret_allowed = gets && posts ? "GET, HEAD, POST" : gets ? "GET, HEAD" : posts ? "POST" : NULL;
    return NULL;
}
