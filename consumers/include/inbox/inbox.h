/* inbox/inbox.h - applying a message once, although it may arrive more than once.
 *
 *     begin; inbox_pg_claim(...)
 *         INBOX_OK and INBOX_FIRST:      apply the message in this transaction, commit, acknowledge
 *         INBOX_OK and INBOX_DUPLICATE:  roll back, acknowledge
 *         anything else:                 roll back, do not acknowledge
 *
 * The functions of these libraries never write to a log, exit, or install a signal handler; only those of a runner
 * begin, commit and roll back transactions, and start a thread. A pointer that you pass is borrowed until the call
 * returns. Every function may be called by any thread, but a connection and a handle serve one call at a time.
 *
 * The name of a consumer and the id of a message are UTF-8 text without zero bytes, of 1 to 255 bytes; a key is the
 * same, of 1 to 1024 bytes. */
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

/* The first eight have the same meaning as those of liboutbox. New results are only ever appended. */
typedef enum inbox_result {
    INBOX_OK = 0,
    INBOX_INVALID = 1,        /* the call breaks a rule of the header: a bug in the caller */
    INBOX_NO_TRANSACTION = 2, /* there is no transaction, or it has failed: refused */
    INBOX_NO_MEMORY = 3,
    INBOX_RETRY = 4,      /* deadlock, serialization failure or lock timeout: run all of it again */
    INBOX_CONNECTION = 5, /* the connection is gone; or Redis did not answer in time */
    INBOX_SCHEMA = 6,     /* the tables are missing, or their version is not this library's */
    INBOX_DATABASE = 7,   /* any other refusal by the server: see sqlstate and message */
    INBOX_REDIS_LOST = 8, /* Redis has lost data, or may have: see inbox_redis.h */
    INBOX_LEASE_LOST = 9  /* the lease had ended already: see inbox_redis.h */
} inbox_result;

/* Not a part of inbox_result, so that `if (result)` can never mean "duplicate". */
typedef enum inbox_verdict {
    INBOX_FIRST = 1,     /* nobody has applied it: apply it now */
    INBOX_DUPLICATE = 2, /* it has been applied: do nothing, acknowledge */
    INBOX_BUSY = 3,      /* somebody is applying it (inbox_redis_claim only): ask again later */
    /* Something newer has been applied (advance only): do nothing, acknowledge. */
    INBOX_OUTDATED = 4
} inbox_verdict;

/* Details of a failure, in memory of the caller; written only on failure. */
struct inbox_error {
    inbox_result code;
    /* The SQLSTATE if the database answered: then the transaction can only be rolled back. Empty if it did not answer:
     * then the transaction is unchanged, unless code is INBOX_CONNECTION. */
    char sqlstate[6];
    char message[490]; /* for people: a sentence, cut if it does not fit */
};

/* The id of a message, such as AMQP's message-id. */
struct inbox_id {
    const void *bytes;
    size_t length;
};

/* "INBOX_RETRY" and so on; "INBOX_?" for an unknown number. A static string, never NULL. Any thread. */
INBOX_API const char *inbox_result_name(inbox_result result);

#ifdef __cplusplus
}
#endif

#endif
