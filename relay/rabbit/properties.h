/* relay/rabbit/properties.h - properties of a message for which a row has no column: headers with these names are sent
 * as AMQP properties and not as headers. */
#ifndef RELAY_RABBIT_PROPERTIES_H
#define RELAY_RABBIT_PROPERTIES_H

#include <jansson.h>

#include "amqp/connection.h"
#include "base/error.h"
#include "base/limits.h"

#define PROPERTY_CORRELATION_ID "amqp-correlation-id"
#define PROPERTY_REPLY_TO "amqp-reply-to"
#define PROPERTY_EXPIRATION "amqp-expiration"
#define PROPERTY_PRIORITY "amqp-priority"

struct property_text {
    size_t size; /* 0: the message has none */
    char bytes[LIMIT_NAME_BYTES];
};

struct properties {
    struct property_text correlation_id;
    struct property_text reply_to;
    struct property_text expiration;
    bool has_priority;
    uint8_t priority;
};

/* Sets none. Does not clear the bytes of the texts, as this runs for each message. */
void properties_init(struct properties *properties);

bool properties_has(const char *name);

/* Takes the value of a header for which properties_has is true. False with ERROR_MESSAGE, which names the header, if
 * the broker would refuse the value. */
bool properties_take(struct properties *properties, const char *name, const json_t *value,
                     struct error *reterr) MUST_CHECK;

/* The message borrows the texts. */
void properties_give(const struct properties *properties, struct rabbit_message *message);

#endif
