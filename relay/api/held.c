#include "relay/api/held.h"

#include <string.h>

#include "base/memory.h"
#include "relay/api/json.h"
#include "relay/api/text.h"

const char *
api_held_state(const struct admin_message *message)
{
    if (!message->skipped) {
        return message->state;
    }
    return strcmp(message->state, "dead") == 0 ? "dead, skipped" : "retrying, skipped";
}

json_t *
api_held_json_counts(const struct admin_counts *counts)
{
    json_t *const object = json_object();
    api_json_put(object, "scheduled", json_integer((json_int_t)counts->scheduled));
    api_json_put(object, "retrying", json_integer((json_int_t)counts->retrying));
    api_json_put(object, "waiting", json_integer((json_int_t)counts->waiting));
    api_json_put(object, "dead", json_integer((json_int_t)counts->dead));
    return object;
}

/* At most so many bytes of it, cut between characters if it is text. */
static size_t
shown_size(const struct admin_message *message, size_t max)
{
    size_t size = message->payload_bytes;
    if (max == 0 || size <= max) {
        return size;
    }
    for (size = max; max - size < 3 && (message->payload[size] & 0xc0) == 0x80; size--) {
    }
    return size;
}

/* Printable text, else base64; the member's name says which. */
static void
put_payload(json_t *object, const struct admin_message *message, size_t max)
{
    const size_t size = shown_size(message, max);
    if (api_text_is_plain(message->payload, size)) {
        api_json_put(object, "payload", json_stringn((const char *)message->payload, size));
    } else {
        char *const text = api_text_base64(message->payload, size);
        api_json_put(object, "payload_base64", json_string(text));
        memory_free(text);
    }
    if (size < message->payload_bytes) {
        api_json_put(object, "payload_cut", json_true());
    }
}

/* As JSON; as text if they cannot be parsed (a number that is too large). */
static json_t *
json_headers(const char *headers)
{
    json_t *const parsed = headers == NULL ? NULL : json_loads(headers, JSON_DECODE_ANY, NULL);
    return parsed != NULL ? parsed : api_json_text(headers);
}

json_t *
api_held_json(const char *source, const struct admin_message *message)
{
    json_t *const object = json_object();
    api_json_put(object, "source", json_string(source));
    api_json_put(object, "id", json_integer(message->id));
    api_json_put(object, "message_id", json_string(message->message_id));
    api_json_put(object, "state", json_string(message->state));
    api_json_put(object, "skipped", json_boolean(message->skipped));
    api_json_put(object, "attempts", json_integer(message->attempts));
    api_json_put(object, "next_attempt_at", api_json_time(message->next_attempt_us));
    api_json_put(object, "last_error", api_json_text(message->last_error));
    api_json_put(object, "held_at", api_json_time(message->held_us));
    api_json_put(object, "key", api_json_text(message->key));
    api_json_put(object, "type", api_json_text(message->type));
    api_json_put(object, "exchange", api_json_text(message->exchange));
    api_json_put(object, "routing_key", api_json_text(message->routing_key));
    api_json_put(object, "content_type", api_json_text(message->content_type));
    api_json_put(object, "created_at", api_json_time(message->created_us));
    api_json_put(object, "deliver_after", api_json_time(message->deliver_after_us));
    api_json_put(object, "payload_bytes", json_integer((json_int_t)message->payload_bytes));
    return object;
}

json_t *
api_held_json_acts(const struct admin_acts *acts)
{
    json_t *const array = json_array();
    for (size_t i = 0; i < acts->count; i++) {
        json_t *const object = json_object();
        api_json_put(object, "at", api_json_time(acts->acts[i].at_us));
        api_json_put(object, "who", api_json_text(acts->acts[i].who));
        api_json_put(object, "what", api_json_text(acts->acts[i].what));
        api_json_put(object, "state", api_json_text(acts->acts[i].state));
        api_json_put(object, "seen", json_boolean(acts->acts[i].seen));
        api_json_append(array, object);
    }
    return array;
}

/* A skipped message has no place: its key went on without it. If the key cannot be read, the place cannot be asked for. */
static bool
has_place(const struct admin_message *message)
{
    return message->key != NULL && !message->escaped && !message->skipped &&
           strcmp(message->state, "scheduled") != 0;
}

bool
api_held_complete(struct admin *admin, struct api_held *whole, struct error *reterr)
{
    struct admin_name name;
    whole->has_place = has_place(whole->message);
    if (whole->has_place &&
        !admin_held_place(admin, whole->message->key, whole->message->id, &whole->place, reterr)) {
        return false;
    }
    return admin_name_parse(whole->message->message_id, &name) &&
           admin_held_acts(admin, &name, &whole->acts, reterr);
}

void
api_held_done(struct api_held *whole)
{
    admin_place_free(&whole->place);
    admin_acts_free(&whole->acts);
}

json_t *
api_held_json_whole(const struct api_held *whole)
{
    json_t *const object = api_held_json(whole->source, whole->message);
    api_json_put(object, "headers", json_headers(whole->message->headers));
    put_payload(object, whole->message, whole->payload_max);
    const bool waits = strcmp(whole->message->state, "waiting") == 0;
    if (whole->has_place && waits) {
        json_t *const head = whole->place.head.count == 0
                                 ? json_null()
                                 : api_held_json(whole->source, &whole->place.head.messages[0]);
        api_json_put(object, "waits_behind", head);
        api_json_put(object, "waiting_before", json_integer((json_int_t)whole->place.before));
    } else if (whole->has_place) {
        api_json_put(object, "waiting_behind", json_integer((json_int_t)whole->place.waiting));
    }
    api_json_put(object, "acts", api_held_json_acts(&whole->acts));
    return object;
}
