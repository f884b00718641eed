/* credit_pg.c - the consumer in PostgreSQL. */
#include <inbox/inbox_runner.h>
#include <libpq-fe.h>
#include <string.h>

#include "credit.h"

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

/* The effect of one message, in the same transaction as the inbox row. */
static inbox_apply
apply(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const char *const values[] = {delivery->body};
    PGresult *result = PQexecParams(tx, credit_sql, 1, NULL, values, NULL, NULL, 0);
    inbox_apply answer = INBOX_APPLY_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        /* Class 22 is "data exception": this body can never be applied. */
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const int hopeless = sqlstate != NULL && strncmp(sqlstate, "22", 2) == 0;
        answer = hopeless ? INBOX_APPLY_REJECT : INBOX_APPLY_RETRY;
    } else if (strcmp(PQcmdTuples(result), "1") != 0) {
        answer = INBOX_APPLY_REJECT; /* no such account */
    }
    PQclear(result);
    return answer;
}

static inbox_runner *runner;

inbox_result
credit_new(const struct credit *credit, struct inbox_error *reterr)
{
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    options.broker_uri = credit->broker_uri;
    options.queue = credit->queue;
    options.consumer = credit->queue;
    options.dsn = credit->dsn;
    options.apply = apply;
    options.report = credit->report;
    options.retry_max_ms = credit->retry_max_ms;
    options.hint = credit->hint;
    return inbox_runner_new(&options, &runner, reterr);
}

inbox_result
credit_run(struct inbox_error *reterr)
{
    return inbox_runner_run(runner, reterr);
}

void
credit_stop(void)
{
    inbox_runner_stop(runner);
}

void
credit_free(void)
{
    inbox_runner_free(runner);
}
