/* MariaDB and MySQL and liboutbox-mysql behind write_fixture.h. */
#include <outbox/outbox_mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"
#include "tests/integration/write_fixture.h"

static outbox_result
write_many(void *conn, const struct outbox_message *messages, size_t count,
           struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return count == 1 ? outbox_mysql_write(conn, messages, ret_ids, reterr)
                      : outbox_mysql_write_many(conn, messages, count, ret_ids, reterr);
}

static void
write_text(void *conn, const char *text)
{
    static const char sql[] = "insert into outbox (payload_text) values (?)";
    MYSQL_STMT *statement = mysql_stmt_init(conn);
    MYSQL_BIND bind = {
        .buffer_type = MYSQL_TYPE_STRING, .buffer = strdup(text), .buffer_length = strlen(text)};
    if (mysql_stmt_prepare(statement, sql, sizeof(sql) - 1) != 0 ||
        mysql_stmt_bind_param(statement, &bind) != 0 || mysql_stmt_execute(statement) != 0) {
        (void)fprintf(stderr, "%s\n", mysql_stmt_error(statement));
        abort();
    }
    (void)mysql_stmt_close(statement);
    free(bind.buffer);
}

static bool
returns(void *conn)
{
    return mysql_fixture_is_mariadb(conn);
}

/* With the client that Debian has. */
static void
run_by_hand(const char *file)
{
    char command[4096];
    (void)snprintf(
        command, sizeof(command),
        "cd " SOURCE_ROOT "/outbox-sql/mysql/schema && command=$(sed -n 's/^-- \\(for file in .* "
        "do \\)mariadb \\(.*\\) shop <$file.sql; done$/\\1client \\2 %s <$file.sql || exit 1; "
        "done/p' %s.sql) && test -n \"$command\" && client() { "
        "MYSQL_PWD=$OUTBOX_TEST_MYSQL_PASSWORD "
        "$(command -v mariadb || command -v mysql) --no-defaults --host=$OUTBOX_TEST_MYSQL_HOST "
        "--port=$OUTBOX_TEST_MYSQL_PORT "
        "--user=$OUTBOX_TEST_MYSQL_USER \"$@\"; } && eval \"$command\"",
        mysql_fixture_database(), file); /* fits */
    if (system(command) != 0) {          /* NOLINT: nobody else's words are in it */
        abort();
    }
}

static void
make_by_hand(void)
{
    run_by_hand("outbox");
    run_by_hand("outbox_held");
}

const struct write_fixture_kind write_fixture_mysql = {
    .many = write_many,
    .text = write_text,
    .returns = returns,
    .make_by_hand = make_by_hand,
    .sql =
        {
            [WRITE_SQL_HOLDS_PLACES] = "select * from outbox for update", /* the gap */
            [WRITE_SQL_LOSES] = "do 0",
            [WRITE_SQL_WINS] = "do 0",
            [WRITE_SQL_LAX] = "set sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'",
            [WRITE_SQL_WITHOUT_TYPE] =
                "alter table outbox drop constraint outbox_type_255_bytes, drop column type",
            [WRITE_SQL_WITHOUT_TRIGGER] = "drop trigger outbox_payload",
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
            [WRITE_WORDS_NO_ID] = {"", "message_id"},
            [WRITE_WORDS_NO_TIME] = {"", "deliver_after"},
            [WRITE_WORDS_NO_KEY] = {"", "outbox_held_waiting_has_a_key"},
        },
    .goes_on = true,
};
