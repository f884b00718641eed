#include "relay/rabbit/publisher.h"

#include <string.h>

#include "amqp/table.h"
#include "base/clock.h"
#include "relay/rabbit/headers.h"

/* Headers are sent in one frame, so their limit is RabbitMQ's frame_max of 131072; those of normal messages are far
 * below it. */
#define HEADERS_KEEP_BYTES 4096
#define PERSISTENT 2
/* RabbitMQ cuts the text of a close after so many bytes (amqp_exception_explanation in rabbit_binary_generator.erl). */
#define WORDS_CUT 252

static const char app_id[] = "outbox-relay";

void
publisher_init(struct publisher *publisher, const char *source)
{
    *publisher = (struct publisher){.source = source};
    buffer_init(&publisher->headers, HEADERS_KEEP_BYTES, LIMIT_HEADERS_BYTES);
}

void
publisher_done(struct publisher *publisher)
{
    buffer_done(&publisher->headers);
}

bool
publisher_publish(struct publisher *publisher, struct rabbit *rabbit, uint16_t channel,
                  const struct row *row, struct error *reterr)
{
    char message_id[UUID_TEXT_BYTES];
    uuid_format(row->message_id, message_id);
    struct rabbit_message message = {
        .exchange = row->exchange,
        .routing_key = row->routing_key,
        .message_id = {.data = message_id, .size = UUID_TEXT_BYTES - 1},
        .type = row->type,
        .content_type = row->content_type,
        .app_id = {.data = app_id, .size = sizeof(app_id) - 1},
        .timestamp_s = row->created_at_us > 0 ? (uint64_t)row->created_at_us / CLOCK_S_US : 0,
        .delivery_mode = PERSISTENT,
        .mandatory = true,
        .body = row->payload,
    };
    if (row->withheld != NULL) {
        return error_set(reterr, ERROR_MESSAGE, "%s", row->withheld);
    }
    struct properties properties;
    if (!headers_encode(row, publisher->source, &publisher->headers, &message.headers, &properties,
                        reterr)) {
        return false;
    }
    properties_give(&properties, &message);
    return rabbit_publish(rabbit, channel, &message, reterr);
}

bool
publisher_returned_id(const struct rabbit_message *message, int64_t *ret_id)
{
    struct table_field field;
    if (!table_find(message->headers, HEADER_ID, &field) || field.type != 'l') {
        return false;
    }
    *ret_id = field.integer;
    return true;
}

/* RabbitMQ says "no exchange 'x' in vhost '/'" or "write access to exchange 'x' in vhost '/' refused for user 'u'". The
 * name reaches from the first quote to "' in vhost '", or, in a text that was cut after 252 bytes, to the "..." at its
 * end. "access to topic 'k' in exchange 'x' in vhost '/' refused" is about a routing key: other messages may go to that
 * exchange. */
bool
publisher_blamed_exchange(const char *words, struct span *ret_exchange)
{
    static const char topic[] = "access to topic '";
    static const char before[] = "exchange '";
    static const char after[] = "' in vhost '";
    static const char cut[] = "...";
    const char *start = strstr(words, before);
    if (start == NULL || strstr(words, topic) != NULL) {
        return false;
    }
    start += sizeof(before) - 1;
    const char *end = NULL;
    for (const char *at = strstr(start, after); at != NULL; at = strstr(at + 1, after)) {
        end = at;
    }
    const size_t size = strlen(words);
    if (end == NULL && size >= WORDS_CUT && strcmp(words + size - strlen(cut), cut) == 0) {
        end = words + size - strlen(cut);
    }
    if (end == NULL) {
        return false;
    }
    *ret_exchange = (struct span){.data = start, .size = (size_t)(end - start)};
    return true;
}
