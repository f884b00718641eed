#include <criterion/criterion.h>
#include <outbox/outbox_mysql.h>
#include <string.h>

/* What needs a server is in tests/integration. */
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
