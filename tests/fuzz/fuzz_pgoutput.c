/* Any stream of messages, given to one decoder: it reads nothing outside of a message (each has its own memory, so the
 * sanitizer would see it), and its results are valid. After an error the relay gives up the stream; here it goes on, to
 * test the decoder in unusual states too. */
#include <stdlib.h>
#include <string.h>

#include "relay/postgres/pgoutput.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

/* Like in the captured streams: some rows exceed the size, and some are due after the time. */
#define MESSAGE_BYTES_MAX 1000

/* Must hold for any input. Not assert(), because that does nothing in some builds. */
static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool
is_within(struct span part, struct span whole)
{
    const uint8_t *start = part.data;
    const uint8_t *from = whole.data;
    return part.size == 0 || (start >= from && start < from + whole.size &&
                              part.size <= (size_t)(from + whole.size - start));
}

static void
check_row(const struct row *row, struct span message)
{
    const struct span parts[] = {row->exchange,     row->routing_key, row->key,    row->type,
                                 row->content_type, row->headers,     row->payload};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        require(is_within(parts[i], message));
    }
    require(row->headers.size + row->payload.size <= MESSAGE_BYTES_MAX);
    if (row->withheld != NULL || row->scheduled) {
        require(row->headers.size == 0 && row->payload.size == 0);
    }
    require(row->has_key == row->ordered && (row->has_key || row->key.size == 0));
    require(!row->exchange_is_null || row->exchange.size == 0);
}

static void
check_event(const struct pgoutput *before, const struct pgoutput *after,
            const struct pgoutput_event *event, struct span message)
{
    switch (event->type) {
    case PGOUTPUT_BEGIN:
        require(!before->in_transaction && after->in_transaction);
        require(event->position == after->position);
        break;
    case PGOUTPUT_COMMIT:
        require(before->in_transaction && !after->in_transaction);
        require(event->position > before->position);
        break;
    case PGOUTPUT_ROW:
        require(after->in_transaction && after->described);
        require(event->row.position == after->position);
        check_row(&event->row, message);
        break;
    case PGOUTPUT_MESSAGE:
        require(is_within(event->prefix, message) && is_within(event->content, message));
        break;
    case PGOUTPUT_NOTHING:
        break;
    }
}

static void
decode(struct pgoutput *pgoutput, struct span message)
{
    uint8_t *const exact = malloc(message.size > 0 ? message.size : 1);
    require(exact != NULL);
    if (message.size > 0) {
        memcpy(exact, message.data, message.size);
    }
    const struct pgoutput before = *pgoutput;
    struct pgoutput_event event;
    struct error error = {.text = ""};
    if (pgoutput_decode(pgoutput, exact, message.size, &event, &error)) {
        check_event(&before, pgoutput, &event, (struct span){exact, message.size});
    } else {
        require(error.text[0] != '\0');
    }
    free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint32_t outbox_oid;
    struct reader reader = messages_begin(bytes, size, &outbox_oid);
    struct pgoutput pgoutput;
    pgoutput_init(&pgoutput, outbox_oid, MESSAGE_BYTES_MAX);
    struct span message;
    while (messages_next(&reader, &message)) {
        decode(&pgoutput, message);
    }
    return 0;
}
