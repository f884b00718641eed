/* The bench's database in PostgreSQL. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/sql.h"
#include "schema_functions_sql.h"
#include "schema_relay_sql.h"
#include "schema_sent_sql.h"
#include "schema_sql.h"
#include "schema_writing_sql.h"
#include "tests/bench/bench.h"

#define CONDITION_WAIT_US (120 * CLOCK_S_US)
#define LOOK_MS 5

static const char *
make_dsn(void)
{
    static char dsn[500];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=" BENCH_DATABASE, bench_env("OUTBOX_TEST_PG_DSN"));
    return dsn;
}

static PGconn *
connect_to(const char *dsn)
{
    PGconn *conn = PQconnectdb(dsn);
    if (PQstatus(conn) != CONNECTION_OK) {
        bench_fail("%s", PQerrorMessage(conn));
    }
    bench_exec(conn, "set client_min_messages = warning");
    bench_exec(conn, "set statement_timeout = '20min'");
    return conn;
}

PGconn *
bench_connect(void)
{
    return connect_to(make_dsn());
}

void
bench_exec(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        bench_fail("%.60s: %s", sql, PQerrorMessage(conn));
    }
    PQclear(result);
}

int64_t
bench_number(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        bench_fail("%.60s: %s", sql, PQerrorMessage(conn));
    }
    const int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

void
bench_wait_for(PGconn *conn, const char *sql, int64_t wanted)
{
    const uint64_t start_us = clock_monotonic_us();
    while (bench_number(conn, sql) != wanted) {
        if (clock_monotonic_us() - start_us > CONDITION_WAIT_US) {
            bench_fail("waited too long for %lld of: %s", (long long)wanted, sql);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

static void
load(PGconn *conn, const char *script)
{
    char *sql = postgres_sql(script, "public");
    bench_exec(conn, sql);
    memory_free(sql);
}

static void
create(void)
{
    PGconn *conn = connect_to(bench_env("OUTBOX_TEST_PG_DSN"));
    bench_exec(conn, "drop database if exists " BENCH_DATABASE " with (force)");
    bench_exec(conn, "create database " BENCH_DATABASE);
    PQfinish(conn);
    conn = bench_connect();
    load(conn, sql_schema); /* everything that `init` creates, in its order */
    load(conn, sql_schema_writing);
    load(conn, sql_schema_relay);
    load(conn, sql_schema_sent);
    load(conn, sql_schema_functions);
    bench_exec(conn, "create publication " BENCH_PUBLICATION
                     " for table outbox with (publish = 'insert')");
    PQfinish(conn);
}

static void
drop(void)
{
    PGconn *conn = connect_to(bench_env("OUTBOX_TEST_PG_DSN"));
    bench_exec(conn, "drop database if exists " BENCH_DATABASE " with (force)");
    PQfinish(conn);
}

void
bench_empty(PGconn *conn)
{
    bench_exec(conn, "truncate outbox, outbox_held, outbox_held_act restart identity");
}

void
bench_settle_tables(PGconn *conn)
{
    bench_exec(conn, "vacuum analyze outbox");
    bench_exec(conn, "vacuum analyze outbox_held");
    bench_exec(conn, "checkpoint");
}

void
bench_insert(PGconn *conn, int64_t rows)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (routing_key, key, payload) select '" BENCH_QUEUE
                   "', (i %% %d)::text, int8send(i) || decode(repeat('%x', %d), 'hex') "
                   "from generate_series(1::int8, %lld) i",
                   BENCH_KEYS, BENCH_FILLER, BENCH_PAYLOAD_BYTES - 8, (long long)rows);
    bench_exec(conn, sql);
}

void
bench_drop_slots(PGconn *conn)
{
    bench_wait_for(conn,
                   "select count(*) from pg_replication_slots "
                   "where database = current_database() and active",
                   0);
    bench_exec(conn, "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                     "where database = current_database()");
}

/* ---- as any database of the bench ---- */

static PGconn *
own(void)
{
    static PGconn *conn;
    if (conn == NULL) {
        conn = bench_connect();
    }
    return conn;
}

static void
empty(void)
{
    bench_empty(own());
    bench_drop_slots(own());
}

static void
fill(int64_t rows)
{
    bench_empty(own());
    bench_insert(own(), rows);
    bench_settle_tables(own());
}

static bool
is_empty(void)
{
    return bench_number(own(), BENCH_ROWS_LEFT) == 0;
}

static double
server_cpu_us(void)
{
    return bench_family_cpu_us(bench_parent(PQbackendPID(own())));
}

static void
mark_log(void)
{
    bench_exec(own(),
               "select pg_create_logical_replication_slot('" BENCH_LIMIT_SLOT "', 'pgoutput')");
}

/* The server sends an asynchronous commit only when it is on the disk; bench_settle_tables ensures that. */
static void
write_log(int64_t rows, enum bench_transactions transactions)
{
    char sql[500];
    if (transactions == BENCH_ONE_TRANSACTION) {
        bench_insert(own(), rows);
    } else {
        (void)snprintf(sql, sizeof(sql),
                       "do $$ begin for i in 1..%lld loop "
                       "insert into outbox (routing_key, key, payload) values ('" BENCH_QUEUE
                       "', (i %% %d)::text, int8send(i) || decode(repeat('%x', %d), 'hex')); "
                       "commit; end loop; end $$",
                       (long long)rows, BENCH_KEYS, BENCH_FILLER, BENCH_PAYLOAD_BYTES - 8);
        bench_exec(own(), "set synchronous_commit = off");
        bench_exec(own(), sql);
        bench_exec(own(), "reset synchronous_commit");
    }
    bench_settle_tables(own());
}

/* A process of the server sends the log: while it is stopped, the relay reads the log but gets nothing. */
static pid_t
log_holder(pid_t relay)
{
    (void)relay;
    return (pid_t)bench_number(
        own(), "select active_pid from pg_replication_slots where database = current_database()");
}

const struct bench_database bench_postgres = {
    .kind = "postgres",
    .prefix = "",
    .dsn = make_dsn,
    .create = create,
    .drop = drop,
    .empty = empty,
    .fill = fill,
    .is_empty = is_empty,
    .server_cpu_us = server_cpu_us,
    .mark_log = mark_log,
    .write_log = write_log,
    .log_holder = log_holder,
    .read_and_delete = bench_read_and_delete,
    .bare_poll = bench_bare_poll,
    .bare_tail = bench_bare_tail,
};
