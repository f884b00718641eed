/* Any headers that a client may send, as far as they are read here and not by the library: lines of the input are Host,
 * Origin, Sec-Fetch-Site, Authorization, the token, Accept, and an address to listen on. An empty line is a header that is
 * not there. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/listen.h"
#include "relay/http/accept.h"
#include "relay/http/guard.h"
#include "tests/fuzz/fuzz.h"

enum { HOST, ORIGIN, SITE, AUTHORIZATION, TOKEN, ACCEPT, LISTEN, LINES };

/* Must hold for any input. Not assert(), because that does nothing in some builds. */
static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Each line in memory of its own, so that the sanitizer sees reads outside of it. */
static void
take_lines(const char *text, char *lines[LINES])
{
    for (unsigned i = 0; i < LINES; i++) {
        const size_t length = strcspn(text, "\n");
        lines[i] = length == 0 ? NULL : strndup(text, length);
        text += length + (text[length] == '\n' ? 1 : 0);
    }
}

static void
guard(char *const lines[LINES], bool loopback, bool changes)
{
    const char *words = NULL;
    const struct guard_request request = {.loopback = loopback,
                                          .changes = changes,
                                          .host = lines[HOST],
                                          .origin = lines[ORIGIN],
                                          .site = lines[SITE],
                                          .authorization = lines[AUTHORIZATION],
                                          .token = lines[TOKEN]};
    const unsigned status = guard_refuses(&request, &words);
    require((status == 0) == (words == NULL));
    require(status == 0 || (status >= 400 && status < 500));
    if (status == 0 && loopback) {
        require(lines[HOST][0] == '[' || lines[HOST][0] == '1' || lines[HOST][0] == 'l' ||
                lines[HOST][0] == 'L');
    }
    if (status == 0 && changes) {
        const size_t token = strlen(lines[TOKEN]);
        const size_t given = strlen(lines[AUTHORIZATION]);
        require(given > token && strcmp(lines[AUTHORIZATION] + given - token, lines[TOKEN]) == 0);
        require(lines[ORIGIN] == NULL || strstr(lines[ORIGIN], lines[HOST]) != NULL ||
                strcasestr(lines[ORIGIN], lines[HOST]) != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *lines[LINES];
    struct listen_address address;
    struct error error;
    char *const text = malloc(size + 1);
    require(text != NULL);
    if (size > 0) {
        memcpy(text, bytes, size);
    }
    text[size] = '\0';
    take_lines(text, lines);
    for (unsigned i = 0; i < 4; i++) {
        guard(lines, (i & 1) != 0, (i & 2) != 0);
    }
    const bool open = accept_takes_openmetrics(lines[ACCEPT]);
    require(!open || strcasestr(lines[ACCEPT], "application/openmetrics-text") != NULL);
    if (lines[LISTEN] != NULL && listen_parse(lines[LISTEN], &address, &error)) {
        require(strrchr(lines[LISTEN], ':') != NULL);
    }
    for (unsigned i = 0; i < LINES; i++) {
        free(lines[i]);
    }
    free(text);
    return 0;
}
