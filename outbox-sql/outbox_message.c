#include "outbox-sql/outbox_message.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

outbox_result
outbox_fail(struct outbox_error *reterr, outbox_result code, const char *format, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, format);
        reterr->code = code;
        reterr->sqlstate[0] = '\0';
        (void)vsnprintf(reterr->message, sizeof(reterr->message), format, args);
        va_end(args);
    }
    return code;
}

const struct outbox_message *
outbox_message_at(const struct outbox_message *messages, size_t index)
{
    const char *first = (const char *)messages;
    return (const void *)(first + index * messages->struct_size);
}

/* A larger struct comes from a later header; members that this library does not know must be unset, or they would be lost. */
static outbox_result
check_struct(const struct outbox_message *message, size_t stride, size_t index,
             struct outbox_error *reterr)
{
    if (message->struct_size < sizeof(*message) || message->struct_size != stride) {
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "message %zu: struct_size is %zu: start from OUTBOX_MESSAGE_INIT", index,
                           message->struct_size);
    }
    const char *bytes = (const char *)message;
    for (size_t i = sizeof(*message); i < stride; i++) {
        if (bytes[i] != 0) {
            return outbox_fail(reterr, OUTBOX_INVALID,
                               "message %zu: sets a field that this version of the library lacks",
                               index);
        }
    }
    return OUTBOX_OK;
}

static outbox_result
check_text(const char *text, const char *field, size_t max, size_t index,
           struct outbox_error *reterr)
{
    if (text == NULL) {
        return OUTBOX_OK;
    }
    const size_t length = strnlen(text, max + 1);
    if (length > max) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: %s is longer than %zu bytes",
                           index, field, max);
    }
    if (!utf8_is_text(text, length)) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: %s is not valid UTF-8", index,
                           field);
    }
    return OUTBOX_OK;
}

static outbox_result
check_names(const struct outbox_message *message, size_t index, struct outbox_error *reterr)
{
    const struct {
        const char *field;
        const char *text;
        size_t max;
    } names[] = {
        {"exchange", message->exchange, OUTBOX_NAME_MAX_BYTES},
        {"routing_key", message->routing_key, OUTBOX_NAME_MAX_BYTES},
        {"key", message->key, OUTBOX_KEY_MAX_BYTES},
        {"type", message->type, OUTBOX_NAME_MAX_BYTES},
        {"content_type", message->content_type, OUTBOX_NAME_MAX_BYTES},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const outbox_result result =
            check_text(names[i].text, names[i].field, names[i].max, index, reterr);
        if (result != OUTBOX_OK) {
            return result;
        }
    }
    return OUTBOX_OK;
}

/* Names that the relay would refuse with any value: its own names, and CC and BCC, which need an array where the value here is
 * a string. */
static outbox_result
check_header_name(const char *name, size_t index, struct outbox_error *reterr)
{
    if (strncmp(name, "x-outbox-", strlen("x-outbox-")) == 0) {
        return outbox_fail(
            reterr, OUTBOX_INVALID,
            "message %zu: header %s: names that begin with x-outbox- are the relay's", index, name);
    }
    if (strcmp(name, "CC") == 0 || strcmp(name, "BCC") == 0) {
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "message %zu: header %s must be an array: use headers_json", index,
                           name);
    }
    return OUTBOX_OK;
}

static outbox_result
check_header(const struct outbox_message *message, size_t at, size_t index,
             struct outbox_error *reterr)
{
    const struct outbox_header *header = &message->headers[at];
    if (header->name == NULL || header->name[0] == '\0') {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: header %zu has no name", index,
                           at);
    }
    if (header->value == NULL) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: header %zu has no value", index,
                           at);
    }
    outbox_result result =
        check_text(header->name, "name of a header", OUTBOX_NAME_MAX_BYTES, index, reterr);
    if (result == OUTBOX_OK) {
        result =
            check_text(header->value, "value of a header", OUTBOX_HEADERS_MAX_BYTES, index, reterr);
    }
    if (result == OUTBOX_OK) {
        result = check_header_name(header->name, index, reterr);
    }
    for (size_t i = 0; result == OUTBOX_OK && i < at; i++) {
        if (strcmp(message->headers[i].name, header->name) == 0) {
            return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: header %s comes twice", index,
                               header->name);
        }
    }
    return result;
}

/* `"name":"value",` where a control character takes six bytes. */
static size_t
escaped_length(const char *text)
{
    size_t length = 2;
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        length += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    return length;
}

static outbox_result
check_headers(const struct outbox_message *message, size_t index, struct outbox_error *reterr)
{
    if (message->headers == NULL && message->header_count > 0) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: headers is NULL", index);
    }
    size_t length = 1;
    for (size_t i = 0; i < message->header_count; i++) {
        const outbox_result result = check_header(message, i, index, reterr);
        if (result != OUTBOX_OK) {
            return result;
        }
        length += escaped_length(message->headers[i].name) + 1 +
                  escaped_length(message->headers[i].value) + 1;
        /* Inside the loop, so that the search for doubles above is bounded too. */
        if (length > OUTBOX_HEADERS_MAX_BYTES) {
            return outbox_fail(reterr, OUTBOX_INVALID,
                               "message %zu: headers are longer than %d bytes as JSON", index,
                               OUTBOX_HEADERS_MAX_BYTES);
        }
    }
    return OUTBOX_OK;
}

/* The database checks that it is JSON; this looks whether it is an object, since an array or a number is JSON too. */
static outbox_result
check_headers_json(const struct outbox_message *message, size_t index, struct outbox_error *reterr)
{
    const char *json = message->headers_json;
    if (json == NULL) {
        return OUTBOX_OK;
    }
    if (message->header_count > 0) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: has both headers and headers_json",
                           index);
    }
    const outbox_result result =
        check_text(json, "headers_json", OUTBOX_HEADERS_MAX_BYTES, index, reterr);
    if (result == OUTBOX_OK && json[strspn(json, " \t\r\n")] != '{') {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: headers_json is no JSON object",
                           index);
    }
    return result;
}

static outbox_result
check_payload(const struct outbox_message *message, size_t index, struct outbox_error *reterr)
{
    if (message->payload == NULL && message->payload_length > 0) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: payload is NULL", index);
    }
    if (message->payload_length > OUTBOX_PAYLOAD_MAX_BYTES) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: payload is longer than %d bytes",
                           index, OUTBOX_PAYLOAD_MAX_BYTES);
    }
    if (message->deliver_after_us < 0) {
        return outbox_fail(reterr, OUTBOX_INVALID, "message %zu: deliver_after_us is before 1970",
                           index);
    }
    return OUTBOX_OK;
}

static outbox_result
check_message(const struct outbox_message *message, size_t stride, size_t index,
              struct outbox_error *reterr)
{
    outbox_result result = check_struct(message, stride, index, reterr);
    if (result == OUTBOX_OK) {
        result = check_names(message, index, reterr);
    }
    if (result == OUTBOX_OK) {
        result = check_headers(message, index, reterr);
    }
    if (result == OUTBOX_OK) {
        result = check_headers_json(message, index, reterr);
    }
    return result == OUTBOX_OK ? check_payload(message, index, reterr) : result;
}

/* Headers count with their largest possible size: it only matters that the batch has a limit. */
static size_t
weight(const struct outbox_message *message)
{
    size_t headers = message->headers_json != NULL ? strlen(message->headers_json) : 0;
    for (size_t i = 0; i < message->header_count; i++) {
        headers += escaped_length(message->headers[i].name) +
                   escaped_length(message->headers[i].value) + 2;
    }
    return message->payload_length + headers;
}

outbox_result
outbox_messages_check(const struct outbox_message *messages, size_t message_count,
                      struct outbox_error *reterr)
{
    if (message_count > 0 && messages == NULL) {
        return outbox_fail(reterr, OUTBOX_INVALID, "messages is NULL");
    }
    if (message_count > OUTBOX_BATCH_MAX_MESSAGES) {
        return outbox_fail(reterr, OUTBOX_INVALID, "%zu messages in one call, the most is %d",
                           message_count, OUTBOX_BATCH_MAX_MESSAGES);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < message_count; i++) {
        const struct outbox_message *message = outbox_message_at(messages, i);
        const outbox_result result = check_message(message, messages->struct_size, i, reterr);
        if (result != OUTBOX_OK) {
            return result;
        }
        bytes += weight(message);
        if (bytes > OUTBOX_BATCH_MAX_BYTES) {
            return outbox_fail(reterr, OUTBOX_INVALID, "more than %d bytes in one call",
                               OUTBOX_BATCH_MAX_BYTES);
        }
    }
    return OUTBOX_OK;
}

/* RFC 8259, section 7: a quotation mark, a backslash and the control characters must be escaped, nothing else. */
static bool
append_string(struct buffer *json, const char *text)
{
    const size_t room = escaped_length(text);
    char *out = (char *)buffer_reserve(json, room + 1);
    if (out == NULL) {
        return false;
    }
    *out++ = '"';
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            static const char digits[] = "0123456789abcdef";
            memcpy(out, "\\u00", 4);
            out[4] = digits[c >> 4];
            out[5] = digits[c & 0x0f];
            out += 6;
            continue;
        }
        if (c == '"' || c == '\\') {
            *out++ = '\\';
        }
        *out++ = *text;
    }
    *out = '"';
    buffer_commit(json, room);
    return true;
}

bool
outbox_headers_to_json(const struct outbox_message *message, struct buffer *json)
{
    bool good = true;
    for (size_t i = 0; good && i < message->header_count; i++) {
        good = buffer_append(json, i == 0 ? "{" : ",", 1) &&
               append_string(json, message->headers[i].name) && buffer_append(json, ":", 1) &&
               append_string(json, message->headers[i].value);
    }
    return good && buffer_append(json, message->header_count == 0 ? "{}" : "}",
                                 message->header_count == 0 ? 2 : 1);
}
