/* inbox/inbox_runner_mysql.h - a consumer that applies each message once: RabbitMQ on one side, your MariaDB or MySQL database on
 * the other, and one function of yours in between.
 *
 *     struct inbox_runner_mysql_options options = INBOX_RUNNER_MYSQL_OPTIONS_INIT;
 *     options.broker_uri = "amqp://user:password@host/";  options.queue = "payments";
 *     options.dsn = "host=db user=ledger dbname=ledger";  options.consumer = "ledger";
 *     options.apply = apply_payment;
 *     inbox_runner_mysql *runner;
 *     if (inbox_runner_mysql_new(&options, &runner, &error) == INBOX_OK) {
 *         inbox_runner_mysql_run(runner, &error);      -- until inbox_runner_mysql_stop(runner), from a signal handler or a thread
 *         inbox_runner_mysql_free(runner);
 *     }
 *
 * It is the runner of inbox_runner.h, word for word but for the database: what stands there of batches, failures, the broker and
 * threads holds here too, and a program may have runners of both. What is otherwise:
 *
 * The session. The runner turns autocommit off in it, also in one of `connect`, and the client library's own reconnecting. It
 * is one for tables of InnoDB: of others nothing is rolled back.
 *
 * A statement that fails has undone itself and no more, so `apply` may go on after it; what it returns counts. INBOX_APPLY_OK after
 * an error commits the rest. After a deadlock (1213) there is no rest: the server has rolled back the whole transaction, which
 * is recognised whatever `apply` does and returns, costs no attempt, and leaves nothing behind. Nor does a lock wait timeout
 * (1205) cost one, if it was the last thing that failed.
 *
 * `apply` must not end the transaction, and here CREATE, ALTER, DROP, TRUNCATE, LOCK TABLES and others do so without a word. It is
 * noticed (transaction_ended) and comes out as in inbox_runner.h, with one exception: if `apply` has ended the transaction by a
 * commit and left another one open, and a later message of the same batch fails, what was applied between the two is lost
 * (docs/GUARANTEES.md).
 *
 * A table or a right that is missing, or a server that takes no writes, is an outage: 1146, 1142, 1290 and the like. */
#ifndef INBOX_INBOX_RUNNER_MYSQL_H
#define INBOX_INBOX_RUNNER_MYSQL_H

#include <stddef.h>
#include <stdint.h>

#include <inbox/inbox_delivery.h>
#include <inbox/inbox_mysql.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct inbox_runner_mysql inbox_runner_mysql;

/* Applies one message: its statements go through `tx`, where a transaction is open, which it must not end. It can be called
 * again for the same message after a roll-back, so it keeps its effects inside the transaction. All results are read when it
 * returns. */
typedef inbox_apply (*inbox_mysql_apply_fn)(void *context, MYSQL *tx,
                                            const struct inbox_delivery *delivery);

/* A connection to the database, or NULL if none can be made now. The runner closes it (mysql_close). Make the server end a
 * session that went silent (set wait_timeout in the session): the next consumer waits for messages that the silent one has
 * claimed in an open transaction. And set READ COMMITTED, as inbox_mysql.h says. With a dsn the runner does both itself. */
typedef MYSQL *(*inbox_mysql_connect_fn)(void *context);

/* As struct inbox_runner_options. */
struct inbox_runner_mysql_options {
    size_t struct_size; /* set by INBOX_RUNNER_MYSQL_OPTIONS_INIT */
    const char *broker_uri;
    const char *broker_password;
    const char *queue;
    const char *consumer;
    /* In libpq's words, of which there are host (a path: a socket), port, dbname, user, password, connect_timeout, sslmode
     * (disable, prefer, require, verify-ca, verify-full), sslrootcert, sslcert, sslkey and sslcrl; or as a URL,
     * mysql://user:password@host:port/dbname?sslmode=require. This or `connect`. Of several hosts ("host=a,b") the first that takes
     * writes is used. */
    const char *dsn;
    inbox_mysql_connect_fn connect;
    inbox_mysql_apply_fn apply;
    inbox_report_fn report;
    void *context;
    struct inbox_runner_hint hint;
    uint32_t batch_max;
    uint32_t batch_wait_ms;
    uint32_t prefetch;
    uint32_t attempts_max;
    uint32_t retry_initial_ms;
    uint32_t retry_max_ms;
    uint32_t heartbeat_s;
    uint32_t stop_timeout_ms;
};

#define INBOX_RUNNER_MYSQL_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(struct inbox_runner_mysql_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
            NULL, {NULL, NULL, NULL}, 100, 2, 0, 10, 100, 10000, 30, 20000                         \
    }

/* As those of inbox_runner.h. The thread of inbox_runner_mysql_run uses the client library: call mysql_thread_end at its end, unless
 * it is the main thread. */
INBOX_API inbox_result inbox_runner_mysql_new(const struct inbox_runner_mysql_options *options,
                                              inbox_runner_mysql **ret_runner,
                                              struct inbox_error *reterr) INBOX_MUST_CHECK;
INBOX_API inbox_result inbox_runner_mysql_run(inbox_runner_mysql *runner,
                                              struct inbox_error *reterr) INBOX_MUST_CHECK;
INBOX_API void inbox_runner_mysql_stop(inbox_runner_mysql *runner);
INBOX_API void inbox_runner_mysql_free(inbox_runner_mysql *runner);
INBOX_API void inbox_runner_mysql_count(const inbox_runner_mysql *runner,
                                        struct inbox_runner_counters *ret_counters,
                                        size_t counters_size);

#ifdef __cplusplus
}
#endif

#endif
