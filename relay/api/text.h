/* relay/api/text.h - texts for people: ages, times, and foreign texts made safe to show. */
#ifndef RELAY_API_TEXT_H
#define RELAY_API_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API_AGE_BYTES 32
#define API_TIME_BYTES 48

/* An age: "12 s", "3 min", "5 h", "12 d", rounded down. Below 0 is 0. */
void api_text_age(int64_t us, char ret_text[API_AGE_BYTES]);

/* The time until something: "in 12 s", rounded up; "now" if that time is over. */
void api_text_until(int64_t us, char ret_text[API_AGE_BYTES]);

/* Microseconds since 1970 as "2026-11-23 10:00:00+01:00", in the time zone of this process. */
void api_text_time(int64_t wall_us, char ret_text[API_TIME_BYTES]);

/* The same for programs: "2026-11-23T09:00:00.123Z". */
void api_text_utc(int64_t wall_us, char ret_text[API_TIME_BYTES]);

/* A copy with control characters written as "\n" or "\x1b", so that nothing moves the cursor, rings or changes colours.
 * For memory_free. */
char *api_text_clean(const char *text) __attribute__((malloc, returns_nonnull));

/* True if it is UTF-8 that can be printed unchanged, with line breaks and tabs. */
bool api_text_is_plain(const uint8_t *bytes, size_t size);

/* Base64 (RFC 4648). For memory_free. */
char *api_text_base64(const uint8_t *bytes, size_t size) __attribute__((malloc, returns_nonnull));

/* "" for one, "s" for any other number. */
const char *api_text_plural(uint64_t count);

#endif
