#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/http/route.h"

static const struct http_route routes[] = {
    {"GET", "/metrics", 0, NULL},
    {"GET", "/sources/*", HTTP_ASKS, NULL},
    {"POST", "/sources/*", HTTP_CHANGES, NULL},
    {"POST", "/act", HTTP_CHANGES, NULL},
    {0},
};

static const char *rest;
static const char *allowed;

static const struct http_route *
find(const char *method, const char *path)
{
    allowed = NULL;
    return http_route_find(routes, method, path, &rest, &allowed);
}

Test(http_route, by_method_and_path)
{
    cr_assert_eq(find("GET", "/metrics"), &routes[0]);
    cr_assert_str_empty(rest);
    cr_assert_eq(find("HEAD", "/metrics"), &routes[0]);
    cr_assert_eq(find("GET", "/sources/orders/held"), &routes[1]);
    cr_assert_str_eq(rest, "orders/held");
    cr_assert_eq(find("POST", "/sources/"), &routes[2]);
    cr_assert_str_empty(rest);
    cr_assert_null(find("HEAD", "/act"));
}

Test(http_route, says_what_a_path_takes)
{
    cr_assert_null(find("POST", "/metrics"));
    cr_assert_str_eq(allowed, "GET, HEAD");
    cr_assert_null(find("DELETE", "/sources/x"));
    cr_assert_str_eq(allowed, "GET, HEAD, POST");
    cr_assert_null(find("GET", "/act"));
    cr_assert_str_eq(allowed, "POST");
    cr_assert_null(find("GET", "/metricss"));
    cr_assert_null(allowed);
    cr_assert_null(find("GET", "/sources"));
    cr_assert_null(allowed);
    cr_assert_null(find("GET", ""));
    cr_assert_null(allowed);
}

Test(http_route, only_what_changes_nothing_is_asked_by_get)
{
    for (const struct http_route *route = http_routes; route->path != NULL; route++) {
        cr_assert((route->flags & HTTP_CHANGES) == 0 || strcmp(route->method, "POST") == 0, "%s",
                  route->path);
        cr_assert(strcmp(route->method, "GET") == 0 || strcmp(route->method, "POST") == 0, "%s",
                  route->path);
        cr_assert_not_null(route->handle);
    }
}

Test(http_route, words_are_an_answer)
{
    struct http_answer answer = {.status = 200};
    http_answer_words(&answer, 404, "no %s here", "such thing");
    cr_assert_eq(answer.status, 404);
    cr_assert_eq(answer.size, strlen("no such thing here\n"));
    cr_assert_str_eq(answer.body, "no such thing here\n");
    free(answer.body);
}
