#include "consumers/mysql_statement.h"

#include <stdint.h>
#include <string.h>

struct mysql_parts
mysql_statement_parts(const char *sql)
{
    const size_t length = strlen(sql);
    const char *line = sql[0] == '(' ? sql : strstr(sql, "\n(");
    if (line == NULL) {
        return (struct mysql_parts){sql, length, sql + length, 0, sql + length, 0};
    }
    const char *item = line[0] == '(' ? line : line + 1;
    const size_t item_length = strcspn(item, "\n");
    const char *tail = item + item_length;
    return (struct mysql_parts){sql, (size_t)(item - sql), item, item_length, tail, strlen(tail)};
}

static char *
put_hex(char *out, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    *out++ = 'x';
    *out++ = '\'';
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out++ = '\'';
    return out;
}

static char *
put_value(char *out, const struct mysql_value *value)
{
    if (value->is_number) {
        memcpy(out, value->bytes, value->length);
        return out + value->length;
    }
    return put_hex(out, value->bytes, value->length);
}

/* The value whose name stands at `at`, or NULL. */
static const struct mysql_value *
value_at(const char *at, size_t left, const struct mysql_value *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        const size_t length = strlen(values[i].name);
        if (length <= left && memcmp(at, values[i].name, length) == 0) {
            return &values[i];
        }
    }
    return NULL;
}

char *
mysql_statement_put(char *out, const char *sql, size_t length, const struct mysql_value *values,
                    size_t value_count)
{
    for (size_t at = 0; at < length;) {
        const struct mysql_value *value = value_at(sql + at, length - at, values, value_count);
        if (value == NULL) {
            *out++ = sql[at++];
        } else {
            out = put_value(out, value);
            at += strlen(value->name);
        }
    }
    return out;
}
