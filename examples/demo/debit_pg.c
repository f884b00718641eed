/* debit_pg.c - a producer for PostgreSQL. `database` is a connection string of libpq. */
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <stdlib.h>

#include "debit.h"

static PGconn *conn;

bool
debit_connect(const char *database)
{
    conn = PQconnectdb(database);
    if (PQstatus(conn) != CONNECTION_OK) {
        (void)fprintf(stderr, "%s", PQerrorMessage(conn));
        return false;
    }
    return true;
}

void
debit_disconnect(void)
{
    PQfinish(conn);
    conn = NULL;
}

static bool
execute(const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!done) {
        (void)fprintf(stderr, "%s: %s", sql, PQerrorMessage(conn));
    }
    PQclear(result);
    return done;
}

static const char debit_sql[] =
    "with debited as ("
    "    update account set balance = balance - $2::bigint, sequence = sequence + 1"
    "    where id = $1::integer returning id, sequence"
    ") insert into transfer (account, sequence, amount) select id, sequence, $2::bigint from "
    "debited"
    " returning sequence";

static bool
debit(struct transfer *transfer)
{
    char account[16], amount[16];
    (void)snprintf(account, sizeof(account), "%d", transfer->account);
    (void)snprintf(amount, sizeof(amount), "%d", transfer->amount);
    const char *const values[] = {account, amount};
    PGresult *result = PQexecParams(conn, debit_sql, 2, NULL, values, NULL, NULL, 0);
    const bool done = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (done) {
        transfer->sequence = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    } else {
        (void)fprintf(stderr, "debit: %s", PQerrorMessage(conn));
    }
    PQclear(result);
    return done;
}

/* The message, in the same transaction as the debit, so that both are committed or neither. */
static bool
announce(const struct transfer *transfer)
{
    struct announcement announcement;
    struct outbox_error error;
    debit_announce(transfer, &announcement);
    if (outbox_pg_write(conn, &announcement.message, NULL, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "outbox: %s\n", error.message);
        return false;
    }
    return true;
}

bool
debit_transfer(struct transfer *transfer, bool roll_back)
{
    return execute("begin") && debit(transfer) && announce(transfer) &&
           execute(roll_back ? "rollback" : "commit");
}
