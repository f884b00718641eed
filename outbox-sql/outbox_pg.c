#include <endian.h>
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outbox-sql/outbox_message.h"
#include "outbox-sql/pg_array.h"
#include "outbox-sql/postgres/emit_sql.h"
#include "outbox-sql/postgres/write_sql.h"

/* Oids of built-in types never change: src/include/catalog/pg_type.dat. */
enum { OID_BYTEA = 17, OID_TIMESTAMPTZ = 1184, OID_UUID = 2950 };

/* PostgreSQL counts microseconds from 2000-01-01. */
#define PG_EPOCH_UNIX_US INT64_C(946684800000000)

/* The parameters of write.sql and emit.sql, in their order; the version follows them. */
enum column {
    COLUMN_MESSAGE_ID,
    COLUMN_EXCHANGE,
    COLUMN_ROUTING_KEY,
    COLUMN_KEY,
    COLUMN_TYPE,
    COLUMN_CONTENT_TYPE,
    COLUMN_HEADERS,
    COLUMN_PAYLOAD,
    COLUMN_DELIVER_AFTER,
    COLUMN_COUNT,
};

struct rows {
    struct pg_array columns[COLUMN_COUNT];
    struct buffer json; /* reused for each message */
    struct outbox_id *ids;
    bool failed; /* no memory */
};

static void
rows_init(struct rows *rows, size_t message_count)
{
    static const uint32_t oids[COLUMN_COUNT] = {
        [COLUMN_MESSAGE_ID] = OID_UUID,
        [COLUMN_EXCHANGE] = OID_BYTEA,
        [COLUMN_ROUTING_KEY] = OID_BYTEA,
        [COLUMN_KEY] = OID_BYTEA,
        [COLUMN_TYPE] = OID_BYTEA,
        [COLUMN_CONTENT_TYPE] = OID_BYTEA,
        [COLUMN_HEADERS] = OID_BYTEA,
        [COLUMN_PAYLOAD] = OID_BYTEA,
        [COLUMN_DELIVER_AFTER] = OID_TIMESTAMPTZ,
    };
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        pg_array_init(&rows->columns[i], oids[i], (uint32_t)message_count);
    }
    buffer_init(&rows->json, OUTBOX_HEADERS_MAX_BYTES, OUTBOX_HEADERS_MAX_BYTES);
    rows->ids = calloc(message_count, sizeof(*rows->ids));
    rows->failed = rows->ids == NULL;
}

static void
rows_done(struct rows *rows)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        pg_array_done(&rows->columns[i]);
    }
    buffer_done(&rows->json);
    free(rows->ids);
}

static void
add_headers(struct rows *rows, const struct outbox_message *message)
{
    struct pg_array *column = &rows->columns[COLUMN_HEADERS];
    if (message->header_count == 0) {
        pg_array_add_text(column, message->headers_json);
        return;
    }
    buffer_clear(&rows->json);
    if (!outbox_headers_to_json(message, &rows->json)) {
        rows->failed = true;
        return;
    }
    pg_array_add(column, buffer_front(&rows->json), buffer_size(&rows->json));
}

static void
add_deliver_after(struct rows *rows, int64_t unix_us)
{
    struct pg_array *column = &rows->columns[COLUMN_DELIVER_AFTER];
    if (unix_us == 0) {
        pg_array_add_null(column);
    } else {
        pg_array_add_int64(column, unix_us - PG_EPOCH_UNIX_US);
    }
}

static void
add_row(struct rows *rows, const struct outbox_message *message, struct outbox_id *id)
{
    if (message->message_id != NULL) {
        *id = *message->message_id;
    } else {
        outbox_id_new(id);
    }
    struct pg_array *columns = rows->columns;
    pg_array_add(&columns[COLUMN_MESSAGE_ID], id->bytes, sizeof(id->bytes));
    pg_array_add_text(&columns[COLUMN_EXCHANGE], message->exchange);
    pg_array_add_text(&columns[COLUMN_ROUTING_KEY],
                      message->routing_key != NULL ? message->routing_key : "");
    pg_array_add_text(&columns[COLUMN_KEY], message->key);
    pg_array_add_text(&columns[COLUMN_TYPE], message->type);
    pg_array_add_text(&columns[COLUMN_CONTENT_TYPE], message->content_type);
    pg_array_add(&columns[COLUMN_PAYLOAD], message->payload, message->payload_length);
    add_headers(rows, message);
    add_deliver_after(rows, message->deliver_after_us);
}

/* False: no memory. */
static bool
rows_fill(struct rows *rows, const struct outbox_message *messages, size_t message_count)
{
    for (size_t i = 0; !rows->failed && i < message_count; i++) {
        add_row(rows, outbox_message_at(messages, i), &rows->ids[i]);
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        rows->failed = rows->failed || rows->columns[i].failed;
    }
    return !rows->failed;
}

/* Whether a statement can be sent now and will be part of a transaction of the caller's. */
static outbox_result
check_transaction(const PGconn *tx, struct outbox_error *reterr)
{
    if (tx == NULL || PQstatus(tx) != CONNECTION_OK) {
        return outbox_fail(reterr, OUTBOX_CONNECTION, "the connection to the database is not open");
    }
    if (PQpipelineStatus(tx) != PQ_PIPELINE_OFF) {
        return outbox_fail(reterr, OUTBOX_INVALID, "the connection is in pipeline mode");
    }
    switch (PQtransactionStatus(tx)) {
    case PQTRANS_INTRANS:
        return OUTBOX_OK;
    case PQTRANS_ACTIVE:
        return outbox_fail(reterr, OUTBOX_INVALID,
                           "the connection is busy: a command has results to be read first");
    case PQTRANS_INERROR:
        return outbox_fail(reterr, OUTBOX_NO_TRANSACTION,
                           "the transaction has failed: it can only be rolled back");
    case PQTRANS_IDLE:
        return outbox_fail(reterr, OUTBOX_NO_TRANSACTION,
                           "no transaction is open: the message would not be part of one");
    case PQTRANS_UNKNOWN:
        break;
    }
    return outbox_fail(reterr, OUTBOX_CONNECTION, "the connection to the database is bad");
}

/* PostgreSQL's errcodes.txt: what the caller can do about an error. */
static outbox_result
classify(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        outbox_result result;
    } classes[] = {
        {"08", OUTBOX_CONNECTION},        /* connection exception */
        {"57P01", OUTBOX_CONNECTION},     /* admin shutdown */
        {"57P02", OUTBOX_CONNECTION},     /* crash shutdown */
        {"40001", OUTBOX_RETRY},          /* serialization failure */
        {"40P01", OUTBOX_RETRY},          /* deadlock detected */
        {"55P03", OUTBOX_RETRY},          /* lock not available: lock_timeout */
        {"25P02", OUTBOX_NO_TRANSACTION}, /* in failed transaction */
        {"42P01", OUTBOX_SCHEMA},         /* undefined table */
        {"42703", OUTBOX_SCHEMA},         /* undefined column */
        {"42804", OUTBOX_SCHEMA},         /* a column has another type */
        {"42883", OUTBOX_SCHEMA},         /* undefined function */
        {"22", OUTBOX_INVALID},           /* data exception: headers_json is no JSON */
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0) {
            return classes[i].result;
        }
    }
    return OUTBOX_DATABASE;
}

/* The statement failed: in the server, on the way, or for want of memory. */
static outbox_result
fail_from(const PGconn *tx, const PGresult *result, struct outbox_error *reterr)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    outbox_result code = OUTBOX_NO_MEMORY; /* no word from a server that is still there: libpq */
    if (PQstatus(tx) != CONNECTION_OK) {
        code = OUTBOX_CONNECTION;
    } else if (sqlstate != NULL) {
        code = classify(sqlstate);
    }
    (void)outbox_fail(reterr, code, "%s", words != NULL ? words : PQerrorMessage(tx));
    if (reterr != NULL) {
        reterr->message[strcspn(reterr->message, "\n")] = '\0';
        (void)snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s",
                       sqlstate != NULL ? sqlstate : "");
    }
    return code;
}

static PGresult *
execute(PGconn *tx, const char *sql, const struct rows *rows)
{
    const uint32_t version = htobe32(OUTBOX_SCHEMA_VERSION);
    const char *values[COLUMN_COUNT + 1];
    int lengths[COLUMN_COUNT + 1];
    int formats[COLUMN_COUNT + 1];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        values[i] = (const char *)buffer_front(&rows->columns[i].bytes);
        lengths[i] = (int)buffer_size(&rows->columns[i].bytes);
        formats[i] = 1;
    }
    values[COLUMN_COUNT] = (const char *)&version;
    lengths[COLUMN_COUNT] = sizeof(version);
    formats[COLUMN_COUNT] = 1;
    return PQexecParams(tx, sql, COLUMN_COUNT + 1, NULL, values, lengths, formats, 0);
}

/* The statement answers with the version of the tables and the number of rows written. */
static outbox_result
judge(const PGconn *tx, const PGresult *result, size_t message_count, struct outbox_error *reterr)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        return fail_from(tx, result, reterr);
    }
    if (PQgetisnull(result, 0, 0)) {
        return outbox_fail(reterr, OUTBOX_SCHEMA, "table outbox_schema is empty");
    }
    const char *version = PQgetvalue(result, 0, 0);
    if (strtol(version, NULL, 10) != OUTBOX_SCHEMA_VERSION) {
        return outbox_fail(reterr, OUTBOX_SCHEMA,
                           "the outbox tables have version %s, this library writes version %d",
                           version, OUTBOX_SCHEMA_VERSION);
    }
    const char *written = PQgetvalue(result, 0, 1);
    if (strtoull(written, NULL, 10) != message_count) {
        /* A trigger or a rule on the table. */
        return outbox_fail(reterr, OUTBOX_DATABASE, "table outbox took %s rows of %zu", written,
                           message_count);
    }
    return OUTBOX_OK;
}

static outbox_result
write_rows(PGconn *tx, const char *sql, const struct outbox_message *messages, size_t message_count,
           struct rows *rows, struct outbox_error *reterr)
{
    if (!rows_fill(rows, messages, message_count)) {
        return outbox_fail(reterr, OUTBOX_NO_MEMORY, "no memory for %zu messages", message_count);
    }
    PGresult *result = execute(tx, sql, rows);
    const outbox_result code = judge(tx, result, message_count, reterr);
    PQclear(result);
    return code;
}

static outbox_result
run(PGconn *tx, const char *sql, const struct outbox_message *messages, size_t message_count,
    struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    outbox_result code = check_transaction(tx, reterr);
    if (code == OUTBOX_OK) {
        code = outbox_messages_check(messages, message_count, reterr);
    }
    if (code != OUTBOX_OK || message_count == 0) {
        return code;
    }
    struct rows rows;
    rows_init(&rows, message_count);
    code = write_rows(tx, sql, messages, message_count, &rows, reterr);
    if (code == OUTBOX_OK && ret_ids != NULL) {
        memcpy(ret_ids, rows.ids, message_count * sizeof(*ret_ids));
    }
    rows_done(&rows);
    return code;
}

outbox_result
outbox_pg_write_many(PGconn *tx, const struct outbox_message *messages, size_t message_count,
                     struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return run(tx, sql_write, messages, message_count, ret_ids, reterr);
}

outbox_result
outbox_pg_write(PGconn *tx, const struct outbox_message *message, struct outbox_id *ret_id,
                struct outbox_error *reterr)
{
    return outbox_pg_write_many(tx, message, 1, ret_id, reterr);
}

outbox_result
outbox_pg_emit_many(PGconn *tx, const struct outbox_message *messages, size_t message_count,
                    struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return run(tx, sql_emit, messages, message_count, ret_ids, reterr);
}

outbox_result
outbox_pg_emit(PGconn *tx, const struct outbox_message *message, struct outbox_id *ret_id,
               struct outbox_error *reterr)
{
    return outbox_pg_emit_many(tx, message, 1, ret_id, reterr);
}
