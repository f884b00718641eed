/* The ready roles: each can do its work, by our libraries, the relay and the commands, and nothing else. The account
 * that gets a role has no other rights. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/held_fixture.h"
#include "tests/integration/inbox_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/write_fixture.h"

/* The account's connection; NULL before use(). */
static struct db *account;

static void
run_file(struct db *db, const char *path)
{
    char full[500];
    char text[20000];
    (void)snprintf(full, sizeof(full), SOURCE_ROOT "/%s", path); /* fits */
    FILE *const file = fopen(full, "re");
    check(file != NULL, "%s", full);
    const size_t size = fread(text, 1, sizeof(text) - 1, file);
    check(size > 0 && size < sizeof(text) - 1 && fclose(file) == 0, "%s", full);
    text[size] = '\0';
    db_exec(db, text);
}

/* What `init --print-roles` prints, twice: it changes nothing then. */
static void
make_roles(struct db *db)
{
    char arguments[100];
    (void)snprintf(arguments, sizeof(arguments), "init --print-roles --kind %s",
                   db_kind()); /* fits */
    cr_assert_eq(cli(arguments), 0, "%s", cli_stderr());
    db_exec(db, cli_stdout());
    db_exec(db, cli_stdout());
    db_exec(db, "create table business (id int); insert into business values (1)");
}

static void
open_scene(void)
{
    cli_enter();
    scene_open();
    make_roles(scene.db);
}

static void
close_scene(void)
{
    db_close(account);
    scene_close();
    cli_leave();
}

TestSuite(roles, .init = open_scene, .fini = close_scene, .timeout = 240);

static void
use(struct db *db, const char *role)
{
    db_allow_role(db, role);
    account = db_connect_allowed();
}

static const char *
dsn_of_account(void)
{
    static char dsn[600];
    (void)snprintf(dsn, sizeof(dsn), "%s user=%s password=" DB_ALLOWED_PASSWORD, db_dsn(),
                   db_database()); /* fits */
    return dsn;
}

/* Each statement is refused for want of rights, and not for another reason. */
static void
expect_refused(const char *const *statements)
{
    for (; *statements != NULL; statements++) {
        check(!db_try(account, *statements), "allowed: %s", *statements);
        const char *const said = db_error(account);
        check(strstr(said, "denied") != NULL || strstr(said, "must be owner") != NULL,
              "%s: refused for another reason: %s", *statements, said);
    }
}

/* What no role may do. */
static const char *const forbidden[] = {
    "select * from business",
    "insert into business values (2)",
    "update business set id = 2",
    "delete from business",
    "drop table business",
    "drop table outbox",
    "alter table outbox add column more int",
    "insert into outbox_schema (version) values (2)",
    "update outbox_schema set version = 2",
    "delete from outbox_schema",
    "update outbox_relay_schema set version = 9",
    NULL,
};

/* ---- producer ------------------------------------------------------------------------------------------- */

Test(roles, a_producer_writes_the_outbox)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    use(scene.db, "outbox_producer");
    db_exec(account, "insert into outbox (routing_key, payload_text) values ('a', 'plain')");
    db_exec(account, "insert into outbox_new (routing_key, payload_text) values ('a', 'view')");
    if (write_fixture_returns(account)) {
        check(db_int(account, "insert into outbox_new (payload_text) values ('x') returning id") >
                  0,
              "no id");
    }
    message.payload = "library";
    message.payload_length = strlen(message.payload);
    message.key = "key";
    db_exec(account, "begin");
    check(write_fixture_message(account, &message, &error) == OUTBOX_OK, "%s", error.message);
    db_exec(account, "commit");
    check(scene_count("select count(*) from outbox") == (write_fixture_returns(account) ? 4 : 3),
          "not all were written");
}

Test(roles, a_producer_does_nothing_else)
{
    scene_exec("insert into outbox (payload) values ('x')");
    use(scene.db, "outbox_producer");
    check(db_int(account, "select count(*) from outbox_new") == 0, "the view shows messages");
    expect_refused(forbidden);
    expect_refused((const char *const[]){
        "select id from outbox",
        "update outbox set payload = 'y'",
        "delete from outbox",
        "update outbox_new set payload = 'y'",
        "delete from outbox_new",
        "select id from outbox_held",
        "insert into outbox_held (id) values (1)",
        "delete from outbox_held",
        "select ids from outbox_sent_batch",
        "select pid from outbox_relay",
        "select id from outbox_held_act",
        "insert into outbox_held_act (what) values ('discard')",
        db_choose("select outbox_cancel(gen_random_uuid())", "call outbox_cancel('x', @done)"),
        db_choose("select nextval('outbox_id_seq')", "truncate outbox"),
        NULL,
    });
}

/* ---- relay ---------------------------------------------------------------------------------------------- */

/* What only an administrator gives: docs/TAILING.md. */
static void
allow_log(void)
{
    char sql[300];
    const char *const rights = "grant replication slave, replication client on *.* to";
    if (db_is_mysql()) {
        (void)snprintf(sql, sizeof(sql), "%s '%s'@'%%'", rights, db_database()); /* these fit */
    } else {
        (void)snprintf(sql, sizeof(sql), "alter role %s replication", db_database());
    }
    db_exec(scene.db, sql);
}

/* What an administrator must grant besides the role: the head of roles.sql says so. */
static void
allow_writers(void)
{
    if (db_is_mysql()) {
        char sql[300];
        (void)snprintf(sql, sizeof(sql),
                       "/*!80000 grant select on performance_schema.* to '%s'@'%%' */",
                       db_database()); /* fits */
        db_exec(scene.db, sql);
    }
}

static void
check_relay(const char *mode)
{
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = %s mode = %s dsn = \"%s\" broker = main keep_sent = 1h }\n",
              test_env("OUTBOX_TEST_AMQP_URI"), db_kind(), mode, dsn_of_account());
    const int status = cli("check -c relay.conf");
    check(status == 0, "%s%s", cli_stdout(), cli_stderr());
    check(strstr(cli_stdout(), "grant select") == NULL, "%s", cli_stdout());
}

/* Sends, sets aside, wakes and gives back; remembers what it sent. */
static void
relay_in(const char *mode)
{
    char recorded[300];
    struct consumer *const consumer = consumer_open(NULL, scene.queue);
    db_allow_role(scene.db, "outbox_relay");
    allow_writers();
    if (strcmp(mode, "tail") == 0) {
        allow_log();
        db_load_log(scene.db);
    }
    check_relay(mode);
    scene.relay = relay_start(&(struct relay_options){
        .mode = mode, .dsn = dsn_of_account(), .source = "keep_sent = 1h\n"});
    if (strcmp(mode, "tail") == 0) {
        relay_await_tailing(scene.relay);
    } else {
        relay_await_work(scene.relay);
    }
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'sent')", scene.queue);
    consumer_expect(consumer, "sent");
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s.none', 'k', 'bad')",
               scene.queue);
    scene_await("it is held", "select count(*) = 1 from outbox_held where state = 'retrying'");
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', 'k', 'behind')",
               scene.queue);
    scene_await("the next is held", "select count(*) = 1 from outbox_held where state = 'waiting'");
    operator_discard("\"key\" = 'k' and state <> 'waiting'");
    consumer_expect(consumer, "behind");
    scene_exec("insert into outbox (routing_key, payload, deliver_after) values ('%s', 'late', "
               "from_now(1))",
               scene.queue);
    consumer_expect(consumer, "late");
    (void)snprintf(recorded, sizeof(recorded), "select (%s) = 3", db_sent_count()); /* fits */
    scene_await("they are recorded", "%s", recorded);
    scene_await("the relay tells of itself", "select count(*) = 1 from outbox_relay");
    relay_drain(scene.relay);
    check(relay_logged(scene.relay, "level=error") == 0, "something went wrong");
    consumer_close(consumer);
}

Test(roles, a_relay_polls)
{
    relay_in("poll");
}

Test(roles, a_relay_tails)
{
    relay_in("tail");
}

Test(roles, a_relay_does_nothing_else)
{
    use(scene.db, "outbox_relay");
    expect_refused(forbidden);
    expect_refused((const char *const[]){
        "insert into outbox_held_act (what) values ('discard')",
        "delete from outbox_held_act",
        "update outbox_sent_batch set sent_at = null",
        db_choose("delete from outbox_relay", "update outbox_relay set pid = 1"),
        db_choose("select outbox_cancel(gen_random_uuid())", "call outbox_cancel('x', @done)"),
        "truncate outbox",
        NULL,
    });
}

/* ---- operator ------------------------------------------------------------------------------------------- */

static void
expect_said(const char *arguments, const char *words)
{
    const int status = cli(arguments);
    check(status == 0, "%s: %d: %s%s", arguments, status, cli_stdout(), cli_stderr());
    check(strstr(cli_stdout(), words) != NULL, "%s: %s", arguments, cli_stdout());
}

Test(roles, an_operator_sees_and_acts_on_held_messages)
{
    use(scene.db, "outbox_operator");
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), dsn_of_account());
    held_put(scene.db, 1, "a", "dead", "attempts = 9, last_error = 'no queue'");
    held_put(scene.db, 2, "a", "waiting", NULL);
    held_put(scene.db, 3, "b", "dead", "attempts = 9, last_error = 'too large'");
    expect_said("held list -c relay.conf", "3 messages");
    expect_said("held show -c relay.conf --source orders " HELD_UUID("01"), "no queue");
    expect_said("held retry -c relay.conf " HELD_UUID("01"), "");
    expect_said("held discard -c relay.conf --yes " HELD_UUID("03"), "");
    check(scene_count("select count(*) from outbox_held where state = 'retrying'") == 1, "retry");
    check(scene_count("select count(*) from outbox_held where id = 3") == 0, "discard");
    /* Who did it is kept, with the account. */
    check(scene_count("select count(*) from outbox_held_act where who like '%%%s%%'",
                      db_database()) == 2,
          "%s", db_text(scene.db, "select max(who) from outbox_held_act"));
    (void)cli("status -c relay.conf");
    check(strstr(cli_stdout(), "denied") == NULL && strstr(cli_stdout(), "orders") != NULL, "%s%s",
          cli_stdout(), cli_stderr());
    (void)cli("explain -c relay.conf " HELD_UUID("01"));
    check(strstr(cli_stdout(), "no queue") != NULL, "%s%s", cli_stdout(), cli_stderr());
}

Test(roles, an_operator_does_nothing_else)
{
    use(scene.db, "outbox_operator");
    expect_refused(forbidden);
    expect_refused((const char *const[]){
        "insert into outbox (payload) values ('x')",
        "insert into outbox_new (payload) values ('x')",
        "update outbox set payload = 'x'",
        "delete from outbox",
        "insert into outbox_held (id) values (1)",
        "update outbox_held_act set who = 'nobody'",
        "delete from outbox_held_act",
        "delete from outbox_sent_batch",
        "update outbox_relay set pid = 1",
        db_choose("select outbox_cancel(gen_random_uuid())", "call outbox_cancel('x', @done)"),
        NULL,
    });
}

/* ---- consumer ------------------------------------------------------------------------------------------- */

static struct db *inbox;

static void
open_inbox(void)
{
    cli_enter();
    inbox = inbox_fixture_create();
    db_load_outbox(inbox);
    make_roles(inbox);
    for (int i = 0; i < 2; i++) {
        run_file(inbox, db_choose("consumers/postgres/role.sql", "consumers/mysql/role.sql"));
    }
    use(inbox, "inbox_consumer");
}

static void
close_inbox(void)
{
    db_close(account);
    inbox_fixture_drop(inbox);
    cli_leave();
}

TestSuite(roles_consumer, .init = open_inbox, .fini = close_inbox, .timeout = 240);

Test(roles_consumer, a_consumer_claims)
{
    struct inbox_error error;
    inbox_verdict verdict;
    for (int i = 0; i < 2; i++) {
        db_exec(account, "begin");
        check(inbox_fixture_claim(account, "shipping", "m", 1, &verdict, &error) == INBOX_OK, "%s",
              error.message);
        check(verdict == (i == 0 ? INBOX_FIRST : INBOX_DUPLICATE), "verdict %d", (int)verdict);
        db_exec(account, "commit");
    }
    db_exec(account, "begin");
    check(inbox_fixture_claim_by_hand(account, "shipping", "by hand"), "it was new");
    db_exec(account, "commit");
    /* What the comment of the script says for states. */
    db_exec(inbox, "grant select, insert, update on inbox_newest to inbox_consumer");
    check(inbox_fixture_look(account, &error) == INBOX_OK, "%s", error.message);
    db_exec(account, "begin");
    check(inbox_fixture_advance(account, "shipping", "k", 1, 7, &verdict, &error) == INBOX_OK, "%s",
          error.message);
    db_exec(account, "commit");
}

Test(roles_consumer, a_consumer_does_nothing_else)
{
    expect_refused(forbidden);
    expect_refused((const char *const[]){
        "update inbox set consumer = 'x'",
        "delete from inbox",
        "drop table inbox",
        "update inbox_schema set version = 9",
        "select id from outbox",
        "insert into outbox (payload) values ('x')",
        "insert into outbox_new (payload) values ('x')",
        "delete from outbox",
        "select id from outbox_held",
        "delete from outbox_held",
        "select id from outbox_held_act",
        NULL,
    });
}
