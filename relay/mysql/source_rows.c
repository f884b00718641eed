#include <string.h>

#include "base/memory.h"
#include "relay/mysql/datetime.h"
#include "relay/mysql/source_private.h"

#define BINARY_CHARSET 63 /* the character set number of columns with bytes */

/* One row of the result. */
struct values {
    MYSQL_ROW texts;
    const unsigned long *lengths;
};

/* An empty span for NULL. */
static struct span
text_at(const struct values *values, int column)
{
    const char *const text = values->texts[column];
    return (struct span){text != NULL ? text : "", values->lengths[column]};
}

static int64_t
key_hash_of(const struct values *values, struct span key, struct my_hash *hash)
{
    const char *const told = values->texts[ROW_COLUMN_KEY_HASH];
    return told != NULL ? my_value_int(told) : my_hash_text(hash, key.data, key.size);
}

static void
decode_row(const struct values *values, struct my_hash *hash, struct row *ret_row)
{
    const struct span created_at = text_at(values, ROW_COLUMN_CREATED_AT);
    *ret_row = (struct row){
        .id = my_value_int(values->texts[ROW_COLUMN_ID]),
        .created_at_us = my_datetime_text_us(created_at.data, created_at.size),
        .has_key = values->texts[ROW_COLUMN_KEY] != NULL,
        .ordered = my_value_bool(values->texts[ROW_COLUMN_ORDERED]),
        .withheld = values->texts[ROW_COLUMN_WITHHELD],
        .scheduled = my_value_bool(values->texts[ROW_COLUMN_SCHEDULED]),
        .exchange_is_null = values->texts[ROW_COLUMN_EXCHANGE] == NULL,
        .exchange = text_at(values, ROW_COLUMN_EXCHANGE),
        .routing_key = text_at(values, ROW_COLUMN_ROUTING_KEY),
        .key = text_at(values, ROW_COLUMN_KEY),
        .type = text_at(values, ROW_COLUMN_TYPE),
        .content_type = text_at(values, ROW_COLUMN_CONTENT_TYPE),
        .headers = text_at(values, ROW_COLUMN_HEADERS),
        .payload = text_at(values, ROW_COLUMN_PAYLOAD),
    };
    if (values->lengths[ROW_COLUMN_MESSAGE_ID] == UUID_BYTES) {
        memcpy(ret_row->message_id, values->texts[ROW_COLUMN_MESSAGE_ID], UUID_BYTES);
    }
    ret_row->key_hash = ret_row->ordered ? key_hash_of(values, ret_row->key, hash) : 0;
}

/* The table may have been altered: a column of bytes that became text would be converted. */
static bool
check_columns(MYSQL_RES *result, struct error *reterr)
{
    static const int bytes[] = {ROW_COLUMN_MESSAGE_ID, ROW_COLUMN_PAYLOAD};
    if (mysql_num_fields(result) != ROW_COLUMNS) {
        return error_set(reterr, ERROR_CONFIG, "the outbox gave %u columns instead of %d",
                         mysql_num_fields(result), ROW_COLUMNS);
    }
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        const MYSQL_FIELD *const field = mysql_fetch_field_direct(result, (unsigned)bytes[i]);
        if (field->charsetnr != BINARY_CHARSET) {
            return error_set(
                reterr, ERROR_CONFIG,
                "column \"%s\" of table outbox has another type than `outbox-relay init` gives it",
                field->name);
        }
    }
    return true;
}

/* The statements withhold a row that lacks these values; any other must have them. */
static bool
check_values(const struct values *values, struct error *reterr)
{
    const bool whole = values->lengths[ROW_COLUMN_MESSAGE_ID] == UUID_BYTES &&
                       values->texts[ROW_COLUMN_CREATED_AT] != NULL &&
                       values->texts[ROW_COLUMN_PAYLOAD] != NULL;
    if (values->texts[ROW_COLUMN_ID] == NULL ||
        (!whole && values->texts[ROW_COLUMN_WITHHELD] == NULL &&
         !my_value_bool(values->texts[ROW_COLUMN_SCHEDULED]))) {
        return error_set(reterr, ERROR_CONFIG,
                         "the outbox has a row with a NULL or in a form that is not known");
    }
    return true;
}

/* How many rows are to be delivered; -1 with *reterr. */
static int64_t
decode_rows(MYSQL_RES *result, uint32_t rows_max, struct my_hash *hash, struct row *rows,
            struct error *reterr)
{
    struct values values;
    int64_t count = 0;
    while (count < rows_max && (values.texts = mysql_fetch_row(result)) != NULL) {
        values.lengths = mysql_fetch_lengths(result);
        if (my_value_bool(values.texts[ROW_COLUMN_CUT])) {
            break;
        }
        if (!check_values(&values, reterr)) {
            return -1;
        }
        decode_row(&values, hash, &rows[count]);
        count++;
    }
    return count;
}

static void
free_result(void *result)
{
    mysql_free_result(result);
}

struct batch *
my_rows_decode_take(MYSQL_RES *result, uint32_t rows_max, struct my_hash *hash,
                    struct error *reterr)
{
    const uint64_t all = mysql_num_rows(result);
    struct row *rows = memory_array(all, sizeof(*rows));
    const int64_t count =
        check_columns(result, reterr) ? decode_rows(result, rows_max, hash, rows, reterr) : -1;
    if (count < 0) {
        memory_free(rows);
        mysql_free_result(result);
        return NULL;
    }
    struct batch *batch = memory_array(1, sizeof(*batch));
    *batch = (struct batch){
        .rows = rows,
        .count = (size_t)count,
        .complete = (uint64_t)count == all,
        .owner = result,
        .free_owner = free_result,
    };
    return batch;
}
