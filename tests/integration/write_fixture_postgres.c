/* PostgreSQL and liboutbox-pg behind write_fixture.h. */
#include <outbox/outbox_pg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/pg_fixture.h"
#include "tests/integration/write_fixture.h"

static outbox_result
write_many(void *conn, const struct outbox_message *messages, size_t count,
           struct outbox_id *ret_ids, struct outbox_error *reterr)
{
    return count == 1 ? outbox_pg_write(conn, messages, ret_ids, reterr)
                      : outbox_pg_write_many(conn, messages, count, ret_ids, reterr);
}

static void
write_text(void *conn, const char *text)
{
    PGresult *result = PQexecParams(conn, "insert into outbox (payload_text) values ($1)", 1, NULL,
                                    &text, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        (void)fprintf(stderr, "%s", PQerrorMessage(conn));
        abort();
    }
    PQclear(result);
}

static bool
returns(void *conn)
{
    (void)conn;
    return true;
}

static void
run_by_hand(const char *file)
{
    char command[4096];
    (void)snprintf(
        command, sizeof(command),
        "cd " SOURCE_ROOT "/outbox-sql/postgres && command=$(sed -n "
        "'s/^.*\\(psql --single-transaction [^,]*\\).*$/\\1/p' %s.sql) && test -n \"$command\" && "
        "psql() { command psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null "
        "--dbname=\"%s\" \"$@\"; } && eval \"$command\"",
        file, pg_fixture_dsn()); /* fits */
    if (system(command) != 0) {  /* NOLINT: nobody else's words are in it */
        abort();
    }
}

static void
make_by_hand(void)
{
    run_by_hand("schema");
    run_by_hand("schema_relay");
    run_by_hand("schema_functions");
}

/* Of those that wait for each other the one gives way that looks first, after its deadlock_timeout. */
const struct write_fixture_kind write_fixture_postgres = {
    .many = write_many,
    .text = write_text,
    .returns = returns,
    .make_by_hand = make_by_hand,
    .sql =
        {
            [WRITE_SQL_HOLDS_PLACES] = "lock table outbox",
            [WRITE_SQL_LOSES] = "set deadlock_timeout = '10ms'",
            [WRITE_SQL_WINS] = "set deadlock_timeout = '1min'",
            [WRITE_SQL_LAX] = "select 1",
            [WRITE_SQL_WITHOUT_TYPE] = "alter table outbox drop column type cascade",
            [WRITE_SQL_WITHOUT_TRIGGER] = "drop trigger outbox_payload on outbox",
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
            [WRITE_WORDS_NO_ID] = {"", "uuid"},
            [WRITE_WORDS_NO_TIME] = {"", "for type timestamp"},
            [WRITE_WORDS_NO_KEY] = {"", "outbox_held_check"},
        },
    .goes_on = false,
};
