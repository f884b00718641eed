/* inbox/inbox_runner.h - a consumer that applies each message once: RabbitMQ on one side, your PostgreSQL database on
 * the other, and one function of yours in between.
 *
 *     struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
 *     options.broker_uri = "amqp://user:password@host/";  options.queue = "payments";
 *     options.dsn = "dbname=ledger";  options.consumer = "ledger";
 *     options.apply = apply_payment;
 *     inbox_runner *runner;
 *     if (inbox_runner_new(&options, &runner, &error) == INBOX_OK) {
 *         inbox_runner_run(runner, &error);      -- until inbox_runner_stop(runner), from a signal handler or a thread
 *         inbox_runner_free(runner);
 *     }
 *
 * It takes messages in the order of the queue, and does this: begin; insert their ids into table inbox; call `apply`
 * for those that were not there; commit; acknowledge all of them with one ack. So the effect and its record are one
 * transaction, and a message that is delivered twice, for whatever reason, is applied once.
 *
 * When something fails:
 *   a transaction of several     is rolled back, and each of its messages gets one of its own, in order
 *   a message alone              waits and is retried in its place (requeueing would break the order), with growing
 *                                pauses; messages of the same ordering key wait behind it, others go on. After
 *                                attempts_max it is rejected: the queue's dead-letter exchange takes it, or it is lost
 *                                if the queue has none. Then later messages of its key go on without it; an operator
 *                                must decide whether and when the dead one may still be applied.
 *   INBOX_APPLY_REJECT           the message is rejected in this way at once
 *   the database is not available, or a table or a right that all need is missing (42P01, 42501)
 *                                everything waits and is retried, for ever; costs no message an attempt. But if a
 *                                message, alone, meets this again while others are committed, that counts as its failure
 *   the broker is not available  reconnects for ever; messages in hand are delivered again
 *   commit, and no answer        the messages run again, and the inbox recognises those that were committed
 *   a message without an id      is rejected, because its duplicates could not be recognised
 * Attempts are counted in memory. A message that kills the process is delivered again for ever unless the queue has a
 * limit of its own: give a quorum queue x-delivery-limit. It counts every return. So a runner begins with one message
 * in hand, until the queue gives some that had not been returned: a process that dies early then uses up no other
 * message's limit.
 *
 * The queue must exist. Order per key needs one consumer at a time (x-single-active-consumer), with RabbitMQ before 4 on
 * a quorum queue (docs/OPERATIONS.md, "Order"); then up to prefetch messages can wait behind a failing one. Messages without x-outbox-key are unordered.
 *
 * Threads. inbox_runner_run calls all functions of yours in the thread that called it, and libpq blocks that thread.
 * Meanwhile one thread of the library, with all signals blocked, keeps the connection to the broker alive, and uses
 * nothing else. So `apply` may take as long as it needs, up to RabbitMQ's consumer_timeout (30 minutes, for a message
 * from its delivery to its ack). Two runners share nothing. The library never logs, exits or installs a signal
 * handler. */
#ifndef INBOX_INBOX_RUNNER_H
#define INBOX_INBOX_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#include <inbox/inbox.h>
#include <inbox/inbox_delivery.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct inbox_runner inbox_runner;
struct pg_conn; /* libpq's PGconn */

/* Applies one message, by statements on `tx`, where a transaction is open, which it must not end. It can be called
 * again for the same message after a rollback, so its effects must be inside the transaction. A failed statement fails
 * the transaction: then return INBOX_APPLY_RETRY. (A deadlock or an outage of the database is recognised, and costs no
 * attempt all the same.) */
typedef inbox_apply (*inbox_apply_fn)(void *context, struct pg_conn *tx,
                                      const struct inbox_delivery *delivery);

/* Returns a connection to the database, or NULL if none can be made now. The runner owns it and closes it (PQfinish).
 * Let the server notice a client that went silent (set tcp_keepalives_idle and the like in the session), because the
 * next consumer waits for messages that the silent one has claimed in an open transaction. With a dsn the runner does
 * this itself. */
typedef struct pg_conn *(*inbox_connect_fn)(void *context);

struct inbox_runner_options {
    size_t struct_size;          /* set by INBOX_RUNNER_OPTIONS_INIT */
    const char *broker_uri;      /* amqp[s]://user:password@host[:port][,host…]/vhost; required */
    const char *broker_password; /* instead of the URI's; NULL: the URI's */
    const char *queue;           /* required */
    /* The name under which ids are kept in the inbox, one for each effect; required. */
    const char *consumer;
    /* A libpq connection string; either this or `connect`. Of several hosts, one that takes writes is used
     * (target_session_attrs=read-write), unless the string says otherwise. */
    const char *dsn;
    inbox_connect_fn connect;
    inbox_apply_fn apply;          /* required */
    inbox_report_fn report;        /* NULL: no reports */
    void *context;                 /* passed to connect, apply and report */
    struct inbox_runner_hint hint; /* no hint if its functions are NULL */
    uint32_t batch_max;            /* messages in one transaction; 1 to 10000 */
    uint32_t batch_wait_ms; /* how long the first message of a batch waits for more; 0 to 10000 */
    /* The most messages in hand, whose bodies are in memory; batch_max to 65535. 0: twice batch_max. */
    uint32_t prefetch;
    uint32_t attempts_max;     /* 1 to 1000000 */
    uint32_t retry_initial_ms; /* first pause, also in an outage; 1 to retry_max_ms */
    /* Longest pause; attempts_max of them together must stay below RabbitMQ's consumer_timeout. */
    uint32_t retry_max_ms;
    uint32_t heartbeat_s; /* heartbeat of the connection, if the URI names none; 1 to 3600 */
    /* How long a stop may take to finish the messages in hand; 1 to 3600000. */
    uint32_t stop_timeout_ms;
};

#define INBOX_RUNNER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(struct inbox_runner_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
            {NULL, NULL, NULL}, 100, 2, 0, 10, 100, 10000, 30, 20000                               \
    }

/* Checks and copies the options, and allocates memory. Does not connect. INBOX_INVALID: the message names the option.
 * Free *ret_runner, which is written on INBOX_OK only, with inbox_runner_free. */
INBOX_API inbox_result inbox_runner_new(const struct inbox_runner_options *options,
                                        inbox_runner **ret_runner,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Consumes until inbox_runner_stop. Then it applies the messages in hand and takes no more, acknowledges, and closes
 * both connections, so that no other consumer gets a later message of a key before. Messages that cannot be applied at
 * once or within stop_timeout_ms go back to the queue, in order. When that time is over, the socket of the database is
 * shut down, so that a statement that still waits for it fails; `apply` itself, `connect`, and a connection attempt (10
 * s for each host) are waited for, and the broker for at most 5 s. INBOX_OK after a stop; only INBOX_NO_MEMORY ends it
 * otherwise. May be called again. */
INBOX_API inbox_result inbox_runner_run(inbox_runner *runner,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Ends the present run, or the next one. May be called by any thread and any signal handler, any number of times. In a
 * child that was forked from the process of the runner, it does nothing. */
INBOX_API void inbox_runner_stop(inbox_runner *runner);

/* Must not be called while inbox_runner_run runs. Takes NULL. */
INBOX_API void inbox_runner_free(inbox_runner *runner);

/* Copies the counters since inbox_runner_new. Any thread. counters_size: sizeof(struct inbox_runner_counters). */
INBOX_API void inbox_runner_count(const inbox_runner *runner,
                                  struct inbox_runner_counters *ret_counters, size_t counters_size);

#ifdef __cplusplus
}
#endif

#endif
