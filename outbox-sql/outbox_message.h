/* outbox-sql/outbox_message.h - private to the writer libraries: the rules for a message, and its headers as JSON. */
#ifndef OUTBOX_SQL_OUTBOX_MESSAGE_H
#define OUTBOX_SQL_OUTBOX_MESSAGE_H

#include <outbox/outbox.h>

#include "base/buffer.h"

/* Fills *reterr (which may be NULL) and returns `code`, so that a failing function can `return outbox_fail(...)`. */
outbox_result outbox_fail(struct outbox_error *reterr, outbox_result code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The message number `index` of an array whose stride is the struct_size of its first element: an application built with
 * a later header has larger ones. */
const struct outbox_message *outbox_message_at(const struct outbox_message *messages, size_t index);

/* Checks all of them against every rule of outbox.h. The words name the message by its index, and the field. */
outbox_result outbox_messages_check(const struct outbox_message *messages, size_t message_count,
                                    struct outbox_error *reterr) MUST_CHECK;

/* Appends the headers of a checked message as a JSON object. False: no memory. */
bool outbox_headers_to_json(const struct outbox_message *message, struct buffer *json) MUST_CHECK;

#endif
