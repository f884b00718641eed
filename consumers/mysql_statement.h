/* consumers/mysql_statement.h - the text of a statement, from a file of consumers/mysql/ and values for its @names.
 *
 * The values are part of the text. Preparing a statement would cost a round trip in each session, and leave something
 * behind that a pool's reset removes. It would gain little (MariaDB 10.11, the fastest of 150 claims): one message
 * takes 0.08 ms as text and 0.09 ms prepared before, a hundred 0.42 and 0.48 ms, a thousand 4.0 and 2.8 ms; a commit
 * takes 0.7 ms. Bytes are written as x'6d31', which means the same in every character set and sql_mode. */
#ifndef CONSUMERS_MYSQL_STATEMENT_H
#define CONSUMERS_MYSQL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

/* The value that replaces `name` in the file: bytes, or the digits of a number. No name may be the beginning of
 * another. */
struct mysql_value {
    const char *name;
    const void *bytes;
    size_t length;
    bool is_number;
};

/* A file's text in three parts: the line that begins with "(" is repeated for each message. Without such a line, item
 * and tail are empty. The parts point into the text. */
struct mysql_parts {
    const char *head;
    size_t head_length;
    const char *item;
    size_t item_length;
    const char *tail;
    size_t tail_length;
};

struct mysql_parts mysql_statement_parts(const char *sql);

/* The most bytes that mysql_statement_put writes for a value. */
static inline size_t
mysql_statement_literal_max(size_t length)
{
    return sizeof("x''") - 1 + 2 * length;
}

/* Writes `length` bytes of a file with the values in them, and returns the end of the written text. There must be
 * room. */
char *mysql_statement_put(char *out, const char *sql, size_t length,
                          const struct mysql_value *values, size_t value_count);

#endif
