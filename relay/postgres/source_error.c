#include <ctype.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "relay/postgres/source_private.h"

#define POOLED                                                                                 \
    "a connection pool in transaction mode stands before the server, and the ownership needs " \
    "the session: connect to the server itself, or by a pool in session mode"

#define READ_ONLY                                                                                 \
    "the database takes no changes: it is a standby, or default_transaction_read_only is on for " \
    "it or for the relay's role"

/* What the codes mean, for readers of the relay's log; for other codes the server's message is shown. Codes: PostgreSQL
 * manual, appendix A. A code of two characters stands for its class. */
static const struct {
    const char *sqlstate;
    enum error_class class;
    const char *words;
} meanings[] = {
    {"3D000", ERROR_CONFIG, "the database does not exist"},
    {"25006", ERROR_CONFIG, READ_ONLY},
    {"26000", ERROR_CONFIG, POOLED}, /* a prepared statement is missing */
    {"42P05", ERROR_CONFIG, POOLED}, /* a statement exists before it was prepared */
    {"42501", ERROR_CONFIG, "a privilege is missing: `outbox-relay check` says which"},
    {"42P01", ERROR_CONFIG, "a table of the outbox is missing: run `outbox-relay init`"},
    {"23505", ERROR_CONFIG,
     "an id is in use twice: was the outbox truncated while messages were held?"},
    {"42703", ERROR_CONFIG, "the outbox tables are not those of `outbox-relay init`"},
    {"42", ERROR_CONFIG, "a statement of the relay does not fit this database"},
    {"57P05", ERROR_CONNECTION,
     "the server ended the session: nothing was sent for longer than takeover"},
    {"57P01", ERROR_CONNECTION, "the server ended the session"},
    {"57P02", ERROR_CONNECTION, "the server had a crash"},
    {"57P03", ERROR_CONNECTION, "the server does not take connections now"},
    {"57014", ERROR_TRANSIENT, "a statement took longer than takeover, or was cancelled"},
    {"53300", ERROR_TRANSIENT, "the server has too many connections"},
    {"53", ERROR_TRANSIENT, "the server is out of resources"},
    {"40", ERROR_TRANSIENT, "a statement was undone by the server"},
    {"08", ERROR_CONNECTION, "the connection failed"},
};

/* One line, without the line break. */
static void
first_line(const char *text, char *ret_line, size_t size)
{
    (void)snprintf(ret_line, size, "%.*s", (int)strcspn(text, "\n"), text); /* cut is fine */
}

static void
set_from_sqlstate(struct error *reterr, const char *sqlstate, const char *text)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strncmp(sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) == 0) {
            error_set(reterr, meanings[i].class, "%s (%s: %s)", meanings[i].words, sqlstate, text);
            return;
        }
    }
    error_set(reterr, ERROR_TRANSIENT, "the database refused (%s: %s)", sqlstate, text);
}

/* The session asks for an error if a policy hides rows from it (session.sql); the server's message may be in any
 * language. */
static bool
is_hidden(const PGresult *result)
{
    const char *const function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    return function != NULL && strcmp(function, "check_enable_rls") == 0;
}

/* A message that was held before the table had limits is to move back. */
static bool
is_over_a_limit(const PGresult *result, const char *sqlstate)
{
    const char *const table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    const char *const constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    return sqlstate != NULL && strcmp(sqlstate, "23514") == 0 && table != NULL &&
           strncmp(table, "outbox", strlen("outbox")) == 0 && constraint != NULL &&
           strncmp(constraint, "outbox_", strlen("outbox_")) == 0;
}

void
pg_error_from_result(const PGresult *result, struct error *reterr)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (is_hidden(result)) {
        error_set(
            reterr, ERROR_CONFIG,
            "row level security hides messages from the relay's role: `outbox-relay check` says "
            "what to do (%s: %.150s)",
            sqlstate != NULL ? sqlstate : "", text != NULL ? text : "");
        return;
    }
    if (is_over_a_limit(result, sqlstate)) {
        error_set(reterr, ERROR_TRANSIENT,
                  "it is larger than the outbox takes (%.70s): shorten it in outbox_held and retry "
                  "it, or discard it",
                  PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
        return;
    }
    char line[256];
    first_line(text != NULL ? text : "", line, sizeof(line));
    set_from_sqlstate(reterr, sqlstate != NULL ? sqlstate : "", line);
}

void
pg_error_set_pooled(struct error *reterr)
{
    error_set(reterr, ERROR_CONFIG, "%s", POOLED);
}

/* For the text of an error. A switch, so that the compiler warns of a new kind. */
static const char *
name_of(enum pg_request_kind kind)
{
    switch (kind) {
    case PG_REQUEST_SESSION:
        return "to set up the session";
    case PG_REQUEST_CONTRACT:
        return "which tables there are";
    case PG_REQUEST_POOL:
        return "which process of the server answers";
    case PG_REQUEST_SERVER:
        return "which server it is";
    case PG_REQUEST_OWN:
        return "for the ownership";
    case PG_REQUEST_LISTEN:
        return "to be told of the end of an ownership";
    case PG_REQUEST_RIVAL:
        return "for another relay";
    case PG_REQUEST_FETCH:
        return "for rows";
    case PG_REQUEST_PRESENT:
        return "which rows are there";
    case PG_REQUEST_SETTLE:
        return "to delete rows";
    case PG_REQUEST_SETTLE_LOOK:
        return "which rows are deleted";
    case PG_REQUEST_WATERMARK:
        return "who writes";
    case PG_REQUEST_HOLD:
        return "to set rows aside";
    case PG_REQUEST_SETTLE_HELD:
        return "to delete held rows";
    case PG_REQUEST_RELEASE:
        return "to release rows";
    case PG_REQUEST_RELEASE_FIRST:
        return "which row to release";
    case PG_REQUEST_HEADS:
        return "what is held";
    case PG_REQUEST_WAKE:
    case PG_REQUEST_WAKE_STUCK:
        return "what is due";
    case PG_REQUEST_STATUS:
        return "to write the status";
    case PG_REQUEST_FORGET:
        return "to forget what was sent";
    case PG_REQUEST_TAIL_LOOK:
        return "about the slot";
    case PG_REQUEST_TAIL_END_READER:
        return "to end a reader of the slot";
    case PG_REQUEST_TAIL_HEARTBEAT:
        return "for a heartbeat in the log";
    case PG_REQUEST_EMITTED:
        return "to write what was emitted";
    case PG_REQUEST_PING:
        return "whether it is there";
    }
    return "for something";
}

/* What TCP knows about the received data; empty for a socket that is not TCP. */
static void
describe_traffic(const PGconn *connection, char *ret_text, size_t size)
{
    struct tcp_info info = {0};
    socklen_t info_size = sizeof(info);
    if (getsockopt(PQsocket(connection), IPPROTO_TCP, TCP_INFO, &info, &info_size) != 0) {
        ret_text[0] = '\0';
        return;
    }
    (void)snprintf(
        ret_text, size, "; the last of %" PRIu64 " bytes of this connection came %.1f s ago",
        (uint64_t)info.tcpi_bytes_received, (double)info.tcpi_last_data_recv / 1e3); /* fits */
}

void
pg_error_set_silent(const struct source_postgres *self, uint64_t now_us, struct error *reterr)
{
    const struct pg_request *request = &self->requests[self->request_first];
    char traffic[120];
    describe_traffic(self->connection, traffic, sizeof(traffic));
    error_set(reterr, ERROR_TRANSIENT,
              "the database gave no answer for longer than takeover: it was asked %s %.1f s "
              "ago%s",
              name_of(request->kind), (double)(now_us - request->sent_us) / 1e6, traffic);
}

/* Classes and codes of errors that concern the session, the server, or other sessions. */
static const char *const never_of_row[] = {"08", "25", "26",    "28", "3D",
                                           "3F", "40", "53300", "55", "57P"};
/* Classes that a row can cause only through an object that others put on a table: a policy, a trigger, its function. */
static const char *const of_moved_row[] = {"0A", "42"};

static bool
is_among(const char *sqlstate, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(sqlstate, codes[i], strlen(codes[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool
pg_error_may_be_of_row(const PGresult *result, bool moves)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate == NULL ||
        is_among(sqlstate, never_of_row, sizeof(never_of_row) / sizeof(never_of_row[0]))) {
        return false;
    }
    return moves ||
           !is_among(sqlstate, of_moved_row, sizeof(of_moved_row) / sizeof(of_moved_row[0]));
}

bool
pg_error_is_deadlock(const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return sqlstate != NULL && strcmp(sqlstate, "40P01") == 0;
}

static bool
is_sqlstate(const char *text)
{
    for (int i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)text[i]) && !isupper((unsigned char)text[i])) {
            return false;
        }
    }
    return text[5] == ':';
}

/* libpq 15 reports a refused connection only as text. With verbose errors that is "…: FATAL: 28P01: words" and a line
 * that names the source file; the severity may be in another language. The last host's code counts. */
static const char *
find_sqlstate(const char *message)
{
    const char *found = NULL;
    for (const char *at = strstr(message, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (is_sqlstate(at + 3)) {
            found = at + 3;
        }
    }
    return found;
}

static void
set_refused(const char *user, const char *sqlstate, const char *text, struct error *reterr)
{
    if (strcmp(sqlstate, "28P01") == 0) {
        error_set(reterr, ERROR_CONFIG, "the database refused the password of user \"%s\" (28P01)",
                  user);
    } else if (strncmp(sqlstate, "28", 2) == 0) {
        error_set(reterr, ERROR_CONFIG, "the database refused user \"%s\" (%s: %s)", user, sqlstate,
                  text);
    } else {
        set_from_sqlstate(reterr, sqlstate, text);
    }
}

/* libpq's messages (libpq 14 to 18, fe-secure-openssl.c, fe-secure-common.c, fe-connect.c); it gives no code for these.
 * A connection that ends within TLS gives none of them. */
bool
pg_error_is_tls(const char *message)
{
    static const char *const signs[] = {
        "certificate",      "SSL error: ",          "server does not support SSL",
        "private key file", "sslmode value",        "SSL context",
        "SSL was required", "SSL protocol version",
    };
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strstr(message, signs[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void
pg_error_from_message(const char *message, const char *user, struct error *reterr)
{
    const char *found = find_sqlstate(message);
    char sqlstate[6];
    char line[300];
    if (found == NULL && strstr(message, "session is read-only") != NULL) {
        error_set(reterr, ERROR_CONNECTION, "%s", READ_ONLY); /* target_session_attrs (libpq) */
        return;
    }
    if (found == NULL) {
        const bool tls = pg_error_is_tls(message);
        first_line(message, line, sizeof(line));
        error_set(reterr, tls ? ERROR_CONFIG : ERROR_CONNECTION, "%s%s", tls ? "TLS: " : "", line);
        return;
    }
    (void)snprintf(sqlstate, sizeof(sqlstate), "%.5s", found); /* it has five */
    first_line(found + strlen("28P01: "), line, sizeof(line));
    set_refused(user, sqlstate, line, reterr);
}

void
pg_error_from_connect(PGconn *connection, struct error *reterr)
{
    const char *user = PQuser(connection) != NULL ? PQuser(connection) : "";
    if (PQconnectionNeedsPassword(connection)) {
        error_set(reterr, ERROR_CONFIG,
                  "the database asks for the password of user \"%s\" and none is given", user);
    } else {
        pg_error_from_message(PQerrorMessage(connection), user, reterr);
    }
}

void
pg_error_from_loss(const struct source_postgres *self, struct error *reterr)
{
    char line[300];
    if (self->fatal_sqlstate[0] != '\0') {
        set_from_sqlstate(reterr, self->fatal_sqlstate, self->fatal_text);
        return;
    }
    first_line(PQerrorMessage(self->connection), line, sizeof(line));
    error_set(reterr, ERROR_CONNECTION, "the connection to the database broke: %s", line);
}

/* A server that ends an idle session sends the reason unasked, and libpq delivers it as a notice. */
void
pg_error_receive_notice(void *context, const PGresult *notice)
{
    struct source_postgres *self = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity == NULL || sqlstate == NULL || strcmp(severity, "FATAL") != 0) {
        return;
    }
    (void)snprintf(self->fatal_sqlstate, sizeof(self->fatal_sqlstate), "%s",
                   sqlstate); /* it has five */
    first_line(text != NULL ? text : "", self->fatal_text, sizeof(self->fatal_text));
}
