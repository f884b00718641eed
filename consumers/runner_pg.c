#include "consumers/runner_pg.h"

#include <fcntl.h>
#include <inbox/inbox_pg.h>
#include <libpq-events.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/dsn.h"
#include "consumers/postgres/session_sql.h"
#include "consumers/postgres/state_sql.h"

struct runner_pg {
    struct runner_session session; /* first */
    const struct runner_options *options;
    inbox_connect_fn connect; /* NULL: by the dsn */
    inbox_apply_fn apply;
    PGconn *conn; /* NULL: none */
    /* Of the last statement that failed since `begin`, including the application's. */
    char sqlstate[6];
    char message[256];
    char state[1024]; /* the answer of state.sql when the session was new; "": not asked yet */
    char began[64];   /* the time at which the transaction began */
    bool prepared;    /* state.sql is prepared in this session */
    /* The session forgets prepared statements: perhaps a pool gives another one each time. */
    bool pooled;
    bool applying;
    bool ended;    /* an apply function has committed or prepared the transaction */
    bool doubtful; /* it has rolled back, perhaps only to a savepoint, or begun one */
    bool reset;    /* it has reset the connection, which is a new one now */
    pthread_mutex_t mutex;
    int cut; /* under the mutex: a second descriptor of the connection's socket; -1: none */
};

static struct runner_pg *
of(struct runner_session *session)
{
    return (struct runner_pg *)session;
}

static bool
starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void
note_failure(struct runner_pg *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    /* 25P02: the transaction had failed before, and the reason is known already. */
    if (sqlstate != NULL && (pg->sqlstate[0] == '\0' || strcmp(sqlstate, "25P02") != 0)) {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        (void)snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", sqlstate);
        (void)snprintf(pg->message, sizeof(pg->message), "%s", message != NULL ? message : "");
    }
}

/* ROLLBACK TO a savepoint has the same tag as a whole ROLLBACK. */
static void
note_command(struct runner_pg *pg, const char *tag)
{
    pg->ended = pg->ended || strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0;
    pg->doubtful = pg->doubtful || strcmp(tag, "ROLLBACK") == 0 || strcmp(tag, "BEGIN") == 0 ||
                   strcmp(tag, "START TRANSACTION") == 0;
}

/* libpq reports every result to its event procedures. So the runner knows why a statement of the application failed,
 * and whether one ended the transaction, without asking the server. */
static int
see_event(PGEventId event, void *event_info, void *pass_through)
{
    struct runner_pg *pg = pass_through;
    if (event == PGEVT_CONNRESET) {
        pg->reset = true;
    }
    if (event != PGEVT_RESULTCREATE) {
        return 1;
    }
    PGresult *result = ((PGEventResultCreate *)event_info)->result;
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
        note_failure(pg, result);
    } else if (pg->applying && PQresultStatus(result) == PGRES_COMMAND_OK) {
        note_command(pg, PQcmdStatus(result));
    }
    return 1;
}

enum runner_fault
runner_pg_fault(const char *sqlstate)
{
    /* https://www.postgresql.org/docs/15/errcodes-appendix.html. 25006: a primary that became a standby. 25P03: a
     * transaction in which an apply function was idle for too long, which ends the session. 42501 and 42P01: a missing
     * right or table, which every message may need and an operator must provide, so it must not use up the attempts of
     * a whole queue. */
    static const char *const outages[] = {"08",    "25006", "25P03", "42501",
                                          "42P01", "53",    "57P",   "58"};
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
    /* Keywords before dbname are defaults, which the dsn overrides. Unacknowledged bytes end the connection after 30 s,
     * and a silent peer is probed after 30 s. A server that takes no writes is skipped for the next of the list,
     * because nothing can be applied there. */
    static const char *const names[] = {"fallback_application_name",
                                        "connect_timeout",
                                        "tcp_user_timeout",
                                        "keepalives_idle",
                                        "target_session_attrs",
                                        "dbname",
                                        NULL};
    const char *attributes = getenv("PGTARGETSESSIONATTRS"); /* set by the user, too */
    const char *const values[] = {"inbox-runner",
                                  "10",
                                  "30000",
                                  "30",
                                  attributes != NULL ? attributes : "read-write",
                                  dsn,
                                  NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) == CONNECTION_OK) {
        PQclear(PQexec(conn, sql_session)); /* the runner works without it, too */
    }
    return conn;
}

static void
set_cut(struct runner_pg *pg, int descriptor)
{
    pthread_mutex_lock(&pg->mutex);
    if (pg->cut >= 0) {
        close(pg->cut);
    }
    pg->cut = descriptor;
    pthread_mutex_unlock(&pg->mutex);
}

static void
pg_close(struct runner_session *session)
{
    struct runner_pg *pg = of(session);
    set_cut(pg, -1);
    PQfinish(pg->conn);
    pg->conn = NULL;
}

/* state.sql takes longer to parse and to plan than to execute: with it a `begin` took 320 to 460 us longer on a loaded
 * machine, with it prepared 40 to 130. If a pool or server refuses to prepare it, it is sent as text. */
static void
prepare_state(struct runner_pg *pg)
{
    char sql[sizeof("prepare inbox_runner_state as ") + sizeof(sql_state)];
    (void)snprintf(sql, sizeof(sql), "prepare inbox_runner_state as %s", sql_state);
    PGresult *result = pg->pooled ? NULL : PQexec(pg->conn, sql);
    pg->prepared = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    pg->sqlstate[0] = '\0';
}

static bool
open_connection(struct runner_pg *pg, struct error *reterr)
{
    const struct runner_options *options = pg->options;
    if (pg->connect == NULL && !dsn_files_check(options->dsn, reterr)) {
        return false;
    }
    pg->conn = pg->connect != NULL ? pg->connect(options->context) : connect_by_dsn(options->dsn);
    if (pg->conn == NULL && pg->connect != NULL) {
        return error_set(reterr, ERROR_CONNECTION, "the application has no connection");
    }
    if (pg->conn == NULL || PQstatus(pg->conn) != CONNECTION_OK) {
        set_connection_error(pg->conn, reterr);
        pg_close(&pg->session);
        return false;
    }
    if (!PQregisterEventProc(pg->conn, see_event, "inbox_runner", pg)) {
        pg_close(&pg->session);
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    set_cut(pg, fcntl(PQsocket(pg->conn), F_DUPFD_CLOEXEC, 0));
    pg->state[0] = '\0';
    pg->reset = false;
    prepare_state(pg);
    return true;
}

static enum runner_fault
pg_open(struct runner_session *session, struct error *reterr)
{
    struct runner_pg *pg = of(session);
    if (pg->conn != NULL) {
        PGresult *result = PQexec(pg->conn, "");
        bool alive = PQresultStatus(result) == PGRES_EMPTY_QUERY;
        PQclear(result);
        if (!alive) {
            pg_close(session);
        }
    }
    return pg->conn != NULL || open_connection(pg, reterr) ? RUNNER_FAULT_NONE
                                                           : RUNNER_FAULT_OUTAGE;
}

/* Notifications that an apply function subscribed to and did not take would accumulate. */
static void
drop_notices(PGconn *conn)
{
    PGnotify *notify = PQnotifies(conn);
    while (notify != NULL) {
        PQfreemem(notify);
        notify = PQnotifies(conn);
    }
}

static void
copy_value(const PGresult *result, int column, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, "%s", PQgetvalue(result, 0, column));
}

/* Begins a transaction. False: it failed, or *ret_changed: the session's state has changed. */
static bool
begin_checked(struct runner_pg *pg, bool *ret_changed, struct error *reterr)
{
    char sql[sizeof("begin;") + sizeof(sql_state)];
    (void)snprintf(sql, sizeof(sql), "begin;%s",
                   pg->prepared ? "execute inbox_runner_state" : sql_state);
    PGresult *result = PQexec(pg->conn, sql);
    const bool begun = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!begun) {
        set_connection_error(pg->conn, reterr);
    } else if (pg->state[0] == '\0') {
        copy_value(result, 0, pg->state, sizeof(pg->state));
    } else {
        *ret_changed = strncmp(PQgetvalue(result, 0, 0), pg->state, sizeof(pg->state) - 1) != 0;
    }
    if (begun) {
        copy_value(result, 1, pg->began, sizeof(pg->began));
    }
    PQclear(result);
    drop_notices(pg->conn);
    return begun && !*ret_changed;
}

static void
tell_changed(const struct runner_pg *pg)
{
    if (pg->options->report != NULL) {
        pg->options->report(pg->options->context, INBOX_REPORT_WARNING, "session_changed",
                            "an apply function changed the session's role, search_path, a setting, "
                            "or what the table name inbox means, so the runner connects anew: undo "
                            "such changes, or use SET LOCAL");
    }
}

/* There are at most three tries: a new session cannot be changed yet, and after a session has forgotten its statement
 * none is prepared any more. */
static enum runner_fault
pg_begin(struct runner_session *session, struct error *reterr)
{
    struct runner_pg *pg = of(session);
    pg->sqlstate[0] = '\0';
    pg->message[0] = '\0';
    for (;;) {
        bool changed = false;
        if (pg->conn == NULL && !open_connection(pg, reterr)) {
            return RUNNER_FAULT_OUTAGE;
        }
        if (begin_checked(pg, &changed, reterr)) {
            return RUNNER_FAULT_NONE;
        }
        /* 26000: there is no such prepared statement. */
        const bool forgotten = pg->prepared && strcmp(pg->sqlstate, "26000") == 0;
        pg->pooled = pg->pooled || forgotten;
        pg_close(session);
        if (!changed && !forgotten) {
            return RUNNER_FAULT_OUTAGE;
        }
        if (changed) {
            tell_changed(pg);
        }
    }
}

static enum runner_fault
pg_claim(struct runner_session *session, const char *consumer, const struct inbox_id *ids,
         size_t count, inbox_verdict *ret_verdicts, struct error *reterr)
{
    struct inbox_error error;
    if (inbox_pg_claim_many(of(session)->conn, consumer, ids, count, ret_verdicts, &error) ==
        INBOX_OK) {
        return RUNNER_FAULT_NONE;
    }
    error_set(reterr, ERROR_TRANSIENT, "%s", error.message);
    if (error.code == INBOX_RETRY) {
        return RUNNER_FAULT_CONTENTION;
    }
    /* The ids were checked when they came, but one may have a character that the database's encoding lacks. */
    return error.code == INBOX_DATABASE && starts_with(error.sqlstate, "22") ? RUNNER_FAULT_MESSAGE
                                                                             : RUNNER_FAULT_OUTAGE;
}

/* The reason why the transaction failed, as far as known. */
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

/* True if this is not the transaction in which the ids were claimed. */
static bool
is_another(struct runner_pg *pg)
{
    PGresult *result = PQexec(pg->conn, "select pg_catalog.now()::pg_catalog.text");
    const bool same = PQresultStatus(result) == PGRES_TUPLES_OK &&
                      strcmp(PQgetvalue(result, 0, 0), pg->began) == 0;
    PQclear(result);
    return !same;
}

static enum runner_fault
ended(struct error *reterr)
{
    error_set(reterr, ERROR_MESSAGE,
              "the apply function ended the transaction, which only the runner may do: take COMMIT "
              "and ROLLBACK out of it");
    return RUNNER_FAULT_ENDED;
}

/* What the application has done with the transaction. */
static enum runner_fault
inspect(struct runner_pg *pg, struct error *reterr)
{
    if (pg->ended || pg->reset) {
        return ended(reterr);
    }
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        return failure(pg, reterr);
    }
    if (PQpipelineStatus(pg->conn) != PQ_PIPELINE_OFF) {
        error_set(reterr, ERROR_MESSAGE, "the apply function left the connection in pipeline mode");
        return RUNNER_FAULT_MESSAGE;
    }
    switch (PQtransactionStatus(pg->conn)) {
    case PQTRANS_INTRANS:
        return pg->doubtful && is_another(pg) ? ended(reterr) : RUNNER_FAULT_NONE;
    case PQTRANS_INERROR:
        return failure(pg, reterr);
    case PQTRANS_IDLE:
        return ended(reterr);
    case PQTRANS_ACTIVE:
    case PQTRANS_UNKNOWN:
        break;
    }
    error_set(reterr, ERROR_MESSAGE, "the apply function left a statement unfinished");
    return RUNNER_FAULT_MESSAGE;
}

static enum runner_fault
pg_apply(struct runner_session *session, const struct inbox_delivery *delivery,
         inbox_apply *ret_answer, struct error *reterr)
{
    struct runner_pg *pg = of(session);
    pg->ended = pg->doubtful = false;
    pg->applying = true;
    *ret_answer = pg->apply(pg->options->context, pg->conn, delivery);
    pg->applying = false;
    return inspect(pg, reterr);
}

static void
pg_rollback(struct runner_session *session, bool drop)
{
    struct runner_pg *pg = of(session);
    if (pg->conn == NULL) {
        return;
    }
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    if (!drop && (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)) {
        PQclear(PQexec(pg->conn, "rollback"));
        status = PQtransactionStatus(pg->conn);
    }
    if (drop || PQstatus(pg->conn) != CONNECTION_OK || status != PQTRANS_IDLE ||
        PQpipelineStatus(pg->conn) != PQ_PIPELINE_OFF) {
        pg_close(session);
    }
}

static enum runner_fault
pg_commit(struct runner_session *session, struct error *reterr)
{
    struct runner_pg *pg = of(session);
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
    return fault;
}

static void
pg_cut(struct runner_session *session)
{
    struct runner_pg *pg = of(session);
    pthread_mutex_lock(&pg->mutex);
    if (pg->cut >= 0) {
        (void)shutdown(pg->cut, SHUT_RDWR);
    }
    pthread_mutex_unlock(&pg->mutex);
}

static void
pg_free(struct runner_session *session)
{
    struct runner_pg *pg = of(session);
    pg_close(session);
    pthread_mutex_destroy(&pg->mutex);
    free(pg);
}

static const struct runner_session_kind kind = {
    .open = pg_open,
    .begin = pg_begin,
    .claim = pg_claim,
    .apply = pg_apply,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .cut = pg_cut,
    .close = pg_close,
    .free = pg_free,
};

struct runner_session *
runner_pg_new(const struct runner_options *options, inbox_connect_fn connect, inbox_apply_fn apply)
{
    struct runner_pg *pg = calloc(1, sizeof(*pg));
    if (pg == NULL) {
        return NULL;
    }
    pg->session.kind = &kind;
    pg->options = options;
    pg->connect = connect;
    pg->apply = apply;
    pg->cut = -1;
    pthread_mutex_init(&pg->mutex, NULL);
    return &pg->session;
}
