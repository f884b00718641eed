#include "tests/integration/held_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

PGconn *
held_fixture_create(void)
{
    cr_assert_eq(setenv("TZ", "UTC", 1), 0);
    cli_enter();
    PGconn *const db = pg_fixture_create();
    pg_fixture_load(db, "outbox-sql/postgres/schema.sql");
    pg_fixture_load(db, "outbox-sql/postgres/schema_relay.sql");
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = postgres dsn = \"%s\" broker = main }\n",
              pg_fixture_dsn());
    return db;
}

void
held_fixture_drop(PGconn *db)
{
    pg_fixture_drop(db);
    cli_leave();
}

void
held_put(PGconn *db, int id, const char *key, const char *state, const char *changes)
{
    char sql[2000];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox_held (id, message_id, routing_key, key, type, payload, "
                   "created_at, state, held_at) values (%d, "
                   "('00000000-0000-7000-8000-' || lpad('%d', 12, '0'))::uuid, 'paid', %s%s%s, "
                   "'order.paid', 'x', now() - interval '10 min', '%s', now() - interval '3 min')",
                   id, id, key == NULL ? "" : "'", key == NULL ? "null" : key,
                   key == NULL ? "" : "'", state); /* fits */
    pg_exec(db, sql);
    if (changes != NULL) {
        (void)snprintf(sql, sizeof(sql), "update outbox_held set %s where id = %d", changes,
                       id); /* fits */
        pg_exec(db, sql);
    }
}

void
held_expect(const char *arguments, int status, const char *expected_stdout,
            const char *expected_stderr)
{
    char all[1000];
    (void)snprintf(all, sizeof(all), "%s -c relay.conf", arguments); /* fits */
    const int got = cli(all);
    cr_assert_str_eq(cli_stdout(), expected_stdout, "outbox-relay %s:\n%s\nexpected:\n%s",
                     arguments, cli_stdout(), expected_stdout);
    cr_assert_str_eq(cli_stderr(), expected_stderr, "outbox-relay %s:\n%s\nexpected:\n%s",
                     arguments, cli_stderr(), expected_stderr);
    cr_assert_eq(got, status, "outbox-relay %s: exit status %d", arguments, got);
}

json_t *
held_json(const char *arguments, int status)
{
    char all[1000];
    json_error_t error;
    (void)snprintf(all, sizeof(all), "%s -c relay.conf", arguments); /* fits */
    const int got = cli(all);
    cr_assert_eq(got, status, "outbox-relay %s: exit status %d\n%s", arguments, got, cli_stderr());
    json_t *const document = json_loads(cli_stdout(), JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(document, "outbox-relay %s: %s\n%s", arguments, error.text, cli_stdout());
    return document;
}

const char *
held_query(PGconn *db, const char *format, ...)
{
    char sql[2000];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sql, sizeof(sql), format, arguments); /* fits */
    va_end(arguments);
    return pg_query_text(db, sql);
}

const char *
held_timeless(const char *text)
{
    static char rest[8000];
    size_t size = 0;
    while (*text != '\0' && size < sizeof(rest) - 5) {
        int length = 0;
        if (*text >= '0' && *text <= '9') {
            (void)sscanf(text, "%*4d-%*2d-%*2d %*2d:%*2d:%*2d+00:00%n", &length); /* or 0 */
        }
        if (length > 0) {
            memcpy(rest + size, "TIME", 4);
            size += 4;
            text += length;
        } else {
            rest[size++] = *text++;
        }
    }
    rest[size] = '\0';
    return rest;
}
