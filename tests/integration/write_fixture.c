#include "tests/integration/write_fixture.h"

#include "tests/integration/db_fixture_private.h"

outbox_result
write_fixture_message(struct db *tx, const struct outbox_message *message,
                      struct outbox_error *reterr)
{
    return db_is_mysql() ? write_fixture_mysql(db_conn(tx), message, reterr)
                         : write_fixture_postgres(db_conn(tx), message, reterr);
}
