/* PostgreSQL and liboutbox-pg behind write_fixture.h. */
#include <outbox/outbox_pg.h>

#include "tests/integration/write_fixture.h"

static outbox_result
write_many(void *conn, const struct outbox_message *messages, size_t count,
           struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return count == 1 ? outbox_pg_write(conn, messages, ret_ids, reterr)
                      : outbox_pg_write_many(conn, messages, count, ret_ids, reterr);
}

/* Of those that wait for each other the one gives way that looks first, after its deadlock_timeout. */
const struct write_fixture_kind write_fixture_postgres = {
    .many = write_many,
    .sql =
        {
            [WRITE_SQL_HOLDS_PLACES] = "lock table outbox",
            [WRITE_SQL_LOSES] = "set deadlock_timeout = '10ms'",
            [WRITE_SQL_WINS] = "set deadlock_timeout = '1min'",
            [WRITE_SQL_LAX] = "select 1",
            [WRITE_SQL_WITHOUT_TYPE] = "alter table outbox drop column type cascade",
        },
    .words =
        {
            [WRITE_WORDS_LOCKED] = {"55P03", "lock timeout"},
            [WRITE_WORDS_DEADLOCK] = {"40P01", "deadlock"},
            [WRITE_WORDS_DENIED] = {"42501", "permission denied"},
            [WRITE_WORDS_READ_ONLY] = {"25006", "read-only"},
            [WRITE_WORDS_LOST] = {"", "terminat"}, /* the server's words, or libpq's */
            [WRITE_WORDS_NO_TYPE] = {"42703", "type"},
            [WRITE_WORDS_NO_OUTBOX] = {"42P01", "outbox"},
            [WRITE_WORDS_NO_SCHEMA] = {"42P01", "outbox"},
            [WRITE_WORDS_BROKEN_JSON] = {"", "json"},
        },
    .goes_on = false,
};
