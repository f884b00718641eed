#include "relay/rabbit/properties.h"

#include <stdio.h>
#include <string.h>

/* MAX_EXPIRY_TIMER in RabbitMQ's rabbit.hrl: for a larger value it closes the channel. */
#define EXPIRATION_MAX_MS 4294967295LL
#define PRIORITY_MAX 255
#define DIGITS_MAX 10 /* of 4294967295 */

/* RabbitMQ closes the channel for this address if no consumer of the same channel waits for replies, and the relay has
 * none. */
static const char direct_reply[] = "amq.rabbitmq.reply-to";

void
properties_init(struct properties *properties)
{
    properties->correlation_id.size = 0;
    properties->reply_to.size = 0;
    properties->expiration.size = 0;
    properties->has_priority = false;
    properties->priority = 0;
}

bool
properties_has(const char *name)
{
    return strcmp(name, PROPERTY_CORRELATION_ID) == 0 || strcmp(name, PROPERTY_REPLY_TO) == 0 ||
           strcmp(name, PROPERTY_EXPIRATION) == 0 || strcmp(name, PROPERTY_PRIORITY) == 0;
}

static bool
take_text(struct property_text *text, const char *name, const json_t *value, struct error *reterr)
{
    if (!json_is_string(value) || json_string_length(value) > LIMIT_NAME_BYTES) {
        return error_set(reterr, ERROR_MESSAGE,
                         "headers: \"%s\" must be a string of at most %d bytes", name,
                         LIMIT_NAME_BYTES);
    }
    text->size = json_string_length(value);
    memcpy(text->bytes, json_string_value(value), text->size);
    return true;
}

static bool
take_reply_to(struct property_text *text, const json_t *value, struct error *reterr)
{
    if (json_is_string(value) && strcmp(json_string_value(value), direct_reply) == 0) {
        return error_set(reterr, ERROR_MESSAGE,
                         "headers: \"" PROPERTY_REPLY_TO "\" is \"%s\", which RabbitMQ takes only "
                         "from the channel that waits for the reply: name a queue",
                         direct_reply);
    }
    return take_text(text, PROPERTY_REPLY_TO, value, reterr);
}

/* A number, or a string of digits: the headers of liboutbox-pg are strings. */
static bool
is_whole(const json_t *value, json_int_t max, json_int_t *ret_number)
{
    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return *ret_number >= 0 && *ret_number <= max;
    }
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    const size_t size = json_is_string(value) ? json_string_length(value) : 0;
    if (size == 0 || size > DIGITS_MAX || strspn(text, "0123456789") != size) {
        return false;
    }
    *ret_number = 0;
    for (size_t i = 0; i < size; i++) {
        *ret_number = *ret_number * 10 + (text[i] - '0');
    }
    return *ret_number <= max;
}

static bool
take_expiration(struct property_text *text, const json_t *value, struct error *reterr)
{
    json_int_t milliseconds;
    if (!is_whole(value, EXPIRATION_MAX_MS, &milliseconds)) {
        return error_set(reterr, ERROR_MESSAGE,
                         "headers: \"" PROPERTY_EXPIRATION
                         "\" must be whole milliseconds, 0 to %lld",
                         EXPIRATION_MAX_MS);
    }
    text->size =
        (size_t)snprintf(text->bytes, sizeof(text->bytes), "%" JSON_INTEGER_FORMAT, milliseconds);
    return true;
}

static bool
take_priority(struct properties *properties, const json_t *value, struct error *reterr)
{
    json_int_t priority;
    if (!is_whole(value, PRIORITY_MAX, &priority)) {
        return error_set(reterr, ERROR_MESSAGE,
                         "headers: \"" PROPERTY_PRIORITY "\" must be a whole number, 0 to %d",
                         PRIORITY_MAX);
    }
    properties->has_priority = true;
    properties->priority = (uint8_t)priority;
    return true;
}

bool
properties_take(struct properties *properties, const char *name, const json_t *value,
                struct error *reterr)
{
    if (strcmp(name, PROPERTY_CORRELATION_ID) == 0) {
        return take_text(&properties->correlation_id, name, value, reterr);
    }
    if (strcmp(name, PROPERTY_REPLY_TO) == 0) {
        return take_reply_to(&properties->reply_to, value, reterr);
    }
    if (strcmp(name, PROPERTY_EXPIRATION) == 0) {
        return take_expiration(&properties->expiration, value, reterr);
    }
    return take_priority(properties, value, reterr);
}

static struct span
span_of(const struct property_text *text)
{
    return (struct span){.data = text->bytes, .size = text->size};
}

void
properties_give(const struct properties *properties, struct rabbit_message *message)
{
    message->correlation_id = span_of(&properties->correlation_id);
    message->reply_to = span_of(&properties->reply_to);
    message->expiration = span_of(&properties->expiration);
    message->has_priority = properties->has_priority;
    message->priority = properties->priority;
}
