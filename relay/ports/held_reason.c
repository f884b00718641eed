#include "relay/ports/held_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The first that fits counts: what comes first names no text that anybody else chose. */
static const struct words {
    const char *words;
    bool begins; /* else they may stand anywhere */
    enum held_reason reason;
} all[] = {
    /* relay/rabbit/lane.c, relay/core/pipeline_confirm.c, relay/core/pipeline_cut.c */
    {"unroutable: ", true, HELD_REASON_UNROUTABLE},
    {"the broker refused it (basic.nack)", true, HELD_REASON_NACKED},
    {" times the connection ended while this message alone", false, HELD_REASON_CUT},
    /* fetch_next_exact.sql, relay/rabbit/headers.c, properties.c; amqp/frame.c, calls.c */
    {"the message is larger than ", true, HELD_REASON_TOO_LARGE},
    {"headers are larger than ", true, HELD_REASON_TOO_LARGE},
    {"headers and key are larger than ", true, HELD_REASON_TOO_LARGE},
    {"headers hold more digits than ", true, HELD_REASON_TOO_LARGE},
    {"the headers have ", true, HELD_REASON_TOO_LARGE},
    {"the message takes ", true, HELD_REASON_TOO_LARGE},
    {"the body has ", true, HELD_REASON_TOO_LARGE},
    {"headers: ", true, HELD_REASON_INVALID},
    {"payload, message_id or created_at is NULL", true, HELD_REASON_INVALID},
    {" bytes, AMQP allows ", false, HELD_REASON_INVALID},
    /* RabbitMQ */
    {"NOT_FOUND", false, HELD_REASON_NO_EXCHANGE},
    {"ACCESS_REFUSED", false, HELD_REASON_DENIED},
    {"PRECONDITION_FAILED - message size", false, HELD_REASON_TOO_LARGE},
};

enum held_reason
held_reason_of(const char *text)
{
    for (size_t i = 0; text != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
        const char *const at = strstr(text, all[i].words);
        if (at == text || (at != NULL && !all[i].begins)) {
            return all[i].reason;
        }
    }
    return HELD_REASON_OTHER;
}
