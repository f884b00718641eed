#include "relay/mysql/sql.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define INT_BYTES_MAX 21 /* -9223372036854775808 and a comma */

static const char no_id[] = "18446744073709551615"; /* 2^64 - 1 is above every bigint */

static struct my_parameter *
add(struct my_parameters *parameters, const char *name, enum my_parameter_kind kind)
{
    assert(parameters->count < MY_PARAMETERS_MAX);
    struct my_parameter *const parameter = &parameters->items[parameters->count++];
    *parameter = (struct my_parameter){.name = name, .kind = kind};
    return parameter;
}

void
my_parameters_null(struct my_parameters *parameters, const char *name)
{
    add(parameters, name, MY_NULL);
}

void
my_parameters_int(struct my_parameters *parameters, const char *name, int64_t value)
{
    add(parameters, name, MY_INT)->number = value;
}

void
my_parameters_double(struct my_parameters *parameters, const char *name, double value)
{
    add(parameters, name, MY_DOUBLE)->fraction = value;
}

void
my_parameters_text(struct my_parameters *parameters, const char *name, const char *text)
{
    add(parameters, name, text != NULL ? MY_TEXT : MY_NULL)->text = text;
}

void
my_parameters_ints(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                   size_t count)
{
    struct my_parameter *const parameter = add(parameters, name, MY_INTS);
    parameter->numbers = numbers;
    parameter->count = count;
}

void
my_parameters_plain(struct my_parameters *parameters, const char *name, const char *text)
{
    assert(strpbrk(text, "'\\") == NULL);
    add(parameters, name, MY_PLAIN)->text = text;
}

void
my_parameters_ids(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                  size_t count)
{
    my_parameters_ints(parameters, name, numbers, count);
    parameters->items[parameters->count - 1].kind = MY_IDS;
}

void
my_parameters_edges(struct my_parameters *parameters, const char *name, const int64_t *numbers,
                    size_t count)
{
    my_parameters_ints(parameters, name, numbers, count);
    parameters->items[parameters->count - 1].kind = MY_EDGES;
}

void
my_parameters_sql(struct my_parameters *parameters, const char *name, const char *sql)
{
    add(parameters, name, MY_SQL)->text = sql;
}

/* Writes the digits from the end. printf takes five times as long, and a list may have thousands of numbers. */
static char *
put_digits(char *out, uint64_t value)
{
    char digits[INT_BYTES_MAX];
    char *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return mempcpy(out, at, (size_t)(digits + sizeof(digits) - at));
}

static char *
put_int(char *out, int64_t value)
{
    if (value < 0) {
        *out++ = '-';
    }
    return put_digits(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* Writes value + 1, which is over the range of int64 for the largest value. */
static char *
put_next(char *out, int64_t value)
{
    return value < 0 ? put_int(out, value + 1) : put_digits(out, (uint64_t)value + 1);
}

static bool
put_ints(struct buffer *buffer, const int64_t *numbers, size_t count)
{
    char *const start = (char *)buffer_reserve(buffer, count * INT_BYTES_MAX + 1);
    if (start == NULL) {
        return false;
    }
    char *out = start;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            *out++ = ',';
        }
        out = put_int(out, numbers[i]);
    }
    buffer_commit(buffer, (size_t)(out - start));
    return true;
}

static bool
put_edges(struct buffer *buffer, const struct my_parameter *list)
{
    const int64_t *const numbers = list->numbers;
    char *const start = (char *)buffer_reserve(buffer, 2 * list->count * INT_BYTES_MAX + 1);
    if (start == NULL) {
        return false;
    }
    char *out = start;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0 && (numbers[i] == numbers[i - 1] || numbers[i] - 1 == numbers[i - 1])) {
            continue; /* the run continues */
        }
        if (i > 0) {
            *out++ = ',';
            out = put_next(out, numbers[i - 1]);
            *out++ = ',';
        }
        out = put_int(out, numbers[i]);
    }
    *out++ = ',';
    out = put_next(out, numbers[list->count - 1]);
    buffer_commit(buffer, (size_t)(out - start));
    return true;
}

static bool
put_list(struct buffer *buffer, const struct my_parameter *list)
{
    return list->count > 0 ? put_ints(buffer, list->numbers, list->count)
                           : buffer_append(buffer, no_id, sizeof(no_id) - 1);
}

static bool
put_quoted(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, "'", 1) && buffer_append(buffer, text, strlen(text)) &&
           buffer_append(buffer, "'", 1);
}

static bool
put_ids(struct buffer *buffer, const struct my_parameter *list)
{
    return buffer_append(buffer, "'[", 2) && put_ints(buffer, list->numbers, list->count) &&
           buffer_append(buffer, "]'", 2);
}

static bool
put_text(struct buffer *buffer, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    const size_t size = strlen(text);
    const bool clean = utf8_is_text(text, size);
    char *const start = (char *)buffer_reserve(buffer, sizeof("_utf8mb4 x''") + 2 * size);
    if (start == NULL) {
        return false;
    }
    char *out = stpcpy(start, "_utf8mb4 x'");
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)(clean || (text[i] & 0x80) == 0 ? text[i] : '?');
        *out++ = hex[byte >> 4];
        *out++ = hex[byte & 15];
    }
    *out++ = '\'';
    buffer_commit(buffer, (size_t)(out - start));
    return true;
}

static bool
put_double(struct buffer *buffer, double value)
{
    char text[40];
    /* It fits. With an exponent the server reads it as a double, not as a decimal. */
    const int size = snprintf(text, sizeof(text), "%.17e", value);
    return buffer_append(buffer, text, (size_t)size);
}

static bool
put_part(struct buffer *buffer, const char *from, const char *to)
{
    return to == from || buffer_append(buffer, from, (size_t)(to - from));
}

static bool
put_value(struct buffer *buffer, const struct my_parameter *parameter)
{
    switch (parameter->kind) {
    case MY_NULL:
        return buffer_append(buffer, "null", strlen("null"));
    case MY_INT:
        return put_ints(buffer, &parameter->number, 1);
    case MY_DOUBLE:
        return put_double(buffer, parameter->fraction);
    case MY_TEXT:
        return put_text(buffer, parameter->text);
    case MY_PLAIN:
        return put_quoted(buffer, parameter->text);
    case MY_INTS:
        return put_list(buffer, parameter);
    case MY_IDS:
        return put_ids(buffer, parameter);
    case MY_EDGES:
        return parameter->count > 0 ? put_edges(buffer, parameter)
                                    : buffer_append(buffer, no_id, sizeof(no_id) - 1);
    case MY_SQL:
        return put_part(buffer, parameter->text, parameter->text + strlen(parameter->text));
    }
    assert(false);
    return false;
}

static const struct my_parameter *
find(const struct my_parameters *parameters, const char *name, size_t size)
{
    for (size_t i = 0; i < parameters->count; i++) {
        if (strlen(parameters->items[i].name) == size &&
            memcmp(parameters->items[i].name, name, size) == 0) {
            return &parameters->items[i];
        }
    }
    return NULL;
}

/* The next @ that begins a parameter, or the end of the text: @@name is the server's, @`name` the session's. */
static const char *
next_name(const char *sql)
{
    const char *at = strchrnul(sql, '@');
    while (at[0] == '@' && (at[1] == '@' || at[1] == '`')) {
        at = strchrnul(at + 2, '@');
    }
    return at;
}

/* True if the name at `at` begins a comment that is to be replaced. */
static bool
is_in_comment(const char *sql, const char *at)
{
    return at - sql >= 2 && at[-2] == '/' && at[-1] == '*';
}

bool
my_sql_put(struct buffer *buffer, const char *sql, const struct my_parameters *parameters)
{
    buffer_clear(buffer);
    while (strncmp(sql, "--", 2) == 0) { /* the comment at the top of the file */
        sql = strchrnul(sql, '\n');
        sql += *sql == '\n' ? 1 : 0;
    }
    const char *at;
    while (*(at = next_name(sql)) != '\0') {
        const size_t size = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        const size_t mark = is_in_comment(sql, at) ? 2 : 0;
        const struct my_parameter *const parameter = find(parameters, at + 1, size);
        assert(parameter != NULL && (mark > 0) == (parameter->kind == MY_SQL));
        if (!put_part(buffer, sql, at - mark) || !put_value(buffer, parameter)) {
            return false;
        }
        sql = at + 1 + size + mark;
    }
    return put_part(buffer, sql, at);
}
