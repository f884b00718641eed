/* base/limits.h - how large the parts of a message may be. C code takes these numbers from here. The .sql files, which must
 * run as they are, and the public outbox/outbox.h repeat them; tests/unit/test_limits.c checks that they are the same. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* AMQP's short string: exchange, routing key, type, content type, the name of a header, and properties that are text. */
#define LIMIT_NAME_BYTES 255
/* AMQP has no limit for an ordering key, which is sent as a header. A longer text is a document rather than a key, and would
 * be read for each message that waits behind it. */
#define LIMIT_KEY_BYTES 1024
/* Headers as JSON text, and as a table. They go in one frame, of which RabbitMQ takes 131072 bytes. */
#define LIMIT_HEADERS_BYTES 131072
/* Headers as the server stores them, compressed or not: no text within the limit takes more. */
#define LIMIT_HEADERS_STORED_BYTES 262144
/* Rows that were written before the table had limits are read up to this size; longer ones are set aside unread. */
#define LIMIT_KEY_READ_BYTES 65536
#define LIMIT_HEADERS_READ_BYTES 1048576

#endif
