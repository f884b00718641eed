#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "relay/postgres/source_private.h"

#define COLUMNS 15

/* Results are made by functions of libpq, so no server is needed. */
static PGresult *
result_of(Oid headers_type)
{
    static char name[] = "column";
    const Oid types[COLUMNS] = {20, 2950, 1184, 20, 16, 16,           25, 16,
                                25, 25,   25,   25, 25, headers_type, 17};
    PGresAttDesc columns[COLUMNS];
    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < COLUMNS; i++) {
        columns[i].name = name;
        columns[i].format = 1;
        columns[i].typid = types[i];
    }
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    cr_assert(PQsetResultAttrs(result, COLUMNS, columns));
    return result;
}

static void
set(PGresult *result, int row, int column, const void *value, int size)
{
    char copy[64] = "";
    memcpy(copy, value, (size_t)size);
    cr_assert(PQsetvalue(result, row, column, copy, size));
}

static void
set_null(PGresult *result, int row, int column)
{
    cr_assert(PQsetvalue(result, row, column, NULL, -1));
}

static void
add_row(PGresult *result, int row, int64_t id, const char *headers, const char *payload)
{
    const uint64_t big = htobe64((uint64_t)id);
    set(result, row, 0, &big, 8);
    set(result, row, 1, "0123456789abcdef", 16);
    set(result, row, 2, &(uint64_t){0}, 8);
    set_null(result, row, 3);
    set(result, row, 4, "\0", 1);
    set(result, row, 5, "\0", 1);
    set_null(result, row, 6);
    set(result, row, 7, "\0", 1);
    for (int column = 8; column < 13; column++) {
        set_null(result, row, column);
    }
    headers != NULL ? set(result, row, 13, headers, (int)strlen(headers))
                    : set_null(result, row, 13);
    payload != NULL ? set(result, row, 14, payload, (int)strlen(payload))
                    : set_null(result, row, 14);
}

Test(postgres_source_rows, times_are_counted_from_1970)
{
    cr_assert_eq(pg_rows_time_us(0), INT64_C(946684800000000));
    cr_assert_eq(pg_rows_time_us(INT64_C(-946684800000000)), 0);
    cr_assert_eq(pg_rows_time_us(INT64_MAX), INT64_MAX, "infinity");
    cr_assert_eq(pg_rows_time_us(INT64_MIN), INT64_MIN, "-infinity");
    cr_assert_eq(pg_rows_time_us(INT64_MAX - 1), INT64_MAX, "no overflow");
}

Test(postgres_source_rows, stops_at_a_row_that_was_cut)
{
    struct error error;
    PGresult *result = result_of(25);
    add_row(result, 0, 5, "{}", "abc");
    add_row(result, 1, -6, NULL, "");
    add_row(result, 2, 7, NULL, NULL);
    set(result, 2, 7, "\1", 1);
    add_row(result, 3, 8, NULL, "abc");
    struct batch *batch = pg_rows_decode_take(result, 10, &error);
    cr_assert_not_null(batch);
    cr_assert_eq(batch->count, 2);
    cr_assert_not(batch->complete);
    cr_assert_eq(batch->rows[0].id, 5);
    cr_assert_eq(batch->rows[1].id, -6);
    cr_assert(batch->rows[0].headers.size == 2 && !batch->rows[0].ordered);
    cr_assert(batch->rows[1].headers.size == 0 && batch->rows[1].payload.size == 0);
    batch_free(batch);
}

Test(postgres_source_rows, the_row_over_the_limit_only_says_that_there_is_more)
{
    struct error error;
    for (uint32_t rows_max = 1; rows_max <= 2; rows_max++) {
        PGresult *result = result_of(25);
        add_row(result, 0, 5, NULL, "a");
        add_row(result, 1, 6, NULL, "b");
        struct batch *batch = pg_rows_decode_take(result, rows_max, &error);
        cr_assert_eq(batch->count, rows_max);
        cr_assert_eq(batch->complete, rows_max == 2);
        batch_free(batch);
    }
}

Test(postgres_source_rows, refuses_a_table_with_other_types)
{
    struct error error;
    cr_assert_null(pg_rows_decode_take(result_of(114), 10, &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
}

Test(postgres_source_rows, refuses_a_payload_that_is_null)
{
    struct error error;
    PGresult *result = result_of(25);
    add_row(result, 0, 5, NULL, NULL);
    cr_assert_null(pg_rows_decode_take(result, 10, &error));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(error.text, "NULL"), "%s", error.text);
}

/* The statement gave the reason why the row is not complete, so only this message is affected. */
Test(postgres_source_rows, takes_what_is_withheld_as_it_is)
{
    struct error error;
    PGresult *result = result_of(25);
    add_row(result, 0, 5, NULL, NULL);
    set_null(result, 0, 1);
    set_null(result, 0, 2);
    set(result, 0, 6, "a NULL", 6);
    struct batch *batch = pg_rows_decode_take(result, 10, &error);
    cr_assert(batch != NULL && batch->count == 1);
    cr_assert(batch->rows[0].id == 5 && strcmp(batch->rows[0].withheld, "a NULL") == 0);
    batch_free(batch);
}

Test(postgres_source_rows, says_what_cannot_go_now)
{
    struct error error;
    PGresult *result = result_of(25);
    add_row(result, 0, 5, NULL, "");
    set(result, 0, 5, "\1", 1);
    add_row(result, 1, 6, NULL, "");
    set(result, 1, 6, "too long", 8);
    add_row(result, 2, 7, NULL, "x");
    struct batch *batch = pg_rows_decode_take(result, 10, &error);
    cr_assert_eq(batch->count, 3);
    cr_assert(batch->rows[0].scheduled && !batch->rows[0].withheld);
    cr_assert(!batch->rows[1].scheduled && strcmp(batch->rows[1].withheld, "too long") == 0);
    cr_assert(!batch->rows[2].scheduled && !batch->rows[2].withheld);
    batch_free(batch);
}

/* A skipped message has a key, which is sent with it, but is sent without order. */
Test(postgres_source_rows, a_key_does_not_make_it_ordered)
{
    struct error error;
    const uint64_t hash = htobe64(77);
    PGresult *result = result_of(25);
    for (int row = 0; row < 2; row++) {
        add_row(result, row, row, NULL, "x");
        set(result, row, 3, &hash, 8);
        set(result, row, 4, row == 0 ? "\0" : "\1", 1);
        set(result, row, 10, "k", 1);
    }
    struct batch *batch = pg_rows_decode_take(result, 10, &error);
    cr_assert(!batch->rows[0].ordered && batch->rows[0].key_hash == 0);
    cr_assert(batch->rows[1].ordered && batch->rows[1].key_hash == 77);
    cr_assert(batch->rows[0].key.size == 1 && batch->rows[1].key.size == 1);
    batch_free(batch);
}
