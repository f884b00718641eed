#include <criterion/criterion.h>
#include <outbox/outbox_mysql.h>
#include <stdlib.h>
#include <string.h>

/* Tests that need a server are in tests/integration. */
Test(outbox_mysql, no_connection)
{
    struct outbox_error error;
    const struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_id id = {{0xaa}};
    cr_assert_eq(outbox_mysql_write(NULL, &message, &id, &error), OUTBOX_CONNECTION);
    cr_assert_eq(error.code, OUTBOX_CONNECTION);
    cr_assert_str_eq(error.sqlstate, "");
    MYSQL *conn = mysql_init(NULL);
    cr_assert_eq(outbox_mysql_write(conn, &message, &id, &error), OUTBOX_CONNECTION);
    cr_assert_null(mysql_real_connect(conn, NULL, "u", "p", NULL, 0, "/nowhere/socket", 0));
    cr_assert_eq(outbox_mysql_write(conn, &message, &id, &error), OUTBOX_CONNECTION);
    cr_assert_eq(outbox_mysql_write(conn, &message, &id, NULL), OUTBOX_CONNECTION);
    cr_assert_eq(id.bytes[0], 0xaa);
    mysql_close(conn);
}

/* What a connection of the other client library looks like for this one. */
Test(outbox_mysql, a_connection_of_another_client_library)
{
    struct outbox_error error;
    const struct outbox_message message = OUTBOX_MESSAGE_INIT;
    MYSQL *conn = calloc(1, sizeof(*conn));
    memset(&conn->methods, 0x5a, sizeof(conn->methods));
    cr_assert_eq(outbox_mysql_write(conn, &message, NULL, &error), OUTBOX_INVALID);
    cr_assert_not_null(strstr(error.message, "link that client library and no other"), "%s",
                       error.message);
    free(conn);
}
