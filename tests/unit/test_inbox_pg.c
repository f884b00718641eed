#include <criterion/criterion.h>
#include <inbox/inbox_pg.h>

/* Tests that need a server are in tests/integration. */
Test(inbox_pg, no_connection)
{
    struct inbox_error error;
    inbox_verdict verdict = INBOX_BUSY;
    cr_assert_eq(inbox_pg_claim(NULL, "c", "a", 1, &verdict, &error), INBOX_CONNECTION);
    cr_assert_eq(error.code, INBOX_CONNECTION);
    cr_assert_str_eq(error.sqlstate, "");
    PGconn *conn = PQconnectdb("host=/nowhere port=1 connect_timeout=1");
    cr_assert_eq(inbox_pg_claim(conn, "c", "a", 1, &verdict, NULL), INBOX_CONNECTION);
    cr_assert_eq(inbox_pg_forget(conn, 1, 1, NULL, &error), INBOX_CONNECTION);
    cr_assert_eq(verdict, INBOX_BUSY, "touched the result");
    PQfinish(conn);
}
