#include <criterion/criterion.h>
#include <string.h>

#include "relay/rabbit/properties.h"

static struct properties properties;
static struct error error;

TestSuite(properties);

static bool
take(const char *name, const char *json)
{
    cr_assert(properties_has(name));
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(value, "%s", json);
    properties_init(&properties);
    const bool taken = properties_take(&properties, name, value, &error);
    json_decref(value);
    return taken;
}

static struct rabbit_message
given(void)
{
    struct rabbit_message message = {0};
    properties_give(&properties, &message);
    return message;
}

static void
assert_text(struct span text, const char *expected)
{
    cr_assert(text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0,
              "\"%.*s\" instead of \"%s\"", (int)text.size, (const char *)text.data, expected);
}

static void
assert_refused(const char *name, const char *json)
{
    cr_assert_not(take(name, json), "%s took %.40s", name, json);
    cr_assert_eq(error.class, ERROR_MESSAGE);
    cr_assert_not_null(strstr(error.text, name), "\"%s\" lacks the name", error.text);
}

static const char *
text_of(char c, size_t size)
{
    static char json[300];
    json[0] = '"';
    memset(json + 1, c, size);
    memcpy(json + 1 + size, "\"", 2);
    return json;
}

Test(properties, texts)
{
    cr_assert(take("amqp-correlation-id", "\"c-1\""));
    assert_text(given().correlation_id, "c-1");
    cr_assert(take("amqp-reply-to", text_of('q', 255)));
    cr_assert_eq(given().reply_to.size, 255);
    cr_assert_eq(given().correlation_id.size, 0, "the one before is gone");
    cr_assert(take("amqp-reply-to", "\"amq.rabbitmq.reply-to.g1h2.token\""));
}

Test(properties, wrong_texts)
{
    static const char *const wrong[] = {"7", "true", "null", "[\"a\"]", "{}", "1.5"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused("amqp-correlation-id", wrong[i]);
        assert_refused("amqp-reply-to", wrong[i]);
    }
    assert_refused("amqp-correlation-id", text_of('c', 256));
    assert_refused("amqp-reply-to", text_of('q', 256));
    assert_refused("amqp-reply-to", "\"amq.rabbitmq.reply-to\"");
}

Test(properties, expiration)
{
    cr_assert(take("amqp-expiration", "0"));
    assert_text(given().expiration, "0");
    cr_assert(take("amqp-expiration", "4294967295"));
    assert_text(given().expiration, "4294967295");
    cr_assert(take("amqp-expiration", "\"60000\""));
    assert_text(given().expiration, "60000");
    static const char *const wrong[] = {"-1",      "1.5",     "4294967296", "\"4294967296\"",
                                        "\"\"",    "\"1 s\"", "\"-1\"",     "\"99999999999\"",
                                        "\" 1\"",  "\"+1\"",  "\"1e3\"",    "true",
                                        "[60000]", "{}",      "null",       "9223372036854775807"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused("amqp-expiration", wrong[i]);
    }
}

Test(properties, priority)
{
    cr_assert(take("amqp-priority", "0"));
    cr_assert(given().has_priority && given().priority == 0);
    cr_assert(take("amqp-priority", "255"));
    cr_assert_eq(given().priority, 255);
    cr_assert(take("amqp-priority", "\"9\""));
    cr_assert_eq(given().priority, 9);
    static const char *const wrong[] = {"-1", "256", "1.0", "\"high\"", "false", "null", "[1]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused("amqp-priority", wrong[i]);
    }
}

Test(properties, other_names_are_headers)
{
    cr_assert_not(properties_has("correlation-id"));
    cr_assert_not(properties_has("amqp-user-id"));
    cr_assert_not(properties_has("amqp-priority "));
    cr_assert_not(properties_has(""));
}
