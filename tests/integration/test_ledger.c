/* The demo's ledger must find errors: here somebody falsifies the books of one of the two banks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/mysql_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *pg;
static MYSQL *mysql;
static const char *dsn;
static char option_file[] = "/tmp/outbox_test_ledger_XXXXXX", last_line[200];

static void
write_option_file(void)
{
    FILE *file = fdopen(mkstemp(option_file), "w");
    cr_assert_not_null(file);
    (void)fprintf(file, "[client]\nhost = %s\nport = %s\nuser = %s\npassword = %s\ndatabase = %s\n",
                  getenv("OUTBOX_TEST_MYSQL_HOST"), getenv("OUTBOX_TEST_MYSQL_PORT"),
                  getenv("OUTBOX_TEST_MYSQL_USER"), getenv("OUTBOX_TEST_MYSQL_PASSWORD"),
                  mysql_fixture_database());
    cr_assert_eq(fclose(file), 0);
}

/* In both banks. */
static void
run(const char *sql)
{
    pg_exec(pg, sql);
    mysql_fixture_exec(mysql, sql);
}

/* Three transfers of 10 from each of two accounts, in both directions. */
static void
setup(void)
{
    pg = pg_fixture_create();
    mysql = mysql_fixture_create();
    dsn = pg_fixture_dsn();
    write_option_file();
    pg_fixture_load(pg, "examples/demo/bank.sql");
    mysql_fixture_load(mysql, "examples/demo/bank.sql");
    run("insert into transfer values (1, 1, 10), (1, 2, 10), (1, 3, 10), (2, 1, 10), (2, 2, 10), "
        "(2, 3, 10)");
    run("insert into entry (account, sequence, amount) values (1, 1, 10), (2, 1, 10), (1, 2, 10), "
        "(2, 2, 10), (1, 3, 10), (2, 3, 10)");
}

static void
teardown(void)
{
    (void)unlink(option_file);
    mysql_fixture_drop(mysql);
    pg_fixture_drop(pg);
}

TestSuite(ledger, .init = setup, .fini = teardown);

/* Returns the exit code; last_line has the last line of the output. */
static int
run_ledger(void)
{
    char command[3000], line[200];
    (void)snprintf(command, sizeof(command), "'%s' \"%s\" '%s' 'duplicates=7'", DEMO_LEDGER, dsn,
                   option_file);
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    while (fgets(line, sizeof(line), output) != NULL) {
        (void)snprintf(last_line, sizeof(last_line), "%s", line);
    }
    const int status = pclose(output);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
expect(int status, const char *line)
{
    cr_expect_eq(run_ledger(), status);
    cr_expect_str_eq(last_line, line);
}

Test(ledger, books_that_agree)
{
    expect(0, "ledger: committed=12 applied=12 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_that_postgres_lost)
{
    pg_exec(pg, "delete from entry where account = 1 and sequence = 2");
    expect(1, "ledger: committed=12 applied=11 lost=1 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_that_mariadb_lost)
{
    mysql_fixture_exec(mysql, "delete from entry where account = 2 and sequence = 3");
    expect(1, "ledger: committed=12 applied=11 lost=1 applied_twice=0 out_of_order=0\n");
}

/* The two errors cancel out in the sums: as many transfers arrived as were sent. */
Test(ledger, a_transfer_lost_here_and_another_invented_there)
{
    pg_exec(pg, "delete from entry where account = 1 and sequence = 2");
    mysql_fixture_exec(mysql, "insert into entry (account, sequence, amount) values (1, 4, 10)");
    expect(1, "ledger: committed=12 applied=12 lost=1 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_applied_twice_also_after_later_ones)
{
    run("insert into entry (account, sequence, amount) values (1, 2, 10), (1, 2, 10)");
    expect(1, "ledger: committed=12 applied=16 lost=0 applied_twice=4 out_of_order=0\n");
}

Test(ledger, two_transfers_of_an_account_out_of_order)
{
    run("update entry set sequence = 5 - sequence where account = 2 and sequence in (2, 3)");
    expect(1, "ledger: committed=12 applied=12 lost=0 applied_twice=0 out_of_order=2\n");
}

Test(ledger, transfers_of_different_accounts_have_no_order)
{
    run("delete from entry");
    run("insert into entry (account, sequence, amount) values (2, 1, 10), (2, 2, 10), (2, 3, 10), "
        "(1, 1, 10), (1, 2, 10), (1, 3, 10)");
    expect(0, "ledger: committed=12 applied=12 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_that_was_rolled_back)
{
    pg_exec(pg, "delete from transfer where account = 2 and sequence = 3");
    expect(1, "ledger: committed=11 applied=12 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, money_that_came_from_nowhere)
{
    mysql_fixture_exec(mysql, "update account set balance = balance + 1 where id = 7");
    expect(1, "ledger: committed=12 applied=12 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_database_that_is_not_there_is_another_error)
{
    char other[1200];
    (void)snprintf(other, sizeof(other), "%s dbname=outbox_test_no_such", pg_fixture_dsn());
    dsn = other;
    cr_expect_eq(run_ledger(), 2);
    dsn = pg_fixture_dsn();
    (void)unlink(option_file);
    cr_expect_eq(run_ledger(), 2);
}
