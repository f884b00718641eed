#include <criterion/criterion.h>

#include "relay/http/guard.h"

static unsigned
refused(const struct guard_request *request)
{
    const char *words = NULL;
    const unsigned status = guard_refuses(request, &words);
    cr_assert_eq(status == 0, words == NULL, "words for a refusal, and for nothing else");
    return status;
}

static unsigned
refused_host(const char *host, bool loopback)
{
    return refused(&(struct guard_request){.loopback = loopback, .host = host});
}

Test(http_guard, on_loopback_only_its_own_names)
{
    static const char *const own[] = {
        "localhost", "localhost:8372", "LOCALHOST:1", "127.0.0.1:8372",
        "127.0.0.1", "[::1]:8372",     "[::1]",       NULL};
    static const char *const foreign[] = {"evil.example",
                                          "evil.example:8372",
                                          "localhost.evil.example",
                                          "127.0.0.1.evil.example",
                                          "[::2]",
                                          "[::1",
                                          "[::1]x",
                                          "::1",
                                          "localhost:x",
                                          "localhost:80@evil",
                                          "",
                                          ":8372",
                                          "0.0.0.0",
                                          "localhost evil",
                                          NULL};
    for (size_t i = 0; own[i] != NULL; i++) {
        cr_assert_eq(refused_host(own[i], true), 0, "%s", own[i]);
    }
    for (size_t i = 0; foreign[i] != NULL; i++) {
        cr_assert_eq(refused_host(foreign[i], true), 421, "%s", foreign[i]);
        cr_assert_eq(refused_host(foreign[i], false), 0, "%s", foreign[i]);
    }
    cr_assert_eq(refused_host(NULL, true), 400);
    cr_assert_eq(refused_host(NULL, false), 400);
}

static struct guard_request
change(void)
{
    return (struct guard_request){.loopback = true,
                                  .changes = true,
                                  .host = "localhost:8372",
                                  .authorization = "Bearer open sesame",
                                  .token = "open sesame"};
}

Test(http_guard, a_change_needs_the_token)
{
    struct guard_request request = change();
    cr_assert_eq(refused(&request), 0);
    static const char *const wrong[] = {
        "Bearer open sesam", "Bearer open sesame!", "Bearer", "Bearer ", "Basic open sesame",
        "open sesame",       "Bearer open\tsesame", "",       NULL};
    for (size_t i = 0; wrong[i] != NULL; i++) {
        request.authorization = wrong[i];
        cr_assert_eq(refused(&request), 401, "%s", wrong[i]);
    }
    request.authorization = NULL;
    cr_assert_eq(refused(&request), 401);
    request.authorization = "bearer  open sesame";
    cr_assert_eq(refused(&request), 0, "the scheme in any case, and blanks before the token");
    request.token = NULL;
    cr_assert_eq(refused(&request), 403, "nothing can be changed");
}

Test(http_guard, nothing_is_changed_for_another_site)
{
    struct guard_request request = change();
    static const char *const own[] = {"http://localhost:8372", "https://localhost:8372", NULL};
    static const char *const foreign[] = {"null",
                                          "http://evil.example",
                                          "http://localhost",
                                          "http://localhost:8373",
                                          "http://evil.example/http://localhost:8372",
                                          "localhost:8372",
                                          "",
                                          NULL};
    for (size_t i = 0; own[i] != NULL; i++) {
        request.origin = own[i];
        cr_assert_eq(refused(&request), 0, "%s", own[i]);
    }
    for (size_t i = 0; foreign[i] != NULL; i++) {
        request.origin = foreign[i];
        cr_assert_eq(refused(&request), 403, "%s", foreign[i]);
    }
    request.origin = NULL;
    request.site = "same-origin";
    cr_assert_eq(refused(&request), 0);
    request.site = "none";
    cr_assert_eq(refused(&request), 0, "a person typed the address");
    request.site = "same-site";
    cr_assert_eq(refused(&request), 403, "another port of this machine");
    request.site = "cross-site";
    cr_assert_eq(refused(&request), 403);
    request.changes = false;
    cr_assert_eq(refused(&request), 0, "to look is no change");
}
