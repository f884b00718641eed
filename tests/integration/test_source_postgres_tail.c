/* The log of a PostgreSQL source: its slot, its publication, and up to where the server may remove log. The rest:
 * test_source_tail.c. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_tail_fixture.h"

TestSuite(source_postgres_tail, .init = tail_create, .fini = tail_drop, .timeout = 120);

/* Only those of this database. */
static const char slots[] = "from pg_replication_slots where database = current_database()";

static int64_t
count_slots(const char *condition)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select count(*) %s %s", slots, condition);
    return db_int(admin, sql);
}

/* Lets the source work until its slot is gone. */
static void
await_no_slot(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (count_slots("") > 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)source_fixture_watermark(source);
    }
}

static void
drop_slots(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select pg_drop_replication_slot(slot_name) %s", slots);
    tail_run(sql);
}

Test(source_postgres_tail, a_table_that_is_truncated_goes_on)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_run("truncate outbox");
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(1, 1, 2);
}

Test(source_postgres_tail, columns_may_come_and_go)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_run("alter table outbox add column tenant text default 'x'");
    tail_run("insert into outbox (payload) values ('2')");
    tail_run("alter table outbox drop column tenant");
    tail_run("insert into outbox (payload) values ('3')");
    tail_run("vacuum full outbox");
    tail_run("insert into outbox (payload) values ('4')");
    tail_expect_rows(1, 1, 4);
}

Test(source_postgres_tail, what_is_written_in_another_database_advances_the_position)
{
    (void)source_fixture_tail(source, 0);
    PGconn *elsewhere = PQconnectdb(getenv("OUTBOX_TEST_PG_DSN"));
    pg_exec(elsewhere, "create temporary table other as select generate_series(1, 1000)");
    (void)tail_expect_position(tail_log_end());
    PQfinish(elsewhere);
}

/* Up to where the server may remove the log. */
static uint64_t
confirmed(void)
{
    return (uint64_t)db_int(admin,
                            "select confirmed_flush_lsn - '0/0'::pg_lsn from pg_replication_slots "
                            "where database = current_database()");
}

/* Lets the source work until the server may remove the log before this position. */
static void
await_confirmed(uint64_t position, uint64_t until_us)
{
    while (confirmed() < position) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)source_fixture_watermark(source);
    }
}

Test(source_postgres_tail, what_is_safe_reaches_the_slot_soon)
{
    (void)source_fixture_tail(source, 0);
    const uint64_t before = tail_log_end();
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    const uint64_t safe = tail_expect_position(tail_log_end());
    cr_assert_leq(confirmed(), before, "not before it is safe");
    source->ops->tail_safe(source, safe, clock_monotonic_us());
    await_confirmed(safe, clock_monotonic_us() + AT_ONCE_US);
}

Test(source_postgres_tail, what_was_never_safe_comes_again)
{
    const log_position position = source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_leq(source_fixture_tail(source, 0), position);
    tail_expect_rows(1, 1, 1);
}

Test(source_postgres_tail, a_position_that_the_slot_has_left_behind_is_not_promised)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    const uint64_t position = tail_expect_position(tail_log_end());
    source->ops->tail_safe(source, position, clock_monotonic_us());
    source->ops->tail_end(source, clock_monotonic_us()); /* reports the position once more */
    cr_assert_geq(source_fixture_tail(source, 0), position);
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

/* ---- what goes wrong ---- */

Test(source_postgres_tail, what_is_wrong_with_the_publication_is_told)
{
    tail_run("drop publication outbox_relay_public");
    tail_expect_refused("\"outbox_relay_public\" does not exist",
                        "create publication outbox_relay_public for table public.outbox");
    tail_run("create publication outbox_relay_public");
    tail_expect_refused("does not contain the outbox",
                        "alter publication outbox_relay_public add table public.outbox");
    tail_run("alter publication outbox_relay_public add table public.outbox");
    tail_run("alter publication outbox_relay_public set (publish = 'update')");
    tail_expect_refused("does not publish inserts",
                        "alter publication outbox_relay_public set (publish = 'insert')");
    tail_run("alter publication outbox_relay_public set (publish = 'insert')");
    tail_run("alter publication outbox_relay_public set table outbox where (id > 5)");
    tail_expect_refused("leaves out rows",
                        "alter publication outbox_relay_public set table public.outbox");
    tail_run("alter publication outbox_relay_public set table outbox (id, payload)");
    tail_expect_refused("leaves out columns",
                        "alter publication outbox_relay_public set table public.outbox");
    tail_run("drop publication outbox_relay_public");
    tail_run("create publication outbox_relay_public for all tables");
    (void)source_fixture_tail(source, 0);
}

Test(source_postgres_tail, a_publication_that_is_narrowed_meanwhile_is_seen)
{
    (void)source_fixture_tail(source, 0);
    tail_run("alter publication outbox_relay_public drop table outbox");
    const struct error error = tail_refusal(ERROR_CONFIG);
    tail_expect_words(&error, "add table public.outbox");
}

Test(source_postgres_tail, a_publication_made_anew_costs_the_slot)
{
    (void)source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    tail_run("drop publication outbox_relay_public");
    tail_run("insert into outbox (payload) values ('1')");
    tail_run("create publication outbox_relay_public for table public.outbox");
    (void)source_fixture_tail(source, 0);
    const struct error error = source_fixture_end_of_log(source, ERROR_TRANSIENT);
    uint64_t position = 0;
    if (PQserverVersion(db_pg(admin)) < 180000) {
        tail_expect_words(
            &error, "can't be read any more: publication \"outbox_relay_public\" does not exist");
    } else { /* the slot stays; the table has been read up to here */
        tail_expect_words(&error, "passed over messages");
        position = (uint64_t)db_int(admin, "select pg_current_wal_insert_lsn() - '0/0'");
    }
    source->ops->tail_begin(source, position, clock_monotonic_us());
    if (position == 0) {
        tail_expect_notice("can't be used any more");
    }
    (void)source_fixture_expect(source, SOURCE_TAILING);
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

/* PostgreSQL 18 only warns. A source that reads the same log again, like a tableless one, is not ended again for it. */
Test(source_postgres_tail, a_publication_made_anew_ends_a_log_once)
{
    (void)source_fixture_tail(source, 0);
    tail_run("drop publication outbox_relay_public");
    tail_run("insert into outbox (payload) values ('1')");
    tail_run("create publication outbox_relay_public for table outbox");
    tail_run("insert into outbox (payload) values ('2')");
    (void)source_fixture_end_of_log(source, ERROR_TRANSIENT);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    if (PQserverVersion(db_pg(admin)) < 180000) {
        tail_expect_notice("can't be used any more");
        (void)source_fixture_expect(source, SOURCE_TAILING);
        tail_run("insert into outbox (payload) values ('2')");
        tail_expect_rows(3, 1, 1);
    } else {
        (void)source_fixture_expect(source, SOURCE_TAILING);
        tail_expect_rows(2, 1, 1);
    }
}

static void
make_slot(const char *plugin)
{
    char sql[300];
    (void)snprintf(
        sql, sizeof(sql),
        "select pg_create_logical_replication_slot('outbox_relay_' || current_database() "
        "|| '_public', '%s')",
        plugin);
    tail_run(sql);
}

Test(source_postgres_tail, a_slot_that_is_not_ours_is_left_alone)
{
    make_slot("test_decoding");
    tail_expect_refused("is not the relay's (plugin test_decoding", "set `slot` to another name");
}

/* A program that reads the relay's slot. */
static PGconn *
read_slot(const char *name)
{
    char dsn[1200];
    char command[300];
    (void)snprintf(dsn, sizeof(dsn), "%s replication=database application_name='%s'",
                   pg_fixture_dsn(), name);
    PGconn *reader = PQconnectdb(dsn);
    cr_assert_eq(PQstatus(reader), CONNECTION_OK, "%s", PQerrorMessage(reader));
    (void)snprintf(command, sizeof(command),
                   "START_REPLICATION SLOT outbox_relay_%s_public LOGICAL 0/0 (proto_version '1', "
                   "publication_names 'outbox_relay_public')",
                   PQdb(reader));
    PGresult *result = PQexec(reader, command);
    cr_assert_eq(PQresultStatus(result), PGRES_COPY_BOTH, "%s", PQerrorMessage(reader));
    PQclear(result);
    return reader;
}

Test(source_postgres_tail, a_stranger_who_reads_the_slot_is_named)
{
    char what[100];
    make_slot("pgoutput");
    PGconn *reader = read_slot("psql");
    (void)snprintf(what, sizeof(what), "is read by process %d (psql)", PQbackendPID(reader));
    tail_expect_refused(what, "set `slot` to another name");
    PQfinish(reader);
}

Test(source_postgres_tail, an_earlier_relay_that_reads_the_slot_has_to_go)
{
    make_slot("pgoutput");
    PGconn *reader = read_slot("outbox-relay orders");
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    PQfinish(reader);
}

Test(source_postgres_tail, a_slot_that_is_gone_is_made_anew)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    tail_expect_notice("does not exist");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    source->ops->tail_end(source, clock_monotonic_us());
    tail_await_no_reader();
    drop_slots();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    tail_expect_notice("does not exist");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
}

/* From 17 on the server knows slots that standbys copy. Earlier servers do not say. */
static void
expect_marked(void)
{
    tail_run("do $$ begin assert (select count(*) = 1 from pg_replication_slots as slots where "
             "database = current_database() "
             "and coalesce(to_jsonb(slots) ->> 'failover', 'true') = 'true'), 'standbys do not "
             "copy it'; end $$");
}

Test(source_postgres_tail, a_slot_is_one_that_standbys_copy)
{
    (void)source_fixture_tail(source, 0);
    expect_marked();
}

Test(source_postgres_tail, so_is_one_that_was_made_without)
{
    make_slot("pgoutput");
    (void)source_fixture_tail(source, 0);
    expect_marked();
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
}

/* The source also waits for events on this connection. */
Test(source_postgres_tail, a_connection_that_is_ended_while_nothing_is_asked_of_it)
{
    (void)source_fixture_tail(source, 0);
    tail_end_reader();
    (void)tail_refusal(ERROR_CONNECTION);
    (void)source_fixture_tail(source, 0);
}

/* Log of others, which brings the reader almost nothing. */
static void
write_log(void)
{
    tail_run("select pg_logical_emit_message(false, 'test', repeat('x', 1 << 20)) from "
             "generate_series(1, 4)");
}

Test(source_postgres_tail, a_slot_that_holds_back_too_much_is_dropped)
{
    config.wal_retain_max = 2 << 20;
    tail_reopen();
    (void)source_fixture_tail(source, 0);
    write_log();
    struct error error = tail_refusal(ERROR_TRANSIENT);
    tail_expect_words(&error, "held back more than wal_retain_max");
    await_no_slot();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    error = tail_refusal(ERROR_TRANSIENT);
    tail_expect_words(&error, "not made anew yet");
}

Test(source_postgres_tail, a_slot_that_nobody_reads_is_watched_too)
{
    config.wal_retain_max = 2 << 20;
    tail_reopen();
    (void)source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    write_log();
    tail_expect_notice("held back more than wal_retain_max");
    await_no_slot();
}

Test(source_postgres_tail, a_heartbeat_moves_an_idle_log)
{
    config.heartbeat_interval_us = 100 * CLOCK_MS_US;
    tail_reopen();
    (void)source_fixture_tail(source, 0);
    for (int i = 0; i < 3; i++) {
        (void)tail_expect_position(tail_log_end() + 1);
    }
}

Test(source_postgres_tail, a_server_that_waits_for_words_hears_them)
{
    char sql[200];
    (void)source_fixture_tail(source, 0);
    (void)snprintf(sql, sizeof(sql), "alter database %s set wal_sender_timeout = '4s'",
                   pg_fixture_database());
    tail_run(sql);
    tail_run("insert into outbox (payload) select repeat('x', 1000)::bytea from "
             "generate_series(1, 20000)");
    tail_reopen();
    (void)source_fixture_tail(source, 0);
    const uint64_t until_us = clock_monotonic_us() + 9 * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* nothing is asked for meanwhile */
        (void)source_fixture_watermark(source);
    }
    tail_expect_rows(1, 1, 20000);
}

Test(source_postgres_tail, a_role_that_may_not_read_the_log_is_told_how_it_may)
{
    char sql[200];
    char user[64];
    (void)snprintf(user, sizeof(user), "source_tail_%ld", (long)getpid()); /* fits */
    db_create_user(admin, user, "secret");
    db_grant_relay(admin, user);
    source_fixture_close(source, &config);
    config = source_fixture_here_as(user, TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
    (void)snprintf(sql, sizeof(sql), "alter role %s replication", user); /* fits */
    tail_expect_refused("may not read the log", sql);
    tail_run(sql);
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    tail_reopen();
    db_drop_user(admin, user);
}

/* The dsn of a database in another encoding, with an outbox. Static. */
static const char *
create_in_latin1(void)
{
    static char dsn[600];
    char sql[200];
    const char *const name = db_database();
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_latin1 template template0 encoding 'LATIN1' locale 'C'",
                   name); /* fits */
    tail_run(sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", db_dsn(), name); /* fits */
    PGconn *conn = PQconnectdb(dsn);
    pg_fixture_load_outbox(conn);
    PQfinish(conn);
    return dsn;
}

static void
drop_in_latin1(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1 with (force)",
                   db_database()); /* fits */
    tail_run(sql);
}

Test(source_postgres_tail, a_database_in_another_encoding)
{
    const char *dsn = create_in_latin1();
    source_fixture_close(source, &config);
    config = source_fixture_config(dsn, TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
    tail_expect_refused("the database has encoding LATIN1", "the log can be used only with UTF8");
    drop_in_latin1();
}
