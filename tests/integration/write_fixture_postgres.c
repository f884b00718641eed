#include <outbox/outbox_pg.h>

#include "tests/integration/write_fixture.h"

outbox_result
write_fixture_postgres(void *conn, const struct outbox_message *message,
                       struct outbox_error *reterr)
{
    return outbox_pg_write(conn, message, NULL, reterr);
}
