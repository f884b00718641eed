#include "relay/mysql/tail_columns.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#include "mysql_tail_columns_sql.h"

enum column { COLUMN_SCHEMA, COLUMN_TABLE, COLUMN_NAME, COLUMN_IS_UTF8 };

void
my_tail_columns_done(struct my_tail_columns *columns)
{
    memory_free(columns->names);
    *columns = (struct my_tail_columns){.count = 0};
}

bool
my_tail_columns_equal(const struct my_tail_columns *a, const struct my_tail_columns *b)
{
    return a->size == b->size && memcmp(a->names, b->names, a->size) == 0;
}

static size_t
bytes_of_names(MYSQL_RES *rows)
{
    MYSQL_ROW row;
    size_t bytes = 0;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        bytes += strlen(row[COLUMN_NAME]) + 1;
    }
    mysql_data_seek(rows, 0);
    return bytes;
}

static bool
take_column(struct my_session *session, const MYSQL_ROW row, struct my_tail_columns *columns)
{
    const size_t size = strlen(row[COLUMN_NAME]) + 1;
    memcpy(columns->names + columns->size, row[COLUMN_NAME], size);
    columns->size += size;
    columns->count++;
    return my_value_bool(row[COLUMN_IS_UTF8]) ||
           my_session_fail(
               session, ERROR_CONFIG,
               "column \"%.64s\" of table outbox is not in utf8mb4, and the log has its "
               "bytes as they are: give it back the character set of `outbox-relay "
               "init`",
               row[COLUMN_NAME]);
}

static bool
take_columns(struct my_session *session, MYSQL_RES *rows, struct my_tail_columns *ret_columns)
{
    MYSQL_ROW row;
    bool good = true;
    ret_columns->names = memory_array(1, bytes_of_names(rows));
    while (good && (row = mysql_fetch_row(rows)) != NULL) {
        (void)snprintf(ret_columns->schema, sizeof(ret_columns->schema), "%s", row[COLUMN_SCHEMA]);
        (void)snprintf(ret_columns->table, sizeof(ret_columns->table), "%s",
                       row[COLUMN_TABLE]); /* both names fit */
        good = take_column(session, row, ret_columns);
    }
    if (good && (ret_columns->count == 0 || ret_columns->count > MY_TABLE_COLUMNS_MAX)) {
        good = my_session_fail(session, ERROR_CONFIG,
                               "table outbox is missing: run `outbox-relay init`");
    }
    return good;
}

bool
my_tail_columns_ask(struct my_session *session, struct my_tail_columns *ret_columns)
{
    static const struct my_parameters none = {.count = 0};
    MYSQL_RES *rows;
    *ret_columns = (struct my_tail_columns){.count = 0};
    if (!my_session_ask(session, sql_tail_columns, &none, &rows)) {
        return false;
    }
    const bool good = take_columns(session, rows, ret_columns);
    mysql_free_result(rows);
    return good;
}
