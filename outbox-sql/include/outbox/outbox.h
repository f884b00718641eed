/* outbox/outbox.h - writing messages to the outbox, in the same transaction as the change that they report.
 *
 *     begin; change the business rows; outbox_pg_write(...); commit
 *
 * If the transaction commits, outbox-relay sends the message to RabbitMQ at least once; if it does not, nobody ever sees it.
 *
 * What this library never does: begin, commit or roll back; open, close or keep a connection; write to a log; exit;
 * install a signal handler; start a thread; keep anything between two calls. A pointer that you pass is borrowed until
 * the call returns. Every function may be called by any thread, but a connection serves one call at a time.
 *
 * All text is UTF-8 without zero bytes, whatever the encoding of the connection. */
#ifndef OUTBOX_OUTBOX_H
#define OUTBOX_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OUTBOX_API __attribute__((visibility("default")))
#define OUTBOX_MUST_CHECK __attribute__((warn_unused_result))

/* The version of the tables that this library writes to. */
#define OUTBOX_SCHEMA_VERSION 1

/* Limits. A message or a batch that goes beyond them is refused with OUTBOX_INVALID.
 * Names are exchange, routing_key, type, content_type and the name of a header: AMQP's short string. All headers of
 * a message as JSON must leave room for the other properties in RabbitMQ's frame of 131072 bytes. RabbitMQ 3.10 takes
 * messages of 128 MiB, from 4.0 on 16 MiB unless max_message_size says otherwise; a larger one is refused by it and set
 * aside. A batch is one call; a transaction may make many. */
#define OUTBOX_NAME_MAX_BYTES 255
#define OUTBOX_KEY_MAX_BYTES 1024
#define OUTBOX_HEADERS_MAX_BYTES 65536
#define OUTBOX_PAYLOAD_MAX_BYTES 134217728
#define OUTBOX_BATCH_MAX_MESSAGES 65536
#define OUTBOX_BATCH_MAX_BYTES 268435456 /* payloads and headers */

/* OUTBOX_OK: the rows are in the transaction. Anything else: none of them is. New results are only ever appended. */
typedef enum outbox_result {
    OUTBOX_OK = 0,
    OUTBOX_INVALID = 1,        /* a rule of this header is broken: a bug in the caller */
    OUTBOX_NO_TRANSACTION = 2, /* there is no transaction, or it has failed already: refused */
    OUTBOX_NO_MEMORY = 3,
    OUTBOX_RETRY = 4,      /* deadlock, serialization failure, lock timeout: run all of it again */
    OUTBOX_CONNECTION = 5, /* the connection is gone, and the transaction with it */
    OUTBOX_SCHEMA = 6,     /* the tables are missing, or of another version than this library's */
    OUTBOX_DATABASE = 7    /* any other refusal by the database: see sqlstate */
} outbox_result;

/* Details of a failure, in memory of the caller's; written only on failure. */
struct outbox_error {
    outbox_result code;
    /* What the database answered: the transaction can only be rolled back. Empty if it did not answer: then, unless code
     * is OUTBOX_CONNECTION, the transaction is as it was. */
    char sqlstate[6];
    char message[490]; /* for people: a sentence, cut if it does not fit */
};

/* A UUID. Consumers see it, formatted, as AMQP's message-id. */
struct outbox_id {
    uint8_t bytes[16];
};

struct outbox_header {
    const char *name; /* 1 to 255 bytes, once in a message */
    const char *value;
};

struct outbox_message {
    size_t struct_size;                 /* set by OUTBOX_MESSAGE_INIT */
    const struct outbox_id *message_id; /* NULL: a new one, UUID version 7 */
    const char *exchange;     /* NULL: the source's default; "": AMQP's default exchange */
    const char *routing_key;  /* NULL is the same as "" */
    const char *key;          /* of one key: in the order of commit; NULL: unordered */
    const char *type;         /* NULL: none */
    const char *content_type; /* NULL: none */
    /* Headers named amqp-correlation-id, amqp-reply-to, amqp-expiration and amqp-priority are sent as these properties. No
     * name may begin with x-outbox-, or be CC or BCC, whose values are not strings. */
    const struct outbox_header *headers; /* header_count of them */
    size_t header_count;
    const char *headers_json; /* instead of headers: a JSON object; NULL: none */
    const void *payload;      /* payload_length bytes, any; NULL only if there are none */
    size_t payload_length;
    int64_t deliver_after_us; /* not before: microseconds since 1970 UTC; 0: at once */
};

/* struct outbox_message message = OUTBOX_MESSAGE_INIT; then set what you need. */
#define OUTBOX_MESSAGE_INIT                                                                        \
    {                                                                                              \
        sizeof(struct outbox_message), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0, \
            0                                                                                      \
    }

/* Makes a new id: UUID version 7, later ids sort later to the millisecond. */
OUTBOX_API void outbox_id_new(struct outbox_id *ret_id);

/* Lower-case text with hyphens, zero-terminated: the form of AMQP's message-id. */
OUTBOX_API void outbox_id_format(const struct outbox_id *id, char ret_text[37]);

/* Reads that form, either case. OUTBOX_INVALID, and *ret_id untouched, if it is not one. */
OUTBOX_API outbox_result outbox_id_parse(const char *text,
                                         struct outbox_id *ret_id) OUTBOX_MUST_CHECK;

/* "OUTBOX_RETRY" and so on; "OUTBOX_?" for a number that is none. Static, never NULL. */
OUTBOX_API const char *outbox_result_name(outbox_result result);

#ifdef __cplusplus
}
#endif

#endif
