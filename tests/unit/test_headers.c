#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "amqp/table.h"
#include "relay/headers.h"

static struct buffer buffer;
static struct span headers;
static struct properties properties;
static struct error error;

static void
setup(void)
{
    buffer_init(&buffer, 256, 64 * 1024);
}

static void
teardown(void)
{
    buffer_done(&buffer);
}

TestSuite(headers, .init = setup, .fini = teardown);

static struct span
span_of(const char *text)
{
    return (struct span){.data = text, .size = strlen(text)};
}

static bool
encode(const char *json)
{
    const struct row row = {.id = 42, .headers = span_of(json)};
    return headers_encode(&row, "orders", &buffer, &headers, &properties, &error);
}

static struct table_field
field(struct span table, const char *name)
{
    struct table_field found;
    cr_assert(table_find(table, name, &found), "no field %s", name);
    return found;
}

static void
assert_refused(const char *json, const char *words)
{
    cr_assert_not(encode(json), "accepted %.40s", json);
    cr_assert_eq(error.class, ERROR_MESSAGE);
    cr_assert_not_null(strstr(error.text, words), "\"%s\" lacks \"%s\"", error.text, words);
}

Test(headers, the_relays_own)
{
    const struct row row = {.id = -5, .has_key = true, .key = span_of("account-7")};
    cr_assert(headers_encode(&row, "orders", &buffer, &headers, &properties, &error));
    cr_assert_arr_eq(field(headers, HEADER_SOURCE).text.data, "orders", 6);
    cr_assert_eq(field(headers, HEADER_ID).integer, -5);
    cr_assert_eq(field(headers, HEADER_ID).type, 'l');
    cr_assert_arr_eq(field(headers, HEADER_KEY).text.data, "account-7", 9);
}

Test(headers, no_key_header_without_a_key)
{
    struct table_field found;
    cr_assert(encode(""));
    cr_assert_not(table_find(headers, HEADER_KEY, &found));
}

Test(headers, every_json_type)
{
    cr_assert(encode(
        "{\"s\":\"\\u00e9\",\"i\":-9007199254740993,\"r\":2.5,\"t\":true,\"f\":false,\"n\":null,"
        "\"o\":{\"in\":1},\"a\":[1,\"x\",[]]}"));
    cr_assert_eq(field(headers, "s").type, 'S');
    cr_assert_arr_eq(field(headers, "s").text.data, "\xc3\xa9", 2);
    cr_assert_eq(field(headers, "i").integer, -9007199254740993);
    cr_assert_eq(field(headers, "r").number, 2.5);
    cr_assert_eq(field(headers, "t").type, 't');
    cr_assert_eq(field(headers, "t").integer, 1);
    cr_assert_eq(field(headers, "f").integer, 0);
    cr_assert_eq(field(headers, "n").type, 'V');
    cr_assert_eq(field(field(headers, "o").text, "in").integer, 1);
    const struct table_field array = field(headers, "a");
    struct table_field element;
    size_t position = 0;
    cr_assert(table_next(array.text, true, &position, &element));
    cr_assert_eq(element.integer, 1);
    cr_assert(table_next(array.text, true, &position, &element));
    cr_assert_arr_eq(element.text.data, "x", 1);
    cr_assert(table_next(array.text, true, &position, &element));
    cr_assert_eq(element.type, 'A');
    cr_assert_not(table_next(array.text, true, &position, &element));
}

Test(headers, a_row_cannot_forge_the_relays_own)
{
    cr_assert(
        encode("{\"x-outbox-id\":1,\"x-outbox-key\":\"k\",\"x-outbox-source\":\"s\",\"mine\":2}"));
    size_t position = 0;
    size_t ids = 0;
    struct table_field each;
    while (table_next(headers, false, &position, &each)) {
        ids += each.name.size == strlen(HEADER_ID) &&
               memcmp(each.name.data, HEADER_ID, each.name.size) == 0;
    }
    cr_assert_eq(ids, 1);
    cr_assert_eq(field(headers, HEADER_ID).integer, 42);
    cr_assert_eq(field(headers, "mine").integer, 2);
}

Test(headers, a_property_is_no_header)
{
    struct table_field found;
    cr_assert(encode("{\"amqp-correlation-id\":\"c\",\"amqp-reply-to\":\"q\",\"mine\":2,"
                     "\"amqp-expiration\":1000,\"amqp-priority\":0}"));
    cr_assert(properties.correlation_id.size == 1 && properties.correlation_id.bytes[0] == 'c');
    cr_assert(properties.reply_to.size == 1 && properties.reply_to.bytes[0] == 'q');
    cr_assert(properties.expiration.size == 4 && properties.has_priority);
    cr_assert_eq(field(headers, "mine").integer, 2);
    cr_assert_not(table_find(headers, "amqp-correlation-id", &found));
    cr_assert_not(table_find(headers, "amqp-reply-to", &found));
    cr_assert_not(table_find(headers, "amqp-expiration", &found));
    cr_assert_not(table_find(headers, "amqp-priority", &found));
    cr_assert(encode("{}"));
    cr_assert(properties.correlation_id.size == 0 && !properties.has_priority,
              "those of the message before");
    assert_refused("{\"amqp-expiration\":\"soon\"}", "\"amqp-expiration\"");
}

Test(headers, refuses_what_is_no_object)
{
    assert_refused("[1]", "the row has an array");
    assert_refused("\"x\"", "the row has a string");
    assert_refused("7", "the row has a number");
    assert_refused("true", "the row has true");
    assert_refused("null", "the row has null");
    assert_refused("{", "cannot be read");
    assert_refused("{\"n\":123456789012345678901234567890}", "cannot be read");
}

Test(headers, refuses_what_amqp_cannot_carry)
{
    char json[70 * 1024];
    (void)snprintf(json, sizeof(json), "{\"%0300d\":1}", 7);
    assert_refused(json, "over 255 bytes");
    char *at = json;
    for (int i = 0; i < 60; i++) {
        at = stpcpy(at, "{\"a\":");
    }
    at = stpcpy(at, "1");
    for (int i = 0; i < 60; i++) {
        at = stpcpy(at, "}");
    }
    assert_refused(json, "nesting");
    (void)snprintf(json, sizeof(json), "{\"a\":\"%066000d\"}", 7);
    assert_refused(json, "too large");
}
