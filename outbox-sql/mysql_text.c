#include "outbox-sql/mysql_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S 1000000

void
mysql_text_init(struct mysql_text *text, size_t max_bytes)
{
    *text = (struct mysql_text){0};
    buffer_init(&text->bytes, 0, max_bytes);
}

void
mysql_text_done(struct mysql_text *text)
{
    buffer_done(&text->bytes);
}

/* A place for `size` more bytes; NULL: there is none. */
static uint8_t *
reserve(struct mysql_text *text, size_t size)
{
    if (text->full || text->failed) {
        return NULL;
    }
    text->full = size > text->bytes.max - buffer_size(&text->bytes);
    uint8_t *place = text->full ? NULL : buffer_reserve(&text->bytes, size);
    text->failed = !text->full && place == NULL;
    return place;
}

static void
append(struct mysql_text *text, const char *bytes, size_t length)
{
    uint8_t *place = reserve(text, length);
    if (place != NULL) {
        memcpy(place, bytes, length);
        buffer_commit(&text->bytes, length);
    }
}

void
mysql_text_add_sql(struct mysql_text *text, const char *sql)
{
    append(text, sql, strlen(sql));
}

void
mysql_text_add_bytes(struct mysql_text *text, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    const size_t size = strlen("x''") + 2 * length;
    uint8_t *out = reserve(text, size);
    if (out == NULL) {
        return;
    }
    *out++ = 'x';
    *out++ = '\'';
    const uint8_t *in = bytes;
    for (size_t i = 0; i < length; i++) {
        *out++ = (uint8_t)digits[in[i] >> 4];
        *out++ = (uint8_t)digits[in[i] & 0x0f];
    }
    *out = '\'';
    buffer_commit(&text->bytes, size);
}

void
mysql_text_add_string(struct mysql_text *text, const char *string)
{
    if (string == NULL) {
        mysql_text_add_sql(text, "NULL");
    } else {
        mysql_text_add_bytes(text, string, strlen(string));
    }
}

void
mysql_text_add_time(struct mysql_text *text, int64_t unix_us)
{
    assert(unix_us >= 0 && unix_us <= MYSQL_TEXT_TIME_MAX_US);
    const time_t seconds = (time_t)(unix_us / US_PER_S);
    struct tm utc;
    char date[sizeof("'9999-12-31 23:59:59")];
    char value[sizeof("'9999-12-31 23:59:59.999999'")];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(date, sizeof(date), "'%Y-%m-%d %H:%M:%S", &utc);
    (void)snprintf(value, sizeof(value), "%s.%06d'", date, (int)(unix_us % US_PER_S));
    mysql_text_add_sql(text, value);
}
