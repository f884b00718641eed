#include "relay/mysql/binlog_rows.h"

#include <string.h>

#define TABLE_ID_BYTES 6

static bool
not_understood(struct error *reterr)
{
    return error_set(reterr, ERROR_CONNECTION,
                     "the server's log has rows of the outbox in a form that is not known");
}

bool
my_rows_table(struct span body, uint64_t *ret_table_id)
{
    struct reader reader = reader_of(body);
    *ret_table_id = read_little(&reader, TABLE_ID_BYTES);
    return !reader.bad;
}

static bool
has(const uint8_t *bits, uint32_t index)
{
    return (bits[index / 8] >> index % 8 & 1) != 0;
}

/* With binlog_row_image = MINIMAL the rows of an INSERT have only the columns that it named. */
static bool
check_present(struct my_rows *rows, struct error *reterr)
{
    rows->present_count = 0;
    for (uint32_t i = 0; i < rows->map->column_count; i++) {
        const enum my_table_column column = rows->map->columns[i];
        if (has(rows->present, i)) {
            rows->present_count++;
        } else if (column != MY_COLUMN_OTHER) {
            return error_set(reterr, ERROR_CONFIG,
                             "rows of the outbox are not whole in the log (\"%s\" is missing): a "
                             "session has binlog_row_image = MINIMAL or NOBLOB; let all have FULL",
                             my_table_column_name(column));
        }
    }
    return true;
}

bool
my_rows_open(struct my_rows *rows, const struct my_table_map *map, enum my_rows_version version,
             struct span body, struct span *ret_rows, struct error *reterr)
{
    struct reader reader = reader_of(body);
    (void)read_bytes(&reader, TABLE_ID_BYTES);
    (void)read_little(&reader, 2); /* flags */
    if (version == MY_ROWS_V2) {
        const uint64_t extra = read_little(&reader, 2); /* with these two bytes */
        (void)read_bytes(&reader, extra >= 2 ? extra - 2 : SIZE_MAX);
    }
    const uint64_t column_count = my_table_packed(&reader);
    if (reader.bad || column_count != map->column_count) {
        return not_understood(reterr);
    }
    const struct span present = read_bytes(&reader, (map->column_count + 7) / 8);
    if (reader.bad) {
        return not_understood(reterr);
    }
    rows->map = map;
    memcpy(rows->present, present.data, present.size);
    *ret_rows = (struct span){reader.at, (size_t)(reader.end - reader.at)};
    my_rows_begin(rows, (struct span){0});
    return check_present(rows, reterr);
}

void
my_rows_begin(struct my_rows *rows, struct span bytes)
{
    rows->reader = reader_of(bytes);
}

/* ---- a row ---- */

/* A NULL has no data pointer; an empty value has one. */
static bool
read_values(struct my_rows *rows, struct span values[MY_COLUMNS + 1])
{
    const struct my_table_map *map = rows->map;
    struct reader *reader = &rows->reader;
    const uint8_t *const nulls = read_bytes(reader, (rows->present_count + 7) / 8).data;
    uint32_t at = 0;
    for (uint32_t i = 0; i < map->column_count && !reader->bad; i++) {
        if (has(rows->present, i)) {
            const bool is_null = has(nulls, at++);
            values[map->columns[i]] =
                is_null ? (struct span){0} : my_value_read(reader, map->types[i]);
        }
    }
    return !reader->bad;
}

static bool
wrong_value(enum my_table_column column, struct error *reterr)
{
    return error_set(reterr, ERROR_CONFIG,
                     "the outbox has a row with a %s that is NULL or has a form that is not known",
                     my_table_column_name(column));
}

/* The constraints of the table prevent these values, unless somebody has dropped them. */
static bool
check_values(const struct span values[MY_COLUMNS], struct error *reterr)
{
    static const enum my_table_column needed[] = {MY_COLUMN_ID, MY_COLUMN_CREATED_AT,
                                                  MY_COLUMN_ROUTING_KEY, MY_COLUMN_PAYLOAD};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (values[needed[i]].data == NULL) {
            return wrong_value(needed[i], reterr);
        }
    }
    return values[MY_COLUMN_MESSAGE_ID].size == UUID_BYTES ||
           wrong_value(MY_COLUMN_MESSAGE_ID, reterr);
}

static int64_t
time_of(const struct my_rows *rows, enum my_table_column column, struct span value)
{
    return my_value_datetime_us(value, rows->map->digits[column]);
}

/* The same rule as in the statements that read the table. */
static bool
is_scheduled(const struct my_rows *rows, const struct span values[MY_COLUMNS])
{
    const struct span deliver_after = values[MY_COLUMN_DELIVER_AFTER];
    return deliver_after.data != NULL &&
           time_of(rows, MY_COLUMN_DELIVER_AFTER, deliver_after) >
               time_of(rows, MY_COLUMN_CREATED_AT, values[MY_COLUMN_CREATED_AT]);
}

static int64_t
id_of(struct span value)
{
    struct reader reader = reader_of(value);
    return (int64_t)read_little(&reader, sizeof(int64_t));
}

static void
set_row(struct row *row, const struct my_rows *rows, struct my_hash *hash,
        const struct span values[MY_COLUMNS])
{
    const struct span key = values[MY_COLUMN_KEY];
    *row = (struct row){
        .id = id_of(values[MY_COLUMN_ID]),
        .created_at_us = time_of(rows, MY_COLUMN_CREATED_AT, values[MY_COLUMN_CREATED_AT]),
        .key_hash = key.data != NULL ? my_hash_text(hash, key.data, key.size) : 0,
        .has_key = key.data != NULL,
        .ordered = key.data != NULL,
        .exchange_is_null = values[MY_COLUMN_EXCHANGE].data == NULL,
        .scheduled = is_scheduled(rows, values),
        .exchange = values[MY_COLUMN_EXCHANGE],
        .routing_key = values[MY_COLUMN_ROUTING_KEY],
        .key = key,
        .type = values[MY_COLUMN_TYPE],
        .content_type = values[MY_COLUMN_CONTENT_TYPE],
    };
    memcpy(row->message_id, values[MY_COLUMN_MESSAGE_ID].data, UUID_BYTES);
}

static void
set_content(struct row *row, struct span headers, struct span payload, uint64_t bytes_max)
{
    row->withheld = headers.size + payload.size > bytes_max
                        ? "the message is larger than can ever be sent"
                        : NULL;
    if (row->withheld == NULL && !row->scheduled) {
        row->headers = headers;
        row->payload = payload;
    }
}

bool
my_rows_next(struct my_rows *rows, struct my_hash *hash, uint64_t bytes_max, struct row *ret_row,
             struct error *reterr)
{
    struct span values[MY_COLUMNS + 1] = {0}; /* the last is for columns that are not needed */
    if (!read_values(rows, values)) {
        return not_understood(reterr);
    }
    if (!check_values(values, reterr)) {
        return false;
    }
    set_row(ret_row, rows, hash, values);
    set_content(ret_row, values[MY_COLUMN_HEADERS], values[MY_COLUMN_PAYLOAD], bytes_max);
    return true;
}
