#include <criterion/criterion.h>
#include <inbox/inbox_pg.h>
#include <string.h>

#include "tests/integration/pg_fixture.h"

/* What only PostgreSQL and libpq have: transactions that have failed, connections in pipeline mode, and triggers that
 * leave out rows without an error. */
static PGconn *tx;
static struct inbox_error error;

static void
set_up(void)
{
    tx = pg_fixture_create();
    pg_fixture_load(tx, "consumers/postgres/schema.sql");
    pg_fixture_load(tx, "consumers/postgres/schema_newest.sql");
}

static void
tear_down(void)
{
    pg_fixture_drop(tx);
}

TestSuite(inbox_pg, .init = set_up, .fini = tear_down, .timeout = 120);

static void
expect_error(inbox_result code, const char *words)
{
    cr_assert_eq(error.code, code, "%s: %s", inbox_result_name(error.code), error.message);
    cr_assert_str_eq(error.sqlstate, "");
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
}

static void
expect_refused(inbox_result code, const char *words)
{
    inbox_verdict verdict;
    cr_assert_eq(inbox_pg_claim(tx, "billing", "m1", 2, &verdict, &error), code);
    expect_error(code, words);
}

Test(inbox_pg, refuses_what_is_no_usable_transaction)
{
    uint64_t forgotten = 42;
    pg_exec(tx, "begin");
    PQclear(PQexec(tx, "select 1 / 0"));
    expect_refused(INBOX_NO_TRANSACTION, "rolled back");
    cr_assert_eq(inbox_pg_forget(tx, 1, 1, &forgotten, &error), INBOX_NO_TRANSACTION);
    cr_assert_eq(forgotten, 42u);
    pg_exec(tx, "rollback; begin");
    cr_assert(PQsendQuery(tx, "select 1"));
    expect_refused(INBOX_INVALID, "busy");
    PQclear(PQgetResult(tx));
    cr_assert_null(PQgetResult(tx));
    cr_assert(PQenterPipelineMode(tx));
    expect_refused(INBOX_INVALID, "pipeline");
    cr_assert(PQexitPipelineMode(tx));
    cr_assert_eq(pg_query_int(tx, "select count(*) from inbox"), 0);
}

Test(inbox_pg, a_row_that_is_left_out_is_no_verdict)
{
    inbox_verdict verdict;
    pg_exec(tx, "create function leave_out() returns trigger language plpgsql as $$ begin return "
                "null; end $$; create trigger leave_out before insert on inbox_newest for each "
                "row execute function leave_out(); begin");
    cr_assert_eq(inbox_pg_advance(tx, "billing", "k1", 2, 7, &verdict, &error), INBOX_DATABASE);
    expect_error(INBOX_DATABASE, "trigger");
}
