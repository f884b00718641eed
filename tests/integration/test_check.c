#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/pg_fixture.h"

static PGconn *db;
static char role[64];
static char slot[100];
static char connected[200]; /* the line of a database that could be reached */

static const char *
environment(const char *name)
{
    const char *const value = getenv(name);
    cr_assert_not_null(
        value, "%s is not set: this test needs a RabbitMQ server; see tests/services", name);
    return value;
}

/* One that polls, so that what is not about the log is told by itself. */
static void
write_config(const char *exchange)
{
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = poll broker = main exchange = \"%s\"\n"
              "  dsn = \"%s user=%s password=pw\" }\n",
              environment("OUTBOX_TEST_AMQP_URI"), exchange, pg_fixture_dsn(), role);
}

static void
write_config_of_mode(const char *mode, const char *more)
{
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = %s broker = main\n"
              "  exchange = \"amq.topic\" dsn = \"%s user=%s password=pw\" %s }\n",
              environment("OUTBOX_TEST_AMQP_URI"), mode, pg_fixture_dsn(), role, more);
}

static void
set_up(void)
{
    char sql[600];
    cli_enter();
    db = pg_fixture_create();
    (void)snprintf(role, sizeof(role), "check_%ld", (long)getpid()); /* fits */
    (void)snprintf(sql, sizeof(sql), "drop role if exists %s; create role %s login password 'pw'",
                   role, role); /* fits */
    pg_exec(db, sql);
    pg_exec(db, "revoke create on schema public from public"); /* before PostgreSQL 15 it may */
    pg_fixture_load_outbox(db);
    (void)snprintf(
        sql, sizeof(sql),
        "grant select, insert, update, delete on outbox to %s; grant select on sequence "
        "outbox_id_seq to "
        "%s; grant select, insert, update, delete on outbox_held to %s; grant select, update on "
        "outbox_held_act to %s; grant select, insert, update on outbox_relay to %s",
        role, role, role, role, role); /* fits */
    pg_exec(db, sql);
    const int version = PQserverVersion(db);
    (void)snprintf(connected, sizeof(connected),
                   "ok       source \"orders\": connected to database \"%s\" as \"%s\", PostgreSQL "
                   "%d.%d, without TLS\n",
                   PQdb(db), role, version / 10000, version % 10000);       /* fits */
    (void)snprintf(slot, sizeof(slot), "outbox_relay_%s_public", PQdb(db)); /* fits */
    write_config("amq.topic");
}

static void
tear_down(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "drop owned by %s; drop role %s", role, role); /* fits */
    pg_exec(db, sql);
    pg_fixture_drop(db);
    cli_leave();
}

TestSuite(check, .init = set_up, .fini = tear_down);

#define VERSION "ok       source \"orders\": the outbox tables have version 1\n"
#define HELD                                                                                     \
    "ok       source \"orders\": the tables for held messages have version 3\n"                  \
    "ok       source \"orders\": limits, triggers and functions of the tables are all there\n"   \
    "ok       source \"orders\": columns are as they were made, and nobody has put anything on " \
    "the tables\n"
#define MAY "ok       source \"orders\": \"ROLE\" may do on the tables what a relay does\n"
#define SEQUENCE "ok       source \"orders\": ids are given out in the order of writing\n"
#define VACUUM "ok       source \"orders\": autovacuum is on\n"
#define BROKER                                                                       \
    "ok       broker \"main\": connected to PEER, virtual host \"/\", without TLS\n" \
    "ok       source \"orders\": exchange \"amq.topic\" is there\n"

/* Puts `value` in place of each `word`. */
static void
fill_in(char *text, size_t size, const char *word, const char *value)
{
    char *found;
    while ((found = strstr(text, word)) != NULL) {
        char rest[4000];
        (void)snprintf(rest, sizeof(rest), "%s", found + strlen(word)); /* fits */
        const size_t before = (size_t)(found - text);
        (void)snprintf(found, size - before, "%s%s", value, rest); /* fits */
    }
}

/* What it said, with N for what a slot keeps: other tests write to the server as well. */
static const char *
said(void)
{
    static char text[4000];
    (void)snprintf(text, sizeof(text), "%s", cli_stdout()); /* fits */
    char *const amount = strstr(text, "keeps ");
    char *const unit = amount == NULL ? NULL : strstr(amount, " MiB");
    if (unit != NULL) {
        amount[strlen("keeps ")] = 'N';
        memmove(amount + strlen("keeps N"), unit, strlen(unit) + 1);
    }
    return text;
}

/* CONNECTED and then `expected`, with ROLE and PEER filled in. */
static void
expect(int status, const char *expected)
{
    char text[4000];
    char peer[100];
    (void)snprintf(text, sizeof(text), "%s%s", connected, expected); /* fits */
    (void)snprintf(peer, sizeof(peer), "%s:%s", environment("OUTBOX_TEST_AMQP_HOST"),
                   environment("OUTBOX_TEST_AMQP_PORT")); /* fits */
    fill_in(text, sizeof(text), "ROLE", role);
    fill_in(text, sizeof(text), "PEER", peer);
    fill_in(text, sizeof(text), "SLOT", slot);
    const int got = cli("check -c relay.conf");
    cr_assert_str_eq(said(), text, "expected:\n%s\ngot:\n%s", text, said());
    cr_assert_str_empty(cli_stderr());
    cr_assert_eq(got, status);
}

Test(check, all_good)
{
    expect(0, VERSION HELD MAY SEQUENCE VACUUM BROKER "no problems\n");
}

#define CREATORS                                                                                 \
    "advice   source \"orders\": more than the owner may create something in the schema of the " \
    "tables, and so give the names that applications use another meaning: revoke create on "     \
    "schema "                                                                                    \
    "public from "

Test(check, who_else_may_create_something_beside_the_tables)
{
    char sql[300];
    pg_exec(db, "grant create on schema public to public");
    expect(0, VERSION HELD MAY SEQUENCE VACUUM CREATORS "public\n" BROKER "no problems\n");
    (void)snprintf(sql, sizeof(sql), "grant create on schema public to %s", role); /* fits */
    pg_exec(db, sql);
    expect(0, VERSION HELD MAY SEQUENCE VACUUM CREATORS "ROLE, public\n" BROKER "no problems\n");
    (void)snprintf(sql, sizeof(sql),
                   "revoke create on schema public from %s, public; grant usage on schema public "
                   "to public; alter schema public owner to %s",
                   role, role); /* fits */
    pg_exec(db, sql);
    expect(0, VERSION HELD MAY SEQUENCE VACUUM BROKER "no problems\n");
    pg_exec(db, "alter schema public owner to postgres");
}

Test(check, columns_that_others_have_added)
{
    pg_exec(db, "alter table outbox add tenant int not null, add \"a b\" text");
    expect(
        0, VERSION HELD MAY SEQUENCE VACUUM
        "ok       source \"orders\": what the outbox has in columns of your own (tenant, \"a b\") "
        "goes along with messages that are set aside\n" BROKER "no problems\n");
    pg_exec(db, "alter table outbox_held add tenant int not null, add nothing int, "
                "add twice int generated always as (id * 2) stored not null");
    expect(
        1, VERSION HELD MAY SEQUENCE VACUUM
        "ok       source \"orders\": what the outbox has in columns of your own (tenant, \"a b\") "
        "goes along with messages that are set aside\n"
        "problem  source \"orders\": nothing can be set aside, for it has no value for what "
        "outbox_held must have (tenant): give these columns a default, or drop their NOT "
        "NULL\n" BROKER "1 problem\n");
}

Test(check, no_tables)
{
    pg_exec(db, "drop table outbox, outbox_schema cascade");
    expect(
        1,
        "problem  source \"orders\": there are no outbox tables: run `outbox-relay init`, or set "
        "search_path in the dsn to where they are\n" BROKER "1 problem\n");
}

Test(check, tables_of_somebody_else)
{
    pg_exec(db, "drop table outbox_schema");
    expect(1, "problem  source \"orders\": there is a table \"outbox\" or \"outbox_schema\" that "
              "`outbox-relay init` has not made: rename it, or set search_path in the dsn\n" BROKER
              "1 problem\n");
}

Test(check, another_version)
{
    pg_exec(db, "update outbox_schema set version = 7");
    expect(1,
           "problem  source \"orders\": the outbox tables have version 7, this relay needs version "
           "1: use the relay that fits the tables\n" HELD MAY SEQUENCE VACUUM BROKER "1 problem\n");
}

Test(check, an_outbox_of_an_older_relay)
{
    pg_exec(db, "drop table outbox_held, outbox_held_act, outbox_relay, outbox_sent, "
                "outbox_relay_schema");
    expect(
        1, VERSION
        "problem  source \"orders\": there are no tables for held messages: run `outbox-relay "
        "init`, which adds them while writers and an older relay go on\n" MAY SEQUENCE VACUUM BROKER
        "1 problem\n");
}

Test(check, another_version_of_the_relays_tables)
{
    pg_exec(db, "update outbox_relay_schema set version = 4");
    expect(1, VERSION
           "problem  source \"orders\": the tables for held messages have version 4, this relay "
           "needs version 3: use the relay that fits the tables\n" MAY SEQUENCE VACUUM BROKER
           "1 problem\n");
}

/* What the relay refuses to start without, `check` must name, and the other way round. */
Test(check, remembering_what_was_sent_needs_more)
{
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = postgres mode = poll broker = main\n"
              "  exchange = \"amq.topic\" dsn = \"%s user=%s password=pw\" keep_sent = \"1h\" }\n",
              environment("OUTBOX_TEST_AMQP_URI"), pg_fixture_dsn(), role);
    expect(
        1, VERSION HELD
        "problem  source \"orders\": the role lacks a privilege: grant select, insert, delete on "
        "public.outbox_sent to \"ROLE\"\n" SEQUENCE VACUUM BROKER "1 problem\n");
}

Test(check, all_that_is_wrong_at_once)
{
    char sql[600];
    (void)snprintf(sql, sizeof(sql),
                   "revoke all on outbox from %s; revoke all on sequence outbox_id_seq from %s; "
                   "revoke update, delete on outbox_held from %s; revoke update on outbox_held_act "
                   "from %s; revoke insert on outbox_relay from %s",
                   role, role, role, role, role); /* fits */
    pg_exec(db, sql);
    pg_exec(db, "alter sequence outbox_id_seq cache 10");
    pg_exec(db, "alter table outbox set (toast.autovacuum_enabled = off)");
    write_config("nowhere");
    expect(1, VERSION HELD
           "problem  source \"orders\": the role lacks a privilege: grant select on sequence "
           "public.outbox_id_seq to \"ROLE\"\n"
           "problem  source \"orders\": the role lacks a privilege: grant select, insert, update, "
           "delete on "
           "public.outbox to \"ROLE\"\n"
           "problem  source \"orders\": the role lacks a privilege: grant update, delete on "
           "public.outbox_held to \"ROLE\"\n"
           "problem  source \"orders\": the role lacks a privilege: grant update on "
           "public.outbox_held_act "
           "to \"ROLE\"\n"
           "problem  source \"orders\": the role lacks a privilege: grant insert on "
           "public.outbox_relay to "
           "\"ROLE\"\n"
           "problem  source \"orders\": sessions take 10 ids at a time, so the order within a key "
           "gets "
           "lost: alter sequence public.outbox_id_seq cache 1\n"
           "problem  source \"orders\": autovacuum is off for the table, so it only grows: alter "
           "table "
           "outbox set (autovacuum_enabled = true, toast.autovacuum_enabled = true)\n"
           "ok       broker \"main\": connected to PEER, virtual host \"/\", without TLS\n"
           "problem  source \"orders\": exchange \"nowhere\": NOT_FOUND - no exchange 'nowhere' in "
           "vhost '/'; declare it on the broker or name another\n"
           "8 problems\n");
}

Test(check, the_default_exchange_needs_no_look)
{
    write_config("");
    expect(0, VERSION HELD MAY SEQUENCE VACUUM
           "ok       broker \"main\": connected to PEER, virtual host \"/\", without TLS\n"
           "ok       source \"orders\": default exchange is AMQP's, which is always there\n"
           "no problems\n");
}

Test(check, servers_that_are_not_there)
{
    cli_write("relay.conf", "broker main { uri = \"amqp://u:hunter2@127.0.0.1:1/\" }\n"
                            "source orders { kind = postgres broker = main\n"
                            "  dsn = \"host=127.0.0.1 port=1 password=hunter2\" }\n");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_str_eq(
        cli_stdout(),
        "problem  source \"orders\": cannot connect: connection to server at \"127.0.0.1\", port 1 "
        "failed: Connection refused; Is the server running on that host and accepting TCP/IP "
        "connections?; see that the server runs, listens there and lets this user in\n"
        "problem  broker \"main\": 127.0.0.1:1: Connection refused; see that it runs and listens "
        "there\n"
        "2 problems\n");
}

Test(check, credentials_that_are_wrong)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://guest:hunter2@%s:%s/\" }\n"
              "source orders { kind = postgres broker = main\n"
              "  dsn = \"%s user=%s password=hunter2\" }\n",
              environment("OUTBOX_TEST_AMQP_HOST"), environment("OUTBOX_TEST_AMQP_PORT"),
              pg_fixture_dsn(), role);
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "password authentication failed for user"));
    cr_assert_not_null(strstr(cli_stdout(), "see that user and password are right"));
    cr_assert_null(strstr(cli_stdout(), "hunter2"), "%s", cli_stdout());
}

#define TABLES VERSION HELD MAY SEQUENCE VACUUM
#define PUBLISH \
    "create publication outbox_relay_public for table public.outbox with (publish = 'insert')"
#define UNBOUNDED                                                                                 \
    "advice   source \"orders\": max_slot_wal_keep_size is -1, so while no relay runs nothing "   \
    "bounds what its slot keeps of the server's log: set it in the server, above wal_retain_max " \
    "= "                                                                                          \
    "10GiB\n"

static void
run_with(const char *before, const char *name, const char *after)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql), "%s%s%s", before, name, after); /* fits */
    pg_exec(db, sql);
}

static void
make_ready(void)
{
    run_with("alter role ", role, " replication");
    pg_exec(db, PUBLISH);
}

static void
create_slot(void)
{
    run_with("select pg_create_logical_replication_slot('", slot, "', 'pgoutput')");
}

/* A database with a slot can't be dropped. */
static void
drop_slot(void)
{
    run_with("select pg_drop_replication_slot('", slot, "')");
}

Test(check, the_log_can_be_read)
{
    make_ready();
    write_config_of_mode("tail", "");
    expect(0, TABLES "ok       source \"orders\": the log can be read; the relay makes the slot "
                     "\"SLOT\" when it starts\n" UNBOUNDED BROKER "no problems\n");
    create_slot();
    expect(0, TABLES "ok       source \"orders\": the log can be read; the slot \"SLOT\" keeps N "
                     "MiB of it, and nobody reads it now\n" UNBOUNDED BROKER "no problems\n");
    drop_slot();
}

Test(check, what_tailing_lacks_is_advice_to_one_that_may_poll)
{
    write_config_of_mode("auto", "");
    expect(0, TABLES "advice   source \"orders\": the role may not read the log: alter role ROLE "
                     "replication\n"
                     "advice   source \"orders\": there is no publication outbox_relay_public: run "
                     "`outbox-relay init` as the owner of the table, or " PUBLISH "\n"
                     "ok       source \"orders\": until then it polls the table\n" BROKER
                     "no problems\n");
}

Test(check, what_tailing_lacks_is_a_problem_to_one_that_must_tail)
{
    write_config_of_mode("tail", "");
    expect(1, TABLES "problem  source \"orders\": the role may not read the log: alter role ROLE "
                     "replication\n"
                     "problem  source \"orders\": there is no publication outbox_relay_public: run "
                     "`outbox-relay init` as the owner of the table, or " PUBLISH "\n" BROKER
                     "2 problems\n");
}

/* What it says is to be run, is run. */
Test(check, publications_that_do_not_do)
{
    make_ready();
    write_config_of_mode("tail", "");
    pg_exec(db, "alter publication outbox_relay_public drop table outbox; "
                "alter publication outbox_relay_public set (publish = 'update')");
    expect(
        1, TABLES
        "problem  source \"orders\": publication outbox_relay_public is not of the outbox: alter "
        "publication outbox_relay_public add table public.outbox\n"
        "problem  source \"orders\": publication outbox_relay_public does not publish inserts: "
        "alter publication outbox_relay_public set (publish = 'insert')\n" BROKER "2 problems\n");
    pg_exec(db, "alter publication outbox_relay_public add table outbox; "
                "alter publication outbox_relay_public set (publish = 'insert')");
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    pg_exec(db, "create publication everything for all tables");
    write_config_of_mode("tail", "publication = everything");
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
}

Test(check, slots_that_do_not_do)
{
    make_ready();
    run_with("select pg_create_physical_replication_slot('", slot, "')");
    write_config_of_mode("tail", "");
    expect(1,
           TABLES "problem  source \"orders\": the slot \"SLOT\" is another database's or made for "
                  "something else: name another by `slot`\n" BROKER "1 problem\n");
    drop_slot();
}

Test(check, a_slot_that_keeps_too_much)
{
    make_ready();
    create_slot();
    pg_exec(db, "select pg_logical_emit_message(true, 'test', repeat('x', 2000000))");
    write_config_of_mode("tail", "wal_retain_max = 1MiB");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), " MiB of the server's log, more than wal_retain_max = "
                                            "1MiB: start the relay, which drops it, or select "
                                            "pg_drop_replication_slot('"),
                       "%s", cli_stdout());
    drop_slot();
}

/* It alone has the messages, so nobody is told to drop it. What can't be a message gets an id of the outbox. */
Test(check, a_source_without_a_table)
{
    make_ready();
    create_slot();
    pg_exec(db, "select pg_logical_emit_message(true, 'test', repeat('x', 2000000))");
    write_config_of_mode("tail", "wal_retain_max = 1MiB tableless = true");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "which reads it; messages may be in it alone\n"), "%s",
                       cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "lacks a privilege: grant usage on sequence "), "%s",
                       cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "2 problems\n"), "%s", cli_stdout());
    drop_slot();
}

Test(check, a_slot_that_was_left_behind)
{
    create_slot();
    expect(1, TABLES
           "problem  source \"orders\": mode is \"poll\", but the slot \"SLOT\" is still there and "
           "keeps N MiB of the server's log for nobody: select "
           "pg_drop_replication_slot('SLOT')\n" BROKER "1 problem\n");
    drop_slot();
}

/* Promise: what a server says, or somebody made it say, moves no cursor and forges no line. */
Test(check, words_of_a_server_stay_words)
{
    write_config("x\\nok       forged\x1b[2J");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_null(strchr(cli_stdout(), '\x1b'), "%s", cli_stdout());
    cr_assert_null(strstr(cli_stdout(), "\nok       forged"), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "exchange \"x\\nok       forged\\x1b[2J\""), "%s",
                       cli_stdout());
}
