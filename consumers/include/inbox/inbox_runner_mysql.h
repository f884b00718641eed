/* inbox/inbox_runner_mysql.h - a consumer that applies each message once: RabbitMQ on one side, your MariaDB or MySQL
 * database on the other, and one function of yours in between.
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
 * It is the runner of inbox_runner.h for another database: everything there about batches, failures, the broker and
 * threads is true here too, and a program may have runners of both. The differences:
 *
 * The session. The runner turns autocommit off in it, also in one of `connect`, and turns off the client library's
 * automatic reconnecting. Use InnoDB tables only: changes of others are not rolled back.
 *
 * A failed statement has undone only itself, so `apply` may go on after it; its answer counts. INBOX_APPLY_OK after an
 * error commits the rest. After a deadlock (1213) there is no rest: the server has rolled back the whole transaction.
 * The runner recognises this whatever `apply` does and returns; it costs no attempt and leaves nothing behind. A lock
 * wait timeout (1205) costs no attempt either, if it was the last failure.
 *
 * `apply` must not end the transaction, and here CREATE, ALTER, DROP, TRUNCATE, LOCK TABLES and others end it silently.
 * The runner notices (transaction_ended), with the same result as in inbox_runner.h, except in one case: if `apply` has
 * ended the transaction by a commit and left another one open, and a later message of the same batch fails, the changes
 * between the two are lost (docs/GUARANTEES.md).
 *
 * A missing table or right, or a server that takes no writes, is an outage: 1146, 1142, 1290 and the like. */
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

/* Applies one message, by statements on `tx`, where a transaction is open, which it must not end. It can be called
 * again for the same message after a rollback, so its effects must be inside the transaction. It must read all results
 * before it returns. */
typedef inbox_apply (*inbox_mysql_apply_fn)(void *context, MYSQL *tx,
                                            const struct inbox_delivery *delivery);

/* Returns a connection to the database, or NULL if none can be made now. The runner owns it and closes it
 * (mysql_close). Let the server end a session that went silent (set wait_timeout in the session), because the next
 * consumer waits for messages that the silent one has claimed in an open transaction. And set READ COMMITTED, as
 * inbox_mysql.h says. With a dsn the runner does both itself. */
typedef MYSQL *(*inbox_mysql_connect_fn)(void *context);

/* The same as struct inbox_runner_options, with the same limits. */
struct inbox_runner_mysql_options {
    size_t struct_size; /* set by INBOX_RUNNER_MYSQL_OPTIONS_INIT */
    const char *broker_uri;
    const char *broker_password;
    const char *queue;
    const char *consumer;
    /* A string in libpq's syntax with the words host (a path: a socket), port, dbname, user, password, connect_timeout,
     * sslmode (disable, prefer, require, verify-ca, verify-full), sslrootcert, sslcert, sslkey and sslcrl; or a URL,
     * mysql://user:password@host:port/dbname?sslmode=require. Either this or `connect`. Of several hosts ("host=a,b")
     * the first one that takes writes is used. */
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

/* The same as the functions of inbox_runner.h. The thread of inbox_runner_mysql_run uses the client library: call
 * mysql_thread_end at its end, unless it is the main thread. */
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
