#include "relay/mysql/binlog_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 6            /* of the fraction of a second */
#define OPTIONAL_COLUMN_NAMES 4 /* the kind of optional metadata */

static const struct {
    const char *name;
    const char *type_name;
    enum my_type type;
} columns[MY_COLUMNS] = {
    [MY_COLUMN_ID] = {"id", "bigint", MY_TYPE_LONGLONG},
    [MY_COLUMN_MESSAGE_ID] = {"message_id", "varbinary", MY_TYPE_VARCHAR},
    [MY_COLUMN_CREATED_AT] = {"created_at", "datetime", MY_TYPE_DATETIME2},
    [MY_COLUMN_EXCHANGE] = {"exchange", "varchar", MY_TYPE_VARCHAR},
    [MY_COLUMN_ROUTING_KEY] = {"routing_key", "varchar", MY_TYPE_VARCHAR},
    [MY_COLUMN_KEY] = {"key", "varchar", MY_TYPE_VARCHAR},
    [MY_COLUMN_TYPE] = {"type", "varchar", MY_TYPE_VARCHAR},
    [MY_COLUMN_CONTENT_TYPE] = {"content_type", "varchar", MY_TYPE_VARCHAR},
    [MY_COLUMN_HEADERS] = {"headers", "longtext", MY_TYPE_BLOB},
    [MY_COLUMN_PAYLOAD] = {"payload", "longblob", MY_TYPE_BLOB},
    [MY_COLUMN_DELIVER_AFTER] = {"deliver_after", "datetime", MY_TYPE_DATETIME2},
};

const char *
my_table_column_name(enum my_table_column column)
{
    return columns[column].name;
}

static enum my_table_column
column_of(struct span name)
{
    enum my_table_column column = MY_COLUMN_ID;
    while (column < MY_COLUMNS && (strlen(columns[column].name) != name.size ||
                                   memcmp(columns[column].name, name.data, name.size) != 0)) {
        column++;
    }
    return column;
}

static void
set_name(char to[MY_TABLE_NAME_BYTES], const char *name)
{
    const int length = snprintf(to, MY_TABLE_NAME_BYTES, "%s", name);
    assert(length > 0 && length < MY_TABLE_NAME_BYTES); /* servers have no longer names */
}

void
my_table_init(struct my_table *table, const char *schema, const char *name,
              const char *const *names, size_t name_count)
{
    assert(name_count <= MY_TABLE_COLUMNS_MAX);
    set_name(table->schema, schema);
    set_name(table->name, name);
    table->given_count = (uint32_t)name_count;
    for (size_t i = 0; i < name_count; i++) {
        table->given[i] = (uint8_t)column_of((struct span){names[i], strlen(names[i])});
    }
    my_table_forget(table);
}

void
my_table_forget(struct my_table *table)
{
    table->map.known = false;
    table->map.described_size = 0;
}

uint64_t
my_table_packed(struct reader *reader)
{
    const uint8_t first = read_u8(reader);
    switch (first) {
    case 252:
        return read_little(reader, 2);
    case 253:
        return read_little(reader, 3);
    case 254:
        return read_little(reader, 8);
    case 251: /* this means NULL */
    case 255:
        reader->bad = true;
        return 0;
    default:
        return first;
    }
}

static bool
not_understood(struct error *reterr)
{
    return error_set(reterr, ERROR_CONNECTION,
                     "the server's log describes a table in a form that is not known");
}

/* ---- its columns ---- */

static bool
read_types(struct my_table_map *map, struct reader *reader, struct error *reterr)
{
    const struct span types = read_bytes(reader, map->column_count);
    struct reader metadata = reader_of(read_bytes(reader, my_table_packed(reader)));
    for (uint32_t i = 0; i < map->column_count && !reader->bad; i++) {
        const uint8_t type = ((const uint8_t *)types.data)[i];
        if (!my_value_metadata(&metadata, type, &map->types[i])) {
            return error_set(reterr, ERROR_CONFIG,
                             "column %u of table outbox has a type (%u) whose values can't be read "
                             "in the log: one of an old form that `alter table outbox force` "
                             "renews, or one that is not known",
                             i + 1, type);
        }
    }
    (void)read_bytes(reader, (map->column_count + 7) / 8); /* which columns can be NULL */
    return (!reader->bad && !metadata.bad && metadata.at == metadata.end) || not_understood(reterr);
}

/* False if some names are missing. */
static bool
read_names(struct my_table_map *map, struct reader names)
{
    for (uint32_t i = 0; i < map->column_count && !names.bad; i++) {
        const struct span name = read_bytes(&names, my_table_packed(&names));
        map->columns[i] = names.bad ? MY_COLUMN_OTHER : (uint8_t)column_of(name);
    }
    return !names.bad && names.at == names.end;
}

/* The optional metadata: each has a kind, a length, and its content. */
static bool
read_optional(struct my_table_map *map, struct reader *reader, bool *ret_named,
              struct error *reterr)
{
    *ret_named = false;
    while (reader->at < reader->end && !reader->bad) {
        const uint8_t kind = read_u8(reader);
        const struct span content = read_bytes(reader, my_table_packed(reader));
        if (kind == OPTIONAL_COLUMN_NAMES && !reader->bad) {
            *ret_named = read_names(map, reader_of(content));
            reader->bad |= !*ret_named;
        }
    }
    return !reader->bad || not_understood(reterr);
}

static bool
take_given(struct my_table *table, struct error *reterr)
{
    if (table->given_count != table->map.column_count) {
        return error_set(reterr, ERROR_CONFIG,
                         "table outbox has %u columns in the log, and %u by information_schema: "
                         "with binlog_row_metadata = FULL the log tells their names",
                         table->map.column_count, table->given_count);
    }
    memcpy(table->map.columns, table->given, table->given_count);
    return true;
}

static bool
has_type(enum my_table_column column, struct my_column_type type)
{
    return type.type == columns[column].type &&
           (type.type != MY_TYPE_DATETIME2 || type.metadata <= DIGITS_MAX);
}

static bool
check_columns(struct my_table_map *map, struct error *reterr)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < map->column_count; i++) {
        const enum my_table_column column = map->columns[i];
        if (column != MY_COLUMN_OTHER && !has_type(column, map->types[i])) {
            return error_set(reterr, ERROR_CONFIG,
                             "column \"%s\" of table outbox has another type than `outbox-relay "
                             "init` gives it: make it %s again",
                             columns[column].name, columns[column].type_name);
        }
        map->digits[column] = (uint8_t)map->types[i].metadata;
        found |= 1U << column;
    }
    for (enum my_table_column column = MY_COLUMN_ID; column < MY_COLUMNS; column++) {
        if ((found & 1U << column) == 0) {
            return error_set(reterr, ERROR_CONFIG,
                             "table outbox has no column \"%s\": add it, of type %s",
                             columns[column].name, columns[column].type_name);
        }
    }
    return true;
}

static bool
read_columns(struct my_table *table, struct span description, struct error *reterr)
{
    struct my_table_map *map = &table->map;
    struct reader reader = reader_of(description);
    const uint64_t column_count = my_table_packed(&reader);
    if (reader.bad || column_count > MY_TABLE_COLUMNS_MAX) {
        return not_understood(reterr);
    }
    map->column_count = (uint32_t)column_count;
    bool named;
    return read_types(map, &reader, reterr) && read_optional(map, &reader, &named, reterr) &&
           (named || take_given(table, reterr)) && check_columns(map, reterr);
}

/* ---- which table it is ---- */

static struct span
read_name(struct reader *reader)
{
    const struct span name = read_bytes(reader, read_u8(reader));
    (void)read_u8(reader); /* the zero byte */
    return name;
}

static bool
is_called(struct span name, const char *expected)
{
    return name.size == strlen(expected) && memcmp(name.data, expected, name.size) == 0;
}

static bool
is_as_before(const struct my_table_map *map, struct span description)
{
    return map->described_size > 0 && map->described_size == description.size &&
           memcmp(map->described, description.data, description.size) == 0;
}

static void
remember(struct my_table_map *map, struct span description)
{
    map->described_size = description.size <= sizeof(map->described) ? description.size : 0;
    memcpy(map->described, description.data, map->described_size);
}

bool
my_table_describe(struct my_table *table, struct span body, struct error *reterr)
{
    struct my_table_map *map = &table->map;
    struct reader reader = reader_of(body);
    const uint64_t id = read_little(&reader, 6);
    (void)read_little(&reader, 2); /* flags */
    const struct span schema = read_name(&reader);
    const struct span name = read_name(&reader);
    if (reader.bad) {
        return not_understood(reterr);
    }
    if (!is_called(name, table->name) || !is_called(schema, table->schema)) {
        map->known &= map->id != id;
        return true;
    }
    const struct span description = {reader.at, (size_t)(reader.end - reader.at)};
    if (!is_as_before(map, description)) {
        my_table_forget(table);
        if (!read_columns(table, description, reterr)) {
            return false;
        }
        remember(map, description);
    }
    map->id = id;
    map->known = true;
    return true;
}
