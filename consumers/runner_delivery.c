#include "consumers/runner_delivery.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/table.h"

/* Memory above this is freed when the next message comes. */
#define KEEP_BYTES 65536

void
runner_delivery_done(struct runner_delivery *delivery)
{
    free(delivery->memory);
    *delivery = (struct runner_delivery){0};
}

static struct span
find_text(struct span headers, const char *name)
{
    struct table_field field;
    if (!table_find(headers, name, &field) || field.type != 'S') {
        return (struct span){0};
    }
    /* The pointer distinguishes an empty text from a missing one. */
    return (struct span){field.text.data != NULL ? field.text.data : "", field.text.size};
}

static int64_t
find_integer(struct span headers, const char *name)
{
    struct table_field field;
    return table_find(headers, name, &field) && field.type == 'l' ? field.integer : 0;
}

static bool
has_field(struct span headers, const char *name)
{
    struct table_field field;
    return table_find(headers, name, &field);
}

/* FNV-1a. If two keys have the same hash, they only wait for each other. */
static uint64_t
hash_bytes(uint64_t hash, struct span bytes)
{
    const uint8_t *byte = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        hash = (hash ^ byte[i]) * UINT64_C(1099511628211);
    }
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t
hash_key(struct span source, struct span key)
{
    if (key.data == NULL) {
        return 0;
    }
    uint64_t hash = hash_bytes(hash_bytes(UINT64_C(14695981039346656037), source), key);
    return hash != 0 ? hash : 1;
}

static bool
make_room(struct runner_delivery *delivery, size_t size)
{
    if (delivery->capacity >= size && (delivery->capacity <= KEEP_BYTES || size > KEEP_BYTES)) {
        return true;
    }
    free(delivery->memory);
    delivery->memory = malloc(size);
    delivery->capacity = delivery->memory != NULL ? size : 0;
    return delivery->memory != NULL;
}

static const char *
put(char **at, struct span bytes)
{
    char *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    start[bytes.size] = '\0';
    *at += bytes.size + 1;
    return start;
}

bool
runner_delivery_set(struct runner_delivery *delivery, const struct rabbit_event *event)
{
    const struct rabbit_message *message = &event->message;
    struct span source = find_text(message->headers, "x-outbox-source");
    struct span key = find_text(message->headers, "x-outbox-key");
    const struct span parts[] = {message->message_id,
                                 message->exchange,
                                 message->routing_key,
                                 message->type,
                                 message->content_type,
                                 message->correlation_id,
                                 message->reply_to,
                                 message->expiration,
                                 source,
                                 key,
                                 message->headers,
                                 message->body};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size += parts[i].size + 1;
    }
    delivery->shown = (struct inbox_delivery){0};
    delivery->headers = (struct span){0};
    if (!make_room(delivery, size)) {
        return false;
    }
    char *at = delivery->memory;
    struct inbox_delivery *shown = &delivery->shown;
    shown->message_id = put(&at, message->message_id);
    shown->exchange = put(&at, message->exchange);
    shown->routing_key = put(&at, message->routing_key);
    shown->type = put(&at, message->type);
    shown->content_type = put(&at, message->content_type);
    shown->correlation_id = put(&at, message->correlation_id);
    shown->reply_to = put(&at, message->reply_to);
    shown->expiration = put(&at, message->expiration);
    shown->priority = message->has_priority ? message->priority : -1;
    shown->source = put(&at, source);
    const char *key_text = put(&at, key);
    shown->key = key.data != NULL ? key_text : NULL;
    delivery->headers = (struct span){put(&at, message->headers), message->headers.size};
    shown->body_length = message->body.size;
    shown->body = put(&at, message->body);
    shown->outbox_id = find_integer(message->headers, "x-outbox-id");
    shown->timestamp_s = message->timestamp_s;
    shown->redelivered = event->redelivered;
    /* Quorum queues have the first up to 4.2, the second from 4.3 on. A message that a classic queue redelivers has
     * neither. */
    delivery->counted = event->redelivered && (has_field(message->headers, "x-delivery-count") ||
                                               has_field(message->headers, "x-acquired-count"));
    delivery->key_hash = hash_key(source, key);
    return true;
}

bool
inbox_delivery_header(const struct inbox_delivery *delivery, const char *name,
                      const char **ret_value, size_t *ret_length)
{
    const struct span *headers = (const struct span *)(const void *)delivery - 1;
    struct span text = find_text(*headers, name);
    if (text.data == NULL) {
        return false;
    }
    *ret_value = text.data;
    *ret_length = text.size;
    return true;
}
