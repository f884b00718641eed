/* A relay that follows its changed configuration: what is added, changed and removed, while all else runs on untouched. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/broker_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/slow_link_fixture.h"

/* Two outboxes on one server, and a queue for each. */
static struct db *db;
static struct db *other;
static struct broker *broker;
static const char *queue;
static const char *other_queue;
static pid_t relay;

static void
set_up(void)
{
    cli_enter();
    cr_assert_eq(mkdir("conf.d", 0700), 0);
    db = db_create();
    db_load_outbox(db);
    other = db_create_second();
    db_load_outbox(other);
    broker = broker_open(NULL);
    queue = broker_name("queue");
    other_queue = broker_name("other");
    broker_declare_queue(broker, queue);
    broker_declare_queue(broker, other_queue);
}

static void
tear_down(void)
{
    cli_end(&relay);
    broker_delete_queue(broker, queue);
    broker_delete_queue(broker, other_queue);
    broker_close(broker);
    db_close(other);
    db_drop(db);
    cli_leave();
}

TestSuite(reload, .init = set_up, .fini = tear_down, .timeout = 240);

/* The main file: `more` of it, outside of the sections and of the broker. */
static void
configure(const char *more, const char *of_broker)
{
    cli_write("relay.conf",
              "control = control\ninclude = \"conf.d\"\n%s\n"
              "broker main { uri = \"%s\" %s }\n",
              more, test_env("OUTBOX_TEST_AMQP_URI"), of_broker);
}

/* The source of the first outbox, or of the other one. */
static void
configure_source(const char *name, const char *more)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "conf.d/%s.conf", name); /* fits */
    cli_write(path, "source %s { kind = %s broker = main mode = poll dsn = \"%s\"\n%s }\n", name,
              db_kind(), strcmp(name, "first") == 0 ? db_dsn() : db_second_dsn(), more);
}

static void
remove_source(const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "conf.d/%s.conf", name); /* fits */
    cr_assert_eq(unlink(path), 0);
}

static void
write_message(struct db *to, const char *routing_key, const char *payload)
{
    char sql[300];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (routing_key, payload) values ('%s', '%s')", routing_key,
                   payload); /* fits */
    db_exec(to, sql);
}

static void
expect_message(struct db *from, const char *to, const char *payload)
{
    struct consumer *const consumer = consumer_open(NULL, to);
    write_message(from, to, payload);
    consumer_expect(consumer, payload);
    consumer_close(consumer);
}

static bool
is_owned(void *outbox)
{
    return db_owner(outbox) != 0;
}

/* Of the second source's outbox. */
static bool
is_owned_by_another(void *session)
{
    const int64_t owner = db_owner(other);
    return owner != 0 && owner != *(const int64_t *)session;
}

static bool
is_free(void *outbox)
{
    return db_owner(outbox) == 0;
}

static bool
is_empty(void *outbox)
{
    return db_holds(outbox, "select not exists (select 1 from outbox)");
}

/* Starts a relay with the first source, and returns the session that owns its outbox. */
static int64_t
start(void)
{
    relay = cli_start("run -c relay.conf");
    await(is_owned, db, "the first source owns its outbox", PATIENCE_S);
    return db_owner(db);
}

static void
expect_reload(const char *words)
{
    cr_assert_eq(cli("reload -c relay.conf"), 0, "%s%s", cli_stdout(), cli_stderr());
    cr_assert_str_eq(cli_stdout(), words);
}

static atomic_bool writing;

/* An application that writes into the first outbox. Returns the number of messages. */
static void *
write_on(void *context)
{
    struct db *const own = db_connect();
    uintptr_t count = 0;
    (void)context; /* none needed */
    for (; atomic_load(&writing); count++) {
        write_message(own, queue, "x");
    }
    db_close(own);
    return (void *)count;
}

static bool
has_messages(void *context)
{
    return broker_count(broker, queue) >= *(const uint32_t *)context;
}

Test(reload, a_source_is_added_and_removed_while_another_works)
{
    pthread_t writer;
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    atomic_store(&writing, true);
    cr_assert_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
    uint32_t some = 100;
    await(has_messages, &some, "the first source is at work", PATIENCE_S);

    configure_source("second", "");
    write_message(other, other_queue, "waiting");
    const uint64_t began_us = clock_monotonic_us();
    expect_reload("in force: 1 added, 0 changed, 0 removed, 1 untouched\n");
    const uint64_t in_force_us = clock_monotonic_us();
    struct consumer *const consumer = consumer_open(NULL, other_queue);
    consumer_expect(consumer, "waiting");
    (void)printf("added: in force after %llu ms, its first message came after %llu ms\n",
                 (unsigned long long)((in_force_us - began_us) / 1000),
                 (unsigned long long)((clock_monotonic_us() - began_us) / 1000)); /* a figure */
    consumer_close(consumer);

    remove_source("second");
    expect_reload("in force: 0 added, 0 changed, 1 removed, 1 untouched\n");
    await(is_free, other, "the server has ended the second source's session", PATIENCE_S);
    some = broker_count(broker, queue) + 100;
    await(has_messages, &some, "the first source goes on", PATIENCE_S);
    atomic_store(&writing, false);
    void *written;
    cr_assert_eq(pthread_join(writer, &written), 0);
    some = (uint32_t)(uintptr_t)written;
    await(has_messages, &some, "all have come", PATIENCE_S);
    cr_assert_eq(db_owner(db), owner, "the first source was not left alone");
    cli_end(&relay);
    cr_assert_eq(broker_count(broker, queue), some, "some came twice");
}

Test(reload, a_changed_source_goes_on_with_its_new_settings)
{
    configure("", "");
    configure_source("first", "");
    configure_source("second", "");
    const int64_t owner = start();
    await(is_owned, other, "the second source owns its outbox", PATIENCE_S);
    int64_t other_owner = db_owner(other);
    expect_message(db, queue, "one");

    const char *const exchange = broker_name("exchange");
    broker_declare_exchange(broker, exchange, "topic");
    broker_bind(broker, other_queue, exchange, "#");
    char more[100];
    (void)snprintf(more, sizeof(more), "exchange = \"%s\"", exchange); /* fits */
    configure_source("first", more);
    expect_reload("in force: 0 added, 1 changed, 0 removed, 1 untouched\n");
    struct consumer *const consumer = consumer_open(NULL, other_queue);
    write_message(db, queue, "two");
    consumer_expect(consumer, "two");
    consumer_close(consumer);
    cr_assert_neq(db_owner(db), owner);
    cr_assert_eq(db_owner(other), other_owner);

    /* Of the broker: both. */
    configure("", "heartbeat = 20s");
    expect_reload("in force: 0 added, 2 changed, 0 removed, 0 untouched\n");
    await(is_owned_by_another, &other_owner, "the second source begins again", PATIENCE_S);
    expect_message(other, other_queue, "three");
    expect_reload("in force: 0 added, 0 changed, 0 removed, 2 untouched\n");
    broker_delete_exchange(broker, exchange);
}

#define BACKLOG 60000

/* Each of these messages has come before the next one is written, and all of them before the backlog is sent. */
Test(reload, a_source_that_is_added_with_a_backlog_keeps_no_other_waiting)
{
    char sql[200];
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (routing_key, payload) select '%s', 'x' from " DB_SERIES("1", "%d"),
        other_queue, BACKLOG); /* fits */
    db_exec(other, sql);
    struct consumer *const consumer = consumer_open(NULL, queue);
    configure_source("second", "");
    expect_reload("in force: 1 added, 0 changed, 0 removed, 1 untouched\n");
    for (int i = 0; i < 10; i++) {
        write_message(db, queue, "x");
        consumer_expect(consumer, "x");
    }
    cr_assert_lt(broker_count(broker, other_queue), BACKLOG, "the first waits for the second");
    consumer_close(consumer);
    await(is_empty, other, "the second has sent all", PATIENCE_S);
    cr_assert_eq(db_owner(db), owner, "the first source was not left alone");
}

/* At one a second they would take three minutes. */
Test(reload, a_lifted_limit_counts_at_once)
{
    configure("", "");
    configure_source("first", "rate_max = 1");
    (void)start(); /* the session is of no interest */
    for (int i = 0; i < 180; i++) {
        write_message(db, queue, "x");
    }
    uint32_t some = 2;
    await(has_messages, &some, "the first ones are sent", PATIENCE_S);
    cr_assert_lt(broker_count(broker, queue), 100, "the limit does not hold");
    configure_source("first", "rate_max = 0");
    const uint64_t began_us = clock_monotonic_us();
    expect_reload("in force: 0 added, 1 changed, 0 removed, 0 untouched\n");
    some = 180;
    await(has_messages, &some, "all are sent", PATIENCE_S);
    (void)printf("a limit was lifted: all had come after %llu ms\n",
                 (unsigned long long)((clock_monotonic_us() - began_us) / 1000)); /* a figure */
    cli_end(&relay);
    cr_assert_eq(broker_count(broker, queue), some, "some came twice");
}

Test(reload, a_bad_configuration_is_refused_whole)
{
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    configure_source("second", "");
    cli_write("conf.d/third.conf", "source third { kind = %s broker = main\n  batch_rows = 0 }\n",
              db_kind());
    static const char lines[] =
        "./conf.d/third.conf:1: source \"third\": dsn is missing\n"
        "./conf.d/third.conf:2: source \"third\": batch_rows = 0: expected 1 to 10000\n";
    cr_assert_eq(cli("reload -c relay.conf"), 78);
    cr_assert_str_eq(cli_stderr(), lines);
    cr_assert_eq(kill(relay, SIGHUP), 0);
    cli_wait_for_log(
        "event=reload_refused msg=\"./conf.d/third.conf:1: source \\\"third\\\": dsn is missing\"");
    cli_wait_for_log("event=reload_refused msg=\"./conf.d/third.conf:2: ");

    /* Asked over the socket alone, the relay itself says it. */
    char text[sizeof(lines) + 200];
    (void)snprintf(
        text, sizeof(text),
        "%sthe relay refuses this configuration; the one that it has is still in force\n",
        lines); /* fits */
    cr_assert_eq(cli("reload --control control"), 78);
    cr_assert_str_eq(cli_stderr(), text);
    cr_assert_eq(db_owner(other), 0, "half of it was taken");
    expect_message(db, queue, "one");
    cr_assert_eq(db_owner(db), owner);

    cr_assert_eq(unlink("relay.conf"), 0);
    cr_assert_eq(cli("reload --control control"), 78);
    configure("", "");
    remove_source("third");
    expect_reload("in force: 1 added, 0 changed, 0 removed, 1 untouched\n");
}

/* A port that takes connections and says nothing. */
static int
silent_port(unsigned short *ret_port)
{
    *ret_port = cli_free_port();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(*ret_port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 100), 0);
    return fd;
}

/* Its database and its broker are silent, and its broker has something to declare: five seconds pass until one of them
 * counts as gone. Neither the start of the relay nor a reload waits for that. */
Test(reload, a_broken_source_holds_up_nobody)
{
    unsigned short port;
    char text[1000];
    const int fd = silent_port(&port);
    (void)snprintf(text, sizeof(text),
                   "broker silent { uri = \"amqp://127.0.0.1:%u/\" }\n"
                   "queue nowhere { broker = silent }\n"
                   "source broken { kind = %s dsn = \"host=127.0.0.1 port=%u dbname=x user=x\" "
                   "broker = silent }\n",
                   port, db_kind(), port); /* fits */
    configure(text, "");
    configure_source("first", "");
    (void)start();
    expect_message(db, queue, "one");
    cr_assert_eq(system("grep -q topology_waits log"), 256, "it waited for the silent broker");
    configure_source("second", "");
    cr_assert_eq(kill(relay, SIGHUP), 0);
    await(is_owned, other, "the second source owns its outbox", PATIENCE_S);
    expect_message(other, other_queue, "two");
    cr_assert_eq(close(fd), 0);
}

Test(reload, what_is_new_is_declared_before_its_source_starts)
{
    const char *const exchange = broker_name("exchange");
    const char *const declared = broker_name("declared");
    char text[500];
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    (void)snprintf(text, sizeof(text),
                   "exchange = \"%s\" }\nexchange \"%s\" { }\nqueue \"%s\" { }\n"
                   "binding { exchange = \"%s\" queue = \"%s\"",
                   exchange, exchange, declared, exchange, declared); /* fits */
    write_message(other, "order.paid", "new");
    configure_source("second", text);
    expect_reload("in force: 1 added, 0 changed, 0 removed, 1 untouched\n");
    struct consumer *const consumer = consumer_open(NULL, declared);
    consumer_expect(consumer, "new");
    consumer_close(consumer);
    cr_assert_eq(system("grep -q message_refused log"), 256, "it was sent too early");

    /* What somebody has deleted is there again. */
    broker_delete_queue(broker, declared);
    expect_reload("in force: 0 added, 0 changed, 0 removed, 2 untouched\n");
    cr_assert_eq(broker_count(broker, declared), 0);
    cr_assert_eq(db_owner(db), owner);
    cli_end(&relay);
    broker_delete_queue(broker, declared);
    broker_delete_exchange(broker, exchange);
}

/* The first source sends over a link of its own, which carries nothing once the source is at work: what is in
 * flight is not confirmed, and a drain waits for it. */
static struct slow_link *link_of_first;

static void
configure_slow(const char *more)
{
    char text[500];
    link_of_first = slow_link_open(
        (unsigned short)strtoul(test_env("OUTBOX_TEST_AMQP_PORT"), NULL, 10), UINT64_MAX);
    (void)snprintf(text, sizeof(text),
                   "%s\nbroker slow { uri = \"amqp://guest:guest@127.0.0.1:%d/\" heartbeat = 10m "
                   "confirm_timeout = 10m }\n",
                   more, slow_link_port(link_of_first)); /* fits */
    configure(text, "");
}

/* The source of the first outbox, over that link. */
static void
configure_slow_source(const char *more)
{
    cli_write("conf.d/first.conf",
              "source first { kind = %s broker = slow mode = poll dsn = \"%s\"\n%s }\n", db_kind(),
              db_dsn(), more);
}

static bool
is_in_flight(void *outbox)
{
    return db_holds(outbox, "select in_flight = 1 from outbox_relay");
}

static void
hold_up(void)
{
    expect_message(db, queue, "goes");
    slow_link_rate(link_of_first, 0);
    write_message(db, queue, "stays");
    await(is_in_flight, db, "a message is in flight", PATIENCE_S);
}

Test(reload, signals_while_something_drains)
{
    configure_slow("");
    configure_slow_source("");
    (void)start();
    hold_up();
    remove_source("first");
    configure_source("second", "");
    cr_assert_eq(cli("reload -c relay.conf --timeout 1ms"), 1);
    cr_assert(strstr(cli_stderr(), "not in force yet") != NULL, "%s", cli_stderr());
    await(is_owned, other, "the second source waits for nobody", PATIENCE_S);
    const int64_t owner = db_owner(other);
    expect_message(other, other_queue, "one");

    /* Back again before it has ended; and as it was. */
    configure_slow_source("");
    cr_assert_eq(kill(relay, SIGHUP), 0);
    cli_wait_for_log("event=source_changed");
    cr_assert_eq(kill(relay, SIGHUP), 0);
    cr_assert_eq(cli("reload --control control --timeout 1ms"), 1);
    cr_assert_eq(system("grep -q event=reloaded log"), 256, "it is not in force");

    /* The end comes during the reload. */
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cli_wait_for_log("event=draining");
    cr_assert_eq(kill(relay, SIGHUP), 0);
    cli_wait_for_log("event=signal_ignored");
    cr_assert_eq(cli("reload --control control"), 1);
    cr_assert_str_eq(cli_stderr(), "the relay is ending\n");
    cr_assert(db_owner(other) == owner || db_owner(other) == 0);
    slow_link_rate(link_of_first, UINT64_MAX);
    cr_assert_eq(cli_wait(relay), 0);
    relay = 0;
    cr_assert_eq(db_int(db, "select count(*) from outbox"), 0, "it was not drained");
    slow_link_close(link_of_first);
}

/* What was in flight may come twice. */
static void
await_message(const char *from, const char *payload)
{
    struct delivery delivery;
    struct consumer *const consumer = consumer_open(NULL, from);
    do {
        consumer_take(consumer, &delivery);
    } while (strcmp(delivery.body, payload) != 0);
    consumer_close(consumer);
}

Test(reload, a_drain_that_does_not_end_is_cut_short)
{
    configure_slow("shutdown_timeout = 1s");
    configure_slow_source("");
    configure_source("second", "");
    (void)start();
    await(is_owned, other, "the second source owns its outbox", PATIENCE_S);
    const int64_t owner = db_owner(other);
    hold_up();
    configure_slow_source("publishers = 2");
    expect_reload("in force: 0 added, 1 changed, 0 removed, 1 untouched\n");
    cli_wait_for_log("event=not_drained");
    slow_link_rate(link_of_first, UINT64_MAX);
    await_message(queue, "stays");
    write_message(db, queue, "one");
    await_message(queue, "one");
    cr_assert_eq(db_owner(other), owner);
    cli_end(&relay);
    slow_link_close(link_of_first);
}

Test(reload, many_hang_ups_in_a_row)
{
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    for (int i = 0; i < 40; i++) {
        configure_source("second", i % 2 == 0 ? "" : "publishers = 2");
        cr_assert_eq(kill(relay, SIGHUP), 0);
        if (i % 10 == 9) {
            remove_source("second");
            cr_assert_eq(kill(relay, SIGHUP), 0);
            cr_assert_eq(cli("reload -c relay.conf"), 0, "%s", cli_stderr());
        }
    }
    await(is_free, other, "the second source is gone", PATIENCE_S);
    configure_source("second", "publishers = 3");
    expect_reload("in force: 1 added, 0 changed, 0 removed, 1 untouched\n");
    expect_message(other, other_queue, "two");
    expect_message(db, queue, "one");
    cr_assert_eq(db_owner(db), owner);
}

Test(reload, log_and_socket_follow)
{
    configure("", "");
    configure_source("first", "");
    const int64_t owner = start();
    cli_write("relay.conf",
              "control = elsewhere include = \"conf.d\" log_format = json log_level = debug\n"
              "broker main { uri = \"%s\" }\n",
              test_env("OUTBOX_TEST_AMQP_URI"));
    cr_assert_eq(cli("reload -c relay.conf"), 1);
    cr_assert(strstr(cli_stderr(), "no relay answers at ./elsewhere") != NULL, "%s", cli_stderr());
    cr_assert_eq(kill(relay, SIGHUP), 0);
    cli_wait_for_log("\"event\":\"reloaded\"");
    expect_reload("in force: 0 added, 0 changed, 0 removed, 1 untouched\n");
    cr_assert_neq(access("control", F_OK), 0, "the old socket is left");
    cr_assert_eq(db_owner(db), owner);
    cli_write("relay.conf", "include = \"conf.d\"\nbroker main { uri = \"%s\" }\n",
              test_env("OUTBOX_TEST_AMQP_URI"));
    cr_assert_eq(cli("reload -c relay.conf"), 1);
    cr_assert(strstr(cli_stderr(), "names no `control` socket") != NULL, "%s", cli_stderr());
    cli_end(&relay);
    cr_assert_neq(access("elsewhere", F_OK), 0, "the socket is left");
    cr_assert_eq(cli("reload --control elsewhere"), 1);
}

/* A relay whose sources come later. */
Test(reload, from_no_source_to_one_and_back)
{
    configure("", "");
    relay = cli_start("run -c relay.conf");
    cli_wait_for_log("there is no source section: nothing is relayed");
    configure_source("first", "");
    expect_reload("in force: 1 added, 0 changed, 0 removed, 0 untouched\n");
    expect_message(db, queue, "one");
    remove_source("first");
    expect_reload("in force: 0 added, 0 changed, 1 removed, 0 untouched\n");
    await(is_free, db, "the server has ended the source's session", PATIENCE_S);
}
