/* What belongs to the tables: the current limits, triggers, functions and the view. Others may drop or alter each of
 * them; `check` says so, and `init` restores it while writers go on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;

static void
set_up(void)
{
    cli_enter();
    db = pg_fixture_create();
    pg_exec(db, "revoke create on schema public from public");
    pg_fixture_load_outbox(db);
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = poll broker = main exchange = \"amq.topic\"\n"
              "  dsn = \"%s\" }\n",
              getenv("OUTBOX_TEST_AMQP_URI"), pg_fixture_dsn());
}

static void
tear_down(void)
{
    pg_fixture_drop(db);
    cli_leave();
}

TestSuite(schema, .init = set_up, .fini = tear_down, .timeout = 240);

static void
expect_said(const char *command, int status, const char *line)
{
    const int got = cli(command);
    cr_assert_not_null(strstr(cli_stdout(), line), "no \"%s\" in: %s", line, cli_stdout());
    cr_assert_eq(got, status, "%s", cli_stdout());
}

#define THERE "ok       source \"orders\": the tables are there already, nothing to do\n"
#define WHOLE \
    "ok       source \"orders\": limits, triggers and functions of the tables are all there\n"

/* Everything that init makes, except the tables themselves, as the server shows it. */
static const char shape[] =
    "select string_agg(line, E'\\n' order by line) from ("
    "select conrelid::regclass || ' ' || conname || ' ' || replace(pg_get_constraintdef(oid), ' "
    "NOT VALID', '') as line from pg_constraint where "
    "contype = 'c' and connamespace = 'public'::regnamespace "
    "union all select pg_get_triggerdef(oid) || tgenabled::text from pg_trigger where not "
    "tgisinternal "
    "union all select pg_get_functiondef(oid) || coalesce(proacl::text, '') from pg_proc where "
    "pronamespace = 'public'::regnamespace "
    "union all select pg_get_viewdef(oid) from pg_class where relkind = 'v' and relnamespace = "
    "'public'::regnamespace) as all_of_it";

/* After `undo`, `check` says that `what` is in this state, and init restores it. */
static void
expect_put_back(const char *undo, const char *what, const char *state)
{
    char line[400];
    char *const before = strdup(pg_query_text(db, shape));
    pg_exec(db, undo);
    cr_assert_str_neq(pg_query_text(db, shape), before, "does nothing: %s", undo);
    (void)snprintf(
        line, sizeof(line),
        "problem  source \"orders\": %s is %s: run `outbox-relay init` as the owner of the "
        "tables, which ",
        what, state); /* fits */
    expect_said("check -c relay.conf", 1, line);
    (void)snprintf(line, sizeof(line),
                   "ok       source \"orders\": %s was %s, and is there again\n", what,
                   state); /* fits */
    expect_said("init -c relay.conf", 0, line);
    cr_assert_str_eq(pg_query_text(db, shape), before);
    free(before);
}

static void
expect_whole(void)
{
    expect_said("check -c relay.conf", 0, WHOLE);
    expect_said("init -c relay.conf", 0, THERE);
}

/* Statements that each drop one object, and the name of it in the answers. */
#define EACH                                                                                     \
    "select format('alter table %s drop constraint %I', conrelid::regclass, conname), "          \
    "format('the limit %I on public.%s', conname, conrelid::regclass) from pg_constraint where " \
    "contype = 'c' and conrelid in ('outbox'::regclass, 'outbox_held'::regclass) union all "     \
    "select format('drop trigger %I on %s', tgname, tgrelid::regclass), format('the trigger %I " \
    "on public.%s', tgname, tgrelid::regclass) from pg_trigger where tgrelid = "                 \
    "'outbox'::regclass union all "                                                              \
    "select format('drop function %s cascade', oid::regprocedure), format('the function "        \
    "public.%I', proname) from pg_proc where pronamespace = 'public'::regnamespace union all "   \
    "select 'drop view outbox_new', 'the view public.outbox_new'"

Test(schema, each_that_is_dropped_is_said_and_put_back)
{
    expect_whole();
    PGresult *const all = PQexec(db, EACH);
    cr_assert_eq(PQntuples(all), 7 + 2 + 2 + 9 + 1, "%s", PQerrorMessage(db));
    for (int i = 0; i < PQntuples(all); i++) {
        expect_put_back(PQgetvalue(all, i, 0), PQgetvalue(all, i, 1), "missing");
    }
    PQclear(all);
    expect_whole();
}

Test(schema, what_is_altered_is_made_anew)
{
    static const char *const altered[][2] = {
        {"alter table outbox drop constraint outbox_key_1024_bytes, add constraint "
         "outbox_key_1024_bytes check (octet_length(key) <= 4096)",
         "the limit outbox_key_1024_bytes on public.outbox"},
        {"alter table outbox_held drop constraint outbox_held_check, add constraint "
         "outbox_held_check check (true)",
         "the limit outbox_held_check on public.outbox_held"},
        {"drop trigger outbox_headers on outbox; create trigger outbox_headers before insert on "
         "outbox for each row when (new.key = 'x') execute function outbox_headers()",
         "the trigger outbox_headers on public.outbox"},
        {"create or replace function outbox_payload() returns trigger language plpgsql as $$begin "
         "return null; end$$",
         "the function public.outbox_payload"},
        {"alter function outbox_cancel security invoker", "the function public.outbox_cancel"},
        {"alter function outbox_unfit reset search_path", "the function public.outbox_unfit"},
    };
    for (size_t i = 0; i < sizeof(altered) / sizeof(altered[0]); i++) {
        expect_put_back(altered[i][0], altered[i][1], "altered");
    }
    expect_put_back("alter table outbox disable trigger user",
                    "the trigger outbox_headers on public.outbox", "disabled");
    expect_put_back("alter table outbox enable replica trigger outbox_payload",
                    "the trigger outbox_payload on public.outbox", "disabled");
    expect_whole();
}

/* A limit counts with another name, and with "not valid", which leaves out only older rows. */
Test(schema, a_limit_is_known_by_what_it_says)
{
    pg_exec(db,
            "alter table outbox rename constraint outbox_key_1024_bytes to my_limit; alter table "
            "outbox drop constraint outbox_type_255_bytes, add constraint t check "
            "(((octet_length(type)) "
            "<= 255)) not valid");
    expect_whole();
}

/* The functions contain the schema's name. */
Test(schema, in_a_schema_of_any_name)
{
    pg_exec(db, "drop schema public cascade; create schema \"Sh%op's\"; do $$ begin execute "
                "format('alter database %I set search_path = \"Sh%%op''s\"', current_database()); "
                "end $$");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    expect_whole();
}

/* Writers wait while it is restored, so existing rows are not checked for it. */
Test(schema, a_limit_does_not_look_at_what_was_there_before_it)
{
    pg_exec(db,
            "alter table outbox drop constraint outbox_key_1024_bytes; insert into outbox (key, "
            "payload) values (repeat('x', 1025), '')");
    expect_said("init -c relay.conf", 0,
                "the tables were there already, and are now as they were made\n");
    cr_assert_eq(pg_query_int(db, "select count(*) from pg_constraint where conname = "
                                  "'outbox_key_1024_bytes' and not convalidated"),
                 1);
    expect_whole();
}

/* An owner may partition an outbox that was made before the triggers; and a partition's trigger can be disabled by
 * itself. */
Test(schema, of_an_outbox_in_partitions)
{
    pg_exec(db,
            "alter table outbox rename to plain; alter table plain alter id drop identity;"
            "create table outbox (like plain including defaults, primary key (id)) partition by "
            "range (id);"
            "create sequence outbox_id owned by outbox.id; alter table outbox alter id set default "
            "nextval('outbox_id');"
            "create table outbox_0 partition of outbox for values from (minvalue) to (maxvalue);"
            "drop table plain cascade");
    expect_said("check -c relay.conf", 1,
                "the limit outbox_key_1024_bytes on public.outbox is missing");
    expect_said("init -c relay.conf", 0,
                "the trigger outbox_headers on public.outbox was missing, and is there again\n");
    expect_whole();
    expect_put_back("alter table outbox_0 disable trigger outbox_headers",
                    "the trigger outbox_headers on public.outbox_0", "disabled");
    expect_whole();
}

/* The copy has the limits but not the triggers, and the view shows the old table. */
Test(schema, of_a_copy_of_the_table)
{
    pg_exec(db, "alter table outbox rename to older; create table outbox (like older including "
                "all)");
    expect_said("check -c relay.conf", 1, "the view public.outbox_new is altered");
    expect_said("init -c relay.conf", 0,
                "the trigger outbox_payload on public.outbox was missing, and is there again\n");
    expect_whole();
    pg_exec(db, "insert into outbox_new (payload_text) values ('x')");
    cr_assert_eq(pg_query_int(db, "select count(*) from outbox"), 1);
}

/* A role that is not the owner succeeds if there is nothing to do. */
Test(schema, another_role_finds_nothing_to_do)
{
    char sql[300];
    char role[40];
    (void)snprintf(role, sizeof(role), "schema_%ld", (long)getpid()); /* fits */
    (void)snprintf(sql, sizeof(sql),
                   "drop role if exists %s; create role %s login password 'pw'; grant select on "
                   "outbox_schema, outbox_relay_schema to %s",
                   role, role, role); /* fits */
    pg_exec(db, sql);
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = postgres mode = poll broker = main dsn = \"%s user=%s "
              "password=pw\" }\n",
              pg_fixture_dsn(), role);
    expect_said("init -c relay.conf", 0, THERE);
    pg_exec(db, "drop view outbox_new");
    expect_said("init -c relay.conf", 1, "run init as a role that may");
    (void)snprintf(sql, sizeof(sql), "drop owned by %s; drop role %s", role, role); /* fits */
    pg_exec(db, sql);
}

/* Like the relay: where polling is allowed it is advice; where the log is required it is a problem. */
Test(schema, without_limits_the_log_is_not_read)
{
#define NO_LIMIT                                                                                   \
    "table public.outbox has no limit on key, headers, so what its log brings may be larger than " \
    "a "                                                                                           \
    "relay can hold: run `outbox-relay init` as its owner, which puts that back\n"
    static const char *const modes[] = {"tail", "auto", "tail tableless = true"};
    static const char *const lines[] = {"problem  source \"orders\": " NO_LIMIT,
                                        "advice   source \"orders\": " NO_LIMIT, NULL};
    pg_exec(db, "alter table outbox drop constraint outbox_key_1024_bytes, drop constraint "
                "outbox_headers_128_kib; create publication outbox_relay_public for table outbox "
                "with (publish = 'insert')");
    for (size_t i = 0; i < 3; i++) {
        cli_write("relay.conf",
                  "broker main { uri = \"%s\" }\n"
                  "source orders { kind = postgres broker = main exchange = \"amq.topic\"\n"
                  "  dsn = \"%s\" mode = %s }\n",
                  getenv("OUTBOX_TEST_AMQP_URI"), pg_fixture_dsn(), modes[i]);
        expect_said("check -c relay.conf", 1,
                    "the limit outbox_key_1024_bytes on public.outbox is missing");
        cr_assert_eq(strstr(cli_stdout(), "has no limit") != NULL, lines[i] != NULL, "%s",
                     cli_stdout());
        cr_assert(lines[i] == NULL || strstr(cli_stdout(), lines[i]) != NULL, "%s", cli_stdout());
    }
    expect_said("init -c relay.conf", 0, "was missing, and is there again");
    expect_said("check -c relay.conf", 0, WHOLE);
}
