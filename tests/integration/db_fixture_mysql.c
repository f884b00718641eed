/* MariaDB and MySQL behind db_fixture.h. */
#include <mysql.h>
#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "relay/mysql/names.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

static void exec_format(MYSQL *conn, const char *format, ...) PRINTF_LIKE(2, 3);
static void
exec_format(MYSQL *conn, const char *format, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof(sql), format, args); /* fits: the names are short */
    va_end(args);
    mysql_fixture_exec(conn, sql);
}

/* Double quotes for names, || for texts, and \ as any other character, as in PostgreSQL; an error where a value does not fit; the id that is given, 0 too;
 * times in UTC; and as many rounds of recursion as a test asks for, which each server calls by a name of its own. */
static const char set_up_sql[] =
    "set sql_mode = 'ANSI,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES', "
    "time_zone = '+00:00', group_concat_max_len = 1000000, "
    "/*M! max_recursive_iterations */ /*!80017 cte_max_recursion_depth */ = 10000000";

/* A node of a cluster may refuse it. */
static bool
try_set_up(MYSQL *conn)
{
    (void)mysql_set_server_option(conn, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    return mysql_fixture_try(conn, set_up_sql) == 0;
}

static void
set_up(MYSQL *conn)
{
    if (!try_set_up(conn)) {
        (void)fprintf(stderr, "%s: %s\n", set_up_sql, mysql_error(conn));
        abort();
    }
}

static void *
create(void)
{
    MYSQL *conn = mysql_fixture_create();
    mysql_fixture_load(conn, "tests/integration/dialect_mysql.sql");
    set_up(conn);
    return conn;
}

static void
drop(void *conn)
{
    mysql_fixture_roll_back_prepared(conn);
    exec_format(conn, "drop database if exists %s_second", mysql_fixture_database());
    mysql_fixture_throw_out(conn);
    mysql_fixture_drop(conn);
}

static int
port(void)
{
    return (int)strtol(getenv("OUTBOX_TEST_MYSQL_PORT"), NULL, 10); /* set with its dsn */
}

static void *
create_second(void)
{
    const char *first = mysql_fixture_database();
    MYSQL *conn = mysql_fixture_connect();
    exec_format(conn, "create database %s_second character set utf8mb4", first);
    exec_format(conn, "use %s_second", first);
    mysql_fixture_load(conn, "tests/integration/dialect_mysql.sql");
    set_up(conn);
    return conn;
}

static const char *
second_dsn(void)
{
    static char text[600];
    (void)snprintf(text, sizeof(text), "%s_second", mysql_fixture_dsn()); /* fits */
    return text;
}

static void *
connect_to_it(bool must)
{
    MYSQL *conn = must ? mysql_fixture_connect() : mysql_fixture_try_connect();
    if (must) {
        set_up(conn);
    } else if (conn != NULL && !try_set_up(conn)) {
        mysql_close(conn);
        conn = NULL;
    }
    return conn;
}

static void
close_it(void *conn)
{
    mysql_close(conn);
}

/* A session as an administrator has it, in the same database: what is made there keeps its sql_mode. */
static MYSQL *
connect_plainly(MYSQL *conn)
{
    MYSQL *plain = mysql_fixture_connect();
    (void)mysql_select_db(plain, mysql_fixture_text(conn, "select database()"));
    return plain;
}

static void
load_tables(MYSQL *conn, bool alone)
{
    MYSQL *plain = connect_plainly(conn);
    outbox_mysql_fixture_load(plain);
    if (!alone) {
        outbox_mysql_fixture_load_relay(plain);
    }
    mysql_close(plain);
}

static void
load_outbox(void *conn)
{
    load_tables(conn, false);
}

static void
load_outbox_alone(void *conn)
{
    load_tables(conn, true);
}

static void
load_log(void *conn)
{
    (void)conn; /* the log has all tables */
}

static void
load(void *conn, const char *name)
{
    char path[200];
    MYSQL *plain = connect_plainly(conn);
    (void)snprintf(path, sizeof(path), "tests/integration/%s_mysql.sql", name); /* fits */
    mysql_fixture_load(plain, path);
    mysql_close(plain);
}

/* Nobody keeps the server from it. */
static const char *
log_position(void *conn)
{
    (void)conn;
    return "";
}

static bool
may_forget(void *conn, const char *position)
{
    (void)conn;
    (void)position;
    return true;
}

/* The file that is being written. MySQL 8.4 and later have another statement for it. */
static void
name_of_log(MYSQL *conn, char *name, size_t size)
{
    const bool has_new_words = mysql_fixture_try(conn, "show master status") != 0;
    (void)snprintf(name, size, "%s",
                   mysql_fixture_text(conn, has_new_words ? "show binary log status"
                                                          : "show master status")); /* fits */
}

/* The server keeps the file until all of its transactions are in the engine's files. */
static void
forget_log(void *conn)
{
    char name[100];
    char sql[200];
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    name_of_log(conn, name, sizeof(name));
    (void)snprintf(sql, sizeof(sql), "show binlog events in '%s' limit 1", name); /* fits */
    mysql_fixture_exec(conn, "flush binary logs");
    do {
        if (clock_monotonic_us() > deadline_us) {
            (void)fprintf(stderr, "the server keeps %s of its log\n", name);
            abort();
        }
        (void)usleep(1000); /* shorter is fine */
        mysql_fixture_exec(conn, "purge binary logs before now() + interval 1 day");
    } while (mysql_fixture_try(conn, sql) == 0);
}

static void
drop_checks(MYSQL *conn)
{
    static const char find[] =
        "select coalesce(max(constraint_name), '') from information_schema.table_constraints "
        "where table_schema = database() and table_name = 'outbox' and constraint_type = 'CHECK'";
    for (;;) {
        const char *name = mysql_fixture_text(conn, find);
        if (name[0] == '\0') {
            return;
        }
        exec_format(conn, "alter table outbox drop constraint \"%s\"", name);
    }
}

static void
widen(MYSQL *conn, const char *table)
{
    exec_format(conn,
                "alter table %s modify exchange longtext, modify routing_key longtext not null "
                "default (''), "
                "modify \"key\" longtext, modify type longtext, modify content_type longtext",
                table);
}

static void
lift_limits(void *conn)
{
    drop_checks(conn);
    mysql_fixture_exec(conn, "drop trigger if exists outbox_payload");
    widen(conn, "outbox");
    widen(conn, "outbox_held");
    mysql_fixture_exec(conn, "alter table outbox_held modify last_error longtext");
}

static void
lift_headers(void *conn)
{
    mysql_fixture_exec(conn, "alter table outbox drop constraint outbox_headers_object");
}

static bool
cancel(void *conn, const char *message_id)
{
    exec_format(conn, "call outbox_cancel('%s', @cancelled)", message_id);
    return mysql_fixture_int(conn, "select @cancelled") == 1;
}

static bool
try(void *conn, const char *sql)
{
    return mysql_fixture_try(conn, sql) == 0;
}

static const char *
last_error(void *conn)
{
    return mysql_error(conn);
}

static void
exec(void *conn, const char *sql)
{
    mysql_fixture_exec(conn, sql);
}

static const char *
text(void *conn, const char *sql)
{
    return mysql_fixture_text(conn, sql);
}

static void
forbid(void *conn, const char *what, const char *table, const char *rows)
{
    exec_format(conn,
                "create trigger forbid_%s_%s before %s on %s for each row if %s then "
                "signal sqlstate '45000' set message_text = 'forbidden'; end if",
                what, table, what, table, rows);
}

/* A scan without a row counts nowhere, so it is the statements that are. */
static void
count_looks(void *conn)
{
    mysql_fixture_exec(conn, "set global log_output = 'TABLE', global general_log = on");
}

static int64_t
looks(void *conn)
{
    return mysql_fixture_int(
        conn, "select count(*) from mysql.general_log where thread_id <> connection_id() "
              "and argument regexp '(from|join)[[:space:]]+`?outbox`?([^_[:alnum:]]|$)'");
}

/* A file that the client reads. */
static void
load_rows(void *conn, const char *table_and_columns, const char *lines)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/rows-%ld", getenv("OUTBOX_TEST_DIR"), (long)getpid());
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(lines, file) < 0 || fclose(file) != 0) {
        perror(path);
        abort();
    }
    const char *columns = strchr(table_and_columns, '(');
    mysql_fixture_exec(conn, "set global local_infile = on");
    exec_format(conn, "load data local infile '%s' into table %.*s fields terminated by ',' %s",
                path, (int)(columns - table_and_columns), table_and_columns, columns);
    (void)unlink(path); /* else it goes with the directory */
}

static void
drop_index(void *conn, const char *table, const char *index)
{
    exec_format(conn, "drop index %s on %s", index, table);
}

static void
rewrite(void *conn, const char *table)
{
    exec_format(conn, "alter table %s force", table);
}

static void
change_type(void *conn, const char *table, const char *column, const char *type)
{
    exec_format(conn, "alter table %s modify %s %s", table, column, type);
}

static void
make_anew(void *conn)
{
    mysql_fixture_exec(conn, "create table outbox_fresh like outbox; "
                             "rename table outbox to outbox_old, outbox_fresh to outbox; "
                             "drop table outbox_old");
}

static void
wait_for_name(MYSQL *conn, MYSQL *waiting)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select count(*) from " MYSQL_SESSIONS " where id = %lu and "
                   "state like 'Waiting for table metadata lock%%'",
                   mysql_thread_id(waiting)); /* fits */
    for (unsigned i = 0; mysql_fixture_int(conn, sql) == 0; i++) {
        if (i > 30000) {
            abort();
        }
        (void)usleep(1000);
    }
}

/* As gh-ost does it: another session waits to rename both while they are locked, and comes before all who wait to write. What comes
 * next has ids behind those of the copy. */
static void
copy_outbox(void *conn)
{
    const int64_t next =
        mysql_fixture_int(conn, "select auto_increment + 1000 from information_schema.tables "
                                "where table_schema = database() and table_name = 'outbox'");
    MYSQL *renamer = mysql_fixture_connect();
    exec_format(conn,
                "create table outbox_fresh like outbox; alter table outbox_fresh add column "
                "noted int, auto_increment = %lld; lock tables outbox write, outbox_fresh write; "
                "insert into outbox_fresh select *, null from outbox",
                (long long)next);
    mysql_fixture_send(renamer, "rename table outbox to outbox_old, outbox_fresh to outbox");
    wait_for_name(conn, renamer);
    mysql_fixture_exec(conn, "unlock tables");
    mysql_fixture_await_end(renamer);
    mysql_close(renamer);
    mysql_fixture_exec(conn, "alter table outbox drop column noted; drop table outbox_old");
}

static void
take_large(void *conn)
{
    mysql_fixture_exec(conn, "set global max_allowed_packet = 1073741824");
}

static void
write_fast(void *conn)
{
    (void)conn; /* nothing is compressed, and all of it goes to the log */
}

/* What is written meanwhile is one transaction. */
static void
lock_outbox(void *conn)
{
    mysql_fixture_exec(conn, "set autocommit = 0; lock tables outbox write");
}

static void
empty_outbox(void *conn)
{
    mysql_fixture_exec(conn, "truncate outbox");
}

static void
unlock_outbox(void *conn)
{
    mysql_fixture_exec(conn, "commit; unlock tables; set autocommit = 1");
}

/* The highest id is there. */
static void
use_up_ids(void *conn)
{
    (void)conn;
}

/* MySQL gives the highest one again as soon as its row is gone. */
static const char *
words_without_ids(void *conn)
{
    return mysql_fixture_is_mariadb(conn) ? "Out of range value for column" : NULL;
}

static void
create_user(void *conn, const char *name, const char *password)
{
    exec_format(conn, "create user '%s'@'%%' identified by '%s'", name, password);
}

static void
set_password(void *conn, const char *name, const char *password)
{
    exec_format(conn, "alter user '%s'@'%%' identified by '%s'", name, password);
}

static void
grant_relay(void *conn, const char *name)
{
    exec_format(conn,
                "grant select, insert, update, delete on outbox to '%s'@'%%'; "
                "grant select on outbox_schema to '%s'@'%%'; "
                "grant select, insert, update, delete on outbox_held to '%s'@'%%'; "
                "grant select, update on outbox_held_act to '%s'@'%%'; "
                "grant select, insert, delete on outbox_relay to '%s'@'%%'; "
                "grant select, insert, delete on outbox_sent_batch to '%s'@'%%'; "
                "grant select on outbox_relay_schema to '%s'@'%%'",
                name, name, name, name, name, name, name);
}

static void
grant_all(void *conn, const char *name)
{
    exec_format(conn, "grant all on *.* to '%s'@'%%'", name);
}

static void
grant_rights(void *conn, const char *name, const char *rights, const char *table)
{
    exec_format(conn, "grant %s on %s to '%s'@'%%'", rights, table, name);
}

static void
revoke_rights(void *conn, const char *name, const char *rights, const char *table)
{
    exec_format(conn, "revoke %s on %s from '%s'@'%%'", rights, table, name);
}

static void
shut_out(void *conn, const char *name, bool out)
{
    exec_format(conn, "alter user '%s'@'%%' account %s", name, out ? "lock" : "unlock");
}

static void
end_sessions_of(void *conn, const char *name)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select coalesce(max(id), 0) from " MYSQL_SESSIONS " "
                   "where user = '%s'",
                   name); /* fits */
    for (int64_t id = mysql_fixture_int(conn, sql); id != 0; id = mysql_fixture_int(conn, sql)) {
        mysql_fixture_kill(conn, (unsigned long)id);
    }
}

static void
drop_user(void *conn, const char *name)
{
    exec_format(conn, "drop user '%s'@'%%'", name);
}

static void
allow(void *conn, const char *rights, const char *table)
{
    mysql_fixture_grant(conn, rights, table);
}

static void
allow_cancel(void *conn)
{
    mysql_fixture_grant(conn, "usage", "*");
    exec_format(conn, "grant execute on procedure outbox_cancel to '%s'@'%%'",
                mysql_fixture_database());
}

static void
allow_role(void *conn, const char *role)
{
    const char *const name = mysql_fixture_database();
    mysql_fixture_grant(conn, "usage", "*"); /* no right: makes the account */
    exec_format(conn, "grant %s to '%s'@'%%'; set default role %s %s '%s'@'%%'", role, name, role,
                mysql_fixture_is_mariadb(conn) ? "for" : "to", name);
}

static void *
connect_allowed(void)
{
    MYSQL *conn = mysql_fixture_connect_as_user();
    set_up(conn);
    return conn;
}

static void
prepare_begin(void *conn, const char *name)
{
    exec_format(conn, "xa start '%s'", name);
}

static void
prepare_end(void *conn, const char *name)
{
    exec_format(conn, "xa end '%s'; xa prepare '%s'", name, name);
}

/* The session that has prepared it may be about to end: until then the name is not known to others. */
static void
end_prepared(void *conn, const char *name, bool commit)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "xa %s '%s'", commit ? "commit" : "rollback", name); /* fits */
    for (unsigned i = 0; mysql_fixture_try(conn, sql) != 0; i++) {
        if (mysql_errno(conn) != ER_XAER_NOTA || i > 30000) {
            (void)fprintf(stderr, "%s: %s\n", sql, mysql_error(conn));
            abort();
        }
        (void)usleep(1000);
    }
}

static void
send(void *conn, const char *sql)
{
    mysql_fixture_send(conn, sql);
}

static void
await_end(void *conn)
{
    mysql_fixture_await_end(conn);
}

static int64_t
session(void *conn)
{
    return (int64_t)mysql_thread_id(conn);
}

static void
wait_blocked(void *conn, int64_t id)
{
    mysql_fixture_wait_blocked(conn, (unsigned long)id);
}

static void
wait_any_blocked(void *conn)
{
    mysql_fixture_wait_any_blocked(conn);
}

static void
change_zone(void *conn)
{
    mysql_fixture_exec(conn, "set time_zone = '+12:00'");
}

static void
limit_waits(void *conn)
{
    mysql_fixture_exec(conn, "set innodb_lock_wait_timeout = 1"); /* s, the shortest */
}

static void
begin_at(void *conn, const char *level)
{
    mysql_fixture_plain_isolation(conn);
    exec_format(conn, "set transaction isolation level %s; begin", level);
}

/* InnoDB rolls back the transaction that has changed fewer rows. */
static void
begin_winner(void *conn)
{
    mysql_fixture_exec(conn, "create table weight (i int); begin; insert into weight "
                             "with recursive series(i) as (select 1 union all "
                             "select i + 1 from series where i < 1000) select i from series");
}

static void
end_session(void *conn, int64_t id)
{
    mysql_fixture_kill(conn, (unsigned long)id);
}

static int64_t
owner(void *conn)
{
    return mysql_fixture_int(
        conn, "select coalesce(is_used_lock(concat('outbox_relay_', database())), 0)");
}

static void
be_relay(void *conn)
{
    char mark[MY_MARK_BYTES];
    my_mark_name(mysql_fixture_database(), mark);
    exec_format(conn, "do get_lock(concat('%s', connection_id()), 0)", mark);
    mysql_fixture_exec(conn, "do get_lock(concat('outbox_relay_', database()), 0)");
}

/* Only a connection that is being made can say it. */
static void
be_shop(void *conn)
{
    (void)conn;
}

const struct db_kind db_mysql = {
    .name = "mysql",
    .server = "mariadb",
    .create = create,
    .drop = drop,
    .dsn = mysql_fixture_dsn,
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
    .lift_not_null =
        "alter table outbox modify message_id varbinary(37) default (unhex(replace(uuid(), "
        "'-', ''))), modify created_at datetime(6) default (utc_timestamp(6)), modify payload "
        "longblob, modify routing_key varchar(256) default ''",
    .cancel = cancel,
    .try = try,
    .error = last_error,
    .exec = exec,
    .text = text,
    .forbid = forbid,
    .analyze = "analyze table outbox, outbox_held",
    .count_looks = count_looks,
    .looks = looks,
    .load_rows = load_rows,
    .drop_index = drop_index,
    .rewrite = rewrite,
    .change_type = change_type,
    .make_anew = make_anew,
    .copy_outbox = copy_outbox,
    .event_copied = "event=not_tailing", /* the ownership is of the database */
    .take_large = take_large,
    .write_fast = write_fast,
    .lock_outbox = lock_outbox,
    .empty_outbox = empty_outbox,
    .unlock_outbox = unlock_outbox,
    .own_ids = "",
    .use_up_ids = use_up_ids,
    .words_no_outbox = "there is no table outbox in the database",
    .words_denied = "may not see all of them",
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
    .database = mysql_fixture_database,
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
    .relay_columns = ", session",
    .relay_values = ", coalesce(is_used_lock(concat('outbox_relay_', database())), 0)",
    .before_prepared = "'",
    .after_prepared = "','',1",
    .account = "database account outbox@127.0.0.1",
    .role = "outbox",
    .application = "",
    .since = "",
    .never = "TIME (in ",
};
