/* runner_pg.h - the runner's connection to PostgreSQL: made when it is needed, dropped when it
 * fails, and what a failure means. Everything here blocks. */
#ifndef CONSUMERS_RUNNER_PG_H
#define CONSUMERS_RUNNER_PG_H

#include <inbox/inbox_runner.h>
#include <libpq-fe.h>

#include "base/error.h"

/* Whose fault a failure is. */
enum runner_fault {
    RUNNER_FAULT_NONE,
    RUNNER_FAULT_MESSAGE,    /* of a message, or not to be told: costs an attempt */
    RUNNER_FAULT_CONTENTION, /* of another transaction: try again */
    RUNNER_FAULT_OUTAGE,     /* of the database or the way to it: wait */
};

struct runner_pg {
    const char *dsn;
    inbox_connect_fn connect; /* NULL: dsn is used */
    void *context;            /* connect's */
    PGconn *conn;             /* NULL: none */
    char sqlstate
        [6]; /* of the last statement that failed since runner_pg_begin, the application's included */
    char message[256]; /* its primary message */
};

/* Connects if there is no connection; begins. RUNNER_FAULT_NONE or RUNNER_FAULT_OUTAGE. */
enum runner_fault runner_pg_begin(struct runner_pg *pg, struct error *reterr) MUST_CHECK;

/* RUNNER_FAULT_OUTAGE also if nobody knows whether it was committed. */
enum runner_fault runner_pg_commit(struct runner_pg *pg, struct error *reterr) MUST_CHECK;

/* Ends a transaction that failed; drops the connection if that is not possible. */
void runner_pg_rollback(struct runner_pg *pg);

/* What state the transaction is in after the application used it: RUNNER_FAULT_NONE if it can go
 * on. */
enum runner_fault runner_pg_inspect(struct runner_pg *pg, struct error *reterr);

void runner_pg_close(struct runner_pg *pg);

/* What an SQLSTATE says. */
enum runner_fault runner_pg_fault(const char *sqlstate);

#endif
