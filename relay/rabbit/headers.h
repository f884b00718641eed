/* relay/rabbit/headers.h - the AMQP headers of a message: the row's own (a JSON object) and the relay's.
 *
 * JSON string, integer, real, true/false, object and array become AMQP S, l, d, t, F and A; a header that is null is left
 * out, a null further in is V. The relay adds x-outbox-source, x-outbox-id and x-outbox-key; a row may have no header of its
 * own that begins like these. CC and BCC are routing keys, read by RabbitMQ. What properties.h has a name for is a
 * property and no header. */
#ifndef RELAY_RABBIT_HEADERS_H
#define RELAY_RABBIT_HEADERS_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/limits.h"
#include "relay/ports/row.h"
#include "relay/rabbit/properties.h"

#define HEADERS_OURS "x-outbox-"
#define HEADER_SOURCE "x-outbox-source"
#define HEADER_ID "x-outbox-id"
#define HEADER_KEY "x-outbox-key"

/* Encodes into `buffer`, which is emptied first; *ret_headers points into it. Sets *ret_properties anew. False with
 * ERROR_MESSAGE if the row's headers are no JSON object, cannot be an AMQP table or such properties, or are nothing that the
 * broker would take; where it is one header's fault it names that. What is longer than LIMIT_HEADERS_BYTES is not parsed: a
 * text of many small arrays takes some 50 times its size as a tree. */
bool headers_encode(const struct row *row, const char *source, struct buffer *buffer,
                    struct span *ret_headers, struct properties *ret_properties,
                    struct error *reterr) MUST_CHECK;

#endif
