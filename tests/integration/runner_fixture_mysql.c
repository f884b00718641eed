/* The part of runner_fixture.h for MariaDB and MySQL. */
#include <criterion/criterion.h>
#include <inbox/inbox_runner_mysql.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mysql/client.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/runner_fixture_private.h"

/* `commits`: how many commits the session had made before, which distinguishes transactions. */
static const char *const tables[] = {
    ("create table applied (no bigint auto_increment primary key, message_id varchar(255) not "
     "null, \"key\" varchar(255), body longtext, commits bigint)"),
    "create table parent (id varchar(100) primary key)",
    "create table child (id varchar(100), foreign key (id) references parent (id))",
    "create table locks (id int primary key, taken int not null)",
    "insert into locks values (1, 0), (2, 0)",
    "set session group_concat_max_len = 1000000",
};

static MYSQL *
conn_of(struct db *db)
{
    return db_conn(db);
}

/* A role to change to. Roles belong to the whole server, so its name contains the database's. */
static char set_role[100];

static void
make_role(struct db *db)
{
    char sql[400];
    const char *name = mysql_fixture_database();
    (void)snprintf(sql, sizeof(sql),
                   "drop role if exists %s_role; create role %s_role; grant %s_role to "
                   "'outbox'@'127.0.0.1'; grant all on *.* to %s_role",
                   name, name, name, name);
    db_exec(db, sql);
    (void)snprintf(set_role, sizeof(set_role), "set role %s_role", name); /* fits */
}

static void
make_tables(struct db *db)
{
    mysql_fixture_load(conn_of(db), "consumers/mysql/schema.sql");
    (void)mysql_set_server_option(conn_of(db), MYSQL_OPTION_MULTI_STATEMENTS_ON);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        db_exec(db, tables[i]);
    }
    make_role(db);
}

static void
clean_up(struct db *db)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "drop role %s_role", mysql_fixture_database());
    db_exec(db, sql);
}

static inbox_apply
apply(void *context, MYSQL *tx, const struct inbox_delivery *delivery)
{
    return runner_fixture_call_apply(context, tx, delivery);
}

static MYSQL *
connect_to_it(void *context)
{
    return runner_fixture_call_connect(context);
}

static void *
make(const struct runner_fixture_options *from)
{
    inbox_runner_mysql *runner = NULL;
    struct inbox_error error;
    struct inbox_runner_mysql_options options = INBOX_RUNNER_MYSQL_OPTIONS_INIT;
    options.broker_uri = from->broker_uri;
    options.broker_password = from->broker_password;
    options.queue = from->queue;
    options.consumer = from->consumer;
    options.dsn = from->dsn;
    options.connect = from->connect != NULL ? connect_to_it : NULL;
    options.apply = apply;
    options.report = from->report;
    options.context = from->context;
    options.hint = from->hint;
    options.batch_max = from->batch_max;
    options.batch_wait_ms = from->batch_wait_ms;
    options.prefetch = from->prefetch;
    options.attempts_max = from->attempts_max;
    options.retry_initial_ms = from->retry_initial_ms;
    options.retry_max_ms = from->retry_max_ms;
    options.heartbeat_s = from->heartbeat_s;
    options.stop_timeout_ms = from->stop_timeout_ms;
    if (inbox_runner_mysql_new(&options, &runner, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    return runner;
}

static inbox_result
run(void *runner)
{
    const inbox_result result = inbox_runner_mysql_run(runner, NULL);
    mysql_thread_end();
    return result;
}

static void
stop(void *runner)
{
    inbox_runner_mysql_stop(runner);
}

static void
free_it(void *runner)
{
    inbox_runner_mysql_free(runner);
}

static void
count(const void *runner, struct inbox_runner_counters *ret_counters)
{
    inbox_runner_mysql_count(runner, ret_counters, sizeof(*ret_counters));
}

/* In hex, which means the same in every sql_mode. NULL is null. */
static char *
put_text(char *at, const char *text)
{
    if (text == NULL) {
        return stpcpy(at, "null");
    }
    at = stpcpy(at, "_utf8mb4 x'");
    at += mysql_hex_string(at, text, (unsigned long)strlen(text));
    return stpcpy(at, "'");
}

static unsigned long
commits_of(MYSQL *conn)
{
    unsigned long commits = 0;
    if (mysql_query(conn, "show session status like 'Com_commit'") == 0) {
        MYSQL_RES *rows = mysql_store_result(conn);
        MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
        commits = row == NULL ? 0 : strtoul(row[1], NULL, 10);
        mysql_free_result(rows);
    }
    return commits;
}

static bool
insert(struct db *tx, const struct inbox_delivery *delivery)
{
    MYSQL *conn = conn_of(tx);
    const char *key = delivery->key == NULL ? "" : delivery->key;
    const size_t size =
        200 + 2 * (strlen(delivery->message_id) + strlen(key) + strlen(delivery->body));
    char *sql = malloc(size);
    char *end = sql + snprintf(sql, size,
                               "insert into applied (commits, message_id, `key`, body) values "
                               "(%lu, ",
                               commits_of(conn)); /* fits */
    end = put_text(end, delivery->message_id);
    end = stpcpy(end, ", ");
    end = put_text(end, delivery->key);
    end = stpcpy(end, ", ");
    end = put_text(end, delivery->body);
    end = stpcpy(end, ")");
    const bool done = mysql_real_query(conn, sql, (unsigned long)(end - sql)) == 0;
    free(sql);
    return done;
}

/* The application's connections take one statement at a time. */
static bool
execute(struct db *tx, const char *sql)
{
    bool done = true;
    char *copy = strdup(sql);
    char *next = copy;
    while (done && next != NULL) {
        char *const statement = next;
        next = strstr(statement, "; ");
        if (next != NULL) {
            *next = '\0';
            next += 2;
        }
        done = db_try(tx, statement);
    }
    free(copy);
    return done;
}

/* A real deadlock: `other` has written more, so `tx` is rolled back. */
static void
deadlock(struct db *tx, struct db *other)
{
    MYSQL *conn = conn_of(other);
    db_exec(other, "start transaction; insert into parent (id) values ('a'), ('b'), ('c'), ('d'), "
                   "('e'), ('f'), ('g'), ('h'); update locks set taken = taken + 1 where id = 2");
    (void)db_try(tx, "update locks set taken = taken + 1 where id = 1");
    mysql_fixture_send(conn, "update locks set taken = taken + 1 where id = 1");
    (void)db_try(tx, "update locks set taken = taken + 1 where id = 2");
    const unsigned number = mysql_errno(conn_of(tx));
    mysql_fixture_await_end(conn);
    db_exec(other, "rollback");
    cr_assert_eq(number, 1213, "%u", number);
}

static void
dawdle(struct db *tx)
{
    struct pollfd end = {.fd = mysql_client_socket(conn_of(tx)), .events = POLLIN};
    (void)db_try(tx, "set session wait_timeout = 1");
    cr_assert_eq(poll(&end, 1, 30000), 1, "the server does not end the session");
}

/* Ids are bytes here, so it takes every id. */
static bool
create_narrow(struct db **ret_db, const char **ret_dsn)
{
    static char dsn[600];
    char sql[200];
    const char *name = mysql_fixture_database();
    (void)snprintf(sql, sizeof(sql), "create database %s_latin1 character set latin1", name);
    db_exec(runner_fixture_db, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", db_dsn(), name);
    *ret_db = db_connect();
    (void)snprintf(sql, sizeof(sql), "use %s_latin1", name);
    db_exec(*ret_db, sql);
    mysql_fixture_load(conn_of(*ret_db), "consumers/mysql/schema.sql");
    db_exec(*ret_db, tables[0]);
    *ret_dsn = dsn;
    return false;
}

static void
drop_narrow(struct db *db)
{
    char sql[200];
    db_close(db);
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1", mysql_fixture_database());
    db_exec(runner_fixture_db, sql);
}

static void
refuse_writes(bool refuse)
{
    db_exec(runner_fixture_db, refuse ? "set global read_only = on" : "set global read_only = off");
}

/* Sessions of runners: those in the database that are not the test's own, which is idle between its queries. */
static const char busy[] =
    "select coalesce(min(id), 0) from " MYSQL_SESSIONS " where db = database() and "
    "command = 'Query' and id <> connection_id()";

static bool
waits(void)
{
    const unsigned long id = (unsigned long)db_int(runner_fixture_db, busy);
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select count(*) from " MYSQL_SESSIONS " where id = %lu and state = "
                   "'User sleep'",
                   id);
    return id != 0 && (db_int(runner_fixture_db, sql) > 0 ||
                       mysql_fixture_is_blocked(conn_of(runner_fixture_db), id));
}

/* Ends each session once; the runners connect again. */
static void
end_sessions(void)
{
    char ids[200];
    (void)snprintf(ids, sizeof(ids), "%s",
                   db_text(runner_fixture_db,
                           "select coalesce(group_concat(id), '') from " MYSQL_SESSIONS
                           " where db = database() and id <> "
                           "connection_id()"));
    for (char *at = ids; *at != '\0'; at += strspn(at, ",")) {
        mysql_fixture_kill(conn_of(runner_fixture_db), strtoul(at, &at, 10));
    }
}

#define SIGNAL(number) "signal sqlstate '45000' set mysql_errno = " #number

const struct runner_fixture_kind runner_fixture_mysql = {
    .sql =
        {
            [SQL_LACKS_A_RIGHT] = SIGNAL(1142),
            [SQL_MEETS_A_LIMIT] = SIGNAL(1114),
            [SQL_WANTS_A_FILE] = "load data infile '/nosuch/file' into table parent",
            [SQL_MEETS_A_LOCK] = SIGNAL(1205),
            [SQL_ENDS_ITS_SESSION] = "kill connection_id()",
            [SQL_SLEEPS] = "select sleep(3600)",
            [SQL_CHANGES_NAMES] = "use information_schema",
            [SQL_CHANGES_RIGHTS] = set_role,
            [SQL_SHADOWS_THE_INBOX] = "create temporary table inbox (a integer)",
            [SQL_ONLY_READS] = "set session transaction read only",
            [SQL_LIMITS_TIME] =
                "set session /*M! max_statement_time */ /*!80000 max_execution_time "
                "*/ = 1",
            [SQL_FORGETS_STATEMENTS] = "do 0", /* nothing is prepared */
            [SQL_LAST_NUMBER] = "last_insert_id()",
            [SQL_APPLIED] = "select coalesce(group_concat(message_id order by no separator ' '), "
                            "'') from applied",
            [SQL_TRANSACTIONS] = "select count(distinct commits) from applied",
            [SQL_SILENCE] = "select concat_ws(' ', @@session.wait_timeout, @@session."
                            "/*M! tx_isolation */ /*!80000 transaction_isolation */)",
            [SQL_SILENCE_ANSWER] = "1800 READ-COMMITTED",
        },
    .own_server = "mariadb",
    .make_tables = make_tables,
    .clean_up = clean_up,
    .make = make,
    .run = run,
    .stop = stop,
    .free = free_it,
    .count = count,
    .insert = insert,
    .execute = execute,
    .after_ignored_failure = INBOX_APPLY_RETRY,
    .deadlock = deadlock,
    .dawdle = dawdle,
    .create_narrow = create_narrow,
    .drop_narrow = drop_narrow,
    .refuse_writes = refuse_writes,
    .waits = waits,
    .end_sessions = end_sessions,
};
