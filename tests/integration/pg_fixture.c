#include "tests/integration/pg_fixture.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static char database[64];
static bool has_user; /* a role with the database's name */
static char dsn[1024];

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
admin_dsn(void)
{
    const char *value = getenv("OUTBOX_TEST_PG_DSN");
    if (value == NULL || value[0] == '\0') {
        die("OUTBOX_TEST_PG_DSN is not set: this test needs a PostgreSQL server; see "
            "tests/services");
    }
    return value;
}

static PGconn *
connect_to(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        die("cannot connect to PostgreSQL: %s", PQerrorMessage(conn));
    }
    PQclear(PQexec(conn, "set client_min_messages = warning"));
    return conn;
}

static void
admin_exec(const char *before, const char *after)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "%s %s %s", before, database, after);
    PGconn *admin = connect_to(admin_dsn());
    pg_exec(admin, sql);
    PQfinish(admin);
}

PGconn *
pg_fixture_create(void)
{
    (void)snprintf(database, sizeof(database), "outbox_test_%ld", (long)getpid());
    /* If there are two values for dbname, the last one counts. */
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s", admin_dsn(), database);
    admin_exec("drop database if exists", "with (force)");
    admin_exec("create database", "template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'");
    return pg_fixture_connect();
}

/* A failed test may leave prepared transactions. While one exists, its database cannot be dropped, and no test can
 * create a slot on the server. */
static void
roll_back_prepared(void)
{
    char sql[300];
    PGconn *admin = connect_to(admin_dsn());
    (void)snprintf(sql, sizeof(sql), "select gid from pg_prepared_xacts where database = '%s'",
                   database);
    PGresult *result = PQexec(admin, sql);
    for (int i = 0; i < PQntuples(result); i++) {
        PGconn *conn = pg_fixture_connect();
        (void)snprintf(sql, sizeof(sql), "rollback prepared '%s'", PQgetvalue(result, i, 0));
        pg_exec(conn, sql);
        PQfinish(conn);
    }
    PQclear(result);
    PQfinish(admin);
}

void
pg_fixture_drop(PGconn *conn)
{
    PQfinish(conn);
    roll_back_prepared();
    admin_exec("drop database", "with (force)");
    if (has_user) {
        admin_exec("drop role", "");
        has_user = false;
    }
}

const char *
pg_fixture_database(void)
{
    return database;
}

const char *
pg_fixture_dsn(void)
{
    return dsn;
}

PGconn *
pg_fixture_connect(void)
{
    return connect_to(dsn);
}

static void
check(const PGconn *conn, const PGresult *result, const char *sql)
{
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        die("%s: %s", sql, PQerrorMessage(conn));
    }
}

void
pg_exec(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    check(conn, result, sql);
    PQclear(result);
}

/* Its rights in the database are dropped with the database. A role of the same name may be left from an earlier process
 * with this id. */
void
pg_fixture_grant(PGconn *conn, const char *rights, const char *table)
{
    char sql[512];
    if (!has_user) {
        admin_exec("drop role if exists", "");
        admin_exec("create role", "");
        has_user = true;
    }
    (void)snprintf(sql, sizeof(sql), "grant %s on %s to %s", rights, table, database);
    pg_exec(conn, sql);
}

PGconn *
pg_fixture_connect_as_user(void)
{
    char sql[128];
    PGconn *conn = pg_fixture_connect();
    (void)snprintf(sql, sizeof(sql), "set session authorization %s", database);
    pg_exec(conn, sql);
    return conn;
}

/* Returns `text` with every `from` replaced by `to`; free it. */
static char *
replace(char *text, const char *from, const char *to)
{
    char *result = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&result, &size);
    const char *start = text;
    for (const char *at = strstr(start, from); at != NULL; at = strstr(start, from)) {
        (void)fprintf(out, "%.*s%s", (int)(at - start), start, to);
        start = at + strlen(from);
    }
    (void)fputs(start, out);
    (void)fclose(out);
    free(text);
    return result;
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

/* Like `psql -v schema=`, with the schema in which new tables are created. */
static char *
read_sql(PGconn *conn, const char *path)
{
    char literal[80];
    char *text = read_file(path);
    const char *schema =
        pg_query_text(conn, "select pg_catalog.current_schema()"); /* a plain name */
    (void)snprintf(literal, sizeof(literal), "'%s'", schema);
    text = replace(text, ":'schema'", literal);
    return replace(text, ":\"schema\"", schema);
}

void
pg_fixture_load(PGconn *conn, const char *path)
{
    char *text = read_sql(conn, path);
    pg_exec(conn, text);
    free(text);
}

void
pg_fixture_prepare(PGconn *conn, const char *name, const char *path)
{
    char *text = read_sql(conn, path);
    PGresult *result = PQprepare(conn, name, text, 0, NULL);
    check(conn, result, text);
    PQclear(result);
    free(text);
}

void
pg_fixture_load_outbox(PGconn *conn)
{
    pg_fixture_load(conn, "outbox-sql/postgres/schema.sql");
    pg_fixture_load(conn, "outbox-sql/postgres/schema_writing.sql");
    pg_fixture_load(conn, "outbox-sql/postgres/schema_relay.sql");
    pg_fixture_load(conn, "outbox-sql/postgres/schema_sent.sql");
    pg_fixture_load(conn, "outbox-sql/postgres/schema_functions.sql");
}

void
pg_fixture_load_older(PGconn *conn)
{
    pg_fixture_load(conn, "tests/integration/older/schema.sql");
    pg_fixture_load(conn, "tests/integration/older/schema_relay.sql");
    pg_fixture_load(conn, "tests/integration/older/schema_emit.sql");
}

const char *
pg_query_text(PGconn *conn, const char *sql)
{
    static _Thread_local char text[65536];
    PGresult *result = PQexec(conn, sql);
    check(conn, result, sql);
    if (PQntuples(result) == 0 || PQnfields(result) == 0) {
        die("%s: no row", sql);
    }
    (void)snprintf(text, sizeof(text), "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

int64_t
pg_query_int(PGconn *conn, const char *sql)
{
    return strtoll(pg_query_text(conn, sql), NULL, 10);
}

void
pg_fixture_drop_slots(PGconn *conn)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (pg_query_int(conn, "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                              "where datname = current_database() and backend_type = "
                              "'walsender'") > 0) {
        if (clock_monotonic_us() > deadline_us) {
            die("somebody does not stop to read the log");
        }
        (void)usleep(1000);
    }
    pg_exec(conn, "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                  "where database = current_database()");
}

static void
wait_blocked(PGconn *conn, const char *count)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (pg_query_int(conn, count) == 0) {
        if (clock_monotonic_us() > deadline_us) {
            die("nobody waits for a lock: %s", count);
        }
        (void)usleep(1000);
    }
}

void
pg_wait_blocked(PGconn *conn, int pid)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "select cardinality(pg_blocking_pids(%d))", pid);
    wait_blocked(conn, sql);
}

void
pg_wait_any_blocked(PGconn *conn)
{
    wait_blocked(conn, "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                       "and datname = current_database()");
}
