#include "relay/http/accept.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"
#define QUALITY_FULL 1000

static const char *
skip_blanks(const char *at)
{
    return at + strspn(at, BLANKS);
}

/* "1", "0.8", "0.123": in thousandths; 0 for anything else. */
static unsigned
read_quality(const char *at)
{
    unsigned quality = at[0] == '1' ? QUALITY_FULL : 0;
    if (at[0] != '0' || at[1] != '.') {
        return quality;
    }
    at += 2;
    for (unsigned unit = 100; unit > 0 && *at >= '0' && *at <= '9'; unit /= 10) {
        quality += (unsigned)(*at++ - '0') * unit;
    }
    return quality;
}

/* The weight that the parameters of one type give; `at` is behind the type. */
static unsigned
quality_of(const char *at, const char *end)
{
    unsigned quality = QUALITY_FULL;
    while ((at = memchr(at, ';', (size_t)(end - at))) != NULL) {
        at = skip_blanks(at + 1);
        if (end - at >= 2 && strncasecmp(at, "q=", 2) == 0) {
            quality = read_quality(at + 2);
        }
    }
    return quality;
}

static bool
is_type(const char *at, const char *end, const char *type)
{
    const size_t length = strlen(type);
    return (size_t)(end - at) >= length && strncasecmp(at, type, length) == 0 &&
           (at + length == end || strchr("; \t", at[length]) != NULL);
}

bool
accept_takes_openmetrics(const char *accept)
{
    unsigned open = 0;
    unsigned text = 0;
    for (const char *at = accept; at != NULL && *at != '\0';) {
        at = skip_blanks(at);
        const char *const end = at + strcspn(at, ",");
        if (is_type(at, end, "application/openmetrics-text")) {
            open = quality_of(at, end);
        } else if (is_type(at, end, "text/plain")) {
            text = quality_of(at, end);
        }
        at = *end == ',' ? end + 1 : end;
    }
    return open > 0 && open >= text;
}
