#include <outbox/outbox_mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mysql/client.h"
#include "base/mysql/errors.h"
#include "outbox-sql/mysql/look_sql.h"
#include "outbox-sql/mysql/still_sql.h"
#include "outbox-sql/mysql/write_sql.h"
#include "outbox-sql/mysql_text.h"
#include "outbox-sql/outbox_message.h"

/* Why text, and not a prepared statement: that takes two more round trips (prepare, close), and one for each message, because
 * only MariaDB can execute with an array of values. Measured on MariaDB 10.11 over loopback, messages of 200 bytes: 100 in a
 * call take 1.4 ms as
 * text, 6.7 ms prepared, 1.4 ms as an array; one takes 1.5 ms, 1.9 ms and 1.9 ms. One of 1 MB takes 14.9 ms as text and 9.7 ms
 * prepared, for its bytes are doubled. */

#define LOST "the server rolls back the transaction: connect, and run all of it again"

/* What the caller can do about an error, and what has been rolled back. */
static const struct kind {
    unsigned number;
    outbox_result result;
    const char *advice; /* NULL: the words of the error are enough */
} kinds[] = {
    {ER_LOCK_DEADLOCK, OUTBOX_RETRY,
     "the server has rolled back the whole transaction: run all of it again"},
    {ER_LOCK_WAIT_TIMEOUT, OUTBOX_RETRY,
     "only this statement was rolled back, or all with innodb_rollback_on_timeout: roll back, and "
     "run all of it again"},
    {ER_CHECKREAD, OUTBOX_RETRY, "roll back, and run all of it again"},
    {ER_XA_RBDEADLOCK, OUTBOX_RETRY, "roll back the XA transaction, and run all of it again"},
    {ER_XA_RBTIMEOUT, OUTBOX_RETRY, "roll back the XA transaction, and run all of it again"},
    {CR_SERVER_GONE_ERROR, OUTBOX_CONNECTION, LOST},
    {CR_SERVER_LOST, OUTBOX_CONNECTION, LOST},
    {CR_ERR_NET_READ, OUTBOX_CONNECTION, LOST},
    {CR_ERR_NET_WRITE, OUTBOX_CONNECTION, LOST},
    {ER_SERVER_SHUTDOWN, OUTBOX_CONNECTION, LOST},
    {ER_NORMAL_SHUTDOWN, OUTBOX_CONNECTION, LOST},
    {ER_CONNECTION_KILLED, OUTBOX_CONNECTION, LOST},
    {ER_SESSION_WAS_KILLED, OUTBOX_CONNECTION, LOST},
    {ER_CLIENT_INTERACTION_TIMEOUT, OUTBOX_CONNECTION, LOST},
    {ER_NET_PACKET_TOO_LARGE, OUTBOX_CONNECTION,
     "the server has ended the connection: write fewer or smaller messages in a call, or raise "
     "max_allowed_packet"},
    {CR_OUT_OF_MEMORY, OUTBOX_NO_MEMORY, NULL},
    {CR_COMMANDS_OUT_OF_SYNC, OUTBOX_INVALID, NULL},
    {ER_NO_DB_ERROR, OUTBOX_SCHEMA, "choose the database that has the outbox"},
    {ER_NO_SUCH_TABLE, OUTBOX_SCHEMA, NULL},
    {ER_BAD_FIELD_ERROR, OUTBOX_SCHEMA, NULL},
    {ER_NO_SUCH_USER, OUTBOX_SCHEMA,
     "the trigger works with the rights of who made it: make it again"},
    {ER_CONSTRAINT_FAILED, OUTBOX_INVALID, NULL}, /* headers_json is no JSON */
    {ER_CHECK_CONSTRAINT_VIOLATED, OUTBOX_INVALID, NULL},
};

static const struct kind *
find_kind(unsigned number)
{
    static const struct kind of_client = {0, OUTBOX_CONNECTION, NULL};
    static const struct kind of_server = {0, OUTBOX_DATABASE, NULL};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].number == number) {
            return &kinds[i];
        }
    }
    return mysql_client_is_own_error(number) ? &of_client : &of_server;
}

/* A statement failed: in the server, on the way, or for want of memory. */
static outbox_result
fail_from(MYSQL *tx, struct outbox_error *reterr)
{
    const unsigned number = mysql_errno(tx);
    const struct kind *kind = find_kind(number);
    (void)outbox_fail(reterr, kind->result, "%s (%u)%s%s", mysql_error(tx), number,
                      kind->advice != NULL ? ": " : "", kind->advice != NULL ? kind->advice : "");
    if (reterr != NULL && !mysql_client_is_own_error(number)) {
        (void)snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s", mysql_sqlstate(tx));
    }
    return kind->result;
}

/* As the server's last successful answer says; an error does not say it. */
static bool
is_in_transaction(const MYSQL *tx)
{
    return (tx->server_status & SERVER_STATUS_IN_TRANS) != 0 ||
           (tx->server_status & SERVER_STATUS_AUTOCOMMIT) == 0;
}

/* Whether it makes sense to ask the server: the client must at least believe that a transaction is open. The client library
 * refuses a query on a busy connection too, but only after it has thrown away the caller's result. */
static outbox_result
check_transaction(MYSQL *tx, struct outbox_error *reterr)
{
    if (tx != NULL && !mysql_client_made(tx)) {
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "the connection is not one of %s, for which this library was built: "
                           "link that client library and no other",
                           mysql_client_name);
    }
    if (tx == NULL || mysql_client_socket(tx) < 0) {
        return outbox_fail(reterr, OUTBOX_CONNECTION, "the connection to the database is not open");
    }
    if (mysql_client_is_busy(tx)) {
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "the connection is busy: a command has results to be read first");
    }
    return is_in_transaction(tx)
               ? OUTBOX_OK
               : outbox_fail(reterr, OUTBOX_NO_TRANSACTION,
                             "no transaction is open: the message would not be part of one");
}

static outbox_result
check_times(const struct outbox_message *messages, size_t message_count,
            struct outbox_error *reterr)
{
    for (size_t i = 0; i < message_count; i++) {
        if (outbox_message_at(messages, i)->deliver_after_us > MYSQL_TEXT_TIME_MAX_US) {
            return outbox_fail(reterr, OUTBOX_INVALID,
                               "message %zu: deliver_after_us is after the year 9999", i);
        }
    }
    return OUTBOX_OK;
}

/* The answer of look.sql. */
static outbox_result
judge_tables(MYSQL_ROW row, size_t *ret_max_bytes, struct outbox_error *reterr)
{
    if (row == NULL) {
        return outbox_fail(reterr, OUTBOX_SCHEMA, "table outbox_schema is empty");
    }
    if (strtol(row[0], NULL, 10) != OUTBOX_SCHEMA_VERSION) {
        return outbox_fail(reterr, OUTBOX_SCHEMA,
                           "the outbox tables have version %s, this library writes version %d",
                           row[0], OUTBOX_SCHEMA_VERSION);
    }
    /* With what is before it, it must be less. */
    *ret_max_bytes = strtoul(row[1], NULL, 10) - mysql_client_query_bytes - 1;
    return OUTBOX_OK;
}

static outbox_result
fail_rolled_back(struct outbox_error *reterr)
{
    return outbox_fail(reterr, OUTBOX_NO_TRANSACTION,
                       "the server has rolled back the transaction, as it does after a deadlock: "
                       "run all of it again");
}

/* With autocommit off, a query of the tables would begin a new transaction if there is none any more. */
static outbox_result
check_still(MYSQL *tx, struct outbox_error *reterr)
{
    if ((tx->server_status & SERVER_STATUS_AUTOCOMMIT) != 0 ||
        (tx->server_status & SERVER_STATUS_IN_TRANS) == 0) {
        return OUTBOX_OK;
    }
    if (mysql_real_query(tx, sql_still, sizeof(sql_still) - 1) != 0) {
        return fail_from(tx, reterr);
    }
    return (tx->server_status & SERVER_STATUS_IN_TRANS) != 0 ? OUTBOX_OK : fail_rolled_back(reterr);
}

/* Checks the server's answer, and whether it came on the connection on which the transaction was begun. */
static outbox_result
judge(const MYSQL *tx, unsigned long thread_id, MYSQL_ROW row, size_t *ret_max_bytes,
      struct outbox_error *reterr)
{
    if (tx->thread_id != thread_id) {
        return outbox_fail(reterr, OUTBOX_CONNECTION,
                           "the connection was lost and made anew: the transaction was rolled "
                           "back, run all of it again");
    }
    return is_in_transaction(tx) ? judge_tables(row, ret_max_bytes, reterr)
                                 : fail_rolled_back(reterr);
}

/* Sets *ret_max_bytes to the most that a statement may have. */
static outbox_result
look(MYSQL *tx, size_t *ret_max_bytes, struct outbox_error *reterr)
{
    const unsigned long thread_id = tx->thread_id;
    outbox_result code = check_still(tx, reterr);
    if (code != OUTBOX_OK) {
        return code;
    }
    MYSQL_RES *result =
        mysql_real_query(tx, sql_look, sizeof(sql_look) - 1) == 0 ? mysql_store_result(tx) : NULL;
    if (result == NULL) {
        return fail_from(tx, reterr);
    }
    code = judge(tx, thread_id, mysql_fetch_row(result), ret_max_bytes, reterr);
    mysql_free_result(result);
    return code;
}

struct rows {
    struct mysql_text text;
    struct buffer json; /* reused for each message */
    struct outbox_id *ids;
};

static void
rows_init(struct rows *rows, size_t message_count, size_t max_bytes)
{
    mysql_text_init(&rows->text, max_bytes);
    buffer_init(&rows->json, OUTBOX_HEADERS_MAX_BYTES, OUTBOX_HEADERS_MAX_BYTES);
    rows->ids = calloc(message_count, sizeof(*rows->ids));
    rows->text.failed = rows->ids == NULL;
}

static void
rows_done(struct rows *rows)
{
    mysql_text_done(&rows->text);
    buffer_done(&rows->json);
    free(rows->ids);
}

static void
add_headers(struct rows *rows, const struct outbox_message *message)
{
    if (message->header_count == 0) {
        mysql_text_add_string(&rows->text, message->headers_json);
        return;
    }
    buffer_clear(&rows->json);
    if (!outbox_headers_to_json(message, &rows->json)) {
        rows->text.failed = true;
        return;
    }
    mysql_text_add_bytes(&rows->text, buffer_front(&rows->json), buffer_size(&rows->json));
}

static void
add_deliver_after(struct mysql_text *text, int64_t unix_us)
{
    if (unix_us == 0) {
        mysql_text_add_sql(text, "NULL");
    } else {
        mysql_text_add_time(text, unix_us);
    }
}

/* In the order of the columns in write.sql. */
static void
add_row(struct rows *rows, const struct outbox_message *message, struct outbox_id *id)
{
    if (message->message_id != NULL) {
        *id = *message->message_id;
    } else {
        outbox_id_new(id);
    }
    struct mysql_text *text = &rows->text;
    const char *const names[] = {
        message->exchange,     message->routing_key != NULL ? message->routing_key : "",
        message->key,          message->type,
        message->content_type,
    };
    mysql_text_add_sql(text, "(");
    mysql_text_add_bytes(text, id->bytes, sizeof(id->bytes));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mysql_text_add_sql(text, ",");
        mysql_text_add_string(text, names[i]);
    }
    mysql_text_add_sql(text, ",");
    add_headers(rows, message);
    mysql_text_add_sql(text, ",");
    mysql_text_add_bytes(text, message->payload, message->payload_length);
    mysql_text_add_sql(text, ",");
    add_deliver_after(text, message->deliver_after_us);
    mysql_text_add_sql(text, ")");
}

/* What of write.sql is before its row. */
static void
add_head(struct mysql_text *text)
{
    static const char last[] = "\nvalues\n";
    const char *end = strstr(sql_write, last) + strlen(last);
    char head[sizeof(sql_write)];
    (void)snprintf(head, sizeof(head), "%.*s", (int)(end - sql_write), sql_write);
    mysql_text_add_sql(text, head);
}

static outbox_result
rows_fill(struct rows *rows, const struct outbox_message *messages, size_t message_count,
          struct outbox_error *reterr)
{
    add_head(&rows->text);
    for (size_t i = 0; !rows->text.failed && !rows->text.full && i < message_count; i++) {
        mysql_text_add_sql(&rows->text, i == 0 ? "" : ",\n");
        add_row(rows, outbox_message_at(messages, i), &rows->ids[i]);
    }
    if (rows->text.failed) {
        return outbox_fail(reterr, OUTBOX_NO_MEMORY, "no memory for %zu messages", message_count);
    }
    if (rows->text.full) {
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "%zu messages in a call make a longer statement than the server takes "
                           "(max_allowed_packet, %zu bytes, where each byte of a message counts "
                           "twice): write fewer or smaller ones in a call, or raise it",
                           message_count, rows->text.bytes.max + mysql_client_query_bytes + 1);
    }
    return OUTBOX_OK;
}

static outbox_result
write_rows(MYSQL *tx, const struct outbox_message *messages, size_t message_count,
           struct rows *rows, struct outbox_error *reterr)
{
    const outbox_result code = rows_fill(rows, messages, message_count, reterr);
    if (code != OUTBOX_OK) {
        return code;
    }
    const struct buffer *sql = &rows->text.bytes;
    return mysql_real_query(tx, (const char *)buffer_front(sql), buffer_size(sql)) == 0
               ? OUTBOX_OK
               : fail_from(tx, reterr);
}

outbox_result
outbox_mysql_write_many(MYSQL *tx, const struct outbox_message *messages, size_t message_count,
                        struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    size_t max_bytes = 0;
    outbox_result code = check_transaction(tx, reterr);
    if (code == OUTBOX_OK) {
        code = outbox_messages_check(messages, message_count, reterr);
    }
    if (code == OUTBOX_OK) {
        code = check_times(messages, message_count, reterr);
    }
    if (code == OUTBOX_OK) {
        code = look(tx, &max_bytes, reterr);
    }
    if (code != OUTBOX_OK || message_count == 0) {
        return code;
    }
    struct rows rows;
    rows_init(&rows, message_count, max_bytes);
    code = write_rows(tx, messages, message_count, &rows, reterr);
    if (code == OUTBOX_OK && ret_ids != NULL) {
        memcpy(ret_ids, rows.ids, message_count * sizeof(*ret_ids));
    }
    rows_done(&rows);
    return code;
}

outbox_result
outbox_mysql_write(MYSQL *tx, const struct outbox_message *message, struct outbox_id *ret_id,
                   struct outbox_error *reterr)
{
    return outbox_mysql_write_many(tx, message, 1, ret_id, reterr);
}
