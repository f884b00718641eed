#include <criterion/criterion.h>
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

#define CREATED                                                                                 \
    "ok       source \"orders\": tables created; grant select, delete on outbox and select on " \
    "its "                                                                                      \
    "sequence to the relay's role, if that is another\n"
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
