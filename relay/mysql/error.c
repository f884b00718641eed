#include "relay/mysql/error.h"

#include <stdio.h>
#include <string.h>

#include "base/mysql/client.h"
#include "base/mysql/errors.h"

/* Numbers that are missing in one of the two libraries' headers. */
#define MY_QUERY_TIMEOUT 3024          /* MySQL: max_execution_time */
#define MY_SESSION_WAS_KILLED 3169     /* MySQL */
#define MY_CHECK_VIOLATED 3819         /* MySQL */
#define MY_CLIENT_WAS_IDLE 4031        /* MySQL: wait_timeout */
#define MARIADB_STATEMENT_TIMEOUT 1969 /* MariaDB: max_statement_time */
#define MARIADB_CONNECTION_KILLED 1927
#define MARIADB_CHECK_VIOLATED 4025

#define POOLED                                                                                   \
    "a proxy or pool before the server gives the relay's statements to other sessions, and the " \
    "ownership needs the session: connect to the server itself, or let the proxy keep one "      \
    "session for each connection, without multiplexing and without splitting reads from writes"

/* What the numbers mean, for readers of the relay's log; for other numbers the server's message is shown. */
static const struct {
    unsigned code;
    enum error_class class;
    const char *words;
} meanings[] = {
    {ER_BAD_DB_ERROR, ERROR_CONFIG, "the database does not exist"},
    {ER_NO_DB_ERROR, ERROR_CONFIG, "the dsn names no database: give dbname"},
    {ER_OPTION_PREVENTS_STATEMENT, ERROR_CONNECTION,
     "the database takes no changes: it is a replica, or read_only is on for another reason"},
    {ER_TABLEACCESS_DENIED_ERROR, ERROR_CONFIG,
     "a privilege is missing: `outbox-relay check` says which"},
    {ER_COLUMNACCESS_DENIED_ERROR, ERROR_CONFIG,
     "a privilege is missing: `outbox-relay check` says which"},
    {ER_SPECIFIC_ACCESS_DENIED_ERROR, ERROR_CONFIG,
     "a privilege is missing: `outbox-relay check` says which"},
    {ER_DBACCESS_DENIED_ERROR, ERROR_CONFIG, "the account may not use the database"},
    {ER_NO_SUCH_TABLE, ERROR_CONFIG, "a table of the outbox is missing: run `outbox-relay init`"},
    {ER_BAD_FIELD_ERROR, ERROR_CONFIG, "the outbox tables are not those of `outbox-relay init`"},
    {ER_DUP_ENTRY, ERROR_CONFIG,
     "an id is in use twice: was the outbox truncated while messages were held?"},
    {ER_PARSE_ERROR, ERROR_CONFIG, "a statement of the relay does not fit this database"},
    {ER_LOCK_DEADLOCK, ERROR_TRANSIENT, "a statement was undone by the server"},
    {ER_LOCK_WAIT_TIMEOUT, ERROR_TRANSIENT,
     "a row, or the table, is locked by another transaction for too long"},
    {MY_QUERY_TIMEOUT, ERROR_TRANSIENT, "a statement took longer than takeover"},
    {MARIADB_STATEMENT_TIMEOUT, ERROR_TRANSIENT, "a statement took longer than takeover"},
    {ER_QUERY_INTERRUPTED, ERROR_TRANSIENT, "a statement was cancelled"},
    {ER_CON_COUNT_ERROR, ERROR_TRANSIENT, "the server has too many connections"},
    {ER_TOO_MANY_USER_CONNECTIONS, ERROR_TRANSIENT, "the account has too many connections"},
    {ER_USER_LIMIT_REACHED, ERROR_TRANSIENT, "the account has used up what it may"},
    {ER_RECORD_FILE_FULL, ERROR_TRANSIENT, "the server is out of room"},
    {ER_DISK_FULL, ERROR_TRANSIENT, "the server is out of room"},
    {ER_LOCK_TABLE_FULL, ERROR_TRANSIENT, "the server is out of room for locks"},
    {ER_NET_PACKET_TOO_LARGE, ERROR_CONFIG,
     "a statement or a row is larger than the server's max_allowed_packet"},
    {ER_MUST_CHANGE_PASSWORD, ERROR_CONFIG, "the account's password has expired"},
    {ER_SERVER_SHUTDOWN, ERROR_CONNECTION, "the server is shutting down"},
    {ER_NORMAL_SHUTDOWN, ERROR_CONNECTION, "the server is shutting down"},
    {MARIADB_CONNECTION_KILLED, ERROR_CONNECTION, "the session was ended by `kill`"},
    {MY_SESSION_WAS_KILLED, ERROR_CONNECTION, "the session was ended by `kill`"},
    {MY_CLIENT_WAS_IDLE, ERROR_CONNECTION,
     "the server ended the session: nothing was sent for longer than takeover"},
    {CR_SERVER_GONE_ERROR, ERROR_CONNECTION, "the connection to the database broke"},
    {CR_SERVER_LOST, ERROR_CONNECTION, "the connection to the database broke"},
};

static bool
is_among(unsigned code, const unsigned *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

/* The first line of a message of others, because the relay's log has one line for each event. */
static void
first_line(const char *text, char *ret_line, size_t size)
{
    (void)snprintf(ret_line, size, "%.*s", (int)strcspn(text, "\n"), text); /* cut is fine */
}

void
my_error_set(unsigned code, const char *text, struct error *reterr)
{
    char line[256];
    first_line(text, line, sizeof(line));
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code == code) {
            error_set(reterr, meanings[i].class, "%s (%u: %s)", meanings[i].words, code, line);
            return;
        }
    }
    if (my_error_is_of_connection(code)) {
        error_set(reterr, ERROR_CONNECTION, "the connection to the database broke (%u: %s)", code,
                  line);
    } else {
        error_set(reterr, ERROR_TRANSIENT, "the database refused (%u: %s)", code, line);
    }
}

/* A message that was held before the table had limits is to move back. The server gives the constraint's name only in
 * its message. */
static bool
is_over_a_limit(unsigned code, const char *text)
{
    return (code == MY_CHECK_VIOLATED || code == MARIADB_CHECK_VIOLATED) &&
           strstr(text, "outbox_") != NULL;
}

void
my_error_from_mysql(MYSQL *mysql, struct error *reterr)
{
    const unsigned code = mysql_errno(mysql);
    const char *const text = mysql_error(mysql);
    if (is_over_a_limit(code, text)) {
        error_set(reterr, ERROR_TRANSIENT,
                  "it is not what the outbox takes (%.150s): mend it in outbox_held and retry it, "
                  "or discard it",
                  text);
        return;
    }
    my_error_set(code, text, reterr);
}

bool
my_error_is_announced(unsigned code)
{
    static const unsigned codes[] = {ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN,
                                     MARIADB_CONNECTION_KILLED, MY_SESSION_WAS_KILLED,
                                     MY_CLIENT_WAS_IDLE};
    return is_among(code, codes, sizeof(codes) / sizeof(codes[0]));
}

bool
my_error_is_of_connection(unsigned code)
{
    static const unsigned codes[] = {
        ER_ABORTING_CONNECTION,  ER_NEW_ABORTING_CONNECTION, ER_NET_READ_ERROR,
        ER_NET_READ_INTERRUPTED, ER_NET_ERROR_ON_WRITE,      ER_NET_WRITE_INTERRUPTED,
    };
    return mysql_client_is_own_error(code) || my_error_is_announced(code) ||
           is_among(code, codes, sizeof(codes) / sizeof(codes[0]));
}

bool
my_error_is_of_other_transaction(unsigned code)
{
    static const unsigned codes[] = {ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_CHECKREAD,
                                     ER_XA_RBDEADLOCK, ER_XA_RBTIMEOUT};
    return is_among(code, codes, sizeof(codes) / sizeof(codes[0]));
}

/* Errors that concern the session, the server, or other sessions. */
static bool
is_never_of_row(unsigned code)
{
    static const unsigned codes[] = {
        ER_CON_COUNT_ERROR,
        ER_TOO_MANY_USER_CONNECTIONS,
        ER_USER_LIMIT_REACHED,
        ER_OUTOFMEMORY,
        ER_OUT_OF_RESOURCES,
        ER_DISK_FULL,
        ER_RECORD_FILE_FULL,
        ER_LOCK_TABLE_FULL,
        ER_OPTION_PREVENTS_STATEMENT,
        ER_NO_DB_ERROR,
        ER_DBACCESS_DENIED_ERROR,
        ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
        ER_LOCK_DEADLOCK,
        ER_CHECKREAD,
    };
    return code == 0 || my_error_is_of_connection(code) ||
           is_among(code, codes, sizeof(codes) / sizeof(codes[0]));
}

/* Errors that a row can cause only in a statement that changes rows, through its locks or triggers. A plain read waits
 * only for the lock of the table. */
static bool
is_of_moved_row(unsigned code)
{
    static const unsigned codes[] = {
        ER_PARSE_ERROR,
        ER_NO_SUCH_TABLE,
        ER_BAD_FIELD_ERROR,
        ER_SP_DOES_NOT_EXIST,
        ER_TABLEACCESS_DENIED_ERROR,
        ER_COLUMNACCESS_DENIED_ERROR,
        ER_NOT_SUPPORTED_YET,
        ER_LOCK_WAIT_TIMEOUT,
    };
    return is_among(code, codes, sizeof(codes) / sizeof(codes[0]));
}

bool
my_error_may_be_of_row(unsigned code, bool moves)
{
    return !is_never_of_row(code) && (moves || !is_of_moved_row(code));
}

bool
my_error_is_of_missing_value(unsigned code)
{
    return code == ER_NO_DEFAULT_FOR_FIELD;
}

void
my_error_set_pooled(struct error *reterr)
{
    error_set(reterr, ERROR_CONFIG, "%s", POOLED);
}
