#include <endian.h>
#include <string.h>

#include "base/memory.h"
#include "relay/postgres/source_private.h"

/* 2000-01-01, the zero of a binary timestamptz, in microseconds since 1970. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

int64_t
pg_rows_int8(const PGresult *result, int row, int column)
{
    uint64_t big;
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int64_t)be64toh(big);
}

int32_t
pg_rows_int4(const PGresult *result, int row, int column)
{
    uint32_t big;
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int32_t)be32toh(big);
}

bool
pg_rows_bool(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] != 0;
}

int64_t
pg_rows_time_us(int64_t value)
{
    if (value == INT64_MAX || value == INT64_MIN || value > INT64_MAX - POSTGRES_EPOCH_US) {
        return value == INT64_MIN ? INT64_MIN : INT64_MAX;
    }
    return value + POSTGRES_EPOCH_US;
}

/* NULL is empty: PQgetvalue gives "" of length 0. */
static struct span
text_at(const PGresult *result, int row, int column)
{
    return (struct span){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

static void
decode_row(const PGresult *result, int row, struct row *ret_row)
{
    *ret_row = (struct row){
        .id = pg_rows_int8(result, row, ROW_COLUMN_ID),
        .created_at_us = PQgetisnull(result, row, ROW_COLUMN_CREATED_AT)
                             ? 0
                             : pg_rows_time_us(pg_rows_int8(result, row, ROW_COLUMN_CREATED_AT)),
        .has_key = !PQgetisnull(result, row, ROW_COLUMN_KEY),
        .ordered = pg_rows_bool(result, row, ROW_COLUMN_ORDERED),
        .withheld = PQgetisnull(result, row, ROW_COLUMN_WITHHELD)
                        ? NULL
                        : PQgetvalue(result, row, ROW_COLUMN_WITHHELD),
        .scheduled = pg_rows_bool(result, row, ROW_COLUMN_SCHEDULED),
        .exchange_is_null = PQgetisnull(result, row, ROW_COLUMN_EXCHANGE),
        .exchange = text_at(result, row, ROW_COLUMN_EXCHANGE),
        .routing_key = text_at(result, row, ROW_COLUMN_ROUTING_KEY),
        .key = text_at(result, row, ROW_COLUMN_KEY),
        .type = text_at(result, row, ROW_COLUMN_TYPE),
        .content_type = text_at(result, row, ROW_COLUMN_CONTENT_TYPE),
        .headers = text_at(result, row, ROW_COLUMN_HEADERS),
        .payload = text_at(result, row, ROW_COLUMN_PAYLOAD),
    };
    if (!PQgetisnull(result, row, ROW_COLUMN_MESSAGE_ID)) {
        memcpy(ret_row->message_id, PQgetvalue(result, row, ROW_COLUMN_MESSAGE_ID), UUID_BYTES);
    }
    ret_row->key_hash = ret_row->ordered ? pg_rows_int8(result, row, ROW_COLUMN_KEY_HASH) : 0;
}

static bool
has_type(const PGresult *result, int column, Oid type)
{
    return PQftype(result, column) == type && PQfformat(result, column) == 1;
}

/* The table may have been altered, and a value of another type would be misread. */
static bool
check_columns(const PGresult *result, struct error *reterr)
{
    static const Oid types[ROW_COLUMNS] = {20, 2950, 1184, 20, 16, 16, 25, 16,
                                           25, 25,   25,   25, 25, 25, 17};
    if (PQnfields(result) != ROW_COLUMNS) {
        return error_set(reterr, ERROR_CONFIG, "the outbox gave %d columns instead of %d",
                         PQnfields(result), ROW_COLUMNS);
    }
    for (int i = 0; i < ROW_COLUMNS; i++) {
        if (!has_type(result, i, types[i])) {
            return error_set(
                reterr, ERROR_CONFIG,
                "column \"%s\" of table outbox has another type than `outbox-relay init` gives it",
                PQfname(result, i));
        }
    }
    return true;
}

/* The statements withhold rows with missing values; a row that is not withheld must be complete. */
static bool
check_values(const PGresult *result, int row, struct error *reterr)
{
    const bool whole = PQgetlength(result, row, ROW_COLUMN_MESSAGE_ID) == UUID_BYTES &&
                       PQgetlength(result, row, ROW_COLUMN_CREATED_AT) == 8 &&
                       !PQgetisnull(result, row, ROW_COLUMN_PAYLOAD);
    if (PQgetlength(result, row, ROW_COLUMN_ID) != 8 ||
        (!whole && PQgetisnull(result, row, ROW_COLUMN_WITHHELD) &&
         !pg_rows_bool(result, row, ROW_COLUMN_SCHEDULED))) {
        return error_set(reterr, ERROR_CONFIG,
                         "the outbox has a row with a NULL or in a form that is not known");
    }
    return true;
}

static void
clear_result(void *result)
{
    PQclear(result);
}

/* Gives the number of rows to deliver, or -1. */
static int
decode_rows(const PGresult *result, uint32_t rows_max, struct row *rows, struct error *reterr)
{
    const int tuples = PQntuples(result);
    int row = 0;
    while (row < tuples && (uint32_t)row < rows_max && !pg_rows_bool(result, row, ROW_COLUMN_CUT)) {
        if (!check_values(result, row, reterr)) {
            return -1;
        }
        decode_row(result, row, &rows[row]);
        row++;
    }
    return row;
}

struct batch *
pg_rows_decode_take(PGresult *result, uint32_t rows_max, struct error *reterr)
{
    const int tuples = PQntuples(result);
    struct row *rows = memory_array((size_t)tuples, sizeof(*rows));
    const int count =
        check_columns(result, reterr) ? decode_rows(result, rows_max, rows, reterr) : -1;
    if (count < 0) {
        memory_free(rows);
        PQclear(result);
        return NULL;
    }
    struct batch *batch = memory_array(1, sizeof(*batch));
    *batch = (struct batch){
        .rows = rows,
        .count = (size_t)count,
        .complete = count == tuples,
        .owner = result,
        .free_owner = clear_result,
    };
    return batch;
}
