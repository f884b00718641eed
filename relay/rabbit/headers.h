/* relay/rabbit/headers.h - the AMQP headers of a message: the row's own (a JSON object) and the relay's.
 *
 * JSON string, integer, real, true/false, object and array become AMQP S, l, d, t, F and A; a header whose value is
 * null is left out, a null inside a value becomes V. The relay adds x-outbox-source, x-outbox-id and x-outbox-key; a
 * row's own headers must not begin with x-outbox-. CC and BCC are routing keys that RabbitMQ reads. A header with a
 * name from properties.h is sent as a property and not as a header. */
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

/* Encodes into `buffer`, which is emptied first; *ret_headers points into it. Sets *ret_properties. False with
 * ERROR_MESSAGE if the row's headers are no JSON object, cannot become an AMQP table or such properties, or would be
 * refused by the broker; if a single header is at fault, the text names it. Headers longer than LIMIT_HEADERS_BYTES are
 * not parsed: the tree of a text of many small arrays takes about 50 times its size. */
bool headers_encode(const struct row *row, const char *source, struct buffer *buffer,
                    struct span *ret_headers, struct properties *ret_properties,
                    struct error *reterr) MUST_CHECK;

#endif
