/* consumer.c - ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
 *
 *     consumer AMQP_URL QUEUE
 *
 * The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
 * messages in hand. The runner does the rest: transactions, retries, dead letters, outages. */
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

/* A value that is missing becomes null, which the table refuses. */
static const char ship_sql[] = "insert into shipment (order_id, note) select (b ->> "
                               "'order')::bigint, b ->> 'note' from (select $1::jsonb) as m (b)";

/* The effect of one message, in the same transaction as the inbox row. */
static inbox_apply
ship(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const char *const values[] = {delivery->body};
    PGresult *result = PQexecParams(tx, ship_sql, 1, NULL, values, NULL, NULL, 0);
    inbox_apply answer = INBOX_APPLY_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        /* SQLSTATE classes 22 and 23: this body can never be applied. */
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const int hopeless =
            state != NULL && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0);
        answer = hopeless ? INBOX_APPLY_REJECT : INBOX_APPLY_RETRY;
    }
    PQclear(result);
    return answer;
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context;
    (void)level;
    (void)fprintf(stderr, "%s: %s\n", event, text);
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: consumer AMQP_URL QUEUE\n");
        return 64;
    }
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    struct inbox_error error;
    options.broker_uri = argv[1];
    options.queue = argv[2];
    options.dsn = "application_name=shipping";
    options.consumer = "shipping"; /* its name in the inbox: each effect needs its own */
    options.apply = ship;
    options.report = report;
    if (inbox_runner_new(&options, &runner, &error) != INBOX_OK) {
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
