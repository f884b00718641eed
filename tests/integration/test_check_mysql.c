/* What `check` says of a database of MariaDB or MySQL. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/clock.h"
#include "relay/mysql/check.h"
#include "relay/mysql/init.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"
#include "tests/integration/report_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *db;
static struct source_config config;

static void
set_up_nothing(void)
{
    db = mysql_fixture_create();
    config = source_mysql_fixture_config(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
}

static void
set_up(void)
{
    set_up_nothing();
    struct report report = report_fixture_begin();
    init_mysql(&report, &config);
    cr_assert_eq(report.problems, 0, "%s", report_fixture_lines());
}

static void
tear_down(void)
{
    free(config.dsn);
    mysql_fixture_drop(db);
}

TestSuite(check_mysql, .init = set_up, .fini = tear_down, .timeout = 120);
/* Where init has not been yet. */
TestSuite(check_mysql_before, .init = set_up_nothing, .fini = tear_down, .timeout = 120);

static void
expect(size_t problems, const char *word, const char *words)
{
    struct report report = report_fixture_begin();
    check_mysql(&report, &config);
    cr_assert_eq(report.problems, problems, "%s", report_fixture_lines());
    report_fixture_expect(word, words);
}

static void
run(const char *sql)
{
    mysql_fixture_exec(db, sql);
}

/* Promise: a database as init made it has no problem, and it is said what was looked at. */
Test(check_mysql, all_is_well_after_init)
{
    expect(0, "ok", "source \"orders\": connected to database");
    report_fixture_expect("ok",
                          "the outbox tables have version 1, those for held messages version 1");
    report_fixture_expect("ok", "limits, trigger and view of the tables are all there");
    report_fixture_expect("ok", "the account may do on the tables what a relay does");
    report_fixture_expect("ok", "the server says who writes the outbox");
}

/* Promise: where there is nothing, or only what writers need, it says what to run. */
Test(check_mysql_before, tables_that_are_not_there)
{
    expect(1, "problem", "there are no outbox tables, or this account may not see them: run");
    outbox_mysql_fixture_load(db);
    expect(1, "problem", "there are no tables for held messages: run `outbox-relay init`");
}

Test(check_mysql_before, a_table_of_somebody_else)
{
    run("create table outbox (id int primary key)");
    expect(1, "problem", "that `outbox-relay init` has not made: rename it");
}

Test(check_mysql, tables_of_another_version)
{
    run("update outbox_schema set version = 7");
    expect(1, "problem", "the outbox tables have version 7, this relay needs version 1");
    run("update outbox_schema set version = 1");
    run("update outbox_relay_schema set version = 8");
    expect(1, "problem", "the tables for held messages have version 8, this relay needs version 1");
}

/* Promise: what was dropped is named; the trigger alone can be done without. */
Test(check_mysql, what_was_dropped)
{
    run("alter table outbox drop constraint outbox_key_1024_bytes");
    expect(1, "problem", "outbox_key_1024_bytes of outbox is missing: run `outbox-relay init`");
    run("drop trigger outbox_payload");
    expect(1, "advice", "so bodies can be given as `payload` alone");
}

Test(check_mysql, an_engine_without_transactions)
{
    run("alter table outbox_sent engine = MyISAM");
    expect(1, "problem", "outbox_sent is kept by MyISAM, which has no transactions: alter table");
}

Test(check_mysql, a_trigger_of_somebody_else)
{
    run("create trigger audit before delete on outbox for each row set @deleted = old.id");
    expect(0, "advice", "the trigger audit of somebody else runs before delete on outbox");
}

/* Promise: the grants that are missing are given as they are to be run. */
Test(check_mysql, an_account_with_too_few_privileges)
{
    mysql_fixture_grant(db, "select, insert", "outbox");
    mysql_fixture_grant(db, "select", "outbox_schema");
    mysql_fixture_grant(db, "select", "outbox_relay_schema");
    struct source_config whole = config;
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
    expect(1, "problem", "the relay's account lacks a privilege: grant delete on outbox; grant");
    free(config.dsn);
    config = whole;
}

/* Promise: a server that cannot be reached is said so, with what to look at. */
Test(check_mysql, a_server_that_is_not_there)
{
    struct source_config whole = config;
    config.dsn = (char[]){"host=127.0.0.1 port=1 user=relay dbname=shop"};
    expect(1, "problem", "see that the server runs, listens there and lets this user in");
    config = whole;
}

/* Promise: a dsn without a database. */
Test(check_mysql, no_database)
{
    struct source_config whole = config;
    config.dsn = (char *)getenv("OUTBOX_TEST_MYSQL_DSN");
    expect(1, "problem", "the dsn names no database: give dbname");
    config = whole;
}
