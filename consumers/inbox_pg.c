#include <endian.h>
#include <inbox/inbox_pg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/inbox_private.h"
#include "consumers/postgres/advance_sql.h"
#include "consumers/postgres/claim_sql.h"
#include "consumers/postgres/forget_sql.h"
#include "consumers/postgres/newest_sql.h"

/* src/include/catalog/pg_type.dat */
#define OID_BYTEA 17

/* dimensions, has-null flag, element type, length, lower bound: array_recv in PostgreSQL */
#define ARRAY_HEAD_BYTES (5 * sizeof(uint32_t))

static inbox_result
check_usable(const PGconn *conn, struct inbox_error *reterr)
{
    if (conn == NULL || PQstatus(conn) != CONNECTION_OK) {
        return inbox_fail(reterr, INBOX_CONNECTION, "the connection to the database is not open");
    }
    if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF) {
        return inbox_fail(reterr, INBOX_INVALID, "the connection is in pipeline mode");
    }
    switch (PQtransactionStatus(conn)) {
    case PQTRANS_IDLE:
    case PQTRANS_INTRANS:
        return INBOX_OK;
    case PQTRANS_ACTIVE:
        return inbox_fail(reterr, INBOX_INVALID,
                          "the connection is busy: a command has results to be read first");
    case PQTRANS_INERROR:
        return inbox_fail(reterr, INBOX_NO_TRANSACTION,
                          "the transaction has failed: it can only be rolled back");
    case PQTRANS_UNKNOWN:
        break;
    }
    return inbox_fail(reterr, INBOX_CONNECTION, "the connection to the database is bad");
}

static inbox_result
check_transaction(const PGconn *tx, struct inbox_error *reterr)
{
    const inbox_result code = check_usable(tx, reterr);
    if (code == INBOX_OK && PQtransactionStatus(tx) == PQTRANS_IDLE) {
        return inbox_fail(reterr, INBOX_NO_TRANSACTION,
                          "no transaction is open: the claim would not be part of one");
    }
    return code;
}

/* PostgreSQL's errcodes.txt: what the caller can do about an error. */
static inbox_result
classify(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        inbox_result result;
    } classes[] = {
        {"08", INBOX_CONNECTION},        /* connection exception */
        {"57P01", INBOX_CONNECTION},     /* admin shutdown */
        {"57P02", INBOX_CONNECTION},     /* crash shutdown */
        {"40001", INBOX_RETRY},          /* serialization failure */
        {"40P01", INBOX_RETRY},          /* deadlock detected */
        {"55P03", INBOX_RETRY},          /* lock not available: lock_timeout */
        {"25P02", INBOX_NO_TRANSACTION}, /* in failed transaction */
        {"42P01", INBOX_SCHEMA},         /* undefined table */
        {"42703", INBOX_SCHEMA},         /* undefined column */
        {"42804", INBOX_SCHEMA},         /* a column has another type */
        {"42P10", INBOX_SCHEMA},         /* no unique index on (consumer, message_id) */
        {"22", INBOX_INVALID},           /* data exception: no such character in this database */
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0) {
            return classes[i].result;
        }
    }
    return INBOX_DATABASE;
}

/* The server's own text is about ON CONFLICT, which the caller did not write. */
#define WORDS_UNGUARDED                                                                            \
    "no unique index on inbox (consumer, message_id) guards an id, so it would be applied twice: " \
    "make it the primary key, without other columns; partitions can be by list or hash of these "  \
    "two, not by seen_at"
#define WORDS_UNGUARDED_KEY                                                                    \
    "no unique index on inbox_newest (consumer, message_key) guards a key, so an older state " \
    "could come after a newer: make it the primary key, without other columns"

/* The statement failed: in the server, on the connection, or for lack of memory. `unguarded`: the message for a table
 * without its key. */
static inbox_result
fail_from(const PGconn *conn, const PGresult *result, const char *unguarded,
          struct inbox_error *reterr)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate != NULL && strcmp(sqlstate, "42P10") == 0) {
        words = unguarded;
    }
    /* No answer from a server that is still connected: libpq. */
    inbox_result code = INBOX_NO_MEMORY;
    if (PQstatus(conn) != CONNECTION_OK) {
        code = INBOX_CONNECTION;
    } else if (sqlstate != NULL) {
        code = classify(sqlstate);
    }
    (void)inbox_fail(reterr, code, "%s", words != NULL ? words : PQerrorMessage(conn));
    if (reterr != NULL && sqlstate != NULL) {
        (void)snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s", sqlstate);
    }
    return code;
}

/* Every statement answers with one row, whose first column is the version of the tables. */
static inbox_result
check_answer(const PGconn *conn, const PGresult *result, const char *unguarded,
             struct inbox_error *reterr)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        return fail_from(conn, result, unguarded, reterr);
    }
    if (PQgetisnull(result, 0, 0)) {
        return inbox_fail(reterr, INBOX_SCHEMA, "table inbox_schema is empty");
    }
    const char *version = PQgetvalue(result, 0, 0);
    if (strtol(version, NULL, 10) != INBOX_SCHEMA_VERSION) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "the inbox tables have version %s, this library uses version %d", version,
                          INBOX_SCHEMA_VERSION);
    }
    return INBOX_OK;
}

static char *
put_uint32(char *out, size_t value)
{
    const uint32_t wire = htobe32((uint32_t)value);
    memcpy(out, &wire, sizeof(wire));
    return out + sizeof(wire);
}

/* The ids as bytea[] in binary; at most 65536 * 259 bytes. NULL: no memory. Freed by the caller. */
static char *
array_of(const struct inbox_id *ids, size_t id_count, int *ret_length)
{
    size_t length = ARRAY_HEAD_BYTES;
    for (size_t i = 0; i < id_count; i++) {
        length += sizeof(uint32_t) + ids[i].length;
    }
    char *array = malloc(length);
    if (array == NULL) {
        return NULL;
    }
    char *out = put_uint32(array, 1);
    out = put_uint32(out, 0);
    out = put_uint32(out, OID_BYTEA);
    out = put_uint32(out, id_count);
    out = put_uint32(out, 1);
    for (size_t i = 0; i < id_count; i++) {
        out = put_uint32(out, ids[i].length);
        memcpy(out, ids[i].bytes, ids[i].length);
        out += ids[i].length;
    }
    *ret_length = (int)length;
    return array;
}

static PGresult *
execute_claim(PGconn *tx, const char *consumer, const char *array, int array_length)
{
    const uint32_t version = htobe32(INBOX_SCHEMA_VERSION);
    const char *const values[] = {consumer, array, (const char *)&version};
    const int lengths[] = {(int)strlen(consumer), array_length, sizeof(version)};
    const int formats[] = {1, 1, 1};
    return PQexecParams(tx, sql_claim, 3, NULL, values, lengths, formats, 0);
}

/* "{1,5,7}": the places, from 1, of the messages that are first; NULL (here "") if there are none. */
static void
read_verdicts(const char *places, size_t id_count, inbox_verdict *ret_verdicts)
{
    for (size_t i = 0; i < id_count; i++) {
        ret_verdicts[i] = INBOX_DUPLICATE;
    }
    const char *at = places;
    while (*at == '{' || *at == ',') {
        char *end;
        const unsigned long place = strtoul(at + 1, &end, 10);
        if (place >= 1 && place <= id_count) {
            ret_verdicts[place - 1] = INBOX_FIRST;
        }
        at = end;
    }
}

static inbox_result
check_claim(const PGconn *tx, const char *consumer, const struct inbox_id *ids, size_t id_count,
            struct inbox_error *reterr)
{
    inbox_result code = check_transaction(tx, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_consumer(consumer, reterr);
    }
    return code == INBOX_OK ? inbox_check_ids(ids, id_count, reterr) : code;
}

inbox_result
inbox_pg_claim_many(PGconn *tx, const char *consumer, const struct inbox_id *ids, size_t id_count,
                    inbox_verdict *ret_verdicts, struct inbox_error *reterr)
{
    inbox_result code = check_claim(tx, consumer, ids, id_count, reterr);
    if (code != INBOX_OK || id_count == 0) {
        return code;
    }
    if (ret_verdicts == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "there is no place for the verdicts: it is NULL");
    }
    int length = 0;
    char *array = array_of(ids, id_count, &length);
    if (array == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for %zu messages", id_count);
    }
    PGresult *result = execute_claim(tx, consumer, array, length);
    free(array);
    code = check_answer(tx, result, WORDS_UNGUARDED, reterr);
    if (code == INBOX_OK) {
        read_verdicts(PQgetvalue(result, 0, 1), id_count, ret_verdicts);
    }
    PQclear(result);
    return code;
}

inbox_result
inbox_pg_claim(PGconn *tx, const char *consumer, const void *message_id, size_t message_id_length,
               inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    const struct inbox_id id = {message_id, message_id_length};
    return inbox_pg_claim_many(tx, consumer, &id, 1, ret_verdict, reterr);
}

/* The parameters of the two statements of an advance. */
struct advance {
    const char *consumer;
    const void *key;
    size_t key_length;
    int64_t version;
};

static PGresult *
execute_advance(PGconn *tx, const struct advance *advance)
{
    const uint64_t version = htobe64((uint64_t)advance->version);
    const uint32_t schema = htobe32(INBOX_SCHEMA_VERSION);
    const char *const values[] = {advance->consumer, advance->key, (const char *)&version,
                                  (const char *)&schema};
    const int lengths[] = {(int)strlen(advance->consumer), (int)advance->key_length,
                           sizeof(version), sizeof(schema)};
    const int formats[] = {1, 1, 1, 1};
    return PQexecParams(tx, sql_advance, 4, NULL, values, lengths, formats, 0);
}

static inbox_result
advance_row(PGconn *tx, const struct advance *advance, bool *ret_newer, struct inbox_error *reterr)
{
    PGresult *result = execute_advance(tx, advance);
    const inbox_result code = check_answer(tx, result, WORDS_UNGUARDED_KEY, reterr);
    *ret_newer = code == INBOX_OK && strcmp(PQgetvalue(result, 0, 1), "1") == 0;
    PQclear(result);
    return code;
}

/* Finds out why it did not advance. The row is locked by now, so its version cannot change any more. */
static inbox_result
compare_newest(PGconn *tx, const struct advance *advance, inbox_verdict *ret_verdict,
               struct inbox_error *reterr)
{
    const char *const values[] = {advance->consumer, advance->key};
    const int lengths[] = {(int)strlen(advance->consumer), (int)advance->key_length};
    const int formats[] = {1, 1};
    PGresult *result = PQexecParams(tx, sql_newest, 2, NULL, values, lengths, formats, 0);
    inbox_result code = check_answer(tx, result, WORDS_UNGUARDED_KEY, reterr);
    if (code == INBOX_OK && PQgetisnull(result, 0, 1)) {
        code = inbox_fail(reterr, INBOX_DATABASE,
                          "the row in inbox_newest was neither written nor is it there: is there a "
                          "trigger or a policy?");
    } else if (code == INBOX_OK) {
        const int64_t newest = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
        *ret_verdict = newest == advance->version ? INBOX_DUPLICATE : INBOX_OUTDATED;
    }
    PQclear(result);
    return code;
}

static inbox_result
check_advance(const PGconn *tx, const struct advance *advance, const inbox_verdict *ret_verdict,
              struct inbox_error *reterr)
{
    inbox_result code = check_transaction(tx, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_consumer(advance->consumer, reterr);
    }
    if (code == INBOX_OK) {
        code = inbox_check_key(advance->key, advance->key_length, reterr);
    }
    if (code == INBOX_OK && ret_verdict == NULL) {
        code = inbox_fail(reterr, INBOX_INVALID, "there is no place for the verdict: it is NULL");
    }
    return code;
}

inbox_result
inbox_pg_advance(PGconn *tx, const char *consumer, const void *key, size_t key_length,
                 int64_t version, inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    const struct advance advance = {consumer, key, key_length, version};
    bool newer = false;
    inbox_result code = check_advance(tx, &advance, ret_verdict, reterr);
    if (code == INBOX_OK) {
        code = advance_row(tx, &advance, &newer, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    if (newer) {
        *ret_verdict = INBOX_FIRST;
        return INBOX_OK;
    }
    return compare_newest(tx, &advance, ret_verdict, reterr);
}

static PGresult *
execute_forget(PGconn *conn, uint64_t age_s, uint32_t limit)
{
    const uint64_t age = htobe64(age_s);
    const uint64_t most = htobe64((uint64_t)limit);
    const uint32_t version = htobe32(INBOX_SCHEMA_VERSION);
    const char *const values[] = {(const char *)&age, (const char *)&most, (const char *)&version};
    const int lengths[] = {sizeof(age), sizeof(most), sizeof(version)};
    const int formats[] = {1, 1, 1};
    return PQexecParams(conn, sql_forget, 3, NULL, values, lengths, formats, 0);
}

inbox_result
inbox_pg_forget(PGconn *conn, uint64_t age_s, uint32_t limit, uint64_t *ret_forgotten,
                struct inbox_error *reterr)
{
    inbox_result code = check_usable(conn, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_forget(age_s, limit, reterr);
    }
    if (code != INBOX_OK) {
        return code;
    }
    PGresult *result = execute_forget(conn, age_s, limit);
    code = check_answer(conn, result, WORDS_UNGUARDED, reterr);
    if (code == INBOX_OK && ret_forgotten != NULL) {
        *ret_forgotten = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    }
    PQclear(result);
    return code;
}
