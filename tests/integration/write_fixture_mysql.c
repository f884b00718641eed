/* MariaDB and MySQL and liboutbox-mysql behind write_fixture.h. */
#include <outbox/outbox_mysql.h>

#include "tests/integration/write_fixture.h"

static outbox_result
write_many(void *conn, const struct outbox_message *messages, size_t count,
           struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return count == 1 ? outbox_mysql_write(conn, messages, ret_ids, reterr)
                      : outbox_mysql_write_many(conn, messages, count, ret_ids, reterr);
}

const struct write_fixture_kind write_fixture_mysql = {
    .many = write_many,
    .sql =
        {
            [WRITE_SQL_HOLDS_PLACES] = "select * from outbox for update", /* the gap */
            [WRITE_SQL_LOSES] = "do 0",
            [WRITE_SQL_WINS] = "do 0",
            [WRITE_SQL_LAX] = "set sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'",
            [WRITE_SQL_WITHOUT_TYPE] =
                "alter table outbox drop constraint outbox_type_255_bytes, drop column type",
        },
    .words =
        {
            [WRITE_WORDS_LOCKED] = {"HY000", "(1205): only this statement was rolled back"},
            [WRITE_WORDS_DEADLOCK] = {"40001", "(1213): the server has rolled back the whole"},
            [WRITE_WORDS_DENIED] = {"42000", "INSERT command denied"},
            [WRITE_WORDS_READ_ONLY] = {"25006", "READ ONLY"},
            [WRITE_WORDS_LOST] = {"", "the server rolls back the transaction"},
            [WRITE_WORDS_NO_TYPE] = {"42S22", "type"},
            [WRITE_WORDS_NO_OUTBOX] = {"42S02", "outbox"},
            [WRITE_WORDS_NO_SCHEMA] = {"42S02", "outbox_schema"},
            [WRITE_WORDS_BROKEN_JSON] = {"", "outbox_headers_object"},
        },
    .goes_on = true,
};
