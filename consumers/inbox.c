#include <inbox/inbox.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "consumers/inbox_private.h"

_Static_assert(INBOX_KEY_MAX_BYTES == LIMIT_KEY_BYTES, "the key of an outbox fits");

/* A hundred years: more would leave the range of a server's dates. */
#define AGE_MAX_S UINT64_C(3155760000)

inbox_result
inbox_fail(struct inbox_error *reterr, inbox_result code, const char *format, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, format);
        reterr->code = code;
        reterr->sqlstate[0] = '\0';
        (void)vsnprintf(reterr->message, sizeof(reterr->message), format, args);
        va_end(args);
        reterr->message[strcspn(reterr->message, "\r\n")] = '\0';
    }
    return code;
}

inbox_result
inbox_check_consumer(const char *consumer, struct inbox_error *reterr)
{
    const size_t length = consumer == NULL ? 0 : strnlen(consumer, INBOX_NAME_MAX_BYTES + 1);
    if (length == 0) {
        return inbox_fail(reterr, INBOX_INVALID, "the consumer has no name");
    }
    if (length > INBOX_NAME_MAX_BYTES) {
        return inbox_fail(reterr, INBOX_INVALID, "the name of the consumer is longer than %d bytes",
                          INBOX_NAME_MAX_BYTES);
    }
    if (!utf8_is_text(consumer, length)) {
        return inbox_fail(reterr, INBOX_INVALID, "the name of the consumer is not valid UTF-8");
    }
    return INBOX_OK;
}

static inbox_result
check_id(const struct inbox_id *id, size_t index, struct inbox_error *reterr)
{
    if (id->bytes == NULL || id->length == 0) {
        return inbox_fail(reterr, INBOX_INVALID, "message %zu has no id", index);
    }
    if (id->length > INBOX_NAME_MAX_BYTES) {
        return inbox_fail(reterr, INBOX_INVALID, "the id of message %zu is longer than %d bytes",
                          index, INBOX_NAME_MAX_BYTES);
    }
    if (!utf8_is_text(id->bytes, id->length)) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "the id of message %zu is not UTF-8 text without zero bytes", index);
    }
    return INBOX_OK;
}

inbox_result
inbox_check_ids(const struct inbox_id *ids, size_t id_count, struct inbox_error *reterr)
{
    if (id_count > INBOX_BATCH_MAX_MESSAGES) {
        return inbox_fail(reterr, INBOX_INVALID, "%zu messages in one call, the most is %d",
                          id_count, INBOX_BATCH_MAX_MESSAGES);
    }
    if (ids == NULL && id_count > 0) {
        return inbox_fail(reterr, INBOX_INVALID, "ids is NULL");
    }
    inbox_result result = INBOX_OK;
    for (size_t i = 0; result == INBOX_OK && i < id_count; i++) {
        result = check_id(&ids[i], i, reterr);
    }
    return result;
}

inbox_result
inbox_check_key(const void *key, size_t key_length, struct inbox_error *reterr)
{
    if (key == NULL || key_length == 0) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "there is no key: nothing says of what it is a "
                          "version");
    }
    if (key_length > INBOX_KEY_MAX_BYTES) {
        return inbox_fail(reterr, INBOX_INVALID, "the key is longer than %d bytes",
                          INBOX_KEY_MAX_BYTES);
    }
    if (!utf8_is_text(key, key_length)) {
        return inbox_fail(reterr, INBOX_INVALID, "the key is not UTF-8 text without zero bytes");
    }
    return INBOX_OK;
}

inbox_result
inbox_check_forget(uint64_t age_s, uint32_t limit, struct inbox_error *reterr)
{
    if (age_s < 1 || age_s > AGE_MAX_S || limit < 1) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "age_s must be 1 to a hundred years, limit at least 1");
    }
    return INBOX_OK;
}

const char *
inbox_result_name(inbox_result result)
{
    switch (result) {
    case INBOX_OK:
        return "INBOX_OK";
    case INBOX_INVALID:
        return "INBOX_INVALID";
    case INBOX_NO_TRANSACTION:
        return "INBOX_NO_TRANSACTION";
    case INBOX_NO_MEMORY:
        return "INBOX_NO_MEMORY";
    case INBOX_RETRY:
        return "INBOX_RETRY";
    case INBOX_CONNECTION:
        return "INBOX_CONNECTION";
    case INBOX_SCHEMA:
        return "INBOX_SCHEMA";
    case INBOX_DATABASE:
        return "INBOX_DATABASE";
    case INBOX_REDIS_LOST:
        return "INBOX_REDIS_LOST";
    case INBOX_LEASE_LOST:
        return "INBOX_LEASE_LOST";
    }
    return "INBOX_?";
}
