/* Servers that are away for a while, and servers that refuse. The relay never ends because of that, loses nothing, and
 * goes on by itself. The servers belong to this program, and one test uses them at a time. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* A test that failed may have left them stopped. */
static void
open_scene(void)
{
    servers_do("resume rabbitmq || :");
    servers_do_database("start");
    servers_do("start rabbitmq");
    scene_open();
}

TestSuite(relay_outage, .init = open_scene, .fini = scene_close, .timeout = 280);

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 4,
                                                   .keys = 20,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 2000,
                                                   .pause_us_max = 8000});
}

static void
burst(unsigned per_key)
{
    traffic_burst(scene.db, scene.queue, 20, per_key);
}

static bool
has_grown(void *context)
{
    const int64_t *wanted = context;
    return traffic_committed(scene.db) >= *wanted;
}

/* Waits until the applications have written this many more. */
static void
await_traffic(int64_t more)
{
    int64_t wanted = traffic_committed(scene.db) + more;
    await(has_grown, &wanted, "the applications write", PATIENCE_S);
}

/* Promise: a broker that is restarted, or crashes, under load costs no message. */
Test(relay_outage, a_broker_that_is_restarted_and_one_that_crashes)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay("publishers = 2\n");
    burst(500);
    servers_do("restart rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL);  /* is enough */
    (void)relay_await_log(scene.relay, "event=lane_ready", NULL); /* likewise */
    burst(500);
    servers_do("kill rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_lost", NULL); /* likewise */
    await_traffic(100);
    servers_do("start rabbitmq");
    (void)relay_await_log(scene.relay, "event=lane_ready", NULL); /* likewise */
    traffic_end(traffic);
    scene_reconnect();
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    check(relay_logged(scene.relay, "event=message_refused") == 0,
          "the outage was blamed on a message");
    relay_drain(scene.relay);
}

/* Promise: a database that is restarted, or crashes, under load costs no message. The crash undoes the last deletes, so
 * those messages arrive twice. */
Test(relay_outage, a_database_that_is_restarted_and_one_that_crashes)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(NULL);
    burst(500);
    servers_do_database("restart");
    (void)relay_await_log(scene.relay, "event=source_lost", NULL);  /* is enough */
    (void)relay_await_log(scene.relay, "event=source_owned", NULL); /* likewise */
    scene_reconnect();
    burst(500);
    servers_do_database("kill");
    servers_do_database("start");
    (void)relay_await_log(scene.relay, "event=source_lost", NULL);  /* likewise */
    (void)relay_await_log(scene.relay, "event=source_owned", NULL); /* likewise */
    scene_reconnect();
    await_traffic(100);
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

/* Promise: a broker that does not answer, with messages in flight, counts as lost after confirm_timeout, and the
 * messages are sent again. */
Test(relay_outage, a_broker_that_is_silent)
{
    traffic_set_up(scene.db);
    scene.relay = relay_start(&(struct relay_options){.broker = "confirm_timeout = \"2s\"\n"});
    relay_await_work(scene.relay);
    servers_do("pause rabbitmq");
    burst(100);
    (void)relay_await_log(scene.relay, "event=confirm_timeout", NULL); /* likewise */
    servers_do("resume rabbitmq");
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

static void
queue_process(const char *act)
{
    char words[300];
    (void)snprintf(words, sizeof(words),
                   "eval '{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, "
                   "<<\"%s\">>)), sys:%s(amqqueue:get_pid(Queue)).'",
                   scene.queue, act); /* fits */
    servers_rabbitmqctl(words);
}

/* Promise: so does a broker that accepts everything and sends heartbeats, but confirms nothing. */
Test(relay_outage, a_broker_that_takes_all_and_confirms_nothing)
{
    struct traffic *traffic = start_traffic();
    scene.relay = relay_start(
        &(struct relay_options){.broker = "confirm_timeout = \"2s\"\nheartbeat = \"1s\"\n"});
    relay_await_work(scene.relay);
    await_traffic(100);
    queue_process("suspend");
    (void)relay_await_log(scene.relay, "event=confirm_timeout", NULL); /* is enough */
    queue_process("resume");
    await_traffic(100);
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

static struct relay *
start_with_messages_in_flight(const char *global)
{
    traffic_set_up(scene.db);
    scene.relay = relay_start(&(struct relay_options){.global = global});
    relay_await_work(scene.relay);
    burst(50);
    await_empty_outbox(scene.db);
    servers_do("pause rabbitmq");
    burst(50);
    scene_await("the messages are in flight", "select in_flight > 0 from outbox_relay");
    return scene.relay;
}

static void
resume_and_check(void)
{
    servers_do("resume rabbitmq");
    relay_start_again(scene.relay);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

/* Promise: the drain waits for messages in flight; a second signal ends it. Nothing is lost. */
Test(relay_outage, a_second_signal_leaves_at_once)
{
    struct relay *relay = start_with_messages_in_flight("shutdown_timeout = \"5m\"\n");
    relay_signal(relay, SIGTERM);
    (void)relay_await_log(relay, "event=draining", NULL); /* is enough */
    const uint64_t until_us = clock_monotonic_us() + 2 * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* that it does not end can only be seen by waiting */
        check(kill(relay_pid(relay), 0) == 0 && relay_logged(relay, "event=source_drained") == 0,
              "it left what was in flight");
    }
    relay_signal(relay, SIGTERM);
    const int status = relay_await_exit(relay, PATIENCE_S);
    check(status == 1, "exit status %d", status);
    resume_and_check();
}

/* Promise: the drain ends at shutdown_timeout, with exit status 1, and nothing is lost. */
Test(relay_outage, the_drain_has_an_end)
{
    struct relay *relay = start_with_messages_in_flight("shutdown_timeout = \"2s\"\n");
    const uint64_t start_us = clock_monotonic_us();
    relay_signal(relay, SIGTERM);
    const int status = relay_await_exit(relay, PATIENCE_S);
    check(status == 1, "exit status %d", status);
    check(clock_monotonic_us() - start_us >= 1900 * CLOCK_MS_US, "it did not wait");
    resume_and_check();
}

/* Makes the outbox as if the database had lost its last transactions: the ids of the messages in flight belong to other
 * messages now, and the owner's session has ended. */
static void
give_ids_out_again(void)
{
    db_lock_outbox(scene.db);
    db_end_session(scene.db, db_owner(scene.db));
    db_empty_outbox(scene.db);
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', 'k', bytes(concat('new ', i)) from " DB_SERIES("1", "20"),
               scene.queue);
    db_unlock_outbox(scene.db);
}

/* Promise: after a crash or a failover of the database, ids may come again with other messages. The confirm of the
 * first message with such an id does not delete the new one. */
Test(relay_outage, a_database_that_gives_out_ids_again)
{
    struct delivery delivery;
    scene_start_relay(NULL);
    servers_do("pause rabbitmq");
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', 'k', bytes(concat('old ', i)) from " DB_SERIES("1", "10"),
               scene.queue);
    scene_await("the messages are in flight", "select in_flight = 10 from outbox_relay");
    give_ids_out_again();
    (void)relay_await_log(scene.relay, "event=source_owned", NULL); /* is enough */
    servers_do("resume rabbitmq");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    for (unsigned i = 1; i <= 20;) {
        char expected[16];
        (void)snprintf(expected, sizeof(expected), "new %u", i);
        check(consumer_take_within(consumer, PATIENCE_S * CLOCK_S_US, &delivery),
              "lost: \"%s\" is still to come", expected);
        i += strcmp(delivery.body, expected) == 0 ? 1 : 0;
    }
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

static const char *
uri_of(const char *user_and_password)
{
    static char uri[256];
    (void)snprintf(uri, sizeof(uri), "amqp://%s@%s:%s/", user_and_password,
                   test_env("OUTBOX_TEST_AMQP_HOST"), test_env("OUTBOX_TEST_AMQP_PORT"));
    return uri;
}

static void
insert_one(void)
{
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'hello')", scene.queue);
}

static void
expect_one(void)
{
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "hello");
    consumer_close(consumer);
    await_empty_outbox(scene.db);
}

/* Promise: if the broker refuses the password, the relay says so, without the password, and tries again. When the
 * broker accepts it, the relay goes on. */
Test(relay_outage, a_broker_that_refuses_the_password)
{
    servers_rabbitmqctl("add_user shop first-password");
    servers_rabbitmqctl("set_permissions shop '.*' '.*' '.*'");
    scene.relay = relay_start(&(struct relay_options){.uri = uri_of("shop:second-password")});
    insert_one();
    const char *line = relay_await_log(scene.relay, "event=lane_lost", NULL);
    check(strstr(line, "password") != NULL || strstr(line, "ACCESS_REFUSED") != NULL,
          "it is not told why: %s", line);
    check(broker_count(scene.broker, scene.queue) == 0, "it was sent all the same");
    servers_rabbitmqctl("change_password shop second-password");
    expect_one();
    check(relay_logged(scene.relay, "second-password") == 0, "the password was told");
    check(relay_logged(scene.relay, "event=started") == 1, "it was started again");
    relay_drain(scene.relay);
    servers_rabbitmqctl("delete_user shop");
}

/* Promise: the same for the database. */
Test(relay_outage, a_database_that_refuses_the_password)
{
    char dsn[512];
    db_create_user(scene.db, "shop", "first-password");
    db_grant_relay(scene.db, "shop");
    (void)snprintf(dsn, sizeof(dsn), "%s user=shop password=second-password", db_dsn());
    scene.relay = relay_start(&(struct relay_options){.dsn = dsn});
    insert_one();
    const char *line = relay_await_log(scene.relay, "event=source_lost", "password");
    check(strstr(line, "level=error") != NULL, "an operator must act: %s", line);
    db_set_password(scene.db, "shop", "second-password");
    expect_one();
    check(relay_logged(scene.relay, "second-password") == 0, "the password was told");
    check(relay_logged(scene.relay, "event=started") == 1, "it was started again");
    relay_drain(scene.relay);
    db_drop_user(scene.db, "shop");
}

/* Promise: a relay without rights to the table says so, and works once it has them. */
Test(relay_outage, a_database_that_grants_too_little)
{
    char dsn[512];
    db_create_user(scene.db, "reader", "reader");
    scene_exec(
        "grant select on outbox to reader; grant select on outbox_schema to reader; "
        "grant select on outbox_relay_schema to reader"); /* as everybody has on PostgreSQL */
    (void)snprintf(dsn, sizeof(dsn), "%s user=reader password=reader", db_dsn());
    scene.relay = relay_start(&(struct relay_options){.dsn = dsn});
    insert_one();
    const char *line = relay_await_log(scene.relay, "event=source_lost", NULL);
    check(strstr(line, "level=error") != NULL && strstr(line, "grant") != NULL,
          "it is not told what to do: %s", line);
    db_grant_relay(scene.db, "reader");
    scene_exec("insert into outbox (payload, deliver_after) values ('later', from_now(3600))");
    scene_await("the scheduled message is set aside", "select count(*) = 1 from outbox_held");
    expect_one();
    relay_drain(scene.relay);
    db_drop_user(scene.db, "reader");
}

/* Crashes every open channel inside the broker, which ends their connections with code 541. */
static void
crash_channels(void)
{
    servers_rabbitmqctl(
        "eval '[exit(Channel, for_the_test) || Channel <- rabbit_channel:list()].'");
}

/* Promise: an internal error of the broker, whether a message is the cause or not, costs no message and makes none
 * dead, and is logged in the broker's words. */
Test(relay_outage, a_broker_with_internal_errors)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay("max_attempts = 3\n");
    for (int i = 0; i < 3; i++) {
        await_traffic(100);
        crash_channels();
        (void)relay_await_log(scene.relay, "event=lane_lost",
                              "541 INTERNAL_ERROR"); /* it is in the log */
    }
    traffic_end(traffic);
    scene_reconnect();
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message is dead");
    relay_drain(scene.relay);
}

/* Runs in the parent process; each test has a process of its own. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests; /* the servers are the same for all tests */
    char services[64];
    (void)snprintf(services, sizeof(services), "%s rabbitmq", db_server()); /* fits */
    servers_start(services);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats; /* likewise */
    servers_stop();
}
