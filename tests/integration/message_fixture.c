#include "tests/integration/message_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

struct outbox_message
message_fixture_of(const char *payload)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.payload = payload;
    message.payload_length = strlen(payload);
    return message;
}

struct outbox_message
message_fixture_with_everything(void)
{
    static const struct outbox_header headers[] = {{"tenant", "7"},
                                                   {"note", "a \"b\" \\ \x01\t" EURO}};
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    message.exchange = "orders ";
    message.routing_key = "order.'paid'";
    message.key = "key " EURO SMILE "\\";
    message.type = "Order\"Paid\"";
    message.content_type = "application/json; \\' --";
    message.headers = headers;
    message.header_count = 2;
    message.payload = "{\0\xff\\'\xbf\x27\x81\x5c}";
    message.payload_length = 10;
    message.deliver_after_us = INT64_C(1893456000123456);
    return message;
}

void
message_fixture_expect(const struct outbox_error *error, outbox_result result, outbox_result wanted,
                       const char *sqlstate, const char *words)
{
    cr_assert_eq(result, wanted, "%s: %s", outbox_result_name(result), error->message);
    cr_assert_eq(error->code, wanted);
    cr_assert_str_eq(error->sqlstate, sqlstate, "%s", error->message);
    cr_assert(strstr(error->message, words) != NULL, "no \"%s\" in: %s", words, error->message);
}
