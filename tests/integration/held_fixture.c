#include "tests/integration/held_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"

struct db *
held_fixture_create(void)
{
    cr_assert_eq(setenv("TZ", "UTC", 1), 0);
    cli_enter();
    struct db *const db = db_create();
    db_load_outbox(db);
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_dsn());
    return db;
}

void
held_fixture_drop(struct db *db)
{
    db_drop(db);
    cli_leave();
}

void
held_put(struct db *db, int id, const char *key, const char *state, const char *changes)
{
    char sql[2000];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox_held (id, message_id, routing_key, \"key\", type, payload, "
        "created_at, state, held_at) values (%d, "
        "as_id(concat('00000000-0000-7000-8000-', lpad('%d', 12, '0'))), 'paid', %s%s%s, "
        "'order.paid', 'x', from_now(-600), '%s', from_now(-180))",
        id, id, key == NULL ? "" : "'", key == NULL ? "null" : key, key == NULL ? "" : "'",
        state); /* fits */
    db_exec(db, sql);
    if (changes != NULL) {
        (void)snprintf(sql, sizeof(sql), "update outbox_held set %s where id = %d", changes,
                       id); /* fits */
        db_exec(db, sql);
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
held_query(struct db *db, const char *format, ...)
{
    char sql[2000];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sql, sizeof(sql), format, arguments); /* fits */
    va_end(arguments);
    return db_text(db, sql);
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
