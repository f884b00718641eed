/* The demo's ledger must be able to find what it looks for: here somebody falsifies the books. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/pg_fixture.h"

static PGconn *from, *to;
static char to_name[64], to_dsn[1200], last_line[200];

static void
setup(void)
{
    char sql[100];
    from = pg_fixture_create();
    (void)snprintf(to_name, sizeof(to_name), "outbox_test_%ld_to", (long)getpid());
    (void)snprintf(to_dsn, sizeof(to_dsn), "%s dbname=%s", pg_fixture_dsn(), to_name);
    (void)snprintf(sql, sizeof(sql), "create database %s", to_name);
    pg_exec(from, sql);
    to = PQconnectdb(to_dsn);
    cr_assert_eq(PQstatus(to), CONNECTION_OK);
    pg_fixture_load(from, "examples/demo/bank_from.sql");
    pg_fixture_load(to, "examples/demo/bank_to.sql");
    /* Three transfers of 10 from each of two accounts. */
    pg_exec(from, "insert into transfer select a, s, 10 from generate_series(1, 2) a, "
                  "generate_series(1, 3) s");
    pg_exec(from, "update account set balance = balance - 30 where id <= 2");
    pg_exec(to,
            "insert into entry (account, sequence, amount)"
            " select a, s, 10 from generate_series(1, 3) s, generate_series(1, 2) a order by s, a");
    pg_exec(to, "update account set balance = balance + 30 where id <= 2");
}

static void
teardown(void)
{
    char sql[100];
    PQfinish(to);
    (void)snprintf(sql, sizeof(sql), "drop database %s with (force)", to_name);
    pg_exec(from, sql);
    pg_fixture_drop(from);
}

TestSuite(ledger, .init = setup, .fini = teardown);

/* The exit code; the last line that it printed is in last_line. */
static int
run_ledger(void)
{
    char command[3000], line[200];
    (void)snprintf(command, sizeof(command), "'%s' \"%s\" \"%s\" 'duplicates=7'", DEMO_LEDGER,
                   pg_fixture_dsn(), to_dsn);
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
    expect(0, "ledger: committed=6 applied=6 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_lost_transfer)
{
    pg_exec(to, "delete from entry where account = 1 and sequence = 2");
    expect(1, "ledger: committed=6 applied=5 lost=1 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_applied_twice_also_after_later_ones)
{
    pg_exec(to, "insert into entry (account, sequence, amount) values (1, 2, 10), (1, 2, 10)");
    expect(1, "ledger: committed=6 applied=8 lost=0 applied_twice=2 out_of_order=0\n");
}

Test(ledger, two_transfers_of_an_account_out_of_order)
{
    pg_exec(to,
            "update entry set sequence = 5 - sequence where account = 2 and sequence in (2, 3)");
    expect(1, "ledger: committed=6 applied=6 lost=0 applied_twice=0 out_of_order=1\n");
}

Test(ledger, transfers_of_different_accounts_have_no_order)
{
    pg_exec(to, "truncate entry");
    pg_exec(to, "insert into entry (account, sequence, amount)"
                " select a, s, 10 from generate_series(1, 3) s, generate_series(1, 2) a order by a "
                "desc, s");
    expect(0, "ledger: committed=6 applied=6 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_transfer_that_was_rolled_back)
{
    pg_exec(from, "delete from transfer where account = 2 and sequence = 3");
    expect(1, "ledger: committed=5 applied=6 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, money_that_came_from_nowhere)
{
    pg_exec(to, "update account set balance = balance + 1 where id = 7");
    expect(1, "ledger: committed=6 applied=6 lost=0 applied_twice=0 out_of_order=0\n");
}

Test(ledger, a_database_that_is_not_there_is_another_error)
{
    (void)snprintf(to_dsn, sizeof(to_dsn), "%s dbname=outbox_test_no_such", pg_fixture_dsn());
    cr_expect_eq(run_ledger(), 2);
}
