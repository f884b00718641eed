#include <outbox/outbox_mysql.h>

#include "tests/integration/write_fixture.h"

outbox_result
write_fixture_mysql(void *conn, const struct outbox_message *message, struct outbox_error *reterr)
{
    return outbox_mysql_write(conn, message, NULL, reterr);
}
