/* base/limits.h - how large the parts of a message may be: the place for these numbers. C takes them from here; in the .sql
 * files, which run as they are, and in the public outbox/outbox.h they stand once more, and tests/unit/test_limits.c looks
 * that they are the same. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* AMQP's short string: exchange, routing key, type, content type, the name of a header, and properties that are text. */
#define LIMIT_NAME_BYTES 255
/* An ordering key has no limit of AMQP's, as it goes as a header: what is longer is no key but a document, and would be read
 * for each message behind it. */
#define LIMIT_KEY_BYTES 1024
/* Headers as JSON text, and as a table. They go in one frame, of which RabbitMQ takes 131072 bytes. */
#define LIMIT_HEADERS_BYTES 131072
/* Headers as the server stores them, compressed or not: no text within the limit takes more. */
#define LIMIT_HEADERS_STORED_BYTES 262144
/* What was written before there were limits in the table is read up to here; what is longer is set aside unread. */
#define LIMIT_KEY_READ_BYTES 65536
#define LIMIT_HEADERS_READ_BYTES 1048576

#endif
