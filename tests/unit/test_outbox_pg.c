#include <criterion/criterion.h>
#include <outbox/outbox_pg.h>
#include <string.h>

/* Tests that need a server are in tests/integration. */
Test(outbox_pg, no_connection)
{
    struct outbox_error error;
    const struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_id id = {{0xaa}};
    cr_assert_eq(outbox_pg_write(NULL, &message, &id, &error), OUTBOX_CONNECTION);
    cr_assert_eq(error.code, OUTBOX_CONNECTION);
    cr_assert_str_eq(error.sqlstate, "");
    cr_assert_eq(outbox_pg_emit(NULL, &message, &id, &error), OUTBOX_CONNECTION);
    PGconn *conn = PQconnectdb("host=/nowhere port=1 connect_timeout=1");
    cr_assert_eq(outbox_pg_write(conn, &message, &id, &error), OUTBOX_CONNECTION);
    cr_assert_eq(outbox_pg_write(conn, &message, &id, NULL), OUTBOX_CONNECTION);
    cr_assert_eq(id.bytes[0], 0xaa);
    PQfinish(conn);
}
