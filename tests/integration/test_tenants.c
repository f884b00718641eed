/* A template of sources: its tenants are schemas of a server, or databases, which a query finds. They come and go while the relay
 * runs; what is wrong with one, or with the query, concerns no other. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/broker_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/http_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/servers_fixture.h"

#define TENANTS 4

static struct db *db;
static struct broker *broker;
static const char *queue;
static struct consumer *consumer;
static pid_t relay;
static char prefix[40]; /* of the tenants' names, of this process alone */
static char list[100];  /* the table that names them */

static void PRINTF_LIKE(1, 2) run(const char *format, ...)
{
    char sql[500];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sql, sizeof(sql), format, arguments); /* fits */
    va_end(arguments);
    db_exec(db, sql);
}

static const char *
name_of(unsigned tenant)
{
    static char name[64];
    (void)snprintf(name, sizeof(name), "%s%u", prefix, tenant); /* fits */
    return name;
}

static void
set_up(void)
{
    cli_enter();
    db = db_create();
    broker = broker_open(NULL);
    queue = broker_name("queue");
    broker_declare_queue(broker, queue);
    consumer = consumer_open(NULL, queue);
    (void)snprintf(prefix, sizeof(prefix), "tenant%d_", (int)getpid()); /* these fit */
    (void)snprintf(list, sizeof(list), "%s.tenants", db_is_mysql() ? db_database() : "public");
    run("create table %s (name varchar(200))", list);
    for (unsigned i = 0; i < TENANTS; i++) {
        run("create schema %s", name_of(i));
    }
}

static void
tear_down(void)
{
    cli_end(&relay);
    consumer_close(consumer);
    broker_delete_queue(broker, queue);
    broker_close(broker);
    for (unsigned i = 0; db_is_mysql() && i < TENANTS; i++) {
        run("drop schema if exists %s", name_of(i));
    }
    db_drop(db);
    cli_leave();
}

TestSuite(tenants, .init = set_up, .fini = tear_down, .timeout = 240);

/* A tenant with a database of its own. The last of two words counts. */
static void
format_server_dsn(char *dsn, size_t size)
{
    (void)snprintf(dsn, size, "%s dbname={tenant}",
                   db_is_mysql() ? test_env("OUTBOX_TEST_MYSQL_DSN") : db_dsn()); /* fits */
}

/* A tenant with a schema of its own, which MySQL calls a database as well. */
static void
format_dsn(char *dsn, size_t size)
{
    if (db_is_mysql()) {
        format_server_dsn(dsn, size);
    } else {
        (void)snprintf(dsn, size, "%s options='-c search_path={tenant}'", db_dsn()); /* fits */
    }
}

/* `select`: the rest of the query. */
static void
configure_dsn(const char *dsn, const char *select, const char *more)
{
    cli_write("relay.conf",
              "control = control\n%sbroker main { uri = \"%s\" }\n"
              "source \"of-*\" { kind = %s broker = main mode = poll dsn = \"%s\"\n"
              "discover = \"select %s\" discover_interval = 1s %s }\n",
              http_section(NULL), test_env("OUTBOX_TEST_AMQP_URI"), db_kind(), dsn, select, more);
}

static void
configure(const char *select, const char *more)
{
    char dsn[1500];
    format_dsn(dsn, sizeof(dsn));
    configure_dsn(dsn, select, more);
}

static void
configure_list(const char *more)
{
    char select[150];
    (void)snprintf(select, sizeof(select), "name from %s", list); /* fits */
    configure(select, more);
}

static void
add(unsigned tenant)
{
    run("insert into %s values ('%s')", list, name_of(tenant));
}

static void
init(void)
{
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s%s", cli_stdout(), cli_stderr());
}

/* Where the query names some who can have no source, which is a problem each. */
static void
init_with_problems(void)
{
    cr_assert_eq(cli("init -c relay.conf"), 1, "%s%s", cli_stdout(), cli_stderr());
}

static void
start(void)
{
    relay = cli_start("run -c relay.conf");
}

static void
write_message(unsigned tenant, const char *payload)
{
    run("insert into %s.outbox (routing_key, payload) values ('%s', '%s')", name_of(tenant), queue,
        payload);
}

static void
expect_message(unsigned tenant, const char *payload)
{
    write_message(tenant, payload);
    consumer_expect(consumer, payload);
}

/* A metric of the template has this value. */
static void
await_metric(const char *name, const char *value)
{
    http_await_metric("outbox_relay_template_%s{template=\"of-*\"} %s", name, value);
}

static double
metric(const char *name)
{
    char whole[100];
    (void)snprintf(whole, sizeof(whole), "outbox_relay_template_%s{template=\"of-*\"}",
                   name); /* fits */
    return http_metric(whole);
}

/* Two tenants that are at work. */
static void
begin(void (*by)(void))
{
    add(0);
    add(1);
    configure_list("");
    by();
    start();
    expect_message(0, "zero");
    expect_message(1, "one");
}

/* Promise: a new tenant's source starts without a reload; that of one who is gone ends, and nothing else does. */
Test(tenants, they_come_and_go)
{
    begin(init);
    add(2);
    init();
    const uint64_t since_us = clock_monotonic_us();
    expect_message(2, "two");
    (void)fprintf(stderr, "a new tenant's first message came after %llu ms\n",
                  (unsigned long long)((clock_monotonic_us() - since_us) / CLOCK_MS_US));
    run("delete from %s where name = '%s'", list, name_of(1));
    cli_wait_for_log("event=source_removed");
    write_message(1, "nobody sends it");
    expect_message(0, "still zero");
    expect_message(2, "still two");
    add(1);
    consumer_expect(consumer, "nobody sends it");
}

/* Promise: a name that no source can have, a double one, NULL, a tenant without an outbox: each is said, and no other waits. */
Test(tenants, what_is_wrong_with_one_concerns_no_other)
{
    run("insert into %s values ('a b''c\"d'), ('x{tenant}'), (NULL), ('%s')", list, name_of(0));
    begin(init_with_problems);
    add(3); /* has no outbox yet */
    cli_wait_for_log("event=tenant_refused");
    cli_wait_for_log("event=source_lost");
    await_metric("refused_tenants", "4");
    await_metric("tenants", "3");
    expect_message(0, "still zero");
    cr_assert_neq(cli("check -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "its query finds 3 tenants"), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "the tenant \"a b'c\"d\" has no source"), "%s",
                       cli_stdout());
    init_with_problems();
    expect_message(3, "three");
}

/* Promise: only what a query says ends a source: neither its failure, nor an answer with nobody. */
Test(tenants, without_an_answer_they_stay)
{
    begin(init);
    await_metric("tenants_kept", "0");
    await_metric("failing_seconds", "0");
    await_metric("failures_total", "0");
    run("delete from %s", list);
    cli_wait_for_log("event=tenants_kept");
    await_metric("tenants_kept", "1");
    expect_message(0, "nobody was found");
    run("drop table %s", list);
    cli_wait_for_log("event=discover_failed");
    expect_message(1, "it fails");
    cr_assert_geq(metric("failures_total"), 1);
    cr_assert_gt(metric("failing_seconds"), 0);
    cr_assert_eq(cli("reload -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_geq(metric("failures_total"), 2, "those before the reload, too");
    await_metric("tenants", "2");
    run("create table %s (name varchar(200))", list);
    add(1);
    cli_wait_for_log("event=source_removed");
    expect_message(1, "one goes on");
    await_metric("tenants", "1");
    await_metric("failing_seconds", "0");
    await_metric("tenants_kept", "0");
}

/* Promise: those that run stay when there are more than discover_max, and a place that is free is taken. */
Test(tenants, no_more_than_may_be)
{
    add(1);
    add(2);
    configure_list("discover_max = 2");
    init();
    start();
    expect_message(1, "one");
    expect_message(2, "two");
    add(0);
    cli_wait_for_log("event=tenants_beyond");
    await_metric("refused_tenants", "1");
    await_metric("tenants", "2");
    init_with_problems(); /* of the first two by name: the command knows of none that run */
    cr_assert_not_null(strstr(cli_stdout(), "discover_max = 2 leaves out 1 tenants"), "%s",
                       cli_stdout());
    expect_message(1, "one stays");
    expect_message(2, "two stays");
    write_message(0, "waits for a place");
    run("delete from %s where name = '%s'", list, name_of(1));
    consumer_expect(consumer, "waits for a place");
    await_metric("refused_tenants", "0");
    expect_message(2, "two still stays");
}

/* Promise: the server ends a query that takes too long; meanwhile, and afterwards, the tenants are served. */
Test(tenants, a_query_that_takes_too_long)
{
    char lock[200];
    struct db *const other = db_connect();
    (void)snprintf(lock, sizeof(lock),
                   db_is_mysql() ? "lock tables %s write" : "begin; lock table %s",
                   list); /* fits */
    begin(init);
    db_exec(other, lock);
    expect_message(0, "it hangs");
    cli_wait_for_log("event=discover_failed");
    cr_assert_gt(metric("failing_seconds"), 0);
    expect_message(1, "it hangs again");
    db_exec(other, db_choose("commit", "unlock tables"));
    cli_wait_for_log("event=discovered");
    await_metric("failing_seconds", "0");
    await_metric("tenants", "2");
    db_close(other);
}

/* Promise: a reload leaves tenants alone that get the same settings, and knows those whom the query has found before. */
Test(tenants, a_reload)
{
    begin(init);
    cr_assert_eq(cli("reload -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_str_eq(cli_stdout(), "in force: 0 added, 0 changed, 0 removed, 2 untouched\n");
    configure_list("discover_max = 7");
    cr_assert_eq(cli("reload -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_str_eq(cli_stdout(), "in force: 0 added, 0 changed, 0 removed, 2 untouched\n");
    configure_list("batch_rows = 10");
    cr_assert_eq(cli("reload -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_str_eq(cli_stdout(), "in force: 0 added, 2 changed, 0 removed, 0 untouched\n");
    expect_message(0, "zero again");
    expect_message(1, "one again");
    configure("'no', 'two columns'", "");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "gives 2 columns"), "%s", cli_stdout());
}

/* The command, for the tenant's source, says this. */
static void
expect_command(const char *words, const char *source, const char *expected)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "%s --source %s -c relay.conf", words,
                   source); /* fits */
    cr_assert_eq(cli(command), 0, "%s: %s%s", command, cli_stdout(), cli_stderr());
    cr_assert_not_null(strstr(cli_stdout(), expected), "%s: no %s in %s", command, expected,
                       cli_stdout());
}

static bool
is_held(void *context)
{
    (void)context; /* nothing is needed */
    char query[200];
    (void)snprintf(query, sizeof(query), "select count(*) from %s.outbox_held",
                   name_of(1)); /* fits */
    return db_int(db, query) == 1;
}

/* Promise: commands and metrics know them, by the names of their sources. */
Test(tenants, commands_and_metrics_know_them)
{
    char source[100];
    char quoted[150];
    begin(init);
    (void)snprintf(source, sizeof(source), "of-%s", name_of(1)); /* these fit */
    (void)snprintf(quoted, sizeof(quoted), "\"source\": \"%s\"", source);
    run("insert into %s.outbox (routing_key, payload) values ('nobody', 'x')", name_of(1));
    await(is_held, NULL, "the message is held", PATIENCE_S);
    expect_command("status", source, source);
    expect_command("status --json", source, quoted);
    expect_command("held list", source, "unroutable");
    expect_command("held list --json", source, quoted);
    expect_command("explain 2", source, "unroutable");
    expect_command("held retry 2", source, "1");
    expect_command("held discard 2 --yes", source, "1");
    http_await_metric("outbox_relay_state{source=\"%s\",state=\"owned\"} 1", source);
    http_await_metric("outbox_relay_confirmed_messages_total{source=\"%s\"} 1", source);
    http_await_metric("outbox_relay_pending_messages{source=\"%s\"} 0", source);
}

/* ---- a database for each ------------------------------------------------------------------------------------ */

static void
drop_databases(void)
{
    cli_end(&relay);
    for (unsigned i = 0; i < 2; i++) {
        run("drop database if exists %s", name_of(i));
    }
    tear_down();
}

TestSuite(tenants_databases, .init = set_up, .fini = drop_databases, .timeout = 240);

static void
await_owned(unsigned tenant)
{
    char words[150];
    (void)snprintf(words, sizeof(words),
                   "event=source_owned msg=\"this relay works the outbox\" source=of-%s",
                   name_of(tenant)); /* fits */
    cli_wait_for_log(words);
}

/* Promise: unless it is said where, the query runs in a database that every server has. The list is of what the server says. */
Test(tenants_databases, are_found_by_the_server_itself)
{
    char select[200];
    char dsn[1500];
    for (unsigned i = 0; i < 2; i++) {
        run(db_is_mysql() ? "create database if not exists %s" : "create database %s", name_of(i));
    }
    (void)snprintf(select, sizeof(select), "%s like '%s%%'",
                   db_is_mysql() ? "schema_name from information_schema.schemata where schema_name"
                                 : "datname from pg_database where datname",
                   prefix); /* fits */
    format_server_dsn(dsn, sizeof(dsn));
    configure_dsn(dsn, select, "");
    init();
    start();
    await_owned(0);
    await_owned(1);
}

/* ---- a server that is away ---------------------------------------------------------------------------------- */

static void
set_up_own(void)
{
    servers_start(db_server());
    set_up();
}

static void
tear_down_own(void)
{
    cli_end(&relay);
    consumer_close(consumer);
    broker_delete_queue(broker, queue);
    broker_close(broker);
    db_close(db);
    cli_leave();
    servers_stop();
}

TestSuite(tenants_server, .init = set_up_own, .fini = tear_down_own, .timeout = 240);

/* Promise: a server that is away has no tenants less. */
Test(tenants_server, is_away_and_comes_back)
{
    begin(init);
    servers_do_database("kill");
    cli_wait_for_log("event=discover_failed");
    servers_do_database("start");
    cli_wait_for_log("event=discovered");
    cr_assert_eq(cli("status -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_eq(system("grep -q event=source_removed log"), 256, "a source has ended");
}
