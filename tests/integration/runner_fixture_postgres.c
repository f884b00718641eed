/* The part of runner_fixture.h for PostgreSQL. */
#include <criterion/criterion.h>
#include <inbox/inbox_runner.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>

#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/db_fixture_private.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/runner_fixture_private.h"

static void
make_tables(struct db *db)
{
    pg_fixture_load(db_pg(db), "consumers/postgres/schema.sql");
    db_exec(db, "create table applied (no bigserial primary key, message_id text not null, key "
                "text, body text);"
                "create table parent (id text primary key);"
                "create table child (id text references parent deferrable initially deferred)");
}

static void
clean_up(struct db *db)
{
    (void)db;
}

static inbox_apply
apply(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    return runner_fixture_call_apply(context, tx, delivery);
}

static PGconn *
connect_to_it(void *context)
{
    return runner_fixture_call_connect(context);
}

static void *
make(const struct runner_fixture_options *from)
{
    inbox_runner *runner = NULL;
    struct inbox_error error;
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
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
    if (inbox_runner_new(&options, &runner, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    return runner;
}

static inbox_result
run(void *runner)
{
    return inbox_runner_run(runner, NULL);
}

static void
stop(void *runner)
{
    inbox_runner_stop(runner);
}

static void
free_it(void *runner)
{
    inbox_runner_free(runner);
}

static void
count(const void *runner, struct inbox_runner_counters *ret_counters)
{
    inbox_runner_count(runner, ret_counters, sizeof(*ret_counters));
}

static bool
insert(struct db *tx, const struct inbox_delivery *delivery)
{
    const char *const values[] = {delivery->message_id, delivery->key, delivery->body};
    PGresult *result =
        PQexecParams(db_pg(tx), "insert into applied (message_id, key, body) values ($1, $2, $3)",
                     3, NULL, values, NULL, NULL, 0);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

static void
deadlock(struct db *tx, struct db *other)
{
    (void)other;
    (void)db_try(tx, "do $$ begin raise exception 'deadlock' using errcode = '40P01'; end $$");
}

static void
dawdle(struct db *tx)
{
    struct pollfd end = {.fd = PQsocket(db_pg(tx)), .events = POLLIN};
    (void)db_try(tx, "set local idle_in_transaction_session_timeout = 1");
    cr_assert_eq(poll(&end, 1, 30000), 1, "the server does not end the session");
}

static bool
create_narrow(struct db **ret_db, const char **ret_dsn)
{
    static char dsn[600];
    char sql[200];
    const char *name = PQdb(db_pg(runner_fixture_db));
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_latin1 encoding LATIN1 locale 'C' template template0", name);
    db_exec(runner_fixture_db, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", db_dsn(), name);
    *ret_db = db_wrap(PQconnectdb(dsn));
    *ret_dsn = dsn;
    make_tables(*ret_db);
    return true;
}

static void
drop_narrow(struct db *db)
{
    char sql[200];
    db_close(db);
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1 with (force)",
                   PQdb(db_pg(runner_fixture_db)));
    db_exec(runner_fixture_db, sql);
}

static void
refuse_writes(bool refuse)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "alter database %s %s", PQdb(db_pg(runner_fixture_db)),
                   refuse ? "set default_transaction_read_only = on"
                          : "reset default_transaction_read_only");
    db_exec(runner_fixture_db, sql);
}

static bool
waits(void)
{
    return db_int(runner_fixture_db,
                  "select count(*) from pg_stat_activity where datname = current_database() and "
                  "application_name = 'inbox-runner' and wait_event_type in ('Lock', 'Timeout')") >
           0;
}

static void
end_sessions(void)
{
    (void)db_int(runner_fixture_db,
                 "select count(pg_terminate_backend(pid)) from pg_stat_activity where "
                 "datname = current_database() and application_name = 'inbox-runner'");
}

#define RAISE(errcode) \
    "do $$ begin raise exception 'as it is' using errcode = '" errcode "'; end $$"

const struct runner_fixture_kind runner_fixture_postgres = {
    .sql =
        {
            [SQL_LACKS_A_RIGHT] = RAISE("42501"),
            [SQL_MEETS_A_LIMIT] = RAISE("53400"),
            [SQL_WANTS_A_FILE] = "select pg_read_file('nosuch')",
            [SQL_MEETS_A_LOCK] = RAISE("55P03"),
            [SQL_ENDS_ITS_SESSION] = "select pg_terminate_backend(pg_backend_pid())",
            [SQL_SLEEPS] = "select pg_sleep(3600)",
            [SQL_CHANGES_NAMES] = "set search_path = pg_catalog",
            [SQL_CHANGES_RIGHTS] = "set role pg_monitor",
            [SQL_SHADOWS_THE_INBOX] = "create temporary table inbox (a integer)",
            [SQL_ONLY_READS] = "set default_transaction_read_only = on",
            [SQL_LIMITS_TIME] = "set statement_timeout = 1",
            [SQL_FORGETS_STATEMENTS] = "deallocate all",
            [SQL_LAST_NUMBER] = "lastval()",
            [SQL_APPLIED] = "select coalesce(string_agg(message_id, ' ' order by no), '') from "
                            "applied",
            [SQL_TRANSACTIONS] = "select count(distinct xmin::text) from applied",
            [SQL_SILENCE] = "select concat_ws(' ', current_setting('tcp_keepalives_idle'),"
                            " current_setting('tcp_keepalives_interval'),"
                            " current_setting('tcp_keepalives_count'),"
                            " current_setting('tcp_user_timeout'))",
            [SQL_SILENCE_ANSWER] = "30 10 3 60000",
        },
    .make_tables = make_tables,
    .clean_up = clean_up,
    .make = make,
    .run = run,
    .stop = stop,
    .free = free_it,
    .count = count,
    .insert = insert,
    .execute = db_try,
    .after_ignored_failure = INBOX_APPLY_OK,
    .deadlock = deadlock,
    .dawdle = dawdle,
    .create_narrow = create_narrow,
    .drop_narrow = drop_narrow,
    .refuse_writes = refuse_writes,
    .waits = waits,
    .end_sessions = end_sessions,
};
