/* What `check` says about PostgreSQL alone: rights to create, sequences, autovacuum, publications and slots. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/check_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture_pg.h"

#define PROBLEM CHECK_PROBLEM
#define ADVICE CHECK_ADVICE
#define OK CHECK_OK

static char slot[100];

static void
set_up(void)
{
    check_set_up();
    (void)snprintf(slot, sizeof(slot), "outbox_relay_%s_public", db_database()); /* fits */
}

TestSuite(check_postgres, .init = set_up, .fini = check_tear_down, .timeout = 120);

static void
run(const char *sql)
{
    db_exec(check_scene.db, sql);
}

static void
run_with(const char *before, const char *name, const char *after)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql), "%s%s%s", before, name, after); /* fits */
    run(sql);
}

static void
expect_said(const char *words)
{
    cr_assert_not_null(strstr(cli_stdout(), words), "no \"%s\" in: %s", words, cli_stdout());
}

/* ---- the server ----------------------------------------------------------------------------------------- */

Test(check_postgres, to_what_it_has_connected)
{
    char line[200];
    const int version = PQserverVersion(db_pg(check_scene.db));
    check_expect_good();
    (void)snprintf(line, sizeof(line), "\" as \"%s\", PostgreSQL %d.%d, without TLS\n",
                   check_scene.role, version / 10000, version % 10000); /* fits */
    expect_said(line);
}

#define CREATORS                                                                                  \
    ADVICE "roles other than the owner may create objects in the schema of the tables; such an "  \
           "object could be used instead of one that applications mean by the same name: revoke " \
           "create on schema public from "

Test(check_postgres, who_else_may_create_something_beside_the_tables)
{
    run("grant create on schema public to public");
    check_expect(CREATORS "public\n");
    run_with("grant create on schema public to ", check_scene.role, "");
    check_expect(CREATORS "ROLE, public\n");
    run("revoke create on schema public from public; grant usage on schema public to public");
    run_with("revoke create on schema public from ", check_scene.role, "");
    run_with("alter schema public owner to ", check_scene.role, "");
    check_expect_good();
    run("alter schema public owner to postgres");
}

Test(check_postgres, all_that_is_wrong_at_once)
{
    run_with("revoke all on outbox, outbox_id_seq from ", check_scene.role, "");
    run_with("revoke update, delete on outbox_held from ", check_scene.role, "");
    run_with("revoke update on outbox_held_act from ", check_scene.role, "");
    run_with("revoke insert on outbox_relay from ", check_scene.role, "");
    run("alter sequence outbox_id_seq cache 10; "
        "alter table outbox set (toast.autovacuum_enabled = off)");
    check_configure("mode = poll exchange = nowhere");
    check_expect(
        PROBLEM "the role lacks a privilege: grant select on sequence public.outbox_id_seq to "
                "\"ROLE\"\n" PROBLEM
                "the role lacks a privilege: grant select, insert, update, delete on public.outbox "
                "to \"ROLE\"\n" PROBLEM
                "the role lacks a privilege: grant update, delete on public.outbox_held to "
                "\"ROLE\"\n" PROBLEM
                "the role lacks a privilege: grant update on public.outbox_held_act to "
                "\"ROLE\"\n" PROBLEM
                "the role lacks a privilege: grant insert on public.outbox_relay to "
                "\"ROLE\"\n" PROBLEM
                "sessions take 10 ids at a time, so the order within a key gets lost: alter "
                "sequence public.outbox_id_seq cache 1\n" PROBLEM
                "autovacuum is off for the table, so it only grows: alter table outbox set "
                "(autovacuum_enabled = true, toast.autovacuum_enabled = true)\n" PROBLEM
                "exchange \"nowhere\": NOT_FOUND - no exchange 'nowhere' in vhost '/'; declare it "
                "on the broker or name another\n");
}

/* ---- the log -------------------------------------------------------------------------------------------- */

#define TAIL "exchange = \"amq.topic\" mode = tail "
#define UNBOUNDED                                                                               \
    ADVICE "max_slot_wal_keep_size is -1, so while no relay runs nothing bounds what its slot " \
           "keeps of the server's log: set it in the server, above wal_retain_max = 10GiB\n"

static void
create_slot(void)
{
    run_with("select pg_create_logical_replication_slot('", slot, "', 'pgoutput')");
}

/* Any client may write this into the log that the slot keeps. */
static void
emit_two_megabytes(void)
{
    run("select pg_logical_emit_message(true, 'test', repeat('x', 2000000))");
}

Test(check_postgres, the_slot_of_a_log_that_can_be_read)
{
    char line[200];
    check_let_read_log();
    check_configure(TAIL);
    check_expect(UNBOUNDED);
    (void)snprintf(line, sizeof(line),
                   OK "the log can be read; the relay makes the slot \"%s\" when it starts\n",
                   slot); /* fits */
    expect_said(line);
    create_slot();
    check_expect(UNBOUNDED);
    (void)snprintf(line, sizeof(line), OK "the log can be read; the slot \"%s\" keeps ",
                   slot); /* fits */
    expect_said(line);
    expect_said(" MiB of it, and nobody reads it now\n");
}

/* The test runs the statements that `check` recommends. */
Test(check_postgres, publications_that_do_not_do)
{
    check_let_read_log();
    check_configure(TAIL);
    run("alter publication outbox_relay_public drop table outbox; "
        "alter publication outbox_relay_public set (publish = 'update')");
    check_expect(PROBLEM
                 "publication outbox_relay_public is not of the outbox: alter publication "
                 "outbox_relay_public add table public.outbox\n" PROBLEM
                 "publication outbox_relay_public does not publish inserts: alter publication "
                 "outbox_relay_public set (publish = 'insert')\n");
    run("alter publication outbox_relay_public add table public.outbox; "
        "alter publication outbox_relay_public set (publish = 'insert')");
    check_expect(UNBOUNDED);
    run("create publication everything for all tables");
    check_configure(TAIL "publication = everything");
    check_expect(UNBOUNDED);
}

Test(check_postgres, a_publication_that_is_not_there)
{
    check_let_read_log();
    check_configure(TAIL);
    run("drop publication outbox_relay_public");
    check_expect(PROBLEM "there is no publication outbox_relay_public: run `outbox-relay init` as "
                         "the owner of the table, or create publication outbox_relay_public for "
                         "table public.outbox with (publish = 'insert')\n");
}

Test(check_postgres, slots_that_do_not_do)
{
    check_let_read_log();
    run_with("select pg_create_physical_replication_slot('", slot, "')");
    check_configure(TAIL);
    check_expect(PROBLEM "the slot \"%s\" is another database's or made for something else: name "
                         "another by `slot`\n",
                 slot);
    run_with("select pg_drop_replication_slot('", slot, "')"); /* it has no database */
}

Test(check_postgres, a_slot_that_keeps_too_much)
{
    check_let_read_log();
    create_slot();
    emit_two_megabytes();
    check_configure(TAIL "wal_retain_max = 1MiB");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_said(" MiB of the server's log, more than wal_retain_max = 1MiB: start the relay, which "
                "drops it, or select pg_drop_replication_slot('");
}

/* The slot may have the only copy of the messages, so `check` does not recommend to drop it. A content that cannot be a
 * message gets an id from the outbox's sequence, so the right to use it is needed. */
Test(check_postgres, a_source_without_a_table)
{
    check_let_read_log();
    create_slot();
    emit_two_megabytes();
    check_configure(TAIL "wal_retain_max = 1MiB tableless = true");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_said("which reads it; do not drop the slot, because messages may be nowhere else\n");
    expect_said("lacks a privilege: grant usage on sequence ");
    expect_said("2 problems\n");
}

Test(check_postgres, a_slot_that_was_left_behind)
{
    char words[200];
    create_slot();
    cr_assert_eq(cli("check -c relay.conf"), 1);
    (void)snprintf(words, sizeof(words),
                   PROBLEM "mode is \"poll\", but the slot \"%s\" is still there and keeps ",
                   slot); /* fits */
    expect_said(words);
    (void)snprintf(words, sizeof(words),
                   " MiB of the server's log for nobody: select pg_drop_replication_slot('%s')\n",
                   slot); /* fits */
    expect_said(words);
    expect_said("\n1 problem\n");
}
