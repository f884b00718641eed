/* inbox/inbox_runner.h - a consumer that applies each message once: RabbitMQ on one side, your PostgreSQL database on the
 * other, and one function of yours in between.
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
 * What it does with messages, in the order in which the queue gives them: begin; insert their ids into table inbox; call
 * `apply` for those that were not there; commit; acknowledge all of them with one ack. So the effect and the memory of it
 * are one transaction, and whatever is delivered twice, after whatever accident, is applied once.
 *
 * When something fails:
 *   a transaction of several     is rolled back, and each of its messages gets one of its own, in order
 *   a message alone              waits and is tried again, in place (requeueing would break the order), with growing
 *                                pauses; messages of the same ordering key wait behind it, others go on. After
 *                                attempts_max it is rejected: the queue's dead-letter exchange takes it, or it is gone
 *                                if the queue has none. Later messages of its key then go on without it; whether and when
 *                                the dead one may still be applied is for an operator to decide.
 *   INBOX_APPLY_REJECT           the message is rejected in this way at once
 *   the database is away, or a table or a right of everybody's is missing (42P01, 42501)
 *                                everything waits and tries again, for ever; costs no message an attempt. But if one
 *                                message meets it again, alone, while others are committed, it has failed
 *   the broker is away           reconnects for ever; what was in hand is delivered again
 *   commit, and no answer        the messages run again, and the inbox tells those that were committed
 *   a message without an id      is rejected: nobody could recognise its duplicate
 * Attempts are counted in memory. A message that kills the process is delivered again for ever unless the queue has a
 * limit of its own: give a quorum queue x-delivery-limit. It counts every return, so a runner begins with one message in
 * hand, until the queue gives some that had not been returned: a process that dies early then takes no others along.
 *
 * The queue must exist. Order per key needs one consumer at a time (x-single-active-consumer), prefetch messages are then
 * the most that can wait behind a failing one. Messages without x-outbox-key are unordered.
 *
 * Threads. inbox_runner_run calls everything of yours in the thread that called it, and libpq blocks that thread. One thread
 * of the library's own, with all signals blocked, keeps the connection to the broker alive meanwhile and touches nothing
 * else: so `apply` may take as long as it needs, up to RabbitMQ's consumer_timeout (30 minutes, for a message from its
 * delivery to its ack). Two runners share nothing. The library never logs, exits or installs a signal handler. */
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

/* Applies one message: its statements go through `tx`, where a transaction is open, which it must not end. It can be called
 * again for the same message after a roll-back, so it keeps its effects inside the transaction. A statement that fails has
 * failed the transaction: return INBOX_APPLY_RETRY (a deadlock or an outage of the database is recognised, and costs no
 * attempt all the same). */
typedef inbox_apply (*inbox_apply_fn)(void *context, struct pg_conn *tx,
                                      const struct inbox_delivery *delivery);

/* A connection to the database, or NULL if none can be made now. The runner closes it (PQfinish). Make the server notice a
 * client that went silent (set tcp_keepalives_idle and the like in the session): the next consumer waits for messages that the
 * silent one has claimed in an open transaction. With a dsn the runner does this itself. */
typedef struct pg_conn *(*inbox_connect_fn)(void *context);

struct inbox_runner_options {
    size_t struct_size;          /* set by INBOX_RUNNER_OPTIONS_INIT */
    const char *broker_uri;      /* amqp[s]://user:password@host[:port][,host…]/vhost; required */
    const char *broker_password; /* instead of the URI's; NULL: the URI's */
    const char *queue;           /* required */
    /* The name under which ids are kept in the inbox: one for each effect; required. */
    const char *consumer;
    /* libpq connection string; this or `connect`. Of several hosts one that takes writes is used (target_session_attrs=read-
     * write), unless it says otherwise. */
    const char *dsn;
    inbox_connect_fn connect;
    inbox_apply_fn apply;          /* required */
    inbox_report_fn report;        /* NULL: nobody listens */
    void *context;                 /* passed to connect, apply and report */
    struct inbox_runner_hint hint; /* functions NULL: none */
    uint32_t batch_max;            /* messages in one transaction; 1 to 10000 */
    uint32_t batch_wait_ms; /* how long the first message of a batch waits for more; 0 to 10000 */
    /* Messages in hand; batch_max to 65535. Their bodies are in memory. 0: twice batch_max. */
    uint32_t prefetch;
    uint32_t attempts_max;     /* 1 to 1000000 */
    uint32_t retry_initial_ms; /* first pause, also of an outage; 1 to retry_max_ms */
    /* Longest pause; keep attempts_max of them below RabbitMQ's consumer_timeout. */
    uint32_t retry_max_ms;
    uint32_t heartbeat_s;     /* between the two sides, if the URI names none; 1 to 3600 */
    uint32_t stop_timeout_ms; /* how long a stop may take to finish what is in hand; 1 to 3600000 */
};

#define INBOX_RUNNER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(struct inbox_runner_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
            {NULL, NULL, NULL}, 100, 2, 0, 10, 100, 10000, 30, 20000                               \
    }

/* Checks the options, copies them, allocates; connects to nothing. INBOX_INVALID with a text that says which option. */
INBOX_API inbox_result inbox_runner_new(const struct inbox_runner_options *options,
                                        inbox_runner **ret_runner,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Consumes until inbox_runner_stop. It then applies what is in hand and takes no more, acknowledges, and closes both
 * connections, so that no other consumer gets a later message of a key before. What cannot be applied at once or within
 * stop_timeout_ms goes back to the queue, in order. When that time is over, a statement that still waits for the database
 * fails, since its socket is shut down; `apply` itself, `connect` and a connection that is just being made (10 s a host) are
 * waited for, and the broker at most 5 s. INBOX_OK after a stop, and nothing else but INBOX_NO_MEMORY ends it. May be called
 * again. */
INBOX_API inbox_result inbox_runner_run(inbox_runner *runner,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Ends the run that is going on, or the next one. Any thread, any signal handler, any number of times. In a child that was
 * forked from the process that runs it, it does nothing. */
INBOX_API void inbox_runner_stop(inbox_runner *runner);

/* Not while inbox_runner_run runs. NULL is fine. */
INBOX_API void inbox_runner_free(inbox_runner *runner);

/* What has happened since inbox_runner_new. Any thread. counters_size: sizeof(struct inbox_runner_counters). */
INBOX_API void inbox_runner_count(const inbox_runner *runner,
                                  struct inbox_runner_counters *ret_counters, size_t counters_size);

#ifdef __cplusplus
}
#endif

#endif
