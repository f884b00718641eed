#include "relay/api/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/utf8.h"

#define S_US INT64_C(1000000)
#define MIN_S INT64_C(60)
#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)

/* In hours up to two days, as "1 d" says little. */
static void
format_seconds(const char *before, int64_t s, bool up, char ret_text[API_AGE_BYTES])
{
    const int64_t unit_s = s < MIN_S ? 1 : s < HOUR_S ? MIN_S : s < 2 * DAY_S ? HOUR_S : DAY_S;
    const char *const unit = unit_s == 1        ? "s"
                             : unit_s == MIN_S  ? "min"
                             : unit_s == HOUR_S ? "h"
                                                : "d";
    (void)snprintf(ret_text, API_AGE_BYTES, "%s%" PRId64 " %s", before,
                   s / unit_s + (up && s % unit_s != 0 ? 1 : 0), unit); /* fits */
}

void
api_text_age(int64_t us, char ret_text[API_AGE_BYTES])
{
    format_seconds("", us < 0 ? 0 : us / S_US, false, ret_text);
}

void
api_text_until(int64_t us, char ret_text[API_AGE_BYTES])
{
    if (us <= 0) {
        (void)snprintf(ret_text, API_AGE_BYTES, "now"); /* fits */
        return;
    }
    format_seconds("in ", us / S_US + (us % S_US != 0 ? 1 : 0), true, ret_text);
}

/* Rounded down, also before 1970. */
static time_t
seconds_of(int64_t wall_us)
{
    return (time_t)(wall_us / S_US - (wall_us % S_US < 0 ? 1 : 0));
}

void
api_text_time(int64_t wall_us, char ret_text[API_TIME_BYTES])
{
    const time_t seconds = seconds_of(wall_us);
    struct tm tm;
    size_t size = 0;
    if (localtime_r(&seconds, &tm) != NULL) {
        size = strftime(ret_text, API_TIME_BYTES - 1, "%F %T%z", &tm);
    }
    ret_text[size] = '\0';
    if (size > 5) { /* "+0100" becomes "+01:00" */
        memmove(ret_text + size - 1, ret_text + size - 2, 3);
        ret_text[size - 2] = ':';
    }
}

void
api_text_utc(int64_t wall_us, char ret_text[API_TIME_BYTES])
{
    const time_t seconds = seconds_of(wall_us);
    const int ms = (int)((wall_us - (int64_t)seconds * S_US) / 1000);
    struct tm tm;
    size_t size = 0;
    if (gmtime_r(&seconds, &tm) != NULL) {
        size = strftime(ret_text, API_TIME_BYTES, "%FT%T", &tm);
    }
    (void)snprintf(ret_text + size, API_TIME_BYTES - size, ".%03dZ", ms); /* fits */
}

/* U+0080 to U+009F are control characters too, and some terminals obey them. */
static bool
is_second_control(const unsigned char *at)
{
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
}

char *
api_text_clean(const char *text)
{
    const bool utf8 = utf8_is_text(text, strlen(text));
    char *const clean = memory_array(strlen(text) + 1, 4); /* "\x1b" for each byte at most */
    char *to = clean;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        const bool second = is_second_control(at);
        if (*at == '\n') {
            to = stpcpy(to, "\\n");
        } else if (*at == '\t') {
            to = stpcpy(to, "\\t");
        } else if (*at < 0x20 || *at == 0x7f || second || (*at >= 0x80 && !utf8)) {
            at += utf8 && second ? 1 : 0;
            (void)snprintf(to, 5, "\\x%02x", *at); /* fits */
            to += 4;
        } else {
            *to++ = (char)*at;
        }
    }
    *to = '\0';
    return clean;
}

bool
api_text_is_plain(const uint8_t *bytes, size_t size)
{
    if (!utf8_is_text(bytes, size)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = bytes[i];
        const bool last = i + 1 == size;
        const bool allowed =
            byte == '\n' || byte == '\t' || (byte == '\r' && !last && bytes[i + 1] == '\n');
        if ((byte < 0x20 && !allowed) || byte == 0x7f || (!last && is_second_control(bytes + i))) {
            return false;
        }
    }
    return true;
}

char *
api_text_base64(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *const text = memory_array(size / 3 + 2, 4);
    char *to = text;
    for (size_t i = 0; i < size; i += 3) {
        const size_t rest = size - i;
        const uint32_t three = (uint32_t)bytes[i] << 16 |
                               (rest > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (rest > 2 ? (uint32_t)bytes[i + 2] : 0);
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = rest > 1 ? digits[three >> 6 & 63] : '=';
        *to++ = rest > 2 ? digits[three & 63] : '=';
    }
    *to = '\0';
    return text;
}

const char *
api_text_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
