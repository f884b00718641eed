#include "tests/integration/mysql_fixture.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static char database[64];
static atomic_uint moved_to; /* a port; 0: none */

static _Noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

static const char *
variable(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || value[0] == '\0') {
        die("%s is not set: this test needs a MariaDB server; see tests/services", name);
    }
    return value;
}

/* Without TLS the password is encrypted with the server's key (caching_sha2_password). MariaDB's library asks for that
 * key by itself. */
static void
take_key(MYSQL *conn)
{
#ifdef OUTBOX_LIBMYSQLCLIENT
    const bool yes = true;
    (void)mysql_options(conn, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
#else
    (void)conn;
#endif
}

static bool
set_options(MYSQL *conn)
{
    const unsigned files = 1;
    take_key(conn);
    return mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
           mysql_options(conn, MYSQL_OPT_LOCAL_INFILE, &files) == 0;
}

static unsigned
port(void)
{
    const unsigned moved = atomic_load(&moved_to);
    return moved != 0 ? moved : (unsigned)strtoul(variable("OUTBOX_TEST_MYSQL_PORT"), NULL, 10);
}

/* False if the server refuses the connection; then `conn` must still be closed. */
static bool
try_connect_at(MYSQL *conn, unsigned at, const char *user, const char *password, const char *to,
               unsigned long flags)
{
    return conn != NULL && set_options(conn) &&
           mysql_real_connect(conn, variable("OUTBOX_TEST_MYSQL_HOST"), user, password, to, at,
                              NULL, flags) != NULL;
}

static bool
try_connect(MYSQL *conn, const char *user, const char *password, const char *to,
            unsigned long flags)
{
    return try_connect_at(conn, port(), user, password, to, flags);
}

static MYSQL *
connect_as(const char *user, const char *password, const char *to, unsigned long flags)
{
    MYSQL *conn = mysql_init(NULL);
    if (!try_connect(conn, user, password, to, flags)) {
        die("cannot connect to MariaDB: %s", conn == NULL ? "no memory" : mysql_error(conn));
    }
    return conn;
}

static MYSQL *
connect_to(const char *to, unsigned long flags)
{
    return connect_as(variable("OUTBOX_TEST_MYSQL_USER"), variable("OUTBOX_TEST_MYSQL_PASSWORD"),
                      to, flags);
}

static void __attribute__((format(printf, 2, 3))) exec_format(MYSQL *conn, const char *format, ...)
{
    char sql[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    mysql_fixture_exec(conn, sql);
}

MYSQL *
mysql_fixture_create(void)
{
    (void)snprintf(database, sizeof(database), "outbox_test_%ld", (long)getpid());
    MYSQL *admin = connect_to(NULL, 0);
    exec_format(admin, "drop database if exists %s", database);
    exec_format(admin, "create database %s character set utf8mb4", database);
    mysql_close(admin);
    return mysql_fixture_connect();
}

void
mysql_fixture_drop(MYSQL *conn)
{
    if (conn != NULL) {
        mysql_close(conn);
    }
    MYSQL *admin = connect_to(NULL, 0);
    exec_format(admin, "drop database %s", database);
    exec_format(admin, "drop user if exists '%s'@'%%'", database);
    mysql_close(admin);
}

/* A row has: format, length of the name, length of its second part, which is empty, and the name. */
void
mysql_fixture_roll_back_prepared(MYSQL *conn)
{
    char sql[300];
    if (mysql_query(conn, "xa recover") != 0) {
        die("xa recover: %s", mysql_error(conn));
    }
    MYSQL_RES *rows = mysql_store_result(conn);
    for (MYSQL_ROW row = mysql_fetch_row(rows); row != NULL; row = mysql_fetch_row(rows)) {
        if (strncmp(row[3], database, strlen(database)) == 0) {
            (void)snprintf(sql, sizeof(sql), "xa rollback '%s'", row[3]); /* fits */
            /* The session that prepared it may do so at the same time. */
            (void)mysql_fixture_try(conn, sql);
        }
    }
    mysql_free_result(rows);
}

MYSQL *
mysql_fixture_connect_at(unsigned at)
{
    MYSQL *conn = mysql_init(NULL);
    if (!try_connect_at(conn, at, variable("OUTBOX_TEST_MYSQL_USER"),
                        variable("OUTBOX_TEST_MYSQL_PASSWORD"), NULL, 0)) {
        die("cannot connect to MariaDB: %s", conn == NULL ? "no memory" : mysql_error(conn));
    }
    return conn;
}

void
mysql_fixture_move(unsigned to)
{
    atomic_store(&moved_to, to);
}

/* The other sessions in the database. */
void
mysql_fixture_throw_out(MYSQL *conn)
{
    int64_t id = 0;
    do {
        id = mysql_fixture_int(conn, "select coalesce(max(id), 0) from " MYSQL_SESSIONS " "
                                     "where db = database() and id <> connection_id()");
        if (id != 0) {
            mysql_fixture_kill(conn, (unsigned long)id);
        }
    } while (id != 0);
}

const char *
mysql_fixture_database(void)
{
    return database;
}

const char *
mysql_fixture_dsn(void)
{
    static char dsn[512];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s", variable("OUTBOX_TEST_MYSQL_DSN"),
                   database); /* fits */
    return dsn;
}

MYSQL *
mysql_fixture_connect(void)
{
    return connect_to(database, 0);
}

MYSQL *
mysql_fixture_try_connect(void)
{
    MYSQL *conn = mysql_init(NULL);
    if (try_connect(conn, variable("OUTBOX_TEST_MYSQL_USER"),
                    variable("OUTBOX_TEST_MYSQL_PASSWORD"), database, 0)) {
        return conn;
    }
    mysql_close(conn);
    return NULL;
}

MYSQL *
mysql_fixture_connect_with(unsigned long flags)
{
    return connect_to(database, flags);
}

MYSQL *
mysql_fixture_connect_nowhere(void)
{
    return connect_to(NULL, 0);
}

void
mysql_fixture_grant(MYSQL *conn, const char *rights, const char *table)
{
    exec_format(
        conn, "create user if not exists '%s'@'%%' identified by '" MYSQL_FIXTURE_USER_PASSWORD "'",
        database);
    exec_format(conn, "grant %s on %s.%s to '%s'@'%%'", rights, database, table, database);
}

MYSQL *
mysql_fixture_connect_as_user(void)
{
    return connect_as(database, MYSQL_FIXTURE_USER_PASSWORD, database, 0);
}

static char *
read_file(const char *path)
{
    char full[4096];
    char text[65536];
    (void)snprintf(full, sizeof(full), "%s/%s", SOURCE_ROOT, path);
    FILE *file = fopen(full, "r");
    const size_t length = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
    if (length == 0 || length == sizeof(text) - 1) {
        die("cannot read %s", full);
    }
    (void)fclose(file);
    text[length] = '\0';
    return strdup(text);
}

/* Reads the server's answers to one statement or several. Returns the first error, or 0. */
static unsigned int
read_answers(MYSQL *conn)
{
    int more = 0;
    do {
        MYSQL_RES *rows = mysql_store_result(conn);
        if (rows == NULL && mysql_errno(conn) != 0) {
            break;
        }
        mysql_free_result(rows);
        more = mysql_more_results(conn) ? mysql_next_result(conn) : -1;
    } while (more == 0);
    return mysql_errno(conn);
}

void
mysql_fixture_load(MYSQL *conn, const char *path)
{
    char *text = read_file(path);
    (void)mysql_set_server_option(conn, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    if (mysql_query(conn, text) != 0 || read_answers(conn) != 0) {
        die("%s: %s", path, mysql_error(conn));
    }
    (void)mysql_set_server_option(conn, MYSQL_OPTION_MULTI_STATEMENTS_OFF);
    free(text);
}

unsigned int
mysql_fixture_try(MYSQL *conn, const char *sql)
{
    return mysql_query(conn, sql) != 0 ? mysql_errno(conn) : read_answers(conn);
}

void
mysql_fixture_exec(MYSQL *conn, const char *sql)
{
    if (mysql_fixture_try(conn, sql) != 0) {
        die("%s: %s", sql, mysql_error(conn));
    }
}

void
mysql_fixture_send(MYSQL *conn, const char *sql)
{
    if (mysql_send_query(conn, sql, strlen(sql)) != 0) {
        die("%s: %s", sql, mysql_error(conn));
    }
}

void
mysql_fixture_await_end(MYSQL *conn)
{
    if (mysql_read_query_result(conn) != 0 || read_answers(conn) != 0) {
        die("%s", mysql_error(conn));
    }
}

const char *
mysql_fixture_text(MYSQL *conn, const char *sql)
{
    static _Thread_local char text[65536];
    if (mysql_query(conn, sql) != 0) {
        die("%s: %s", sql, mysql_error(conn));
    }
    MYSQL_RES *rows = mysql_store_result(conn);
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row == NULL) {
        die("%s: no row (%s)", sql, mysql_error(conn));
    }
    (void)snprintf(text, sizeof(text), "%s", row[0] == NULL ? "" : row[0]);
    mysql_free_result(rows);
    return text;
}

int64_t
mysql_fixture_int(MYSQL *conn, const char *sql)
{
    return strtoll(mysql_fixture_text(conn, sql), NULL, 10);
}

/* MySQL 8.4 and later have another statement for it. */
void
mysql_fixture_reset_log(MYSQL *conn)
{
    if (mysql_fixture_try(conn, "reset master") != 0) {
        mysql_fixture_exec(conn, "reset binary logs and gtids");
    }
}

bool
mysql_fixture_is_mariadb(MYSQL *conn)
{
    return strstr(mysql_fixture_text(conn, "select version()"), "MariaDB") != NULL;
}

void
mysql_fixture_plain_isolation(MYSQL *conn)
{
    if (mysql_fixture_is_mariadb(conn)) {
        mysql_fixture_exec(conn, "set innodb_snapshot_isolation = off");
    }
}

/* From InnoDB's report, "---TRANSACTION 5, …\n…\nLOCK WAIT …\nMariaDB thread id 43, …": whether that thread waits. */
static bool
report_says_waiting(const char *report, unsigned long thread_id)
{
    char words[64];
    (void)snprintf(words, sizeof(words), " thread id %lu,", thread_id);
    const char *thread = strstr(report, words);
    const char *transaction = NULL;
    for (const char *at = strstr(report, "---TRANSACTION"); at != NULL && at < thread;
         at = strstr(at + 1, "---TRANSACTION")) {
        transaction = at;
    }
    const char *wait = transaction == NULL ? NULL : strstr(transaction, "\nLOCK WAIT");
    return wait != NULL && wait < thread;
}

bool
mysql_fixture_is_blocked(MYSQL *conn, unsigned long thread_id)
{
    if (mysql_query(conn, "show engine innodb status") != 0) {
        die("show engine innodb status: %s", mysql_error(conn));
    }
    MYSQL_RES *rows = mysql_store_result(conn);
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    const bool blocked = row != NULL && report_says_waiting(row[2], thread_id);
    mysql_free_result(rows);
    return blocked;
}

/* Not by innodb_trx: it is a cache that is refreshed only when nobody has read it for 0.1 s, and tests run side by
 * side. */
void
mysql_fixture_wait_blocked(MYSQL *conn, unsigned long thread_id)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (!mysql_fixture_is_blocked(conn, thread_id)) {
        if (clock_monotonic_us() > deadline_us) {
            die("connection %lu does not wait for a lock", thread_id);
        }
        (void)usleep(5000);
    }
}

static bool
is_any_blocked(MYSQL *conn)
{
    int64_t id = 0;
    char sql[200];
    do {
        (void)snprintf(sql, sizeof(sql),
                       "select coalesce(min(id), 0) from " MYSQL_SESSIONS " "
                       "where db = database() and id > %lld",
                       (long long)id); /* fits */
        id = mysql_fixture_int(conn, sql);
    } while (id != 0 && !mysql_fixture_is_blocked(conn, (unsigned long)id));
    return id != 0;
}

void
mysql_fixture_wait_any_blocked(MYSQL *conn)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (!is_any_blocked(conn)) {
        if (clock_monotonic_us() > deadline_us) {
            die("nobody waits for a lock");
        }
        (void)usleep(5000);
    }
}

void
mysql_fixture_kill(MYSQL *conn, unsigned long thread_id)
{
    char sql[128];
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    (void)snprintf(sql, sizeof(sql), "kill %lu", thread_id);
    (void)mysql_fixture_try(conn, sql); /* it may have ended by itself */
    (void)snprintf(sql, sizeof(sql), "select count(*) from " MYSQL_SESSIONS " where id = %lu",
                   thread_id);
    while (mysql_fixture_int(conn, sql) != 0) {
        if (clock_monotonic_us() > deadline_us) {
            die("session %lu does not end", thread_id);
        }
        (void)usleep(1000);
    }
}
