#include "consumers/mysql_query.h"

#include <stdio.h>

#include "base/mysql/client.h"
#include "base/mysql/errors.h"
#include "consumers/inbox_private.h"

/* Texts that follow the message of the client library or the server. */
#define ROLLED_BACK_ALL                                                                          \
    "the server has rolled back the whole transaction, also what was before the claim: run all " \
    "of it again"
#define ROLLED_BACK_STATEMENT                                                                  \
    "the server has rolled back this statement only, or all with innodb_rollback_on_timeout: " \
    "roll back, then run all of it again"
#define ROLLED_BACK_LOST "the connection is lost, and the server rolls the transaction back"

struct meaning {
    unsigned int number;
    inbox_result result;
    const char *consequence; /* NULL: the message says everything */
};

static const struct meaning meanings[] = {
    {ER_LOCK_DEADLOCK, INBOX_RETRY, ROLLED_BACK_ALL},
    {ER_LOCK_WAIT_TIMEOUT, INBOX_RETRY, ROLLED_BACK_STATEMENT},
    {ER_CHECKREAD, INBOX_RETRY, /* innodb_snapshot_isolation */
     "another transaction has claimed it since this one has first read: roll back, then run all "
     "of it again"},
    {ER_XA_RBDEADLOCK, INBOX_RETRY, "roll back the XA transaction, then run all of it again"},
    {ER_XA_RBTIMEOUT, INBOX_RETRY, "roll back the XA transaction, then run all of it again"},
    {ER_SERVER_SHUTDOWN, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {ER_NORMAL_SHUTDOWN, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {ER_CONNECTION_KILLED, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {ER_SESSION_WAS_KILLED, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {ER_CLIENT_INTERACTION_TIMEOUT, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {ER_NO_SUCH_TABLE, INBOX_SCHEMA, "load consumers/mysql/schema.sql there"},
    {ER_UNKNOWN_TABLE, INBOX_SCHEMA, "load consumers/mysql/schema.sql there"},
    {ER_BAD_FIELD_ERROR, INBOX_SCHEMA, "load consumers/mysql/schema.sql there"},
    {ER_NO_DB_ERROR, INBOX_SCHEMA,
     "the connection has no default database: choose the one that has the inbox"},
    {CR_OUT_OF_MEMORY, INBOX_NO_MEMORY, NULL},
    {CR_COMMANDS_OUT_OF_SYNC, INBOX_INVALID, NULL},
    {CR_SERVER_GONE_ERROR, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {CR_SERVER_LOST, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {CR_ERR_NET_READ, INBOX_CONNECTION, ROLLED_BACK_LOST},
    {CR_ERR_NET_WRITE, INBOX_CONNECTION, ROLLED_BACK_LOST},
};

static const struct meaning *
find_meaning(unsigned int number)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].number == number) {
            return &meanings[i];
        }
    }
    return NULL;
}

inbox_result
mysql_query_classify(unsigned int number)
{
    const struct meaning *meaning = find_meaning(number);
    if (meaning != NULL) {
        return meaning->result;
    }
    return mysql_client_is_own_error(number) ? INBOX_CONNECTION : INBOX_DATABASE;
}

/* The last statement failed: in the server, on the connection, or for lack of memory. */
static inbox_result
fail_from(MYSQL *conn, struct inbox_error *reterr)
{
    const unsigned int number = mysql_errno(conn);
    const struct meaning *meaning = find_meaning(number);
    const char *consequence = meaning == NULL ? NULL : meaning->consequence;
    const inbox_result code = mysql_query_classify(number);
    if (consequence != NULL) {
        (void)inbox_fail(reterr, code, "%s (%u): %s", mysql_error(conn), number, consequence);
    } else {
        (void)inbox_fail(reterr, code, "%s (%u)", mysql_error(conn), number);
    }
    if (reterr != NULL && !mysql_client_is_own_error(number)) {
        (void)snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s", mysql_sqlstate(conn));
    }
    return code;
}

inbox_result
mysql_query_run(MYSQL *conn, const char *text, size_t length, MYSQL_RES **ret_rows,
                struct inbox_error *reterr)
{
    if (conn == NULL) {
        return inbox_fail(reterr, INBOX_CONNECTION, "the connection to the database is not open");
    }
    if (!mysql_client_made(conn)) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "the connection is not one of %s, for which this library was built: link "
                          "that client library and no other",
                          mysql_client_name);
    }
    if (mysql_client_is_busy(conn)) {
        return inbox_fail(reterr, INBOX_INVALID,
                          "the connection is busy: a statement has results to be read first");
    }
    if (mysql_real_query(conn, text, (unsigned long)length) != 0) {
        return fail_from(conn, reterr);
    }
    MYSQL_RES *rows = mysql_store_result(conn);
    if (rows == NULL && mysql_errno(conn) != 0) {
        return fail_from(conn, reterr);
    }
    *ret_rows = rows;
    return INBOX_OK;
}
