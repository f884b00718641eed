#include "relay/mysql/extra.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#include "mysql_extra_columns_sql.h"

/* 64 characters of up to 4 bytes. Each character may be a quote, which is written twice or after a backslash. */
#define NAME_BYTES_MAX (64 * 4)
#define QUOTED_BYTES_MAX (2 * NAME_BYTES_MAX + 1)
#define PART_BYTES_MAX 8192

enum form {
    FORM_TEXT,
    FORM_HEX, /* bytes of any value */
    /* The text of a float has 6 digits, but 9 are needed; that of a double has all. */
    FORM_FLOAT,
};

struct my_extra_column {
    char name[QUOTED_BYTES_MAX]; /* as it stands between backticks */
    /* The name in hex, which means the same in every sql_mode. */
    char key[2 * NAME_BYTES_MAX + 1];
    /* The JSON path $."name", in hex as well. */
    char path[2 * QUOTED_BYTES_MAX + sizeof("242E2222")];
    enum form form;
};

/* ---- what there is -------------------------------------------------------------------------------------- */

static enum form
form_of(const char *type)
{
    static const char *const of_bytes[] = {
        "bit",        "binary",          "varbinary",    "tinyblob",       "blob",
        "mediumblob", "longblob",        "geometry",     "point",          "linestring",
        "polygon",    "multipoint",      "multipolygon", "geomcollection", "geometrycollection",
        "vector",     "multilinestring",
    };
    for (size_t i = 0; i < sizeof(of_bytes) / sizeof(of_bytes[0]); i++) {
        if (strcmp(type, of_bytes[i]) == 0) {
            return FORM_HEX;
        }
    }
    return strcmp(type, "float") == 0 ? FORM_FLOAT : FORM_TEXT;
}

static char *
put_hex(char *out, char byte)
{
    (void)snprintf(out, 3, "%02X", (unsigned char)byte);
    return out + 2;
}

static void
name_column(struct my_extra_column *column, const char *name)
{
    char *quoted = column->name;
    char *key = column->key;
    char *path = stpcpy(column->path, "242E22"); /* $." */
    for (size_t i = 0; i < NAME_BYTES_MAX && name[i] != '\0'; i++) {
        if (name[i] == '`') {
            *quoted++ = '`';
        }
        if (name[i] == '"' || name[i] == '\\') {
            path = put_hex(path, '\\');
        }
        *quoted++ = name[i];
        key = put_hex(key, name[i]);
        path = put_hex(path, name[i]);
    }
    (void)put_hex(path, '"');
}

bool
my_extra_look(struct my_session *session, struct my_extra *ret_extra)
{
    const struct my_parameters none = {.count = 0};
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(session, sql_extra_columns, &none, &rows)) {
        return false;
    }
    struct my_extra extra = {.count = 0};
    extra.columns = memory_array((size_t)mysql_num_rows(rows) + 1, sizeof(*extra.columns));
    while ((row = mysql_fetch_row(rows)) != NULL) {
        struct my_extra_column *const column = &extra.columns[extra.count++];
        name_column(column, row[0]);
        column->form = form_of(row[1]);
    }
    mysql_free_result(rows);
    *ret_extra = extra;
    return true;
}

void
my_extra_done(struct my_extra *extra)
{
    memory_free(extra->columns);
    *extra = (struct my_extra){.count = 0};
}

/* ---- parts of statements -------------------------------------------------------------------------------- */

static void put(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
put(struct buffer *buffer, const char *format, ...)
{
    char text[PART_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(text) || !buffer_append(buffer, text, (size_t)size)) {
        /* The buffer has room for 4096 columns, the most that a table can have. */
        memory_exhausted();
    }
}

static const char *
text_of(struct buffer *buffer)
{
    if (!buffer_append(buffer, "", 1)) {
        memory_exhausted();
    }
    return (const char *)buffer_front(buffer);
}

static void
put_value(struct buffer *buffer, const struct my_extra_column *column)
{
    switch (column->form) {
    case FORM_TEXT:
        put(buffer, "cast(outbox.`%s` as char)", column->name);
        break;
    case FORM_HEX:
        put(buffer, "hex(outbox.`%s`)", column->name);
        break;
    case FORM_FLOAT:
        put(buffer, "cast(outbox.`%s` + 0e0 as char)", column->name);
        break;
    }
}

const char *
my_extra_values(const struct my_extra *extra, struct buffer *buffer)
{
    buffer_clear(buffer);
    for (size_t i = 0; i < extra->count; i++) {
        put(buffer, "%s_utf8mb4 x'%s', ", i == 0 ? ", json_object(" : ", ", extra->columns[i].key);
        put_value(buffer, &extra->columns[i]);
    }
    if (extra->count > 0) {
        put(buffer, ")");
    }
    return text_of(buffer);
}

const char *
my_extra_marks(const struct my_extra *extra, struct buffer *buffer)
{
    buffer_clear(buffer);
    for (size_t i = 0; i < extra->count; i++) {
        put(buffer, ", coalesce(json_contains_path(held.extra, 'one', _utf8mb4 x'%s'), 0)",
            extra->columns[i].path);
    }
    return text_of(buffer);
}

const char *
my_extra_names(const struct my_extra *extra, const char *marks, struct buffer *buffer)
{
    buffer_clear(buffer);
    for (size_t i = 0; i < extra->count && marks[i] != '\0'; i++) {
        if (marks[i] == '1') {
            put(buffer, ", `%s`", extra->columns[i].name);
        }
    }
    return text_of(buffer);
}

const char *
my_extra_restored(const struct my_extra *extra, const char *marks, struct buffer *buffer)
{
    buffer_clear(buffer);
    for (size_t i = 0; i < extra->count && marks[i] != '\0'; i++) {
        const struct my_extra_column *const column = &extra->columns[i];
        const bool hex = column->form == FORM_HEX;
        if (marks[i] == '1') {
            put(buffer,
                ", case json_type(json_extract(held.extra, _utf8mb4 x'%s')) when 'NULL' then null "
                "else %s(json_unquote(json_extract(held.extra, _utf8mb4 x'%s'))) end",
                column->path, hex ? "unhex" : "", column->path);
        }
    }
    return text_of(buffer);
}
