/* outbox-sql/mysql_text.h - private to liboutbox-mysql: builds a statement whose values mean the same in every session. Bytes
 * are written as x'…', a string of bytes for MariaDB and MySQL alike: it contains no quote and no backslash, whatever the
 * connection's character set is (in gbk, sjis and big5 a backslash may be the second half of a character) and whatever
 * sql_mode says (NO_BACKSLASH_ESCAPES, ANSI_QUOTES). The price is that a payload takes twice its bytes in the statement. */
#ifndef OUTBOX_SQL_MYSQL_TEXT_H
#define OUTBOX_SQL_MYSQL_TEXT_H

#include <stdint.h>

#include "base/buffer.h"

struct mysql_text {
    struct buffer bytes;
    bool full;   /* it would have more bytes than it may have */
    bool failed; /* no memory */
    /* Both stay set, so that one check at the end is enough; once one is set, nothing more is added. */
};

/* A time of the year 9999 is the last that a datetime has: microseconds since 1970 UTC. */
#define MYSQL_TEXT_TIME_MAX_US INT64_C(253402300799999999)

/* An empty statement, of at most max_bytes. mysql_text_done frees it. */
void mysql_text_init(struct mysql_text *text, size_t max_bytes);
void mysql_text_done(struct mysql_text *text);

/* SQL, as it is. */
void mysql_text_add_sql(struct mysql_text *text, const char *sql);

/* The bytes as a value; none give an empty string. */
void mysql_text_add_bytes(struct mysql_text *text, const void *bytes, size_t length);

/* The text without its terminating zero as a value, or NULL for NULL. */
void mysql_text_add_string(struct mysql_text *text, const char *string);

/* A time as a value, in UTC: from 0 to MYSQL_TEXT_TIME_MAX_US. */
void mysql_text_add_time(struct mysql_text *text, int64_t unix_us);

#endif
