/* credit_mysql.c - the consumer in MariaDB or MySQL. */
#include <inbox/inbox_runner_mysql.h>
#include <stdbool.h>
#include <string.h>

#include "credit.h"

/* The values of the body, a JSON object. */
#define TRANSFER                                                                        \
    "json_table(?, '$' columns (account integer path '$.account', sequence bigint path" \
    " '$.sequence', amount bigint path '$.amount')) as transfer"

/* The first statement locks the account, so that its entries are numbered in the order in which they are applied. */
static const char credit_sql[] = "update account join " TRANSFER " on transfer.account = account.id"
                                 " set balance = balance + transfer.amount";
static const char entry_sql[] = "insert into entry (account, sequence, amount)"
                                " select account, sequence, amount from " TRANSFER;

/* MariaDB's errors for invalid JSON, from ER_JSON_BAD_CHR to ER_JSON_ESCAPING: they have no SQLSTATE class of their own, and
 * MySQL's headers do not have them. */
#define NO_JSON_FIRST 4035
#define NO_JSON_LAST 4039

/* Class 22 is "data exception", 23 "integrity constraint violation": this body can never be applied. */
static bool
is_hopeless(MYSQL_STMT *statement)
{
    const char *sqlstate = mysql_stmt_sqlstate(statement);
    const unsigned number = mysql_stmt_errno(statement);
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
           (number >= NO_JSON_FIRST && number <= NO_JSON_LAST);
}

/* Executes a statement that has the body as its parameter and changes one row. */
static inbox_apply
execute(MYSQL *tx, const char *sql, const struct inbox_delivery *delivery)
{
    MYSQL_BIND body = {.buffer_type = MYSQL_TYPE_STRING, .buffer_length = delivery->body_length};
    memcpy(&body.buffer, &delivery->body, sizeof(body.buffer)); /* not const, but only read */
    MYSQL_STMT *statement = mysql_stmt_init(tx);
    if (statement == NULL) {
        return INBOX_APPLY_RETRY;
    }
    inbox_apply answer = INBOX_APPLY_OK;
    if (mysql_stmt_prepare(statement, sql, strlen(sql)) != 0 ||
        mysql_stmt_bind_param(statement, &body) != 0 || mysql_stmt_execute(statement) != 0) {
        answer = is_hopeless(statement) ? INBOX_APPLY_REJECT : INBOX_APPLY_RETRY;
    } else if (mysql_stmt_affected_rows(statement) != 1) {
        answer = INBOX_APPLY_REJECT; /* there is no such account */
    }
    (void)mysql_stmt_close(statement);
    return answer;
}

/* The effect of one message, in the same transaction as the inbox row. */
static inbox_apply
apply(void *context, MYSQL *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    const inbox_apply credited = execute(tx, credit_sql, delivery);
    return credited == INBOX_APPLY_OK ? execute(tx, entry_sql, delivery) : credited;
}

static inbox_runner_mysql *runner;

inbox_result
credit_new(const struct credit *credit, struct inbox_error *reterr)
{
    struct inbox_runner_mysql_options options = INBOX_RUNNER_MYSQL_OPTIONS_INIT;
    options.broker_uri = credit->broker_uri;
    options.queue = credit->queue;
    options.consumer = credit->queue;
    options.dsn = credit->dsn;
    options.apply = apply;
    options.report = credit->report;
    options.retry_max_ms = credit->retry_max_ms;
    options.hint = credit->hint;
    return inbox_runner_mysql_new(&options, &runner, reterr);
}

inbox_result
credit_run(struct inbox_error *reterr)
{
    return inbox_runner_mysql_run(runner, reterr);
}

void
credit_stop(void)
{
    inbox_runner_mysql_stop(runner);
}

void
credit_free(void)
{
    inbox_runner_mysql_free(runner);
}
