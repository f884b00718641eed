/* inbox/inbox_delivery.h - the types that runner and application exchange, for every kind of database: a message, the
 * answer of `apply`, reports, counters. See inbox_runner.h (PostgreSQL) or inbox_runner_mysql.h (MariaDB, MySQL). */
#ifndef INBOX_INBOX_DELIVERY_H
#define INBOX_INBOX_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <inbox/inbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A message. Everything it points to is valid until `apply` returns. Texts end with a zero byte and are "" if the
 * message does not have the property. New members are only ever appended. */
struct inbox_delivery {
    const char *message_id;
    const char *exchange;
    const char *routing_key;
    const char *type;
    const char *content_type;
    const char *key;    /* x-outbox-key; NULL: unordered */
    const char *source; /* x-outbox-source: the outbox that it comes from */
    int64_t outbox_id;  /* x-outbox-id: its row there; 0: none */
    const void *body;   /* body_length bytes, and a zero byte after them */
    size_t body_length;
    uint64_t timestamp_s; /* seconds since 1970 when the row was written; 0: none */
    uint32_t attempt;     /* 1, and one more after each failure in this process */
    bool redelivered;     /* the broker has delivered it before, perhaps to somebody else */
    /* The properties that the writer set by the headers amqp-correlation-id, amqp-reply-to, amqp-expiration and
     * amqp-priority. To reply, write a message to an outbox in `tx`: exchange "", routing key reply_to, header
     * amqp-correlation-id with this value. */
    const char *correlation_id;
    const char *reply_to;   /* the queue that waits for the reply */
    const char *expiration; /* milliseconds, as digits: the longest time in the queue */
    int32_t priority;       /* 0 to 255; -1: none */
};

/* Finds the text of a header: *ret_length bytes without a zero byte after them, valid until `apply` returns. False if
 * there is no header of that name, or it is not a text. To be called only within `apply`, in its thread. */
INBOX_API bool inbox_delivery_header(const struct inbox_delivery *delivery, const char *name,
                                     const char **ret_value, size_t *ret_length);

/* What `apply` answers about a message. */
typedef enum inbox_apply {
    INBOX_APPLY_OK = 0,
    INBOX_APPLY_RETRY = 1,  /* it failed: roll back, retry later; costs an attempt */
    INBOX_APPLY_REJECT = 2, /* it can never be applied: roll back, dead-letter it */
    /* Something that every message needs is not available: roll back, wait, retry; costs no attempt. */
    INBOX_APPLY_OUTAGE = 3
} inbox_apply;

/* How serious a report is. */
typedef enum inbox_report_level {
    INBOX_REPORT_ERROR = 1,   /* a message is lost to the queue (dead-lettered) */
    INBOX_REPORT_WARNING = 2, /* an outage, a failed attempt */
    INBOX_REPORT_INFO = 3     /* connected, duplicates refused, draining */
} inbox_report_level;

/* Called for something worth a log line: `event` is a stable name such as "message_rejected", `text` a sentence for
 * people, without newline, payload or secret. Called in the thread of inbox_runner_run; both texts are valid until it
 * returns. */
typedef void (*inbox_report_fn)(void *context, inbox_report_level level, const char *event,
                                const char *text);

/* A store of ids in front of the table, such as Redis (inbox_redis_hint_seen and _remember of inbox_redis.h). It may
 * forget ids and may be unavailable at any time. A hit is trusted, and saves the message its transaction. So the store
 * must never contain ids whose commit the database may lose. It does not if commits are durable on the server that made
 * them; with failover to an asynchronous replica, use no hint. Both functions are called in the thread of
 * inbox_runner_run, with `hint` and the ids of a batch, at most batch_max, and must return soon (set short
 * timeouts). */
struct inbox_runner_hint {
    void *hint;
    /* Sets ret_seen[i] to true for each id that was surely applied; all of them are false before. */
    void (*seen)(void *hint, const char *const *message_ids, size_t count, bool *ret_seen);
    /* Called when these ids are committed in the inbox. */
    void (*remember)(void *hint, const char *const *message_ids, size_t count);
};

/* Counters of a runner since it was created. */
struct inbox_runner_counters {
    uint64_t delivered;        /* by the broker, redeliveries included */
    uint64_t applied;          /* committed after `apply` */
    uint64_t duplicates;       /* found in the table, so not applied */
    uint64_t hinted;           /* found by the hint, so not applied */
    uint64_t rejected;         /* dead-lettered */
    uint64_t retried;          /* failed attempts of single messages that are repeated */
    uint64_t transactions;     /* committed */
    uint64_t database_outages; /* failed attempts to reach or use the database */
    uint64_t broker_outages;   /* connections lost, closed or refused */
};

#ifdef __cplusplus
}
#endif

#endif
