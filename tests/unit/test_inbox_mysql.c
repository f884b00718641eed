#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <stdlib.h>
#include <string.h>

/* Tests that need a server are in tests/integration. */
Test(inbox_mysql, no_connection)
{
    struct inbox_error error;
    inbox_mysql *inbox = NULL;
    inbox_verdict verdict = INBOX_BUSY;
    cr_assert_eq(inbox_mysql_new(NULL, &inbox, &error), INBOX_CONNECTION);
    cr_assert_eq(error.code, INBOX_CONNECTION);
    cr_assert_str_eq(error.sqlstate, "");
    cr_assert_eq(inbox_mysql_new(NULL, NULL, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_claim(NULL, NULL, "c", "a", 1, &verdict, &error), INBOX_INVALID);
    cr_assert_str_eq(error.message, "inbox is NULL");
    MYSQL *conn = mysql_init(NULL);
    cr_assert_eq(inbox_mysql_new(conn, &inbox, NULL), INBOX_CONNECTION);
    error.sqlstate[0] = '?';
    cr_assert_eq(inbox_mysql_new(conn, &inbox, &error), INBOX_CONNECTION);
    cr_assert_str_eq(error.sqlstate, "", "no server has answered");
    cr_assert_null(inbox, "touched the result");
    cr_assert_eq(verdict, INBOX_BUSY, "touched the result");
    mysql_close(conn);
    inbox_mysql_free(NULL);
}

/* What a connection of the other client library looks like for this one. */
Test(inbox_mysql, a_connection_of_another_client_library)
{
    struct inbox_error error;
    inbox_mysql *inbox = NULL;
    MYSQL *conn = calloc(1, sizeof(*conn));
    memset(&conn->methods, 0x5a, sizeof(conn->methods));
    cr_assert_eq(inbox_mysql_new(conn, &inbox, &error), INBOX_INVALID);
    cr_assert_not_null(strstr(error.message, "link that client library and no other"), "%s",
                       error.message);
    free(conn);
}
