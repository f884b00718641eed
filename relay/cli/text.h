/* relay/cli/text.h - texts for people: ages, times, and foreign texts made safe for a terminal. */
#ifndef RELAY_CLI_TEXT_H
#define RELAY_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_AGE_BYTES 32
#define CLI_TIME_BYTES 48

/* An age: "12 s", "3 min", "5 h", "12 d", rounded down. Below 0 is 0. */
void cli_text_age(int64_t us, char ret_text[CLI_AGE_BYTES]);

/* The time until something: "in 12 s", rounded up; "now" if that time is over. */
void cli_text_until(int64_t us, char ret_text[CLI_AGE_BYTES]);

/* Microseconds since 1970 as "2026-11-23 10:00:00+01:00", in the time zone of this process. */
void cli_text_time(int64_t wall_us, char ret_text[CLI_TIME_BYTES]);

/* The same for programs: "2026-11-23T09:00:00.123Z". */
void cli_text_utc(int64_t wall_us, char ret_text[CLI_TIME_BYTES]);

/* A copy with control characters written as "\n" or "\x1b", so that nothing moves the cursor, rings or changes colours.
 * For memory_free. */
char *cli_text_clean(const char *text) __attribute__((malloc, returns_nonnull));

/* How many columns a clean text takes, one for each character. */
size_t cli_text_columns(const char *text);

/* True if it is UTF-8 that can be printed unchanged, with line breaks and tabs. */
bool cli_text_is_plain(const uint8_t *bytes, size_t size);

/* "00000000  68 65 6c 6c 6f 00 …  |hello.…|", 16 bytes a line. */
void cli_text_dump(FILE *out, const uint8_t *bytes, size_t size);

/* Base64 (RFC 4648). For memory_free. */
char *cli_text_base64(const uint8_t *bytes, size_t size) __attribute__((malloc, returns_nonnull));

/* Writes one line of a report to `out`, a FILE *: "ok words". The words may have a server's text, and so anything: it
 * is cleaned, and cannot begin a line. For `tell` of struct report (relay/ports/report.h). */
void cli_text_line(void *out, const char *word, const char *words);

/* "" for one, "s" for any other number. */
const char *cli_text_plural(uint64_t count);

#endif
