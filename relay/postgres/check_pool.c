#include "relay/postgres/check_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "relay/postgres/foreground.h"

/* Limit for all questions: a pool without a free session makes a client wait, PgBouncer for two minutes. */
#define PATIENCE_US (5 * CLOCK_S_US)
#define ROUNDS 5

enum pool {
    POOL_SESSION,     /* each connection has a session of its own */
    POOL_TRANSACTION, /* it has none */
    POOL_UNKNOWN,     /* no answer in time */
};

/* The process id of the server process that answers; 0 if there is no answer in time. */
static long
ask(PGconn *connection, uint64_t deadline_us)
{
    const bool good = PQsendQuery(connection, "select pg_catalog.pg_backend_pid()") != 0 &&
                      postgres_await(connection, deadline_us);
    long pid = 0;
    PGresult *result;
    while (good && (result = PQgetResult(connection)) != NULL) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            pid = strtol(PQgetvalue(result, 0, 0), NULL, 10);
        }
        PQclear(result);
    }
    return pid;
}

/* In transaction mode a pool gives each transaction some free session: the one used last, so both connections get the
 * same one; or the next in turn, so two questions in a row get different ones. Other clients mix them further. In
 * session mode neither can happen. */
static enum pool
look(PGconn *first, PGconn *second)
{
    PGconn *const order[] = {first, first, second, first, second};
    const uint64_t deadline_us = clock_monotonic_us() + PATIENCE_US;
    long seen[2] = {0, 0};
    for (size_t i = 0; i < ROUNDS * sizeof(order) / sizeof(order[0]); i++) {
        PGconn *const asked = order[i % (sizeof(order) / sizeof(order[0]))];
        long *const mine = &seen[asked == second];
        const long pid = ask(asked, deadline_us);
        if (pid == 0) {
            return POOL_UNKNOWN;
        }
        if ((*mine != 0 && *mine != pid) || pid == seen[asked != second]) {
            return POOL_TRANSACTION;
        }
        *mine = pid;
    }
    return POOL_SESSION;
}

void
check_postgres_pool(struct report *report, const struct source_config *source, PGconn *connection)
{
    struct error error;
    PGconn *const second = postgres_connect_only(source, &error);
    const enum pool pool = second == NULL ? POOL_UNKNOWN : look(connection, second);
    PQfinish(second);
    if (pool == POOL_SESSION) {
        report_ok(report, "source \"%s\": the connection pool before the server is in session mode",
                  source->name);
    } else if (pool == POOL_TRANSACTION) {
        report_problem(report,
                       "source \"%s\": a connection pool in transaction mode stands before the "
                       "server, and the ownership of the outbox needs the session: connect to the "
                       "server itself, or by a pool in session mode",
                       source->name);
    } else {
        report_advice(
            report,
            "source \"%s\": a connection pool stands before the server and has no session "
            "free for a second connection, so its mode cannot be seen: it must be session "
            "mode, with sessions enough for the relay, those that stand by, and operators",
            source->name);
    }
}
