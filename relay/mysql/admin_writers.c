/* Finds the transactions that may have written to the outbox and are still open. */
#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"

#include "mysql_explain_writers_info_sql.h"
#include "mysql_explain_writers_schema_sql.h"
#include "mysql_locks_seen_sql.h"
#include "mysql_transactions_sql.h"

#define INFO_UNKNOWN "`install soname 'metadata_lock_info'` on the server would show them"
#define SCHEMA_UNKNOWN \
    "the performance schema would show them, with select on performance_schema.* for this account"

/* An XID has two parts of at most 64 bytes, written here as X'…' with a comma between, and a number. */
#define XID_TEXT_BYTES 300

static const struct my_parameters none = {.count = 0};

/* The results and strings that the writers' texts point into. */
struct texts {
    MYSQL_RES *sessions;
    MYSQL_RES *prepared;
    char (*names)[XID_TEXT_BYTES]; /* the XIDs of the prepared ones */
};

static void
free_texts(void *owner)
{
    struct texts *const texts = owner;
    mysql_free_result(texts->sessions); /* takes NULL */
    mysql_free_result(texts->prepared);
    memory_free(texts->names);
    memory_free(texts);
}

/* The table does not exist, or the account may not read it; ER_XAER_RMERR is how `xa recover` refuses an account. */
static bool
is_hidden(const struct my_session *session)
{
    return session->code == ER_UNKNOWN_TABLE || session->code == ER_NO_SUCH_TABLE ||
           session->code == ER_TABLEACCESS_DENIED_ERROR ||
           session->code == ER_SPECIFIC_ACCESS_DENIED_ERROR || session->code == ER_XAER_RMERR;
}

/* *ret_rows stays NULL if the account may not see them. False with *reterr. */
static bool
try_to_ask(struct admin *admin, const char *sql, MYSQL_RES **ret_rows, struct error *reterr)
{
    struct my_session *const session = my_admin_session(admin);
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "lock_name", session->lock);
    return my_session_ask(session, sql, &parameters, ret_rows) || is_hidden(session) ||
           my_admin_fail(admin, reterr);
}

static bool
are_locks_seen(struct admin *admin, bool *ret_seen, struct error *reterr)
{
    int64_t seen = 0;
    struct my_session *const session = my_admin_session(admin);
    const bool good = my_session_int(session, sql_locks_seen, &none, 0, &seen) ||
                      is_hidden(session) || my_admin_fail(admin, reterr);
    *ret_seen = seen != 0;
    return good;
}

static bool
ask_sessions(struct admin *admin, MYSQL_RES **ret_rows, struct error *reterr)
{
    bool seen;
    if (my_admin_session(admin)->is_mariadb &&
        !try_to_ask(admin, sql_explain_writers_info, ret_rows, reterr)) {
        return false;
    }
    return *ret_rows != NULL ||
           (are_locks_seen(admin, &seen, reterr) &&
            (!seen || try_to_ask(admin, sql_explain_writers_schema, ret_rows, reterr)));
}

/* When the transaction of session `id` began; ADMIN_NO_TIME: not known. */
static int64_t
since_of(MYSQL_RES *transactions, int64_t id)
{
    if (transactions == NULL) {
        return ADMIN_NO_TIME;
    }
    mysql_data_seek(transactions, 0);
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(transactions)) != NULL) {
        if (my_value_int(row[0]) == id) {
            return my_admin_int(row[1], ADMIN_NO_TIME);
        }
    }
    return ADMIN_NO_TIME;
}

/* A part of an XID may have bytes of any value, so it is written in hex. */
static size_t
put_part(char *text, size_t size, const char *bytes, size_t count)
{
    size_t length = (size_t)snprintf(text, size, "X'"); /* fits, as what follows */
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, size - length, "%02x", (unsigned char)bytes[i]);
    }
    return length + (size_t)snprintf(text + length, size - length, "'");
}

static bool
is_plain(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '\'' || bytes[i] == '\\') {
            return false;
        }
    }
    return true;
}

/* Writes the XID in the form that `xa commit` takes. The row is one of `xa recover`. */
static void
format_xid(const MYSQL_ROW row, char ret_text[XID_TEXT_BYTES])
{
    const size_t gtrid = (size_t)my_value_int(row[1]);
    const size_t bqual = (size_t)my_value_int(row[2]);
    const char *const data = row[3];
    size_t length;
    if (is_plain(data, gtrid + bqual)) {
        length = (size_t)snprintf(ret_text, XID_TEXT_BYTES, "'%.*s','%.*s'", (int)gtrid, data,
                                  (int)bqual, data + gtrid); /* fits */
    } else {
        length = put_part(ret_text, XID_TEXT_BYTES, data, gtrid);
        ret_text[length++] = ',';
        length += put_part(ret_text + length, XID_TEXT_BYTES - length, data + gtrid, bqual);
    }
    (void)snprintf(ret_text + length, XID_TEXT_BYTES - length, ",%s", row[0]); /* fits */
}

/* Adds the sessions. False if MySQL's list shows that no prepared transaction has written to the outbox; MariaDB's list
 * does not tell. */
static bool
read_sessions(MYSQL_RES *transactions, bool is_mariadb, struct texts *texts,
              struct admin_findings *findings)
{
    MYSQL_ROW row;
    bool prepared = texts->sessions == NULL || is_mariadb;
    while (texts->sessions != NULL && (row = mysql_fetch_row(texts->sessions)) != NULL) {
        prepared |= row[0] == NULL;
        if (row[0] != NULL) {
            findings->writers[findings->writer_count++] = (struct admin_writer){
                .pid = row[0],
                .application = row[1] != NULL ? row[1] : "",
                .role = row[2],
                .since_us = since_of(transactions, my_value_int(row[0])),
            };
        }
    }
    return prepared;
}

/* Adds all prepared transactions of the server, because `xa recover` does not say to which tables they wrote. */
static void
read_prepared(struct texts *texts, struct admin_findings *findings)
{
    MYSQL_ROW row;
    for (size_t i = 0; texts->prepared != NULL && (row = mysql_fetch_row(texts->prepared)) != NULL;
         i++) {
        format_xid(row, texts->names[i]);
        findings->writers[findings->writer_count++] = (struct admin_writer){
            .pid = "",
            .application = "",
            .gid = texts->names[i],
            .since_us = ADMIN_NO_TIME,
        };
    }
}

static size_t
rows_of(MYSQL_RES *rows)
{
    return rows == NULL ? 0 : mysql_num_rows(rows);
}

bool
my_admin_find_writers(struct admin *admin, struct admin_findings *findings, struct error *reterr)
{
    MYSQL_RES *transactions = NULL;
    const bool is_mariadb = my_admin_session(admin)->is_mariadb;
    struct texts *const texts = memory_array(1, sizeof(*texts));
    findings->writer_rows = (struct admin_rows){.owner = texts, .free_owner = free_texts};
    if (!ask_sessions(admin, &texts->sessions, reterr) ||
        !try_to_ask(admin, sql_transactions, &transactions, reterr) ||
        !try_to_ask(admin, "xa recover", &texts->prepared, reterr)) {
        mysql_free_result(transactions);
        return false;
    }
    const size_t prepared = rows_of(texts->prepared);
    findings->writers =
        memory_array(rows_of(texts->sessions) + prepared, sizeof(*findings->writers));
    texts->names = memory_array(prepared, sizeof(*texts->names));
    if (read_sessions(transactions, is_mariadb, texts, findings)) {
        read_prepared(texts, findings);
    }
    if (texts->sessions == NULL) {
        findings->writers_unknown = is_mariadb ? INFO_UNKNOWN : SCHEMA_UNKNOWN;
    }
    mysql_free_result(transactions);
    return true;
}
