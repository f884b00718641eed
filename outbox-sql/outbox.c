#include <outbox/outbox.h>
#include <string.h>

#include "base/uuid.h"

void
outbox_id_new(struct outbox_id *ret_id)
{
    uuid_v7(ret_id->bytes);
}

void
outbox_id_format(const struct outbox_id *id, char ret_text[UUID_TEXT_BYTES])
{
    uuid_format(id->bytes, ret_text);
}

outbox_result
outbox_id_parse(const char *text, struct outbox_id *ret_id)
{
    const size_t length = text == NULL ? 0 : strnlen(text, UUID_TEXT_BYTES);
    return uuid_parse(text, length, ret_id->bytes) ? OUTBOX_OK : OUTBOX_INVALID;
}

const char *
outbox_result_name(outbox_result result)
{
    switch (result) {
    case OUTBOX_OK:
        return "OUTBOX_OK";
    case OUTBOX_INVALID:
        return "OUTBOX_INVALID";
    case OUTBOX_NO_TRANSACTION:
        return "OUTBOX_NO_TRANSACTION";
    case OUTBOX_NO_MEMORY:
        return "OUTBOX_NO_MEMORY";
    case OUTBOX_RETRY:
        return "OUTBOX_RETRY";
    case OUTBOX_CONNECTION:
        return "OUTBOX_CONNECTION";
    case OUTBOX_SCHEMA:
        return "OUTBOX_SCHEMA";
    case OUTBOX_DATABASE:
        return "OUTBOX_DATABASE";
    }
    return "OUTBOX_?";
}
