/* PostgreSQL behind db_fixture.h. */
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/pg_fixture.h"

PGconn *
db_pg(struct db *db)
{
    return db_conn(db);
}

struct db *
db_of_pg(PGconn *conn)
{
    pg_fixture_load(conn, "tests/integration/dialect_postgres.sql");
    return db_wrap(conn);
}

static void exec_format(PGconn *conn, const char *format, ...) PRINTF_LIKE(2, 3);
static void
exec_format(PGconn *conn, const char *format, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof(sql), format, args); /* fits: the names are short */
    va_end(args);
    pg_exec(conn, sql);
}

static void *
create(void)
{
    PGconn *conn = pg_fixture_create();
    pg_fixture_load(conn, "tests/integration/dialect_postgres.sql");
    return conn;
}

/* A database with a slot cannot be dropped. */
static void
drop(void *conn)
{
    pg_fixture_drop_slots(conn);
    pg_fixture_drop(conn);
}

static int
port(void)
{
    return (int)strtol(getenv("OUTBOX_TEST_PG_PORT"), NULL, 10); /* set with its dsn */
}

/* A schema; what the dialect adds is in the first one. */
static void *
create_second(void)
{
    PGconn *conn = pg_fixture_connect();
    pg_exec(conn, "create schema second; set search_path = second, public");
    return conn;
}

static const char *
second_dsn(void)
{
    static char dsn[1200];
    (void)snprintf(dsn, sizeof(dsn), "%s options='-c search_path=second'",
                   pg_fixture_dsn()); /* fits */
    return dsn;
}

static void *
connect_to_it(bool must)
{
    if (must) {
        return pg_fixture_connect();
    }
    PGconn *conn = PQconnectdb(pg_fixture_dsn());
    if (PQstatus(conn) != CONNECTION_OK) {
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

static void
close_it(void *conn)
{
    PQfinish(conn);
}

static void
load_outbox(void *conn)
{
    pg_fixture_load_outbox(conn);
}

static void
load_outbox_alone(void *conn)
{
    pg_fixture_load(conn, "outbox-sql/postgres/schema.sql");
}

static void
load_log(void *conn)
{
    pg_fixture_load(conn, "outbox-sql/postgres/publication.sql");
}

static void
load(void *conn, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "tests/integration/%s_postgres.sql", name); /* fits */
    pg_fixture_load(conn, path);
}

static const char *
log_position(void *conn)
{
    return pg_query_text(conn, "select pg_current_wal_lsn()");
}

static bool
may_forget(void *conn, const char *position)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select count(*) from pg_replication_slots where database = current_database() "
                   "and (confirmed_flush_lsn >= '%s') is not true",
                   position); /* fits */
    return pg_query_int(conn, sql) == 0;
}

/* At a checkpoint each slot loses its log if that is more than it may keep, which is at least a file. */
static void
forget_log(void *conn)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    pg_exec(conn, "alter system set max_slot_wal_keep_size = '1MB'");
    pg_exec(conn, "select pg_reload_conf()");
    do {
        if (clock_monotonic_us() > deadline_us) {
            (void)fprintf(stderr, "the server keeps the log of a slot\n");
            abort();
        }
        pg_exec(conn, "select pg_logical_emit_message(false, 'test', 'x')");
        pg_exec(conn, "select pg_switch_wal()");
        pg_exec(conn, "checkpoint");
    } while (pg_query_int(conn, "select count(*) from pg_replication_slots where wal_status is "
                                "distinct from 'lost'") > 0);
    pg_exec(conn, "alter system reset max_slot_wal_keep_size");
    pg_exec(conn, "select pg_reload_conf()");
}

static void
lift_limits(void *conn)
{
    pg_exec(conn, "do $$ declare name text; begin for name in select conname from pg_constraint "
                  "where conrelid = 'outbox'::regclass and contype = 'c' loop "
                  "execute format('alter table outbox drop constraint %I', name); end loop; end "
                  "$$; alter table outbox disable trigger outbox_headers");
}

static void
lift_headers(void *conn)
{
    (void)conn; /* any JSON is taken */
}

static bool
cancel(void *conn, const char *message_id)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select outbox_cancel('%s')", message_id); /* fits */
    return pg_query_text(conn, sql)[0] == 't';
}

static bool
try(void *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static const char *
last_error(void *conn)
{
    return PQerrorMessage(conn);
}

static void
exec(void *conn, const char *sql)
{
    pg_exec(conn, sql);
}

static const char *
text(void *conn, const char *sql)
{
    return pg_query_text(conn, sql);
}

static void
forbid(void *conn, const char *what, const char *table, const char *rows)
{
    exec_format(conn,
                "create function forbid_%s_%s() returns trigger language plpgsql as $$ begin "
                "if %s then raise exception 'forbidden'; end if; "
                "if tg_op = 'DELETE' then return old; end if; return new; end $$; "
                "create trigger forbid_%s before %s on %s for each row execute function "
                "forbid_%s_%s()",
                what, table, rows, what, what, table, what, table);
}

/* It always counts. */
static void
count_looks(void *conn)
{
    (void)conn;
}

static int64_t
looks(void *conn)
{
    return pg_query_int(conn, "select seq_scan + idx_scan from pg_stat_user_tables "
                              "where relname = 'outbox'");
}

static void
drop_index(void *conn, const char *table, const char *index)
{
    (void)table;
    exec_format(conn, "drop index %s", index);
}

static void
rewrite(void *conn, const char *table)
{
    exec_format(conn, "vacuum full %s", table);
}

static void
change_type(void *conn, const char *table, const char *column, const char *type)
{
    exec_format(conn, "alter table %s alter %s type %s using %s::%s", table, column, type, column,
                type);
}

static void
replace_outbox(PGconn *conn, const char *fill)
{
    exec_format(conn,
                "begin; lock table outbox in access exclusive mode; "
                "alter table outbox rename to outbox_old; "
                "create table outbox (like outbox_old including all); %s; "
                "drop table outbox_old cascade; "
                "alter publication outbox_relay_public add table outbox; commit",
                fill);
}

static void
make_anew(void *conn)
{
    replace_outbox(conn, "");
}

static void
copy_outbox(void *conn)
{
    replace_outbox(conn, "insert into outbox overriding system value select * from outbox_old; "
                         "select setval(pg_get_serial_sequence('outbox', 'id'), "
                         "nextval(pg_get_serial_sequence('outbox_old', 'id')))");
}

static void
take_large(void *conn)
{
    (void)conn; /* they always may */
}

static void
write_fast(void *conn)
{
    pg_exec(conn, "set default_toast_compression = lz4; "
                  "alter table outbox alter payload set storage external");
}

static void
lock_outbox(void *conn)
{
    pg_exec(conn, "begin; lock table outbox in access exclusive mode");
}

static void
empty_outbox(void *conn)
{
    pg_exec(conn, "delete from outbox; select setval('outbox_id_seq', 1, false)");
}

static void
unlock_outbox(void *conn)
{
    pg_exec(conn, "commit");
}

static void
use_up_ids(void *conn)
{
    pg_exec(conn, "select setval('outbox_id_seq', 9223372036854775807)");
}

static const char *
words_without_ids(void *conn)
{
    (void)conn; /* all say the same */
    return "reached maximum value of sequence";
}

static void
create_user(void *conn, const char *name, const char *password)
{
    exec_format(conn, "create role %s login password '%s'", name, password);
}

static void
set_password(void *conn, const char *name, const char *password)
{
    exec_format(conn, "alter role %s password '%s'", name, password);
}

static void
grant_relay(void *conn, const char *name)
{
    exec_format(conn,
                "grant select, insert, update, delete on outbox to %s; "
                "grant select on sequence outbox_id_seq to %s; "
                "grant select, insert, update, delete on outbox_held to %s; "
                "grant select, update on outbox_held_act to %s; "
                "grant select, insert, update on outbox_relay to %s; "
                "grant select, insert, delete on outbox_sent_batch to %s",
                name, name, name, name, name, name);
}

static void
grant_all(void *conn, const char *name)
{
    exec_format(conn, "alter role %s superuser", name);
}

static void
grant_rights(void *conn, const char *name, const char *rights, const char *table)
{
    exec_format(conn, "grant %s on %s to %s", rights, table, name);
}

static void
revoke_rights(void *conn, const char *name, const char *rights, const char *table)
{
    exec_format(conn, "revoke %s on %s from %s", rights, table, name);
}

static void
shut_out(void *conn, const char *name, bool out)
{
    exec_format(conn, "alter role %s %s", name, out ? "nologin" : "login");
}

static void
end_sessions_of(void *conn, const char *name)
{
    exec_format(conn, "select pg_terminate_backend(pid) from pg_stat_activity where usename = '%s'",
                name);
}

static void
drop_user(void *conn, const char *name)
{
    exec_format(conn, "drop owned by %s; drop role %s", name, name);
}

static void
allow(void *conn, const char *rights, const char *table)
{
    pg_fixture_grant(conn, rights, table);
}

static void
allow_cancel(void *conn)
{
    pg_fixture_grant(conn, "execute", "function outbox_cancel");
}

static void
allow_role(void *conn, const char *role)
{
    pg_fixture_grant(conn, "select",
                     "pg_catalog.pg_class"); /* what all may do: makes the account */
    exec_format(conn, "grant %s to %s; alter role %s login password '" DB_ALLOWED_PASSWORD "'",
                role, pg_fixture_database(), pg_fixture_database());
}

static void *
connect_allowed(void)
{
    return pg_fixture_connect_as_user();
}

static const char *
database(void)
{
    return pg_fixture_database();
}

static void
prepare_begin(void *conn, const char *name)
{
    (void)name; /* it has one when it is prepared */
    pg_exec(conn, "begin");
}

static void
prepare_end(void *conn, const char *name)
{
    exec_format(conn, "prepare transaction '%s'", name);
}

static void
end_prepared(void *conn, const char *name, bool commit)
{
    exec_format(conn, "%s prepared '%s'", commit ? "commit" : "rollback", name);
}

static _Noreturn void
die(const PGconn *conn)
{
    (void)fprintf(stderr, "%s", PQerrorMessage(conn));
    abort();
}

static void
send(void *conn, const char *sql)
{
    if (PQsendQuery(conn, sql) != 1) {
        die(conn);
    }
}

static void
await_end(void *conn)
{
    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) {
        const ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            die(conn);
        }
        PQclear(result);
    }
}

static void
load_rows(void *conn, const char *table_and_columns, const char *lines)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "copy %s from stdin (format csv)", table_and_columns);
    PGresult *result = PQexec(conn, sql);
    const bool begun = PQresultStatus(result) == PGRES_COPY_IN;
    PQclear(result);
    if (!begun || PQputCopyData(conn, lines, (int)strlen(lines)) != 1 ||
        PQputCopyEnd(conn, NULL) != 1) {
        die(conn);
    }
    await_end(conn);
}

static int64_t
session(void *conn)
{
    return PQbackendPID(conn);
}

static void
wait_blocked(void *conn, int64_t pid)
{
    pg_wait_blocked(conn, (int)pid);
}

static void
wait_any_blocked(void *conn)
{
    pg_wait_any_blocked(conn);
}

static void
change_zone(void *conn)
{
    pg_exec(conn, "set time zone '+12'");
}

static void
limit_waits(void *conn)
{
    pg_exec(conn, "set lock_timeout = '20ms'");
}

static void
begin_at(void *conn, const char *level)
{
    exec_format(conn, "begin isolation level %s", level);
}

/* Who waits longer than deadlock_timeout looks for a deadlock, and gives way: the others do so long before. */
static void
begin_winner(void *conn)
{
    exec_format(conn, "alter database %s set deadlock_timeout = '4s'", PQdb(conn));
    pg_exec(conn, "set deadlock_timeout = '1min'; begin");
}

static void
end_session(void *conn, int64_t pid)
{
    exec_format(conn, "select pg_terminate_backend(%d, 30000)", (int)pid);
}

static int64_t
owner(void *conn)
{
    return pg_query_int(conn,
                        "select coalesce(max(pid), 0) from pg_locks where locktype = 'advisory' "
                        "and classid = 1869968482 and objid = to_regclass('outbox')::oid "
                        "and granted and database = (select oid from pg_database where datname = "
                        "current_database())");
}

static void
be_relay(void *conn)
{
    pg_exec(conn, "set application_name = 'outbox-relay orders'; "
                  "select pg_try_advisory_lock(1869968482, 'outbox'::regclass::oid::int4)");
}

static void
be_shop(void *conn)
{
    pg_exec(conn, "set application_name = 'shop'");
}

const struct db_kind db_postgres = {
    .name = "postgres",
    .server = "postgres",
    .create = create,
    .drop = drop,
    .dsn = pg_fixture_dsn,
    .port = port,
    .create_second = create_second,
    .second_dsn = second_dsn,
    .connect = connect_to_it,
    .close = close_it,
    .load_outbox = load_outbox,
    .load_outbox_alone = load_outbox_alone,
    .load_log = load_log,
    .load = load,
    .log_position = log_position,
    .may_forget = may_forget,
    .forget_log = forget_log,
    .lift_limits = lift_limits,
    .lift_headers = lift_headers,
    .lift_not_null = "alter table outbox disable trigger user; alter table outbox alter payload "
                     "drop not null, alter message_id drop not null, "
                     "alter created_at drop not null, alter routing_key drop not null",
    .cancel = cancel,
    .try = try,
    .error = last_error,
    .exec = exec,
    .text = text,
    .forbid = forbid,
    .analyze = "analyze outbox, outbox_held",
    .count_looks = count_looks,
    .looks = looks,
    .load_rows = load_rows,
    .drop_index = drop_index,
    .rewrite = rewrite,
    .change_type = change_type,
    .make_anew = make_anew,
    .copy_outbox = copy_outbox,
    .tells_tables_apart = true,
    .event_copied = "event=source_lost",
    .take_large = take_large,
    .write_fast = write_fast,
    .lock_outbox = lock_outbox,
    .empty_outbox = empty_outbox,
    .unlock_outbox = unlock_outbox,
    .own_ids = "overriding system value",
    .use_up_ids = use_up_ids,
    .words_no_outbox = "there are no outbox tables",
    .words_denied = "permission denied for table",
    .words_without_ids = words_without_ids,
    .create_user = create_user,
    .set_password = set_password,
    .grant_relay = grant_relay,
    .grant = grant_rights,
    .revoke = revoke_rights,
    .grant_all = grant_all,
    .shut_out = shut_out,
    .end_sessions_of = end_sessions_of,
    .drop_user = drop_user,
    .allow = allow,
    .allow_cancel = allow_cancel,
    .allow_role = allow_role,
    .connect_allowed = connect_allowed,
    .prepare_begin = prepare_begin,
    .prepare_end = prepare_end,
    .end_prepared = end_prepared,
    .database = database,
    .send = send,
    .await_end = await_end,
    .session = session,
    .wait_blocked = wait_blocked,
    .wait_any_blocked = wait_any_blocked,
    .change_zone = change_zone,
    .limit_waits = limit_waits,
    .begin_at = begin_at,
    .begin_winner = begin_winner,
    .end_session = end_session,
    .owner = owner,
    .be_relay = be_relay,
    .be_shop = be_shop,
    .relay_columns = "",
    .relay_values = "",
    .before_prepared = "",
    .after_prepared = "",
    .account = "database role postgres",
    .role = "postgres",
    .application = "shop",
    .since = " since TIME (AGE)",
    .never = "a time that never comes.",
};
