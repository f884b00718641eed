#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "outbox-sql/outbox_message.h"

static struct outbox_error error;
static char long_text[OUTBOX_HEADERS_MAX_BYTES + 2];

static const char *
text_of(size_t length)
{
    memset(long_text, 'x', length);
    long_text[length] = '\0';
    return long_text;
}

static void
accept(const struct outbox_message *message)
{
    cr_assert_eq(outbox_messages_check(message, 1, &error), OUTBOX_OK, "%s", error.message);
}

static void
refuse(const struct outbox_message *message, const char *words)
{
    memset(&error, 0, sizeof(error));
    cr_assert_eq(outbox_messages_check(message, 1, &error), OUTBOX_INVALID, "accepted: %s", words);
    cr_assert_eq(error.code, OUTBOX_INVALID);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
    cr_assert_eq(outbox_messages_check(message, 1, NULL), OUTBOX_INVALID);
}

Test(outbox_message, names_have_limits)
{
    static const struct {
        const char *field;
        size_t offset;
        size_t max;
    } fields[] = {
        {"exchange", offsetof(struct outbox_message, exchange), 255},
        {"routing_key", offsetof(struct outbox_message, routing_key), 255},
        {"key", offsetof(struct outbox_message, key), 1024},
        {"content_type", offsetof(struct outbox_message, content_type), 255},
        {"type", offsetof(struct outbox_message, type), 255},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct outbox_message message = OUTBOX_MESSAGE_INIT;
        const char *text = text_of(fields[i].max);
        memcpy((char *)&message + fields[i].offset, &text, sizeof(text));
        accept(&message);
        (void)text_of(fields[i].max + 1);
        refuse(&message, fields[i].field);
        memcpy(long_text, "a\xc3", 3);
        refuse(&message, fields[i].field);
        cr_assert(strstr(error.message, "UTF-8") != NULL);
    }
}

Test(outbox_message, payload_has_a_limit)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    accept(&message);
    message.payload_length = 1;
    refuse(&message, "payload is NULL");
    message.payload = "x"; /* it is not read, only its length is used */
    message.payload_length = OUTBOX_PAYLOAD_MAX_BYTES;
    accept(&message);
    message.payload_length++;
    refuse(&message, "payload is longer");
    message.payload_length = SIZE_MAX;
    refuse(&message, "payload is longer");
}

Test(outbox_message, batch_has_limits)
{
    struct outbox_message messages[3] = {OUTBOX_MESSAGE_INIT, OUTBOX_MESSAGE_INIT,
                                         OUTBOX_MESSAGE_INIT};
    for (int i = 0; i < 3; i++) {
        messages[i].payload = "x";
        messages[i].payload_length = OUTBOX_PAYLOAD_MAX_BYTES;
    }
    cr_assert_eq(outbox_messages_check(messages, 2, &error), OUTBOX_OK);
    cr_assert_eq(outbox_messages_check(messages, 3, &error), OUTBOX_INVALID);
    cr_assert_eq(outbox_messages_check(messages, OUTBOX_BATCH_MAX_MESSAGES + 1, &error),
                 OUTBOX_INVALID);
    cr_assert_eq(outbox_messages_check(NULL, 1, &error), OUTBOX_INVALID);
    cr_assert_eq(outbox_messages_check(NULL, 0, &error), OUTBOX_OK);
}

Test(outbox_message, headers_have_rules)
{
    struct outbox_header headers[2] = {{"a", "1"}, {"b", "2"}};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.header_count = 2;
    refuse(&message, "headers is NULL");
    message.headers = headers;
    accept(&message);
    headers[1].name = "a";
    refuse(&message, "header a comes twice");
    headers[1].name = "";
    refuse(&message, "has no name");
    headers[1].name = NULL;
    refuse(&message, "has no name");
    headers[1].name = text_of(256);
    refuse(&message, "name of a header is longer");
    headers[1] = (struct outbox_header){"b", NULL};
    refuse(&message, "has no value");
    headers[1].value = "\xff";
    refuse(&message, "value of a header is not valid UTF-8");
    headers[1].value = "2";
    message.headers_json = "{}";
    refuse(&message, "both");
}

/* {"a":"xxx…"} is eight bytes and the value. */
Test(outbox_message, names_that_the_relay_would_refuse)
{
    struct outbox_header header = {"x-outbox-id", "1"};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.headers = &header;
    message.header_count = 1;
    refuse(&message, "header x-outbox-id: names that begin with x-outbox- are the relay's");
    header.name = "CC";
    refuse(&message, "header CC must be an array");
    header.name = "BCC";
    refuse(&message, "header BCC must be an array");
    header.name = "x-outbox";
    cr_assert_eq(outbox_messages_check(&message, 1, &error), OUTBOX_OK);
}

Test(outbox_message, headers_have_a_size)
{
    struct outbox_header header = {"a", text_of(OUTBOX_HEADERS_MAX_BYTES - 8)};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct buffer json;
    message.headers = &header;
    message.header_count = 1;
    accept(&message);
    buffer_init(&json, 0, OUTBOX_HEADERS_MAX_BYTES);
    cr_assert(outbox_headers_to_json(&message, &json));
    cr_assert_eq(buffer_size(&json), (size_t)OUTBOX_HEADERS_MAX_BYTES);
    buffer_done(&json);
    (void)text_of(OUTBOX_HEADERS_MAX_BYTES - 7);
    refuse(&message, "headers are longer");
}

Test(outbox_message, raw_headers_are_an_object)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.headers_json = " \n{}";
    accept(&message);
    static const char *const bad[] = {"", " ", "[]", "null", "\"{}\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        message.headers_json = bad[i];
        refuse(&message, "no JSON object");
    }
    message.headers_json = "{\xff}";
    refuse(&message, "UTF-8");
}

Test(outbox_message, time_is_after_1970)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.deliver_after_us = INT64_MAX;
    accept(&message);
    message.deliver_after_us = -1;
    refuse(&message, "deliver_after_us");
}

struct later {
    struct outbox_message message;
    const char *added;
};

Test(outbox_message, struct_of_another_version)
{
    struct later messages[2] = {{OUTBOX_MESSAGE_INIT, NULL}, {OUTBOX_MESSAGE_INIT, NULL}};
    messages[0].message.struct_size = sizeof(struct later);
    messages[1].message.struct_size = sizeof(struct later);
    cr_assert_eq(outbox_message_at(&messages[0].message, 1), &messages[1].message);
    cr_assert_eq(outbox_messages_check(&messages[0].message, 2, &error), OUTBOX_OK);
    messages[1].added = "x";
    cr_assert_eq(outbox_messages_check(&messages[0].message, 2, &error), OUTBOX_INVALID);
    cr_assert(strstr(error.message, "message 1") != NULL);
    struct outbox_message message;
    memset(&message, 0, sizeof(message));
    refuse(&message, "OUTBOX_MESSAGE_INIT");
}

/* Every byte that text can contain, read back by another implementation. */
Test(outbox_message, headers_survive_json)
{
    char value[256];
    for (int i = 1; i < 128; i++) {
        value[i - 1] = (char)i;
    }
    memcpy(value + 127, "\xe2\x82\xac\xf0\x9f\x98\x80", 8);
    const struct outbox_header headers[] = {{value, "1"}, {"quote\"", value}, {"empty", ""}};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.headers = headers;
    message.header_count = 3;
    accept(&message);
    struct buffer json;
    buffer_init(&json, 0, OUTBOX_HEADERS_MAX_BYTES);
    cr_assert(outbox_headers_to_json(&message, &json));
    json_error_t wrong;
    json_t *root = json_loadb((const char *)buffer_front(&json), buffer_size(&json),
                              JSON_REJECT_DUPLICATES, &wrong);
    cr_assert_not_null(root, "%s", wrong.text);
    cr_assert_eq(json_object_size(root), 3u);
    for (int i = 0; i < 3; i++) {
        const json_t *read = json_object_get(root, headers[i].name);
        cr_assert_str_eq(json_string_value(read), headers[i].value);
    }
    json_decref(root);
    buffer_done(&json);
}
