#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "relay/mysql/log_end.h"
#include "relay/mysql/source_private.h"

#include "mysql_tail_columns_sql.h"
#include "mysql_tail_same_server_sql.h"
#include "mysql_tail_session_sql.h"
#include "mysql_tail_variables_sql.h"

static const struct my_parameters none = {.count = 0};

/* ---- is it the same server? ---- */

static bool
check_server(struct my_session *session, const struct my_tail_open *open)
{
    int64_t same = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "token", open->token);
    if (!my_session_int(session, sql_tail_same_server, &parameters, 0, &same)) {
        return false;
    }
    return same != 0 || my_session_fail(session, ERROR_CONNECTION,
                                        "the second connection led to another server than the "
                                        "first");
}

/* ---- how does it write its log? ---- */

enum variable {
    VARIABLE_LOG_BIN,
    VARIABLE_FORMAT,
    VARIABLE_IMAGE,
    VARIABLE_CHECKSUM,
    VARIABLE_CLUSTER,
    VARIABLE_PASSES_ON,
    VARIABLES,
};

static const struct {
    const char *name;
    enum variable variable;
} variables[] = {
    {"log_bin", VARIABLE_LOG_BIN},
    {"binlog_format", VARIABLE_FORMAT},
    {"binlog_row_image", VARIABLE_IMAGE},
    {"binlog_checksum", VARIABLE_CHECKSUM},
    {"wsrep_on", VARIABLE_CLUSTER},
    {"log_slave_updates", VARIABLE_PASSES_ON},
    {"log_replica_updates", VARIABLE_PASSES_ON},
};

static void
take_variable(const char *values[VARIABLES], const MYSQL_ROW row)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcasecmp(row[0], variables[i].name) == 0) {
            values[variables[i].variable] = row[1];
        }
    }
}

static bool
is(const char *value, const char *expected)
{
    return value != NULL && strcasecmp(value, expected) == 0;
}

static bool
judge_variables(struct my_session *session, const char *const values[VARIABLES])
{
    if (!is(values[VARIABLE_LOG_BIN], "ON")) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the server keeps no binary log: start it with log_bin, or use "
                               "mode = \"poll\"");
    }
    /* MySQL is going to have no other one, and no variable then. */
    if (values[VARIABLE_FORMAT] != NULL && !is(values[VARIABLE_FORMAT], "ROW")) {
        return my_session_fail(session, ERROR_CONFIG,
                               "binlog_format is %.20s, so the log may have statements instead of "
                               "rows: set global binlog_format = 'ROW', also in the server's file, "
                               "or use mode = \"poll\"",
                               values[VARIABLE_FORMAT]);
    }
    if (is(values[VARIABLE_IMAGE], "MINIMAL") || is(values[VARIABLE_IMAGE], "NOBLOB")) {
        return my_session_fail(session, ERROR_CONFIG,
                               "binlog_row_image is %.20s, so rows in the log are not whole: set "
                               "global binlog_row_image = 'FULL', also in the server's file",
                               values[VARIABLE_IMAGE]);
    }
    if (is(values[VARIABLE_CLUSTER], "ON") && !is(values[VARIABLE_PASSES_ON], "ON")) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the server is a node of a Galera cluster, and its log lacks what "
                               "other nodes write: start it with log_slave_updates");
    }
    return true;
}

static bool
check_variables(struct my_session *session, struct my_tail_open *open)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    const char *values[VARIABLES] = {NULL};
    if (!my_session_ask(session, sql_tail_variables, &none, &rows)) {
        return false;
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        take_variable(values, row);
    }
    open->checksums = is(values[VARIABLE_CHECKSUM], "CRC32");
    const bool good = judge_variables(session, values);
    mysql_free_result(rows);
    return good;
}

/* ---- the columns ---- */

enum column { COLUMN_SCHEMA, COLUMN_TABLE, COLUMN_NAME, COLUMN_IS_UTF8 };

void
my_tail_columns_done(struct my_tail_columns *columns)
{
    memory_free(columns->names);
    *columns = (struct my_tail_columns){.count = 0};
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
    *ret_columns = (struct my_tail_columns){.names = memory_array(1, bytes_of_names(rows))};
    while (good && (row = mysql_fetch_row(rows)) != NULL) {
        (void)snprintf(ret_columns->schema, sizeof(ret_columns->schema), "%s", row[COLUMN_SCHEMA]);
        (void)snprintf(ret_columns->table, sizeof(ret_columns->table), "%s",
                       row[COLUMN_TABLE]); /* both fit */
        good = take_column(session, row, ret_columns);
    }
    if (good && (ret_columns->count == 0 || ret_columns->count > MY_TABLE_COLUMNS_MAX)) {
        good = my_session_fail(session, ERROR_CONFIG,
                               "table outbox is missing: run `outbox-relay init`");
    }
    return good;
}

static bool
ask_columns(struct my_session *session, struct my_tail_columns *ret_columns)
{
    MYSQL_RES *rows;
    if (!my_session_ask(session, sql_tail_columns, &none, &rows)) {
        return false;
    }
    const bool good = take_columns(session, rows, ret_columns);
    mysql_free_result(rows);
    return good;
}

bool
my_tail_columns_equal(const struct my_tail_columns *a, const struct my_tail_columns *b)
{
    return a->size == b->size && memcmp(a->names, b->names, a->size) == 0;
}

/* They were so before the end of the log was looked at, and behind it: so they are so at it. */
static bool
check_columns(struct my_session *session, const struct my_tail_columns *columns)
{
    struct my_tail_columns again = {.count = 0};
    const bool asked = ask_columns(session, &again);
    const bool same = asked && my_tail_columns_equal(columns, &again);
    my_tail_columns_done(&again);
    if (!asked || same) {
        return asked;
    }
    return my_session_fail(session, ERROR_TRANSIENT, "table outbox is being altered");
}

/* ---- the end of the log ---- */

static bool
check_end(struct my_session *session, const struct my_log_end *end, const char *schema)
{
    if (end->is_refused) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the account may not ask where the log ends: grant %s on *.* to it",
                               session->is_mariadb ? "binlog monitor" : "replication client");
    }
    if (end->position == 0) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the server's log is not one of numbered files: use mode = "
                               "\"poll\"");
    }
    return !end->is_left_out ||
           my_session_fail(session, ERROR_CONFIG,
                           "the server leaves database \"%.64s\" out of its log: mend its "
                           "binlog_do_db or binlog_ignore_db, or use mode = \"poll\"",
                           schema);
}

static bool
ask_end(struct my_session *session, struct my_tail_open *open)
{
    const char *const schema = open->columns.schema;
    return my_log_end_ask(session, schema, &open->end) && check_end(session, &open->end, schema);
}

bool
my_tail_open_run(struct my_session *session, struct my_job *job)
{
    struct my_tail_open *open = (struct my_tail_open *)job;
    return my_session_run(session, sql_tail_session, &none, NULL) && check_server(session, open) &&
           check_variables(session, open) && ask_columns(session, &open->columns) &&
           ask_end(session, open) && check_columns(session, &open->columns);
}
