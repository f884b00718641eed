#include "relay/rabbit/headers.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "amqp/table.h"

#define NAME_SHOWN 60

static struct span
span_of(const char *text)
{
    return (struct span){.data = text, .size = strlen(text)};
}

static bool put_value(struct table_writer *writer, struct span name, const json_t *value);

static bool
put_object(struct table_writer *writer, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!put_value(writer, span_of(name), value)) {
            return false;
        }
    }
    return true;
}

static bool
put_array(struct table_writer *writer, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!put_value(writer, (struct span){0}, json_array_get(array, i))) {
            return false;
        }
    }
    return true;
}

static bool
put_value(struct table_writer *writer, struct span name, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return table_open_table(writer, name) && put_object(writer, value) && table_close(writer);
    case JSON_ARRAY:
        return table_open_array(writer, name) && put_array(writer, value) && table_close(writer);
    case JSON_STRING:
        return table_put_string(
            writer, name,
            (struct span){.data = json_string_value(value), .size = json_string_length(value)});
    case JSON_INTEGER:
        return table_put_int(writer, name, json_integer_value(value));
    case JSON_REAL:
        return table_put_double(writer, name, json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return table_put_bool(writer, name, json_is_true(value));
    case JSON_NULL:
        return table_put_null(writer, name);
    }
    return false;
}

static bool
is_ours(const char *name)
{
    return strncmp(name, HEADERS_OURS, strlen(HEADERS_OURS)) == 0;
}

/* RabbitMQ's sender-selected distribution. */
static bool
is_routing(const char *name)
{
    return strcmp(name, "CC") == 0 || strcmp(name, "BCC") == 0;
}

/* If the value is no array, RabbitMQ closes the channel; elements that are no strings it silently ignores
 * (header_routes in rabbit_basic.erl). */
static bool
can_be_routed_by(const json_t *value)
{
    if (!json_is_array(value)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *key = json_array_get(value, i);
        if (!json_is_string(key) || json_string_length(key) > LIMIT_NAME_BYTES) {
            return false;
        }
    }
    return true;
}

static bool
put_own_header(struct table_writer *writer, const char *name, const json_t *value,
               struct properties *properties, struct error *reterr)
{
    if (json_is_null(value)) {
        return true;
    }
    if (is_ours(name)) {
        return error_set(
            reterr, ERROR_MESSAGE,
            "headers: \"%.60s\": names that begin with " HEADERS_OURS " are the relay's", name);
    }
    if (is_routing(name) && !can_be_routed_by(value)) {
        return error_set(reterr, ERROR_MESSAGE,
                         "headers: \"%s\" must be an array of routing keys, strings of at most %d "
                         "bytes",
                         name, LIMIT_NAME_BYTES);
    }
    if (properties_has(name)) {
        return properties_take(properties, name, value, reterr);
    }
    return put_value(writer, span_of(name), value) ||
           error_set(reterr, ERROR_MESSAGE,
                     "headers: \"%.60s\" cannot be an AMQP field (a name over 255 bytes, "
                     "nesting deeper than %d, or too large)",
                     name, TABLE_DEPTH_MAX);
}

static bool
put_own_headers(struct table_writer *writer, const json_t *object, struct properties *properties,
                struct error *reterr)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!put_own_header(writer, name, value, properties, reterr)) {
            return false;
        }
    }
    return true;
}

static const char *
type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return names[json_typeof(value)];
}

/* The header in which parsing stopped at `end`: the last name before it in the outermost object. Empty: in none. */
static struct span
name_before(struct span json, size_t end)
{
    const char *text = json.data;
    struct span name = {.data = "", .size = 0};
    int depth = 0;
    bool object = false;
    bool is_name = false; /* a string that begins here */
    for (size_t i = 0; i < end; i++) {
        const char c = text[i];
        if (c == '"') {
            const size_t from = i + 1;
            for (i++; i < end && text[i] != '"'; i++) {
                i += text[i] == '\\' ? 1 : 0;
            }
            if (is_name && i < end) {
                name = (struct span){.data = text + from, .size = i - from};
            }
            is_name = false;
        } else if (c == '{' || c == '[') {
            object = depth == 0 ? c == '{' : object;
            is_name = depth++ == 0 && object;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            is_name = depth == 1 && object;
        }
    }
    return name;
}

static bool
refuse_unreadable(struct span json, const json_error_t *trouble, struct error *reterr)
{
    const size_t position = trouble->position > 0 ? (size_t)trouble->position : 0;
    const struct span name = name_before(json, position < json.size ? position : json.size);
    const int size = name.size < NAME_SHOWN ? (int)name.size : NAME_SHOWN;
    return size > 0
               ? error_set(reterr, ERROR_MESSAGE, "headers: \"%.*s\" cannot be read: %s", size,
                           (const char *)name.data, trouble->text)
               : error_set(reterr, ERROR_MESSAGE, "headers: cannot be read: %s", trouble->text);
}

static bool
put_row_headers(struct table_writer *writer, const struct row *row, struct properties *properties,
                struct error *reterr)
{
    if (row->headers.size == 0) {
        return true;
    }
    if (row->headers.size > LIMIT_HEADERS_BYTES) {
        return error_set(reterr, ERROR_MESSAGE, "headers: %zu bytes as text, more than %d",
                         row->headers.size, LIMIT_HEADERS_BYTES);
    }
    json_error_t trouble;
    json_t *value = json_loadb(row->headers.data, row->headers.size,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL, &trouble);
    if (value == NULL) {
        return refuse_unreadable(row->headers, &trouble, reterr);
    }
    const bool done =
        json_is_object(value)
            ? put_own_headers(writer, value, properties, reterr)
            : error_set(reterr, ERROR_MESSAGE, "headers: expected a JSON object, the row has %s",
                        type_name(value));
    json_decref(value);
    return done;
}

bool
headers_encode(const struct row *row, const char *source, struct buffer *buffer,
               struct span *ret_headers, struct properties *ret_properties, struct error *reterr)
{
    buffer_clear(buffer);
    properties_init(ret_properties);
    struct table_writer writer;
    table_writer_init(&writer, buffer);
    if (!put_row_headers(&writer, row, ret_properties, reterr)) {
        return false;
    }
    if (!table_put_string(&writer, span_of(HEADER_SOURCE), span_of(source)) ||
        !table_put_int(&writer, span_of(HEADER_ID), row->id) ||
        (row->has_key && !table_put_string(&writer, span_of(HEADER_KEY), row->key))) {
        return error_set(reterr, ERROR_MESSAGE, "headers and key are larger than %zu bytes",
                         buffer->max);
    }
    *ret_headers = (struct span){.data = buffer_front(buffer), .size = buffer_size(buffer)};
    return true;
}
