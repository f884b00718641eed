#include "consumers/runner_pg.h"

#include <libpq-events.h>
#include <stdio.h>
#include <string.h>

#include "consumers/postgres/session_sql.h"

/* libpq tells its event procedures about every result, so the runner knows why a statement of the
 * application's failed without having to ask for it back. */
static int
remember_failure(PGEventId event, void *event_info, void *pass_through)
{
    if (event != PGEVT_RESULTCREATE) {
        return 1;
    }
    struct runner_pg *pg = pass_through;
    const PGresult *result = ((const PGEventResultCreate *)event_info)->result;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    /* 25P02: the transaction had failed before, and the reason is known already. */
    if (PQresultStatus(result) == PGRES_FATAL_ERROR && sqlstate != NULL &&
        (pg->sqlstate[0] == '\0' || strcmp(sqlstate, "25P02") != 0)) {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        (void)snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", sqlstate);
        (void)snprintf(pg->message, sizeof(pg->message), "%s", message != NULL ? message : "");
    }
    return 1;
}

static bool
starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

enum runner_fault
runner_pg_fault(const char *sqlstate)
{
    /* https://www.postgresql.org/docs/15/errcodes-appendix.html; 25006 is a primary that became a
     * standby; 42501 a right and 42P01 a table that every message needs and that an operator has to
     * give, so they must not cost a whole queue its attempts. */
    static const char *const outages[] = {"08", "25006", "42501", "42P01", "53", "57P", "58"};
    if (starts_with(sqlstate, "40") || strcmp(sqlstate, "55P03") == 0) {
        return RUNNER_FAULT_CONTENTION;
    }
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++) {
        if (starts_with(sqlstate, outages[i])) {
            return RUNNER_FAULT_OUTAGE;
        }
    }
    return RUNNER_FAULT_MESSAGE;
}

/* The first line of libpq's text, which ends in a newline and may have several. */
static void
set_connection_error(const PGconn *conn, struct error *reterr)
{
    const char *text = conn != NULL ? PQerrorMessage(conn) : "out of memory";
    error_set(reterr, ERROR_CONNECTION, "%.*s", (int)strcspn(text, "\n"), text);
}

static PGconn *
connect_by_dsn(const char *dsn)
{
    /* What stands before dbname is a default that the dsn overrides. Unacknowledged bytes end the
     * connection after 30 s, a silent peer is asked after as long. */
    static const char *const names[] = {
        "fallback_application_name", "connect_timeout", "tcp_user_timeout",
        "keepalives_idle",           "dbname",          NULL};
    const char *const values[] = {"inbox-runner", "10", "30000", "30", dsn, NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) == CONNECTION_OK) {
        PQclear(PQexec(conn, sql_session)); /* works without, if the server will not */
    }
    return conn;
}

static bool
open_connection(struct runner_pg *pg, struct error *reterr)
{
    pg->conn = pg->connect != NULL ? pg->connect(pg->context) : connect_by_dsn(pg->dsn);
    if (pg->conn == NULL && pg->connect != NULL) {
        return error_set(reterr, ERROR_CONNECTION, "the application has no connection");
    }
    if (pg->conn == NULL || PQstatus(pg->conn) != CONNECTION_OK) {
        set_connection_error(pg->conn, reterr);
        runner_pg_close(pg);
        return false;
    }
    if (!PQregisterEventProc(pg->conn, remember_failure, "inbox_runner", pg)) {
        runner_pg_close(pg);
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    return true;
}

void
runner_pg_close(struct runner_pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}

enum runner_fault
runner_pg_begin(struct runner_pg *pg, struct error *reterr)
{
    pg->sqlstate[0] = '\0';
    pg->message[0] = '\0';
    if (pg->conn == NULL && !open_connection(pg, reterr)) {
        return RUNNER_FAULT_OUTAGE;
    }
    PGresult *result = PQexec(pg->conn, "begin");
    bool begun = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (begun) {
        return RUNNER_FAULT_NONE;
    }
    set_connection_error(pg->conn, reterr);
    runner_pg_close(pg);
    return RUNNER_FAULT_OUTAGE;
}

/* The transaction has failed: why, as far as the statements told. */
static enum runner_fault
failure(const struct runner_pg *pg, struct error *reterr)
{
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        set_connection_error(pg->conn, reterr);
        return RUNNER_FAULT_OUTAGE;
    }
    error_set(reterr, ERROR_MESSAGE, "%s (SQLSTATE %s)", pg->message, pg->sqlstate);
    return runner_pg_fault(pg->sqlstate);
}

enum runner_fault
runner_pg_commit(struct runner_pg *pg, struct error *reterr)
{
    PGresult *result = PQexec(pg->conn, "commit");
    enum runner_fault fault = RUNNER_FAULT_NONE;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fault = failure(pg, reterr);
    } else if (strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        /* The answer to the commit of a failed transaction is a successful ROLLBACK. */
        error_set(reterr, ERROR_MESSAGE, "the transaction was rolled back instead of committed");
        fault = RUNNER_FAULT_MESSAGE;
    }
    PQclear(result);
    if (fault != RUNNER_FAULT_NONE) {
        runner_pg_rollback(pg);
    }
    return fault;
}

void
runner_pg_rollback(struct runner_pg *pg)
{
    if (pg->conn == NULL) {
        return;
    }
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) {
        PQclear(PQexec(pg->conn, "rollback"));
        status = PQtransactionStatus(pg->conn);
    }
    if (PQstatus(pg->conn) != CONNECTION_OK || status != PQTRANS_IDLE) {
        runner_pg_close(pg);
    }
}

enum runner_fault
runner_pg_inspect(struct runner_pg *pg, struct error *reterr)
{
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        return failure(pg, reterr);
    }
    switch (PQtransactionStatus(pg->conn)) {
    case PQTRANS_INTRANS:
        return RUNNER_FAULT_NONE;
    case PQTRANS_INERROR:
        return failure(pg, reterr);
    case PQTRANS_IDLE:
        error_set(reterr, ERROR_MESSAGE, "the apply function ended the transaction: it must not");
        return RUNNER_FAULT_MESSAGE;
    case PQTRANS_ACTIVE:
    case PQTRANS_UNKNOWN:
        break;
    }
    error_set(reterr, ERROR_MESSAGE, "the apply function left a statement unfinished");
    return RUNNER_FAULT_MESSAGE;
}
