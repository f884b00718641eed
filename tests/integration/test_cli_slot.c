/* What `outbox-relay status` says of a replication slot, which PostgreSQL alone has. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/held_fixture.h"
#include "tests/integration/pg_fixture.h"

static struct db *db;

static void
set_up(void)
{
    db = held_fixture_create();
}

static void
tear_down(void)
{
    held_fixture_drop(db);
}

TestSuite(cli_slot, .init = set_up, .fini = tear_down);

/* Also for a slot that nobody reads, and without a relay. */
Test(cli_slot, what_it_keeps)
{
    char name[100];
    char sql[200];
    char expected[300];
    (void)snprintf(name, sizeof(name), "outbox_relay_%s_public", pg_fixture_database()); /* fits */
    (void)snprintf(sql, sizeof(sql), "select pg_create_logical_replication_slot('%s', 'pgoutput')",
                   name); /* fits */
    db_exec(db, sql);
    /* As part of a transaction, whose commit waits until it is written. */
    db_exec(db, "select pg_logical_emit_message(true, 'test', repeat('x', 3000000))");
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s", cli_stderr());
    (void)snprintf(expected, sizeof(expected), "\n  slot       %s, keeps ", name); /* fits */
    cr_assert_not_null(strstr(cli_stdout(), expected), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), " MiB of the server's log, and nobody reads it\n"),
                       "%s", cli_stdout());
    json_t *const array = held_json("status --json", 0);
    const json_t *const slot = json_object_get(json_array_get(array, 0), "slot");
    cr_assert_str_eq(json_string_value(json_object_get(slot, "name")), name);
    cr_assert(json_is_false(json_object_get(slot, "active")));
    cr_assert_gt(json_integer_value(json_object_get(slot, "retained_bytes")), 3000000);
    json_decref(array);
    cr_assert_null(strstr(cli_stdout(), "nowhere else"));
    cli_write("relay.conf",
              "broker main { uri = \"amqp://guest@localhost/\" }\n"
              "source orders { kind = postgres mode = tail tableless = true wal_retain_max = 1MiB\n"
              "  broker = main dsn = \"%s\" }\n",
              db_dsn());
    cr_assert_eq(cli("status -c relay.conf"), 0);
    cr_assert_not_null(
        strstr(cli_stdout(), "more than wal_retain_max; messages may be nowhere else\n"), "%s",
        cli_stdout());
    (void)snprintf(sql, sizeof(sql), "select pg_drop_replication_slot('%s')", name); /* fits */
    db_exec(db, sql);
}
