/* What `init` makes in PostgreSQL alone: migrations from older versions, publications, and what an administrator must
 * do. It makes everything or nothing. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/init_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;

static void
set_up(void)
{
    init_set_up();
    db = db_pg(init_db);
}

TestSuite(init_postgres, .init = set_up, .fini = init_tear_down, .timeout = 120);

#define EXTENDED \
    INIT_OK "migrated: the tables have what is new now; writers and the relay that runs go on\n"

/* Like liboutbox-pg, in the transaction that the connection is in. */
static void
write_message(PGconn *connection)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    message.payload = "x";
    message.payload_length = 1;
    cr_assert_eq(outbox_pg_write(connection, &message, NULL, &error), OUTBOX_OK, "%s",
                 error.message);
}

/* Statements that were prepared before the migration work after it. */
Test(init_postgres, migrates_while_all_go_on)
{
    PGconn *const writer = pg_fixture_connect();
    PGconn *const relay = pg_fixture_connect();
    pg_fixture_load(db, "tests/integration/older/schema.sql");
    pg_exec(relay, "prepare settle as delete from outbox where id = any($1::int8[])");
    pg_exec(writer, "begin");
    write_message(writer);
    pg_exec(writer, "commit; prepare write as insert into outbox (payload) values ('y')");
    pg_exec(writer, "execute write");
    pg_exec(relay, "execute settle('{2}')");
    init_expect(0, "%s", init_words(INIT_WORDS_MIGRATED));
    pg_exec(relay, "execute settle('{1}')");
    pg_exec(writer, "execute write; begin");
    write_message(writer);
    pg_exec(writer, "commit");
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox"), 2);
    cr_assert_eq(pg_query_int(db, "select version from outbox_schema"), 1, "the writers' contract");
    cr_assert_eq(pg_query_int(db, "select version from outbox_relay_schema"), 3);
    init_expect(0, INIT_THERE);
    PQfinish(relay);
    PQfinish(writer);
}

#define LOCKED                                                                                  \
    "problem  source \"orders\": a transaction that is open keeps a table locked: nothing was " \
    "changed, run it again when that has ended: canceling statement due to lock timeout\n"

/* Writers wait for init only briefly, and then go on. */
Test(init_postgres, somebody_who_keeps_the_outbox_locked_is_not_waited_for_long)
{
    PGconn *const other = pg_fixture_connect();
    PGconn *const writer = pg_fixture_connect();
    pg_fixture_load(db, "tests/integration/older/schema.sql");
    pg_exec(other, "begin; lock table outbox in row exclusive mode");
    const uint64_t before_us = clock_monotonic_us();
    init_expect(1, LOCKED);
    cr_assert_lt(clock_monotonic_us() - before_us, 60 * CLOCK_S_US, "not as long as for others");
    pg_exec(writer, "insert into outbox (payload) values ('x')");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox_held'"),
                 0);
    pg_exec(other, "commit");
    init_expect(0, "%s", init_words(INIT_WORDS_MIGRATED));
    PQfinish(writer);
    PQfinish(other);
}

/* The tables of version 2, as the previous release made them. */
static void
make_version_2(void)
{
    pg_fixture_load_older(db);
    pg_exec(db, "alter table outbox_relay drop column reads, drop column reads_reason, "
                "drop column swept; update outbox_relay_schema set version = 2");
}

#define RELAY_WRITES                                                                         \
    "insert into outbox_relay (source, host, pid, version, started_at, owned_since, "        \
    "in_flight, confirmed, rate) values ('orders', 'h', 1, '0.1.0', now(), now(), 0, 1, 0) " \
    "on conflict (single) do update set confirmed = outbox_relay.confirmed + 1"

Test(init_postgres, extends_version_2_while_an_older_relay_goes_on)
{
    PGconn *const relay = pg_fixture_connect();
    make_version_2();
    pg_exec(relay, "prepare status as " RELAY_WRITES);
    pg_exec(relay, "execute status");
    init_expect(0, EXTENDED);
    pg_exec(relay, "execute status");
    cr_assert_eq(pg_query_int(db, "select confirmed from outbox_relay where reads is null and "
                                  "swept = 0"),
                 2);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox_sent_batch"), 0);
    init_expect(0, INIT_THERE);
    PQfinish(relay);
}

/* The relay would wait behind init's request for the lock. */
Test(init_postgres, does_not_wait_long_for_the_table_that_the_relay_writes)
{
    PGconn *const other = pg_fixture_connect();
    make_version_2();
    pg_exec(other, "begin; lock table outbox_relay in access share mode");
    const uint64_t before_us = clock_monotonic_us();
    init_expect(1, LOCKED);
    cr_assert_lt(clock_monotonic_us() - before_us, 60 * CLOCK_S_US, "not as long as for others");
    pg_exec(other, "commit");
    init_expect(0, EXTENDED);
    PQfinish(other);
}

Test(init_postgres, the_last_part_of_the_printed_sql_extends)
{
    make_version_2();
    cr_assert_eq(cli("init --print"), 0);
    const char *const last = strstr(cli_stdout(), "-- Where the relay's tables are there in");
    cr_assert_not_null(last);
    pg_exec(db, last);
    init_expect(0, INIT_THERE);
}

/* The columns of outbox_relay and outbox_held, as init makes them. */
static int64_t
relay_columns(void)
{
    return pg_query_int(db,
                        "select hashtext(string_agg(concat_ws(' ', attname, atttypid::regtype, "
                        "attnotnull, pg_get_expr(adbin, adrelid), col_description(attrelid, "
                        "attnum)), ', ' order by attrelid, attname)) from pg_attribute left "
                        "join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid "
                        "in ('outbox_relay'::regclass, 'outbox_held'::regclass) and attnum > 0 "
                        "and not attisdropped");
}

Test(init_postgres, what_is_extended_is_as_what_is_new)
{
    pg_fixture_load_outbox(db);
    const int64_t created = relay_columns();
    pg_exec(db, "alter table outbox_relay drop column reads, drop column reads_reason, "
                "drop column swept, drop column slot; alter table outbox_held drop column extra; "
                "update outbox_relay_schema set version = 2");
    cr_assert_neq(relay_columns(), created);
    init_expect(0, EXTENDED);
    cr_assert_eq(relay_columns(), created);
}

static void
expect_created(void)
{
    init_expect(0, "%s%s", init_words(INIT_WORDS_CREATED), init_words(INIT_WORDS_LOG));
}

static void
expect_publication(const char *name, const char *expected)
{
    char sql[300];
    (void)snprintf(sql, sizeof(sql),
                   "select concat_ws(' ', pubname, pubinsert, pubupdate, pubdelete, pubtruncate, "
                   "tablename) from pg_publication join pg_publication_tables using (pubname) "
                   "where pubname = '%s'",
                   name); /* fits */
    cr_assert_str_eq(pg_query_text(db, sql), expected);
}

/* With the default mode. */
Test(init_postgres, creates_the_publication_and_no_slot)
{
    init_configure("");
    expect_created();
    expect_publication("outbox_relay_public", "outbox_relay_public t f f f outbox");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_replication_slots where database = "
                                  "current_database()"),
                 0);
}

Test(init_postgres, the_publication_may_have_another_name)
{
    init_configure("mode = tail publication = \"Orders 'new'\"");
    expect_created();
    expect_publication("Orders ''new''", "Orders 'new' t f f f outbox");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_publication"), 1);
}

Test(init_postgres, adds_the_outbox_to_a_publication_that_is_there)
{
    init_configure("mode = tail");
    pg_exec(db, "create publication outbox_relay_public with (publish = 'insert')");
    expect_created();
    expect_publication("outbox_relay_public", "outbox_relay_public t f f f outbox");
}

Test(init_postgres, a_source_that_polls_needs_no_publication)
{
    cr_assert_eq(cli("init -c relay.conf"), 0);
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_publication"), 0);
}

/* A role that may create tables and has no other rights. */
static void
create_owner(char role[64])
{
    char sql[300];
    (void)snprintf(role, 64, "init_%ld", (long)getpid()); /* fits */
    (void)snprintf(sql, sizeof(sql),
                   "drop role if exists %s; create role %s login password 'pw'; grant create on "
                   "schema public to %s",
                   role, role, role); /* fits */
    pg_exec(db, sql);
}

static void
drop_owner(const char *role)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "drop owned by %s; drop role %s", role, role); /* fits */
    pg_exec(db, sql);
}

/* Expects this output after the first line: `format` with `name` for each %1$s. */
static void
expect_then(int status, const char *format, const char *name)
{
    char expected[1500];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(expected, sizeof(expected), format, name); /* fits */
#pragma GCC diagnostic pop
    const int got = cli("init -c relay.conf");
    const char *const lines = strchr(cli_stdout(), '\n');
    cr_assert_not_null(lines);
    cr_assert_str_eq(lines + 1, expected, "%s", cli_stdout());
    cr_assert_eq(got, status);
}

#define NO_PUBLICATION                                                                             \
    " source \"orders\": there is no publication outbox_relay_public: run `outbox-relay init` as " \
    "the owner of the table, or create publication outbox_relay_public for table public.outbox "   \
    "with (publish = 'insert')\n"
#define ROLE_NEEDS                                                                               \
    "advice   source \"orders\": the relay's role may not read the log yet: alter role %1$s "    \
    "replication (Amazon RDS: grant rds_replication to %1$s; Google Cloud SQL: alter user %1$s " \
    "with replication)\n"
#define MAKES_SLOT                                                                         \
    "the relay makes its slot itself when it starts, for one that nobody reads keeps the " \
    "server's log\n"

static void
exec_for(const char *role, const char *format)
{
    char sql[400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof(sql), format, role); /* fits */
#pragma GCC diagnostic pop
    pg_exec(db, sql);
}

Test(init_postgres, says_what_an_administrator_must_run)
{
    char role[64];
    create_owner(role);
    init_configure_as(role, "mode = auto");
    expect_then(0,
                "advice  " NO_PUBLICATION ROLE_NEEDS
                "ok       source \"orders\": until then it polls the table\n",
                "NAME");
    init_configure_as(role, "mode = tail");
    expect_then(1, "problem " NO_PUBLICATION ROLE_NEEDS, "NAME");
    exec_for(role, "alter role %s replication; create publication outbox_relay_public for table "
                   "outbox with (publish = 'insert')");
    init_expect(0, INIT_THERE "%s", init_words(INIT_WORDS_LOG));
    drop_owner(role);
}

/* Promise: another role than the relay's can run init, and gets no right that only the relay needs. */
Test(init_postgres, an_owner_needs_no_right_to_read_the_log)
{
    char owner[64];
    char relay[80];
    create_owner(owner);
    (void)snprintf(relay, sizeof(relay), "Relay of %s", owner); /* fits */
    exec_for(owner, "drop role if exists \"Relay of %1$s\"; create role \"Relay of %1$s\"");
    exec_for(PQdb(db), "grant create on database %s to public");
    init_configure_as(owner, "mode = tail");
    expect_then(0, ROLE_NEEDS "ok       source \"orders\": the log can be read then; " MAKES_SLOT,
                "NAME");
    exec_for(relay, "grant select, insert, update, delete on outbox to \"%s\"");
    char quoted[90];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", relay); /* fits */
    expect_then(0, ROLE_NEEDS "ok       source \"orders\": the log can be read then; " MAKES_SLOT,
                quoted);
    exec_for(relay, "alter role \"%s\" replication");
    expect_then(0, "ok       source \"orders\": the log can be read by %s; " MAKES_SLOT, quoted);
    exec_for(relay, "drop owned by \"%1$s\"; drop role \"%1$s\"");
    drop_owner(owner);
}

static void
count_notice(void *context, const PGresult *result)
{
    int *const count = context;
    (void)result; /* every notice counts, whatever it says */
    (*count)++;
}

/* As psql shows them to somebody who runs it by hand. */
Test(init_postgres, printed_sql_gives_no_notices)
{
    int notices = 0;
    pg_exec(db, "set client_min_messages = notice");
    (void)PQsetNoticeReceiver(db, count_notice, &notices);
    cr_assert_eq(cli("init --print"), 0);
    pg_exec(db, cli_stdout());
    cr_assert_eq(notices, 0);
    pg_exec(db, "do $$ begin raise notice 'heard'; end $$");
    cr_assert_eq(notices, 1);
}

Test(init_postgres, leaves_nothing_behind_when_it_fails)
{
    pg_exec(db, "create table other (id int); create index outbox_deliver_after on other (id)");
    init_expect(
        1, "problem  source \"orders\": cannot create the tables (run init as a role that may, or "
           "give the output of `outbox-relay init --print` to somebody who may): relation "
           "\"outbox_deliver_after\" already exists\n");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox'"), 0);
}

Test(init_postgres, a_migration_that_fails_leaves_nothing_behind)
{
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    pg_exec(db, "create table outbox_relay (id int)");
    cr_assert_eq(cli("init -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "relation \"outbox_relay\" already exists"));
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox_held'"),
                 0);
}
