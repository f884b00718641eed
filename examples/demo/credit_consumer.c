/* credit_consumer.c - a complete consumer: money that left an account of one bank arrives at the account of the same
 * number here, once, whatever happens to the servers or to this process.
 *
 *     credit_consumer BROKER_URI QUEUE DSN [REDIS_HOST REDIS_PORT]
 *
 * Ends on SIGTERM or SIGINT, after the transaction in hand. */
#include <inbox/inbox_redis.h>
#include <inbox/inbox_runner.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inbox_runner *runner;

static void
on_signal(int number)
{
    (void)number;
    inbox_runner_stop(runner);
}

/* Takes the lock on the account before the number of the entry, so that entries of an account are numbered in the order
 * in which they were applied. The body is a JSON object. */
static const char credit_sql[] =
    "with transfer as ("
    "    select * from json_to_record($1) as t (account integer, sequence bigint, amount bigint)"
    "), credited as ("
    "    update account set balance = balance + transfer.amount from transfer"
    "    where account.id = transfer.account"
    "    returning transfer.account, transfer.sequence, transfer.amount"
    ") insert into entry (account, sequence, amount) select account, sequence, amount from "
    "credited";

/* The effect of one message, in the transaction that also remembers its id. */
static inbox_apply
credit(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const char *const values[] = {delivery->body};
    PGresult *result = PQexecParams(tx, credit_sql, 1, NULL, values, NULL, NULL, 0);
    inbox_apply answer = INBOX_APPLY_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        /* Class 22 is "data exception": this body will never be any better. */
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const int hopeless = sqlstate != NULL && strncmp(sqlstate, "22", 2) == 0;
        answer = hopeless ? INBOX_APPLY_REJECT : INBOX_APPLY_RETRY;
    } else if (strcmp(PQcmdTuples(result), "1") != 0) {
        answer = INBOX_APPLY_REJECT; /* no such account */
    }
    PQclear(result);
    return answer;
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    static const char *const levels[] = {"", "error", "warning", "info"};
    (void)context;
    (void)fprintf(stderr, "%s %s: %s\n", levels[level], event, text);
}

static inbox_redis *
make_redis(const char *consumer, const char *host, const char *port)
{
    struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
    struct inbox_error error;
    inbox_redis *redis = NULL;
    options.consumer = consumer;
    options.host = host;
    options.port = (uint16_t)strtoul(port, NULL, 10);
    if (inbox_redis_new(&options, &redis, &error) != INBOX_OK) {
        (void)fprintf(stderr, "no hint: %s\n", error.message); /* works without */
    }
    return redis;
}

static int
consume(const struct inbox_runner_options *options)
{
    struct inbox_error error;
    if (inbox_runner_new(options, &runner, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    const inbox_result result = inbox_runner_run(runner, &error);
    if (result != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    inbox_runner_free(runner);
    return result == INBOX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    if (argc != 4 && argc != 6) {
        (void)fprintf(stderr,
                      "usage: credit_consumer BROKER_URI QUEUE DSN [REDIS_HOST REDIS_PORT]\n");
        return 64;
    }
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    options.broker_uri = argv[1];
    options.queue = argv[2];
    options.dsn = argv[3];
    options.consumer = "credit";
    options.apply = credit;
    options.report = report;
    options.retry_max_ms = 2000; /* back soon after a server is */
    inbox_redis *redis = argc == 6 ? make_redis(options.consumer, argv[4], argv[5]) : NULL;
    if (redis != NULL) {
        options.hint.hint = redis;
        options.hint.seen = inbox_redis_hint_seen;
        options.hint.remember = inbox_redis_hint_remember;
    }
    const int status = consume(&options);
    inbox_redis_free(redis);
    return status;
}
