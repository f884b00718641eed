/* inbox/inbox.h - applying a message once, though it may arrive more than once.
 *
 *     begin; inbox_pg_claim(...)
 *         INBOX_OK and INBOX_FIRST:      apply the message in this transaction, commit, acknowledge
 *         INBOX_OK and INBOX_DUPLICATE:  roll back, acknowledge
 *         anything else:                 roll back, do not acknowledge
 *
 * What these libraries never do: begin, commit or roll back; write to a log; exit; install a signal handler; start a
 * thread. A pointer that you pass is borrowed until the call returns. Every function may be called by any thread, but a
 * connection and a handle serve one call at a time.
 *
 * The name of a consumer and the id of a message are UTF-8 text without zero bytes, 1 to 255 bytes; a key is the same of 1 to 1024
 * bytes. */
#ifndef INBOX_INBOX_H
#define INBOX_INBOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INBOX_API __attribute__((visibility("default")))
#define INBOX_MUST_CHECK __attribute__((warn_unused_result))

/* The version of the tables that these libraries use. */
#define INBOX_SCHEMA_VERSION 1

/* Limits. Larger values are refused with INBOX_INVALID. */
#define INBOX_NAME_MAX_BYTES 255 /* name of a consumer, id of a message */
#define INBOX_KEY_MAX_BYTES 1024
#define INBOX_BATCH_MAX_MESSAGES 65536 /* in one call */

/* The first eight mean what those of liboutbox mean. New results are only ever appended. */
typedef enum inbox_result {
    INBOX_OK = 0,
    INBOX_INVALID = 1,        /* a rule of the header is broken: a bug in the caller */
    INBOX_NO_TRANSACTION = 2, /* there is no transaction, or it has failed already: refused */
    INBOX_NO_MEMORY = 3,
    INBOX_RETRY = 4,      /* deadlock, serialization failure, lock timeout: run all of it again */
    INBOX_CONNECTION = 5, /* the connection is gone; or Redis did not answer in time */
    INBOX_SCHEMA = 6,     /* the tables are missing, or of another version than this library's */
    INBOX_DATABASE = 7,   /* any other refusal by the server: see sqlstate and message */
    INBOX_REDIS_LOST = 8, /* Redis has lost data, or may have: see inbox_redis.h */
    INBOX_LEASE_LOST = 9  /* the lease had ended before: see inbox_redis.h */
} inbox_result;

/* A type of its own, apart from the result, so that `if (result)` can never mean "duplicate". */
typedef enum inbox_verdict {
    INBOX_FIRST = 1,     /* nobody has applied it: do it now */
    INBOX_DUPLICATE = 2, /* it has been applied: do nothing, acknowledge */
    INBOX_BUSY = 3,      /* somebody is at it (inbox_redis_claim only): ask again later */
    INBOX_OUTDATED =
        4 /* something newer has been applied (advance only): do nothing, acknowledge */
} inbox_verdict;

/* Details of a failure, in memory of the caller's; written only on failure. */
struct inbox_error {
    inbox_result code;
    /* What the database answered: the transaction can only be rolled back. Empty if it did not answer: then, unless code
     * is INBOX_CONNECTION, the transaction is as it was. */
    char sqlstate[6];
    char message[490]; /* for people: a sentence, cut if it does not fit */
};

/* The id of a message, such as AMQP's message-id. */
struct inbox_id {
    const void *bytes;
    size_t length;
};

/* "INBOX_RETRY" and so on; "INBOX_?" for a number that is none. Static, never NULL. */
INBOX_API const char *inbox_result_name(inbox_result result);

#ifdef __cplusplus
}
#endif

#endif
