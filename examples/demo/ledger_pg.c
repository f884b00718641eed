#include <libpq-fe.h>
#include <stdlib.h>

#include "ledger.h"

static PGconn *conn;

static void
open_bank(const char *dsn)
{
    conn = PQconnectdb(dsn);
    if (PQstatus(conn) != CONNECTION_OK) {
        ledger_give_up(PQerrorMessage(conn));
    }
}

static struct numbers
ask(const char *sql, size_t columns)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        ledger_give_up(PQerrorMessage(conn));
    }
    struct numbers numbers = {.rows = (size_t)PQntuples(result)};
    numbers.values = calloc(numbers.rows * columns + 1, sizeof(*numbers.values));
    for (size_t i = 0; numbers.values != NULL && i < numbers.rows * columns; i++) {
        const char *text = PQgetvalue(result, (int)(i / columns), (int)(i % columns));
        numbers.values[i] = strtoll(text, NULL, 10);
    }
    PQclear(result);
    return numbers;
}

static void
close_bank(void)
{
    PQfinish(conn);
    conn = NULL;
}

const struct bank bank_pg = {"PostgreSQL", open_bank, ask, close_bank};
