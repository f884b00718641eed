#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/table.h"
#include "relay/rabbit/headers.h"

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
    cr_assert(encode("{\"s\":\"\\u00e9\",\"i\":-9007199254740993,\"r\":2.5,\"t\":true,\"f\":false,"
                     "\"o\":{\"in\":1},\"a\":[1,\"x\",[]]}"));
    cr_assert_eq(field(headers, "s").type, 'S');
    cr_assert_arr_eq(field(headers, "s").text.data, "\xc3\xa9", 2);
    cr_assert_eq(field(headers, "i").integer, -9007199254740993);
    cr_assert_eq(field(headers, "r").number, 2.5);
    cr_assert_eq(field(headers, "t").type, 't');
    cr_assert_eq(field(headers, "t").integer, 1);
    cr_assert_eq(field(headers, "f").integer, 0);
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
    assert_refused("{\"x-outbox-id\":1}", "\"x-outbox-id\"");
    assert_refused("{\"mine\":2,\"x-outbox-key\":\"k\"}", "\"x-outbox-key\"");
    assert_refused("{\"x-outbox-source\":\"s\"}", "\"x-outbox-source\"");
    assert_refused("{\"x-outbox-later\":[]}", "\"x-outbox-later\"");
    cr_assert(encode("{\"x-outbox\":1,\"X-Outbox-Id\":2,\"x-outbox-key\":null}"));
    cr_assert_eq(field(headers, HEADER_ID).integer, 42);
}

Test(headers, null_is_none)
{
    struct table_field found;
    cr_assert(encode("{\"n\":null,\"CC\":null,\"amqp-priority\":null,\"o\":{\"in\":null}}"));
    cr_assert_not(table_find(headers, "n", &found));
    cr_assert_not(table_find(headers, "CC", &found));
    cr_assert_not(properties.has_priority);
    cr_assert_eq(field(field(headers, "o").text, "in").type, 'V');
}

Test(headers, routing_keys_of_the_sender)
{
    char json[400];
    cr_assert(encode("{\"CC\":[\"a\",\"\"],\"BCC\":[],\"cc\":1}"));
    cr_assert_eq(field(headers, "CC").type, 'A');
    cr_assert_eq(field(headers, "BCC").type, 'A');
    assert_refused("{\"CC\":\"a\"}", "\"CC\" must be an array");
    assert_refused("{\"BCC\":{\"a\":1}}", "\"BCC\" must be an array");
    assert_refused("{\"BCC\":[\"a\",1]}", "\"BCC\"");
    assert_refused("{\"CC\":[null]}", "\"CC\"");
    (void)snprintf(json, sizeof(json), "{\"CC\":[\"%0255d\"]}", 7);
    cr_assert(encode(json), "%s", error.text);
    (void)snprintf(json, sizeof(json), "{\"CC\":[\"%0256d\"]}", 7);
    assert_refused(json, "at most 255 bytes");
}

Test(headers, a_number_that_cannot_be_read_is_named)
{
    assert_refused("{\"a\":{\"x\":1},\"n\":123456789012345678901234567890,\"after\":1}",
                   "\"n\" cannot be read: too big");
    assert_refused("{\"a\":1,\"o\":{\"in\":[{\"x\":99999999999999999999}]}}",
                   "\"o\" cannot be read");
    assert_refused("{\"q\\\"\\\\\":[1,\"s\",{}], \"r,{\" : 1e400}", "\"r,{\" cannot be read");
    assert_refused("[\"a\",\"b\",1e400]", "headers: cannot be read");
    assert_refused("1e400", "headers: cannot be read");
    assert_refused("{\"open", "headers: cannot be read");
}

/* All memory that the parser allocates. */
static size_t allocated;

static void *
counting_malloc(size_t size)
{
    allocated += size;
    return malloc(size);
}

/* {"a":[[],[],...]} and the like: `size` bytes with this beginning and end, and `part` repeated between. */
static char *
repeated(const char *begin, const char *part, const char *end, size_t size)
{
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    const size_t last = size - strlen(end);
    size_t at = 0;
    for (const char *from = begin; at < last; from = part) {
        for (; *from != '\0' && at < last; from++) {
            text[at++] = *from;
        }
    }
    memcpy(text + last, end, strlen(end) + 1);
    return text;
}

static void
assert_bounded(const char *begin, const char *part, const char *end, size_t size, size_t most)
{
    char *text = repeated(begin, part, end, size);
    allocated = 0;
    (void)encode(text); /* accepted or refused: only the memory matters */
    cr_assert_leq(allocated, most, "%s%s...: %zu bytes for %zu", begin, part, allocated, size);
    free(text);
}

#define TOO_MANY ((size_t)8 << 20)

Test(headers, memory_has_a_bound_before_they_are_parsed)
{
    json_set_alloc_funcs(counting_malloc, free);
    assert_bounded("{\"a\":[[]", ",[]", "]}", TOO_MANY, 0);
    assert_bounded("{\"a\":[{}", ",{}", "]}", TOO_MANY, 0);
    assert_bounded("{\"a\":[", "[", "]}", TOO_MANY, 0);
    char *text = repeated("{\"a\":[[]", ",[]", "]}", TOO_MANY);
    assert_refused(text, "more than 131072");
    free(text);
    assert_bounded("{\"a\":[[]", ",[]", "]}", LIMIT_HEADERS_BYTES, (size_t)16 << 20);
    assert_bounded("{\"a\":[{}", ",{}", "]}", LIMIT_HEADERS_BYTES, (size_t)16 << 20);
    assert_bounded("{\"a\":[", "[", "]}", LIMIT_HEADERS_BYTES, (size_t)1 << 20);
    assert_bounded("", "{\"a\":", "1}", LIMIT_HEADERS_BYTES, (size_t)4 << 20);
    cr_assert(allocated > 0, "nothing is counted");
}

/* Pieces of JSON in any order: either accepted with a complete table, or refused with a message. */
Test(headers, no_text_does_harm)
{
    static const char *const bits[] = {"{",    "}",     "[",       "]",      "\"",
                                       ",",    ":",     "\"a\"",   "\"CC\"", "1e9",
                                       "null", "\\u00", "{\"a\":", "true"};
    uint64_t state = 9;
    for (unsigned round = 0; round < 20000; round++) {
        char text[128] = "{\"a\":";
        for (char *at = text + (round % 2 == 0 ? 5 : 0); at < text + 100;) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            const unsigned bit = (unsigned)(state >> 33) % 16;
            if (bit >= sizeof(bits) / sizeof(bits[0])) {
                break;
            }
            at = stpcpy(at, bits[bit]);
        }
        error.text[0] = '\0';
        if (encode(text)) {
            cr_assert_eq(field(headers, HEADER_ID).integer, 42, "%s", text);
        } else {
            cr_assert(error.class == ERROR_MESSAGE && error.text[0] != '\0', "%s", text);
        }
    }
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
