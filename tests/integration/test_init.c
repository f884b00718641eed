#include <criterion/criterion.h>
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;

static void
set_up(void)
{
    cli_enter();
    db = pg_fixture_create();
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = postgres dsn = \"%s\" broker = main }\n",
              pg_fixture_dsn());
}

static void
tear_down(void)
{
    pg_fixture_drop(db);
    cli_leave();
}

TestSuite(init, .init = set_up, .fini = tear_down);

#define GRANTS                                                                                   \
    "if the relay's role is another, grant it: select, insert, delete on outbox; select on its " \
    "sequence; select, insert, update, delete on outbox_held; select, update on "                \
    "outbox_held_act; select, insert, update on outbox_relay; select, insert, delete on "        \
    "outbox_sent\n"
#define CREATED "ok       source \"orders\": tables created; " GRANTS
#define MIGRATED                                                                             \
    "ok       source \"orders\": migrated: the tables for held messages are there now, the " \
    "outbox stays as it is; writers need nothing new; " GRANTS
#define THERE "ok       source \"orders\": the tables are there already, nothing to do\n"

static void
expect(int status, const char *said)
{
    const int got = cli("init -c relay.conf");
    cr_assert_str_eq(cli_stdout(), said, "%s", cli_stdout());
    cr_assert_str_empty(cli_stderr());
    cr_assert_eq(got, status);
}

Test(init, creates_once)
{
    expect(0, CREATED);
    pg_exec(db, "insert into outbox (payload) values ('x')");
    expect(0, THERE);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox"), 1, "what was there stays");
    cr_assert_eq(pg_query_int(db, "select version from outbox_schema"), 1);
    cr_assert_eq(pg_query_int(db, "select version from outbox_relay_schema"), 2);
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox_held"), 0);
}

/* As liboutbox-pg does, in whatever transaction the connection is in. */
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

Test(init, migrates_while_all_go_on)
{
    PGconn *const writer = pg_fixture_connect();
    PGconn *const relay = pg_fixture_connect();
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    pg_exec(relay, "prepare settle as delete from outbox where id = any($1::int8[])");
    pg_exec(writer, "begin");
    write_message(writer);
    pg_exec(relay, "begin; execute settle('{1}')");
    expect(0, MIGRATED);
    write_message(writer);
    pg_exec(writer, "commit");
    pg_exec(relay, "commit; execute settle('{1}')");
    pg_exec(writer, "begin");
    write_message(writer);
    pg_exec(writer, "commit");
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox"), 2);
    cr_assert_eq(pg_query_int(db, "select version from outbox_schema"), 1, "the writers' contract");
    cr_assert_eq(pg_query_int(db, "select version from outbox_relay_schema"), 2);
    expect(0, THERE);
    PQfinish(relay);
    PQfinish(writer);
}

/* Who waited for a lock on the outbox would make all writers behind it wait. */
Test(init, migrates_without_any_lock_on_the_outbox)
{
    PGconn *const other = pg_fixture_connect();
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    pg_exec(other, "begin; lock table outbox in access exclusive mode");
    expect(0, MIGRATED);
    PQfinish(other);
}

Test(init, the_second_part_of_the_printed_sql_migrates)
{
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    cr_assert_eq(cli("init --print"), 0);
    const char *const second = strstr(cli_stdout(), "-- What only relays use.");
    cr_assert_not_null(second);
    pg_exec(db, "begin");
    pg_exec(db, second); /* its end is a commit */
    expect(0, THERE);
}

Test(init, refuses_another_version_of_the_relays_tables)
{
    expect(0, CREATED);
    pg_exec(db, "update outbox_relay_schema set version = 3");
    expect(1,
           "problem  source \"orders\": the tables there have version 3, this relay makes version "
           "2: nothing was changed; use the relay that fits the tables\n");
}

Test(init, printed_sql_does_the_same)
{
    cr_assert_eq(cli("init --print"), 0);
    pg_exec(db, cli_stdout());
    expect(0, THERE);
}

Test(init, refuses_another_version)
{
    expect(0, CREATED);
    pg_exec(db, "update outbox_schema set version = 7");
    expect(1,
           "problem  source \"orders\": the tables there have version 7, this relay makes version "
           "1: nothing was changed; use the relay that fits the tables\n");
}

Test(init, refuses_a_table_that_is_somebody_elses)
{
    pg_exec(db, "create table outbox (id int)");
    expect(1,
           "problem  source \"orders\": there is a table \"outbox\" or \"outbox_schema\" that init "
           "has not made: rename it, or give the relay a schema of its own by search_path in the "
           "dsn\n");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox_schema'"),
                 0);
}

Test(init, leaves_nothing_behind_when_it_fails)
{
    pg_exec(db, "create table other (id int); create index outbox_deliver_after on other (id)");
    expect(1,
           "problem  source \"orders\": cannot create the tables (run init as a role that may, or "
           "give the output of `outbox-relay init --print` to somebody who may): relation "
           "\"outbox_deliver_after\" already exists\n");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox'"), 0);
}

Test(init, a_migration_that_fails_leaves_nothing_behind)
{
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    pg_exec(db, "create table outbox_sent (id int)");
    cr_assert_eq(cli("init -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "relation \"outbox_sent\" already exists"));
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_class where relname = 'outbox_held'"),
                 0);
}

Test(init, many_at_a_time_create_one)
{
    enum { COUNT = 8 };
    pid_t processes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        processes[i] = cli_start("init -c relay.conf");
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(cli_wait(processes[i]), 0);
    }
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox_schema"), 1);
}
