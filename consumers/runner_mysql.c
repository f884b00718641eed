#include "consumers/runner_mysql.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/dsn.h"
#include "base/mysql/client.h"
#include "base/mysql/connect.h"
#include "base/mysql/errors.h"
#include "consumers/mysql/present_sql.h"
#include "consumers/mysql/rolled_back_sql.h"
#include "consumers/mysql/session_own_sql.h"
#include "consumers/mysql/session_sql.h"
#include "consumers/mysql/state_sql.h"
#include "consumers/mysql_statement.h"

struct runner_mysql {
    struct runner_session session; /* first */
    const struct runner_options *options;
    inbox_mysql_connect_fn connect; /* NULL: by the dsn */
    inbox_mysql_apply_fn apply;
    MYSQL *conn;        /* NULL: none */
    inbox_mysql *inbox; /* of the connection's default database; NULL: no connection */
    unsigned long thread_id;
    uint64_t rolled_back; /* how many ROLLBACKs the session has run, the runner's own included */
    char state[1024];     /* the answer of state.sql when the session was new; "": not asked yet */
    /* Of the transaction: a message that it has claimed, which shows later whether the claim was committed. NULL: it
     * has claimed none. */
    const char *consumer;
    const struct inbox_id *witness;
    pthread_mutex_t mutex;
    int cut; /* under the mutex: a second descriptor of the connection's socket; -1: none */
};

static struct runner_mysql *
of(struct runner_session *session)
{
    return (struct runner_mysql *)session;
}

/* The client library's errors for wrong use of a prepared statement. */
enum { FIRST_MISUSE = CR_NO_PREPARE_STMT, LAST_MISUSE = CR_UNSUPPORTED_PARAM_TYPE };

static bool
is_among(unsigned number, const unsigned *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return true;
        }
    }
    return false;
}

/* The client library's own errors mean that the connection is gone, except those for a wrong call. */
static bool
is_lost(unsigned number)
{
    return mysql_client_is_own_error(number) && number != CR_COMMANDS_OUT_OF_SYNC &&
           number != CR_NET_PACKET_TOO_LARGE && (number < FIRST_MISUSE || number > LAST_MISUSE);
}

enum runner_fault
runner_mysql_fault(unsigned number)
{
    static const unsigned contentions[] = {ER_LOCK_DEADLOCK,
                                           ER_LOCK_WAIT_TIMEOUT,
                                           ER_CHECKREAD,
                                           ER_XA_RBDEADLOCK,
                                           ER_XA_RBTIMEOUT,
                                           ER_TABLE_DEF_CHANGED,
                                           ER_TRANSACTION_ROLLBACK_DURING_COMMIT,
                                           ER_LOCK_NOWAIT};
    /* They include a missing right or table, which every message may need and an operator must provide, and a primary
     * that became a replica: these must not use up the attempts of a whole queue. */
    static const unsigned outages[] = {ER_SERVER_SHUTDOWN,
                                       ER_NORMAL_SHUTDOWN,
                                       ER_CONNECTION_KILLED,
                                       ER_SESSION_WAS_KILLED,
                                       ER_CLIENT_INTERACTION_TIMEOUT,
                                       ER_CON_COUNT_ERROR,
                                       ER_TOO_MANY_USER_CONNECTIONS,
                                       ER_USER_LIMIT_REACHED,
                                       ER_OPTION_PREVENTS_STATEMENT,
                                       ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
                                       ER_READ_ONLY_MODE,
                                       ER_UNKNOWN_COM_ERROR /* Galera: not part of a cluster now */,
                                       ER_ERROR_DURING_COMMIT,
                                       ER_DISK_FULL,
                                       ER_RECORD_FILE_FULL,
                                       ER_ERROR_ON_WRITE,
                                       ER_GET_ERRNO /* of the storage engine */,
                                       ER_LOCK_TABLE_FULL,
                                       ER_OUTOFMEMORY,
                                       ER_OUT_OF_RESOURCES,
                                       ER_ACCESS_DENIED_ERROR,
                                       ER_DBACCESS_DENIED_ERROR,
                                       ER_TABLEACCESS_DENIED_ERROR,
                                       ER_COLUMNACCESS_DENIED_ERROR,
                                       ER_SPECIFIC_ACCESS_DENIED_ERROR,
                                       ER_PROCACCESS_DENIED_ERROR,
                                       ER_NO_SUCH_TABLE,
                                       ER_BAD_DB_ERROR,
                                       ER_NO_DB_ERROR};
    if (is_among(number, contentions, sizeof(contentions) / sizeof(contentions[0]))) {
        return RUNNER_FAULT_CONTENTION;
    }
    return is_lost(number) || is_among(number, outages, sizeof(outages) / sizeof(outages[0]))
               ? RUNNER_FAULT_OUTAGE
               : RUNNER_FAULT_MESSAGE;
}

/* ---- statements ------------------------------------------------------------------------------------------------------ */

static enum runner_fault
fail(unsigned number, const char *text, struct error *reterr)
{
    const enum runner_fault fault = runner_mysql_fault(number);
    error_set(reterr, fault == RUNNER_FAULT_MESSAGE ? ERROR_MESSAGE : ERROR_CONNECTION, "%.*s (%u)",
              (int)strcspn(text, "\n"), text, number);
    return fault;
}

/* Gives the values of these columns in the first row, "" where there is none, each in a place of `size` bytes. Returns
 * 0, or the error number. */
static unsigned
ask(MYSQL *conn, const char *sql, size_t length, const unsigned *columns, size_t column_count,
    char *ret_values, size_t size)
{
    if (mysql_real_query(conn, sql, (unsigned long)length) != 0) {
        return mysql_errno(conn);
    }
    MYSQL_RES *rows = mysql_store_result(conn);
    const unsigned number = mysql_errno(conn);
    MYSQL_ROW row = rows != NULL ? mysql_fetch_row(rows) : NULL;
    for (size_t i = 0; i < column_count; i++) {
        const char *const value = row != NULL ? row[columns[i]] : NULL;
        (void)snprintf(ret_values + i * size, size, "%s", value != NULL ? value : "");
    }
    mysql_free_result(rows);
    return number;
}

static unsigned
ask_one(MYSQL *conn, const char *sql, unsigned column, char *ret_value, size_t size)
{
    return ask(conn, sql, strlen(sql), &column, 1, ret_value, size);
}

/* Runs a statement without rows. */
static unsigned
run(MYSQL *conn, const char *sql)
{
    return ask(conn, sql, strlen(sql), NULL, 0, NULL, 0);
}

/* ---- the connection -------------------------------------------------------------------------------------------------- */

static void
set_cut(struct runner_mysql *mysql, int descriptor)
{
    pthread_mutex_lock(&mysql->mutex);
    if (mysql->cut >= 0) {
        close(mysql->cut);
    }
    mysql->cut = descriptor;
    pthread_mutex_unlock(&mysql->mutex);
}

static void
mysql_session_close(struct runner_session *session)
{
    struct runner_mysql *mysql = of(session);
    set_cut(mysql, -1);
    inbox_mysql_free(mysql->inbox);
    if (mysql->conn != NULL) {
        mysql_close(mysql->conn);
    }
    mysql->inbox = NULL;
    mysql->conn = NULL;
}

/* Unacknowledged bytes end the connection after 30 s, and a silent peer is probed after 30 s, as in runner_pg.c. These
 * options exist only for TCP; on a Unix socket they fail, and are not needed. */
static void
keep_alive(int descriptor)
{
    static const struct {
        int level, option, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)setsockopt(descriptor, options[i].level, options[i].option, &options[i].value,
                         sizeof(options[i].value));
    }
}

static MYSQL *
connect_by_dsn(const char *text, struct error *reterr)
{
    struct dsn dsn;
    if (!dsn_mysql_parse(text, &dsn, reterr)) {
        return NULL;
    }
    const struct mysql_connect_options options = {
        .dsn = &dsn, .program_name = "inbox-runner", .writes = true, .only_host = -1};
    MYSQL *conn = dsn_mysql_files_check(&dsn, reterr)
                      ? mysql_connect_by_dsn(&options, NULL, NULL, reterr)
                      : NULL;
    dsn_done(&dsn);
    if (conn != NULL) {
        keep_alive(mysql_client_socket(conn));
        (void)run(conn, sql_session_own); /* the runner works without it, too */
    }
    return conn;
}

static MYSQL *
connect_by_application(const struct runner_mysql *mysql, struct error *reterr)
{
    MYSQL *conn = mysql->connect(mysql->options->context);
    if (conn == NULL) {
        error_set(reterr, ERROR_CONNECTION, "the application has no connection");
        return NULL;
    }
    if (!mysql_client_made(conn)) { /* it cannot be closed either */
        error_set(reterr, ERROR_CONFIG,
                  "the application's connection is not one of %s, for which this library was "
                  "built: link that client library and no other",
                  mysql_client_name);
        return NULL;
    }
    mysql_client_stay_lost(conn);
    return conn;
}

static bool
count_rollbacks(MYSQL *conn, uint64_t *ret_count, struct error *reterr)
{
    char count[24];
    const unsigned number = ask_one(conn, sql_rolled_back, 1, count, sizeof(count));
    if (number != 0) {
        (void)fail(number, mysql_error(conn), reterr);
        return false;
    }
    *ret_count = strtoull(count, NULL, 10);
    return true;
}

static bool
prepare_connection(struct runner_mysql *mysql, struct error *reterr)
{
    const unsigned number = run(mysql->conn, sql_session);
    if (number != 0) {
        (void)fail(number, mysql_error(mysql->conn), reterr);
        return false;
    }
    struct inbox_error error;
    if (inbox_mysql_new(mysql->conn, &mysql->inbox, &error) != INBOX_OK) {
        return error_set(reterr, ERROR_CONNECTION, "inbox: %s", error.message);
    }
    /* With autocommit off, the look at the tables has begun a transaction. */
    return run(mysql->conn, "rollback") == 0 &&
           count_rollbacks(mysql->conn, &mysql->rolled_back, reterr);
}

static bool
open_connection(struct runner_mysql *mysql, struct error *reterr)
{
    mysql->conn = mysql->connect != NULL ? connect_by_application(mysql, reterr)
                                         : connect_by_dsn(mysql->options->dsn, reterr);
    if (mysql->conn == NULL) {
        return false;
    }
    if (!prepare_connection(mysql, reterr)) {
        mysql_session_close(&mysql->session);
        return false;
    }
    set_cut(mysql, fcntl(mysql_client_socket(mysql->conn), F_DUPFD_CLOEXEC, 0));
    mysql->thread_id = mysql_thread_id(mysql->conn);
    mysql->state[0] = '\0';
    return true;
}

static enum runner_fault
mysql_session_open(struct runner_session *session, struct error *reterr)
{
    struct runner_mysql *mysql = of(session);
    if (mysql->conn != NULL && mysql_ping(mysql->conn) != 0) {
        mysql_session_close(session);
    }
    return mysql->conn != NULL || open_connection(mysql, reterr) ? RUNNER_FAULT_NONE
                                                                 : RUNNER_FAULT_OUTAGE;
}

/* ---- the transaction ------------------------------------------------------------------------------------------------- */

static void
tell(const struct runner_mysql *mysql, inbox_report_level level, const char *event,
     const char *text)
{
    if (mysql->options->report != NULL) {
        mysql->options->report(mysql->options->context, level, event, text);
    }
}

enum state { STATE_SAME, STATE_CHANGED, STATE_LOST };

/* Asks state.sql. An error from the server is a change too, because a new session gives none. */
static enum state
compare_state(struct runner_mysql *mysql, struct error *reterr)
{
    char state[sizeof(mysql->state)];
    const unsigned number = ask_one(mysql->conn, sql_state, 0, state, sizeof(state));
    if (number != 0) {
        (void)fail(number, mysql_error(mysql->conn), reterr);
        return is_lost(number) ? STATE_LOST : STATE_CHANGED;
    }
    if (mysql->state[0] == '\0') {
        memcpy(mysql->state, state, sizeof(state));
    }
    return strcmp(state, mysql->state) == 0 ? STATE_SAME : STATE_CHANGED;
}

/* With autocommit off the claim begins the transaction. If the server has ended an idle session after its wait_timeout,
 * that is no outage: the runner connects again. */
static enum runner_fault
mysql_session_begin(struct runner_session *session, struct error *reterr)
{
    struct runner_mysql *mysql = of(session);
    mysql->witness = NULL;
    for (bool fresh = false; !fresh;) {
        fresh = mysql->conn == NULL;
        if (fresh && !open_connection(mysql, reterr)) {
            return RUNNER_FAULT_OUTAGE;
        }
        const enum state state = compare_state(mysql, reterr);
        if (state == STATE_SAME) {
            return RUNNER_FAULT_NONE;
        }
        mysql_session_close(session);
        if (state == STATE_CHANGED && !fresh) {
            tell(mysql, INBOX_REPORT_WARNING, "session_changed",
                 "an apply function changed the session's default database, role or a setting, so "
                 "the runner connects anew: undo such changes");
        }
    }
    return RUNNER_FAULT_OUTAGE;
}

static const struct inbox_id *
first_of(const struct inbox_id *ids, const inbox_verdict *verdicts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i] == INBOX_FIRST) {
            return &ids[i];
        }
    }
    return NULL;
}

/* A savepoint ends with its transaction, however that ends, so it distinguishes this transaction from any other. */
static enum runner_fault
mysql_session_claim(struct runner_session *session, const char *consumer,
                    const struct inbox_id *ids, size_t count, inbox_verdict *ret_verdicts,
                    struct error *reterr)
{
    struct runner_mysql *mysql = of(session);
    struct inbox_error error;
    if (inbox_mysql_claim_many(mysql->inbox, mysql->conn, consumer, ids, count, ret_verdicts,
                               &error) != INBOX_OK) {
        error_set(reterr, ERROR_TRANSIENT, "%s", error.message);
        return error.code == INBOX_RETRY ? RUNNER_FAULT_CONTENTION : RUNNER_FAULT_OUTAGE;
    }
    mysql->consumer = consumer;
    mysql->witness = first_of(ids, ret_verdicts, count);
    const unsigned number = run(mysql->conn, "savepoint inbox_runner");
    return number == 0 ? RUNNER_FAULT_NONE : fail(number, mysql_error(mysql->conn), reterr);
}

/* Whether the claimed message is in the inbox. Returns 0, or the error number. */
static unsigned
look_for_witness(const struct runner_mysql *mysql, bool *ret_there)
{
    char text[sizeof(sql_present) + 2 * (sizeof("x''") + 2 * INBOX_NAME_MAX_BYTES)];
    char id[2] = "";
    const unsigned column = 0;
    *ret_there = false;
    if (mysql->witness == NULL) {
        return 0;
    }
    const struct mysql_value values[] = {
        {"@consumer", mysql->consumer, strlen(mysql->consumer), false},
        {"@message_id", mysql->witness->bytes, mysql->witness->length, false},
    };
    const char *end = mysql_statement_put(text, sql_present, strlen(sql_present), values, 2);
    const unsigned number =
        ask(mysql->conn, text, (size_t)(end - text), &column, 1, id, sizeof(id));
    *ret_there = id[0] != '\0';
    return number;
}

/* How a transaction ended that is not open any more. */
enum end { END_COMMITTED, END_ROLLED_BACK, END_DEADLOCK, END_UNKNOWN };

/* After a rollback and after a deadlock nothing of the transaction exists, but only the rollback is counted as a
 * statement. */
static enum end
find_end(const struct runner_mysql *mysql, struct error *reterr)
{
    bool there;
    uint64_t rolled_back;
    const unsigned number = look_for_witness(mysql, &there);
    if (number != 0) {
        (void)fail(number, mysql_error(mysql->conn), reterr);
        return END_UNKNOWN;
    }
    if (there) {
        return END_COMMITTED;
    }
    if (!count_rollbacks(mysql->conn, &rolled_back, reterr)) {
        return END_UNKNOWN;
    }
    return rolled_back > mysql->rolled_back ? END_ROLLED_BACK : END_DEADLOCK;
}

static enum runner_fault
fault_of_end(enum end end, struct error *reterr)
{
    switch (end) {
    case END_COMMITTED:
    case END_ROLLED_BACK:
        error_set(
            reterr, ERROR_MESSAGE,
            "the apply function ended the transaction, which only the runner may do: take COMMIT, "
            "ROLLBACK and statements that commit (CREATE, ALTER, TRUNCATE, …) out of it");
        return RUNNER_FAULT_ENDED;
    case END_DEADLOCK:
        error_set(reterr, ERROR_TRANSIENT,
                  "the server has rolled back the transaction, as it does after a deadlock");
        return RUNNER_FAULT_CONTENTION;
    case END_UNKNOWN:
        break;
    }
    return RUNNER_FAULT_OUTAGE; /* *reterr has the reason */
}

static bool
is_in_transaction(const struct runner_mysql *mysql)
{
    return (mysql->conn->server_status & SERVER_STATUS_IN_TRANS) != 0;
}

/* The error of the last statement; 0: it succeeded. A prepared statement may be closed by now, and the client library's
 * copy of its error with it; the server keeps the error until the next statement. */
static unsigned
find_failure(const struct runner_mysql *mysql, char *ret_text, size_t size)
{
    enum { VALUE_BYTES = 256 };
    static const char sql[] = "show errors limit 1";
    static const unsigned columns[] = {1, 2};
    char values[2][VALUE_BYTES];
    const unsigned number = mysql_errno(mysql->conn);
    if (number != 0) {
        (void)snprintf(ret_text, size, "%s", mysql_error(mysql->conn));
        return number;
    }
    const unsigned failed =
        ask(mysql->conn, sql, sizeof(sql) - 1, columns, 2, values[0], VALUE_BYTES);
    (void)snprintf(ret_text, size, "%s", failed != 0 ? mysql_error(mysql->conn) : values[1]);
    return failed != 0 ? failed : (unsigned)strtoul(values[0], NULL, 10);
}

/* The application does not want a commit: whose fault that is. RUNNER_FAULT_NONE: no statement failed. */
static enum runner_fault
judge_refusal(const struct runner_mysql *mysql, struct error *reterr)
{
    char text[256];
    const unsigned failure = find_failure(mysql, text, sizeof(text));
    if (is_lost(failure)) {
        return fail(failure, text, reterr);
    }
    const unsigned number = run(mysql->conn, "release savepoint inbox_runner");
    if (number == ER_SP_DOES_NOT_EXIST) {
        return fault_of_end(find_end(mysql, reterr), reterr);
    }
    if (number != 0) {
        return fail(number, mysql_error(mysql->conn), reterr);
    }
    return failure != 0 ? fail(failure, text, reterr) : RUNNER_FAULT_NONE;
}

/* What the application has done with the transaction. Whether it is still the same one is asked only at the commit, or
 * when something fails: asking for each message would take 40 to 80 us (of 85 for a message that is a single
 * insert). */
static enum runner_fault
inspect(const struct runner_mysql *mysql, inbox_apply answer, struct error *reterr)
{
    const unsigned number = mysql_errno(mysql->conn);
    if (is_lost(number)) {
        return fail(number, mysql_error(mysql->conn), reterr);
    }
    if (mysql_client_is_busy(mysql->conn)) {
        error_set(reterr, ERROR_MESSAGE, "the apply function left a statement unfinished");
        return RUNNER_FAULT_MESSAGE;
    }
    if (mysql_thread_id(mysql->conn) != mysql->thread_id || !is_in_transaction(mysql)) {
        return fault_of_end(find_end(mysql, reterr), reterr);
    }
    if (number == ER_LOCK_DEADLOCK) {
        return fail(number, mysql_error(mysql->conn), reterr); /* whatever its answer */
    }
    return answer == INBOX_APPLY_OK ? RUNNER_FAULT_NONE : judge_refusal(mysql, reterr);
}

static enum runner_fault
mysql_session_apply(struct runner_session *session, const struct inbox_delivery *delivery,
                    inbox_apply *ret_answer, struct error *reterr)
{
    struct runner_mysql *mysql = of(session);
    *ret_answer = mysql->apply(mysql->options->context, mysql->conn, delivery);
    return inspect(mysql, *ret_answer, reterr);
}

static void
mysql_session_rollback(struct runner_session *session, bool drop)
{
    struct runner_mysql *mysql = of(session);
    if (mysql->conn == NULL) {
        return;
    }
    if (drop || mysql_client_is_busy(mysql->conn) || run(mysql->conn, "rollback") != 0) {
        mysql_session_close(session);
        return;
    }
    mysql->rolled_back++;
}

static enum runner_fault
commit(const struct runner_mysql *mysql, struct error *reterr)
{
    const unsigned number = run(mysql->conn, "commit");
    return number == 0 ? RUNNER_FAULT_NONE : fail(number, mysql_error(mysql->conn), reterr);
}

/* This is not the transaction in which the ids were claimed. If that one was committed, everything in this one was
 * applied after it, and committing it completes the batch. */
static enum runner_fault
commit_another(const struct runner_mysql *mysql, struct error *reterr)
{
    const enum end end = find_end(mysql, reterr);
    if (end != END_COMMITTED) {
        return fault_of_end(end, reterr);
    }
    const enum runner_fault fault = commit(mysql, reterr);
    if (fault == RUNNER_FAULT_NONE) {
        struct error error;
        (void)fault_of_end(end, &error);
        tell(mysql, INBOX_REPORT_ERROR, "transaction_ended", error.text);
    }
    return fault;
}

static enum runner_fault
mysql_session_commit(struct runner_session *session, struct error *reterr)
{
    const struct runner_mysql *mysql = of(session);
    const unsigned number = run(mysql->conn, "release savepoint inbox_runner");
    if (number == ER_SP_DOES_NOT_EXIST) {
        return commit_another(mysql, reterr);
    }
    return number == 0 ? commit(mysql, reterr) : fail(number, mysql_error(mysql->conn), reterr);
}

static void
mysql_session_cut(struct runner_session *session)
{
    struct runner_mysql *mysql = of(session);
    pthread_mutex_lock(&mysql->mutex);
    if (mysql->cut >= 0) {
        (void)shutdown(mysql->cut, SHUT_RDWR);
    }
    pthread_mutex_unlock(&mysql->mutex);
}

static void
mysql_session_free(struct runner_session *session)
{
    struct runner_mysql *mysql = of(session);
    mysql_session_close(session);
    pthread_mutex_destroy(&mysql->mutex);
    free(mysql);
}

static const struct runner_session_kind kind = {
    .open = mysql_session_open,
    .begin = mysql_session_begin,
    .claim = mysql_session_claim,
    .apply = mysql_session_apply,
    .commit = mysql_session_commit,
    .rollback = mysql_session_rollback,
    .cut = mysql_session_cut,
    .close = mysql_session_close,
    .free = mysql_session_free,
};

struct runner_session *
runner_mysql_new(const struct runner_options *options, inbox_mysql_connect_fn connect,
                 inbox_mysql_apply_fn apply)
{
    struct runner_mysql *mysql = calloc(1, sizeof(*mysql));
    if (mysql == NULL) {
        return NULL;
    }
    mysql->session.kind = &kind;
    mysql->options = options;
    mysql->connect = connect;
    mysql->apply = apply;
    mysql->cut = -1;
    pthread_mutex_init(&mysql->mutex, NULL);
    return &mysql->session;
}
