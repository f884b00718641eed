/* relay/headers.h - the AMQP headers of a message: the row's own (a JSON object) and the relay's.
 *
 * JSON string, integer, real, true/false, null, object and array become AMQP S, l, d, t, V, F and A. The relay adds
 * x-outbox-source, x-outbox-id and x-outbox-key; a header of the row with one of these names is left out. What
 * relay/properties.h has a name for is a property and no header. */
#ifndef RELAY_HEADERS_H
#define RELAY_HEADERS_H

#include "base/buffer.h"
#include "base/error.h"
#include "relay/properties.h"
#include "relay/row.h"

#define HEADER_SOURCE "x-outbox-source"
#define HEADER_ID "x-outbox-id"
#define HEADER_KEY "x-outbox-key"

/* Encodes into `buffer`, which is emptied first; *ret_headers points into it. Sets *ret_properties anew. False with
 * ERROR_MESSAGE if the row's headers are no JSON object or cannot be an AMQP table or such properties. */
bool headers_encode(const struct row *row, const char *source, struct buffer *buffer,
                    struct span *ret_headers, struct properties *ret_properties,
                    struct error *reterr) MUST_CHECK;

#endif
