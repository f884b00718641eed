/* What others add to the tables, or set for the relay's role, that would stop the relay silently: `check` reports it
 * before the start, and a running relay says what it is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *db;
static char role[40];
static char dsn[300]; /* of the relay's role */

/* Runs this with the role for each %1$s. */
static void
exec_for_role(const char *format)
{
    char sql[600];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof(sql), format, role); /* fits */
#pragma GCC diagnostic pop
    pg_exec(db, sql);
}

static void
set_up(void)
{
    cli_enter();
    db = pg_fixture_create();
    (void)snprintf(role, sizeof(role), "stranger_%ld", (long)getpid()); /* fits */
    exec_for_role("drop role if exists %1$s; create role %1$s login password 'pw'");
    pg_exec(db, "revoke create on schema public from public");
    pg_fixture_load_outbox(db);
    exec_for_role("grant select, insert, update, delete on all tables in schema public to %1$s; "
                  "grant select on sequence outbox_id_seq to %1$s");
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s password=pw", pg_fixture_dsn(), role); /* fits */
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = poll broker = main exchange = \"amq.topic\"\n"
              "  dsn = \"%s\" }\n",
              getenv("OUTBOX_TEST_AMQP_URI"), dsn);
}

static void
tear_down(void)
{
    exec_for_role("drop owned by %1$s cascade; drop role %1$s");
    pg_fixture_drop(db);
    cli_leave();
}

TestSuite(strangers, .init = set_up, .fini = tear_down, .timeout = 120);

/* `check` says these lines about the source, with the role instead of ROLE; running the statements that they name
 * solves the problems. */
static void
expect_lines(int status, const char *const *lines)
{
    const int got = cli("check -c relay.conf");
    for (; *lines != NULL; lines++) {
        char line[500];
        const char *const at = strstr(*lines, "ROLE");
        (void)snprintf(line, sizeof(line), "%.*s%s%s\n",
                       (int)(at == NULL ? strlen(*lines) : (size_t)(at - *lines)), *lines,
                       at == NULL ? "" : role, at == NULL ? "" : at + strlen("ROLE")); /* fits */
        cr_assert_not_null(strstr(cli_stdout(), line), "no \"%s\" in: %s", line, cli_stdout());
    }
    cr_assert_eq(got, status, "%s", cli_stdout());
}

#define SOURCE " source \"orders\": "
#define NONE \
    "ok      " SOURCE "columns are as they were made, and nobody has put anything on the tables"

static void
expect_none(void)
{
    static const char *const lines[] = {NONE, NULL};
    expect_lines(0, lines);
}

Test(strangers, what_does_something_else_with_rows)
{
    static const char *const lines[] = {
        "problem " SOURCE "row level security of public.outbox hides rows from ROLE: alter table "
        "public.outbox disable row level security, or alter role ROLE bypassrls",
        "problem " SOURCE "rule keep of public.outbox_held does something else instead of what the "
        "relay says: drop rule keep on public.outbox_held",
        "advice  " SOURCE "rule log of public.outbox also does something when the relay moves or "
        "deletes messages: see that it refuses none",
        "advice  " SOURCE "trigger mine of public.outbox is not the relay's: see that it refuses "
        "none of its inserts, updates and deletes, and skips none",
        "advice  " SOURCE "foreign key mine_id_fkey of public.mine keeps messages from being "
        "deleted from public.outbox: have it `on delete cascade`, or drop it",
        NULL};
    const char *const first[] = {lines[1], lines[2], lines[3], lines[4], NULL};
    char begin[200];
    expect_none();
    pg_exec(db,
            "create table mine (id bigint references outbox); alter table outbox enable row level "
            "security; create function f() returns trigger language plpgsql as $$ begin return "
            "null; end $$; create trigger mine before delete on outbox for each row execute "
            "function f(); create rule keep as on delete to outbox_held do instead nothing; create "
            "rule log as on delete to outbox do also notify x");
    expect_lines(1, first);
    (void)snprintf(begin, sizeof(begin),
                   "row level security of public.outbox hides rows from %s: ", role); /* fits */
    cr_assert_not_null(strstr(cli_stdout(), begin), "%s", cli_stdout());
    exec_for_role("alter role %1$s bypassrls; drop rule keep on outbox_held; drop rule log on "
                  "outbox; drop trigger mine on outbox; drop table mine");
    expect_none();
}

Test(strangers, columns_of_another_type)
{
    static const char *const lines[] = {
        "problem " SOURCE "column exchange of public.outbox is of type character varying, and has "
        "to be text: alter table public.outbox alter column exchange type text using "
        "exchange::text",
        "problem " SOURCE "column headers of public.outbox_held is missing: alter table "
        "public.outbox_held add column headers jsonb",
        "problem " SOURCE "column created_at of public.outbox_held is of type timestamp without "
        "time zone, and has to be timestamp with time zone: alter table public.outbox_held alter "
        "column created_at type timestamp with time zone using created_at::timestamp with time "
        "zone",
        NULL};
    pg_exec(db, "drop view outbox_new; alter table outbox alter exchange type varchar(255); alter "
                "table outbox_held drop column headers, alter created_at type timestamp");
    expect_lines(1, lines);
    for (size_t i = 0; lines[i] != NULL; i++) {
        pg_exec(db, strstr(lines[i], "alter table"));
    }
    pg_fixture_load(db, "outbox-sql/postgres/schema_writing.sql");
    expect_none();
}

/* ---- the relay that runs ---- */

static void
expect_lost(const char *words)
{
    struct source_config config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct source *source = source_fixture_open(&config);
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
    source_fixture_close(source, &config);
}

Test(strangers, row_level_security_is_named_when_it_begins)
{
    pg_exec(db, "alter table outbox enable row level security");
    expect_lost("row level security hides messages from the relay's role");
}

#define READ_ONLY                                                                                 \
    "the database takes no changes: it is a standby, or default_transaction_read_only is on for " \
    "it or for the relay's role"

Test(strangers, a_database_that_takes_no_changes)
{
    static const char *const lines[] = {
        "problem " SOURCE "default_transaction_read_only is on, so the relay can change nothing: "
        "alter role ROLE set default_transaction_read_only = off",
        NULL};
    exec_for_role("alter role %1$s set default_transaction_read_only = on");
    expect_lines(1, lines);
    expect_lost(READ_ONLY);
    exec_for_role("alter role %1$s set default_transaction_read_only = off");
    expect_none();
}

/* If only the session becomes read-only, a statement is refused (25006). */
Test(strangers, a_session_that_takes_no_changes)
{
    const int64_t one = 1;
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    struct source *source = source_fixture_own(&config);
    pg_exec(db,
            "insert into outbox (payload) values ('x'); create function f() returns trigger "
            "language plpgsql as $$ begin set transaction_read_only = on; delete from "
            "public.outbox_held; return null; end $$; create trigger f before delete on outbox for "
            "each statement execute function f()");
    source->ops->settle(source, &one, 1, clock_monotonic_us());
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(error.text, READ_ONLY " (25006"), "%s", error.text);
    source_fixture_close(source, &config);
}
