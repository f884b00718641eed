/* The part of standby_fixture.h for MariaDB and MySQL. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/standby_fixture_private.h"

/* MySQL has other statements for nearly everything. */
struct words {
    const char *plugins[2]; /* of a server, and of its replica */
    const char *hold;
    const char *answer;
    const char *go;
    const char *stop;
    const char *stop_reading;
    const char *status;
    const char *place[2][2]; /* read and executed: file and offset */
};

static const struct words mariadb = {
    .plugins = {"do 0", "do 0"}, /* they are built in */
    .hold = "set global rpl_semi_sync_master_timeout = 3600000, "
            "rpl_semi_sync_master_wait_point = 'AFTER_SYNC', rpl_semi_sync_master_enabled = on",
    .answer = "set global rpl_semi_sync_slave_enabled = on",
    .go = "set global rpl_semi_sync_master_enabled = off",
    .stop = "stop slave",
    .stop_reading = "stop slave io_thread",
    .status = "show slave status",
    .place = {{"Master_Log_File", "Read_Master_Log_Pos"},
              {"Relay_Master_Log_File", "Exec_Master_Log_Pos"}},
};

static const struct words mysql = {
    .plugins = {"install plugin rpl_semi_sync_source soname 'semisync_source.so'",
                "install plugin rpl_semi_sync_replica soname 'semisync_replica.so'"},
    .hold = "set global rpl_semi_sync_source_timeout = 3600000, "
            "rpl_semi_sync_source_wait_point = 'AFTER_SYNC', rpl_semi_sync_source_enabled = on",
    .answer = "set global rpl_semi_sync_replica_enabled = on",
    .go = "set global rpl_semi_sync_source_enabled = off",
    .stop = "stop replica",
    .stop_reading = "stop replica io_thread",
    .status = "show replica status",
    .place = {{"Source_Log_File", "Read_Source_Log_Pos"},
              {"Relay_Source_Log_File", "Exec_Source_Log_Pos"}},
};

static const struct words *
words_of(MYSQL *conn)
{
    return mysql_fixture_is_mariadb(conn) ? &mariadb : &mysql;
}

static unsigned
second_port(void)
{
    char path[256];
    unsigned port = 0;
    (void)snprintf(path, sizeof(path), "%s/second/mariadb.ports", servers_directory()); /* fits */
    FILE *file = fopen(path, "r");
    check(file != NULL && fscanf(file, "mysql=%u", &port) == 1, "no port in %s", path);
    (void)fclose(file);
    return port;
}

static void
name_both(void)
{
    char dsn[512];
    (void)snprintf(dsn, sizeof(dsn), "host=127.0.0.1,127.0.0.1 port=%s,%u user=%s password=%s",
                   test_env("OUTBOX_TEST_MYSQL_PORT"), second_port(),
                   test_env("OUTBOX_TEST_MYSQL_USER"),
                   test_env("OUTBOX_TEST_MYSQL_PASSWORD")); /* fits */
    check(setenv("OUTBOX_TEST_MYSQL_DSN", dsn, 1) == 0, "out of memory");
}

/* Everything that the first server writes, from the beginning on. */
static void
follow(bool with_place)
{
    (void)with_place; /* see knows_place */
    char sql[600];
    servers_do_second("start mariadb");
    MYSQL *first = mysql_fixture_connect_nowhere();
    MYSQL *second = mysql_fixture_connect_at(second_port());
    const struct words *words = words_of(first);
    (void)mysql_set_server_option(second, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    mysql_fixture_exec(second, "set sql_log_bin = 0; set global server_id = 2; "
                               "set global read_only = 1");
    mysql_fixture_exec(second, words->plugins[1]);
    mysql_fixture_exec(second, words->answer);
    mysql_fixture_exec(first, words->plugins[0]);
    mysql_fixture_exec(first, words->hold);
    (void)snprintf(sql, sizeof(sql),
                   words == &mariadb
                       ? "change master to master_host = '127.0.0.1', master_port = %s, "
                         "master_user = '%s', master_password = '%s', master_log_file = "
                         "'log.000001', master_log_pos = 4; start slave"
                       : "change replication source to source_host = '127.0.0.1', source_port = "
                         "%s, source_user = '%s', source_password = '%s', source_log_file = "
                         "'log.000001', source_log_pos = 4, get_source_public_key = 1; start "
                         "replica",
                   test_env("OUTBOX_TEST_MYSQL_PORT"), test_env("OUTBOX_TEST_MYSQL_USER"),
                   test_env("OUTBOX_TEST_MYSQL_PASSWORD")); /* fits */
    mysql_fixture_exec(second, sql);
    mysql_close(second);
    mysql_close(first);
    name_both();
}

/* A column of the only row. */
static void
read_column(MYSQL *conn, const char *sql, const char *name, char *text, size_t size)
{
    check(mysql_query(conn, sql) == 0, "%s", mysql_error(conn));
    MYSQL_RES *rows = mysql_store_result(conn);
    MYSQL_ROW row = mysql_fetch_row(rows);
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);
    text[0] = '\0';
    for (unsigned i = 0; row != NULL && i < mysql_num_fields(rows); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            (void)snprintf(text, size, "%s", row[i] == NULL ? "" : row[i]); /* fits */
        }
    }
    mysql_free_result(rows);
}

static bool
has_done_all(void *context)
{
    MYSQL *second = context;
    const struct words *words = words_of(second);
    char read[64];
    char done[64];
    bool same = true;
    for (size_t i = 0; i < 2; i++) {
        read_column(second, words->status, words->place[0][i], read, sizeof(read));
        read_column(second, words->status, words->place[1][i], done, sizeof(done));
        same = same && read[0] != '\0' && strcmp(read, done) == 0;
    }
    return same;
}

static void
promote(void)
{
    servers_do("kill mariadb");
    MYSQL *second = mysql_fixture_connect_at(second_port());
    mysql_fixture_exec(second, words_of(second)->stop_reading);
    await(has_done_all, second, "the replica has done all that it has read", PATIENCE_S);
    mysql_fixture_exec(second, words_of(second)->stop);
    mysql_fixture_exec(second, "set global read_only = 0");
    mysql_close(second);
    mysql_fixture_move(second_port());
}

static void
restore(void)
{
    const char *directory = servers_directory();
    const char *port = test_env("OUTBOX_TEST_MYSQL_PORT");
    servers_do_second("start mariadb");
    servers_shell("MYSQL_PWD='%s' $(command -v mariadb-dump || command -v mysqldump) "
                  "--no-defaults --host=127.0.0.1 --port=%s --user=%s --single-transaction "
                  "--routines --databases %s | $(command -v mariadb || command -v mysql) "
                  "--no-defaults --socket=%s/second/mariadb/socket --user=root",
                  test_env("OUTBOX_TEST_MYSQL_PASSWORD"), port, test_env("OUTBOX_TEST_MYSQL_USER"),
                  mysql_fixture_database(), directory);
    servers_do("stop --keep mariadb");
    servers_do_second("stop --keep mariadb");
    servers_shell("echo mysql=%s >%s/second/mariadb.ports; "
                  "sed -i 's/^port = .*/port = %s/' %s/second/mariadb/server.cnf",
                  port, directory, port, directory);
    servers_do_second("start mariadb");
}

static void
run(bool hold)
{
    MYSQL *conn = mysql_fixture_connect_nowhere();
    const struct words *words = words_of(conn);
    if (hold) {
        mysql_fixture_exec(conn, words->plugins[0]);
    }
    mysql_fixture_exec(conn, hold ? words->hold : words->go);
    mysql_close(conn);
}

/* There is no replica, so commits wait for one in vain. */
static void
hold_commits(void)
{
    run(true);
}

static void
let_commits_go(void)
{
    run(false);
}

/* The session on another server is a new one, so there is nothing more to notice. */
/* A log has no place of its own there. */
static bool
knows_place(void)
{
    return false;
}

const struct standby_ways standby_ways_mysql = {
    .follow = follow,
    .promote = promote,
    .knows_place = knows_place,
    .restore = restore,
    .hold_commits = hold_commits,
    .let_commits_go = let_commits_go,
};
