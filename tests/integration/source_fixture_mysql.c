/* MariaDB and MySQL behind source_fixture.h. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mysql/kind.h"
#include "relay/mysql/position.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_fixture_private.h"

static log_position
log_end(struct db *db)
{
    struct my_log log;
    uint64_t position = 0;
    MYSQL *conn = db_conn(db);
    const bool has_new_words =
        !mysql_fixture_is_mariadb(conn) && mysql_get_server_version(conn) >= 80200;
    cr_assert_eq(mysql_query(conn, has_new_words ? "show binary log status" : "show master status"),
                 0);
    MYSQL_RES *rows = mysql_store_result(conn);
    MYSQL_ROW row = mysql_fetch_row(rows);
    cr_assert_not_null(row, "the server has no log");
    cr_assert(my_position_of((struct span){row[0], strlen(row[0])}, strtoull(row[1], NULL, 10),
                             &log, &position));
    mysql_free_result(rows);
    return position;
}

static void
next_id(struct db *db, int64_t id)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "alter table outbox auto_increment = %" PRId64, id); /* fits */
    db_exec(db, sql);
}

/* Turns the list of writers on or off; MariaDB and MySQL ignore each other's comment. */
#define SET_LIST(soname, enabled)                                                       \
    "/*M! " soname " soname 'metadata_lock_info' */ "                                   \
    "/*!80000 update performance_schema.setup_instruments set enabled = '" enabled "' " \
    "where name = 'wait/lock/metadata/sql/mdl' */"

static const struct source_fixture_lack lacks[] = {
    {.harm = "set global binlog_format = 'MIXED'",
     .mend = "set global binlog_format = 'ROW'",
     .what = "binlog_format is MIXED, so the log may have statements instead of rows",
     .remedy = "set global binlog_format = 'ROW'"},
    {.harm = "set global binlog_row_image = 'MINIMAL'",
     .mend = "set global binlog_row_image = 'FULL'",
     .what = "binlog_row_image is MINIMAL, so rows in the log are not whole",
     .remedy = "set global binlog_row_image = 'FULL'"},
    /* Without the list nothing tells where to begin. */
    {.harm = SET_LIST("uninstall", "NO"),
     .mend = SET_LIST("install", "YES"),
     .what = "the server does not say who writes the outbox",
     .remedy = "metadata"},
    {.line = "skip-log-bin",
     .what = "the server keeps no binary log",
     .remedy = "start it with log_bin"},
    {.line = "binlog-do-db = nowhere",
     .what = "out of its log",
     .remedy = "mend its binlog_do_db or binlog_ignore_db"},
    {.what = NULL},
};

const struct source_fixture_kind source_fixture_mysql = {
    .kind = &database_mysql,
    .log_end = log_end,
    .next_id = next_id,
    .reader = "select coalesce(max(id), 0) from " MYSQL_SESSIONS " where db = database() "
              "and command like 'Binlog Dump%'",
    .next_file = "flush binary logs",
    .waits_in_server = "select count(*) from " MYSQL_SESSIONS " where state like 'User "
                       "lock%' and db = database()",
    .lacks = lacks,
    .words_log_gone = "the server does not send its log from where it was to be read (1236",
    .relay_version = 1,
    .first_time = "timestamp '1000-01-01 00:00:00'",
    .first_time_us = INT64_C(-30610224000000000),
    .last_time_us = INT64_C(253402300799999999),
    .far_time = "timestamp '9999-12-31 00:00:00'",
    .words_session_ended = "the connection to the database broke",
    .words_shut_out = "locked",
    .words_bad_password = "1045",
    .words_no_database = "nowhere",
    .words_nobody_listens = "127.0.0.1",
    .words_no_table = "run `outbox-relay init`",
    .words_no_privileges = "a privilege: grant insert, delete on outbox; grant select, insert, "
                           "update, delete on outbox_held; grant select, update on "
                           "outbox_held_act; grant insert, delete, select on outbox_relay",
    .words_referenced = "1451",
    .words_no_keep = "lacks a privilege: grant insert on outbox_sent_batch",
};
