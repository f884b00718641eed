/* The numbers of base/limits.h in all places where they are repeated: in the tables, in the functions, and in the
 * statements that read. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <outbox/outbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#include "fetch_heads_sql.h"
#include "fetch_next_exact_sql.h"
#include "mysql_schema_outbox_sql.h"
#include "schema_functions_sql.h"
#include "schema_writing_sql.h"

/* What is measured: the text between "octet_length(" and ")". */
struct limit {
    const char *measured;
    unsigned long bytes;
};

/* Limits for writing. */
static const struct limit written[] = {
    {"exchange", LIMIT_NAME_BYTES},
    {"routing_key", LIMIT_NAME_BYTES},
    {"key", LIMIT_KEY_BYTES},
    {"type", LIMIT_NAME_BYTES},
    {"content_type", LIMIT_NAME_BYTES},
    {"headers::text", LIMIT_HEADERS_BYTES},
    {NULL, 0},
};

/* The same of a table of MariaDB or MySQL. */
static const struct limit written_mysql[] = {
    {"exchange", LIMIT_NAME_BYTES},
    {"routing_key", LIMIT_NAME_BYTES},
    {"`key`", LIMIT_KEY_BYTES},
    {"type", LIMIT_NAME_BYTES},
    {"content_type", LIMIT_NAME_BYTES},
    {"headers", LIMIT_HEADERS_BYTES},
    {NULL, 0},
};

/* Limits for reading. */
static const struct limit withheld[] = {
    {"exchange", LIMIT_NAME_BYTES},
    {"routing_key", LIMIT_NAME_BYTES},
    {"key", LIMIT_KEY_READ_BYTES},
    {"type", LIMIT_NAME_BYTES},
    {"content_type", LIMIT_NAME_BYTES},
    {"headers_text", LIMIT_HEADERS_READ_BYTES},
    {NULL, 0},
};

/* Every number of three digits or more in the line, except in a name such as "128 KiB". */
static void
expect_line(const char *line, size_t length, unsigned long bytes)
{
    for (const char *at = line; at < line + length; at++) {
        if (isdigit((unsigned char)*at)) {
            char *end;
            unsigned long number = strtoul(at, &end, 10);
            number *= strncmp(end, " KiB", 4) == 0 || strncmp(end, "_kib", 4) == 0 ? 1024 : 1;
            cr_assert(end - at < 3 || number == bytes, "%lu, not %lu: %.*s", number, bytes,
                      (int)length, line);
            at = end;
        }
    }
}

static const struct limit *
find(const struct limit *limits, const char *text)
{
    for (; limits->measured != NULL; limits++) {
        const size_t length = strlen(limits->measured);
        if (strncmp(text, limits->measured, length) == 0 && text[length] == ')' &&
            strspn(text + length + 1, " <>=") >= 3) {
            return limits;
        }
    }
    return NULL;
}

/* Each comparison of a length uses its limit, and each limit is compared. */
static void
expect_limits(const char *sql, const struct limit *limits)
{
    unsigned seen = 0;
    unsigned all = 0;
    for (const char *at = sql; (at = strstr(at, "octet_length(")) != NULL; at++) {
        const struct limit *const limit = find(limits, at + strlen("octet_length("));
        if (limit != NULL) {
            const char *line = at;
            while (line > sql && line[-1] != '\n') {
                line--;
            }
            expect_line(line, strcspn(line, "\n"), limit->bytes);
            seen |= 1U << (limit - limits);
        }
    }
    for (; limits->measured != NULL; limits++) {
        all = all << 1 | 1U;
    }
    cr_assert_eq(seen, all, "of %x only %x", all, seen);
}

Test(limits, of_the_table)
{
    expect_limits(sql_schema_writing, written);
}

Test(limits, of_the_table_of_mysql)
{
    expect_limits(sql_outbox, written_mysql);
}

/* Room for one more character, so that a value that is cut without strict mode is still too long. */
Test(limits, of_the_columns_of_mysql)
{
    unsigned names = 0;
    unsigned keys = 0;
    for (const char *at = sql_outbox; (at = strstr(at, " varchar(")) != NULL;) {
        at += strlen(" varchar(");
        const unsigned long characters = strtoul(at, NULL, 10);
        names += characters == LIMIT_NAME_BYTES + 1;
        keys += characters == LIMIT_KEY_BYTES + 1;
    }
    cr_assert_eq(names, 4);
    cr_assert_eq(keys, 1);
}

Test(limits, of_what_is_emitted)
{
    expect_limits(sql_schema_functions, written);
}

Test(limits, of_what_is_read)
{
    expect_limits(sql_fetch_next_exact, withheld);
    expect_limits(sql_fetch_heads, withheld);
}

/* As the server stores them, and the numbers that can be made into text. */
static void
expect_all(const char *sql, const char *before, unsigned long bytes, unsigned times)
{
    unsigned found = 0;
    for (const char *at = sql; (at = strstr(at, before)) != NULL; found++) {
        at += strlen(before);
        cr_assert_eq(strtoul(at, NULL, 10), bytes, "%s%.20s", before, at);
    }
    cr_assert_eq(found, times, "%s: %u times", before, found);
}

Test(limits, of_headers_as_they_are_stored)
{
    expect_all(sql_schema_writing, "pg_column_size(new.headers) > ", LIMIT_HEADERS_STORED_BYTES, 1);
    expect_all(sql_schema_functions, "pg_column_size(headers) > ", LIMIT_HEADERS_STORED_BYTES, 1);
    expect_all(sql_fetch_next_exact, "digits > ", LIMIT_HEADERS_BYTES, 1);
    expect_all(sql_fetch_heads, "digits > ", LIMIT_HEADERS_BYTES, 1);
}

/* Promise: the table accepts everything that liboutbox-pg accepts. */
Test(limits, of_the_library)
{
    cr_assert_eq(OUTBOX_NAME_MAX_BYTES, LIMIT_NAME_BYTES);
    cr_assert_eq(OUTBOX_KEY_MAX_BYTES, LIMIT_KEY_BYTES);
    cr_assert_leq(OUTBOX_HEADERS_MAX_BYTES, LIMIT_HEADERS_BYTES);
}
