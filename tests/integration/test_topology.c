/* What the relay declares on the broker, as its configuration says: by init, by check, and at its start. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/broker_fixture.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/slow_link_fixture.h"

static struct db *db;
static struct broker *broker;
static const char *exchange;
static const char *queue;
static const char *dead;
static const char *user; /* of the broker, with the password "pw"; NULL: the test needs none */

static void
set_up(void)
{
    cli_enter();
    db = db_create();
    db_load_outbox(db);
    broker = broker_open(NULL);
    exchange = broker_name("exchange");
    queue = broker_name("queue");
    dead = broker_name("dead");
}

/* Runs rabbitmqctl; its output is in the file "said". */
static void
control(const char *command)
{
    char line[2000];
    (void)snprintf(line, sizeof(line), "%s -q %s >said 2>&1", test_env("OUTBOX_TEST_RABBITMQCTL"),
                   command); /* fits */
    cr_assert_eq(system(line), 0, "%s", line);
}

static void
tear_down(void)
{
    broker_delete_queue(broker, queue);
    broker_delete_queue(broker, dead);
    broker_delete_exchange(broker, exchange);
    broker_close(broker);
    if (user != NULL) {
        char command[200];
        (void)snprintf(command, sizeof(command), "delete_user %s", user); /* fits */
        control(command);
    }
    db_drop(db);
    cli_leave();
}

TestSuite(topology, .init = set_up, .fini = tear_down, .timeout = 240);

/* A relay with this broker; `sections` is a format with the names of exchange, queue and dead-letter queue. */
static void
configure(const char *uri, const char *sections)
{
    char text[2000];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), sections, exchange, queue, dead); /* fits */
#pragma GCC diagnostic pop
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = %s mode = poll broker = main exchange = \"%s\"\n"
              "  retry_initial = 100ms dsn = \"%s\" }\n"
              "%s",
              uri, db_kind(), exchange, db_dsn(), text);
}

static const char *
uri(void)
{
    return test_env("OUTBOX_TEST_AMQP_URI");
}

#define ALL                                                                        \
    "exchange \"%1$s\" { }\n"                                                      \
    "queue \"%2$s\" { single_active_consumer = true dead_letter_queue = \"%3$s\" " \
    "delivery_limit = 2 }\n"                                                       \
    "queue \"%3$s\" { }\n"                                                         \
    "binding { exchange = \"%1$s\" queue = \"%2$s\" routing_key = \"order.#\" }\n"

/* Expects these lines about the broker, with N instead of the test's names. */
static unsigned
count_lines(const char *begin, const char *word)
{
    unsigned count = 0;
    const char *line = cli_stdout();
    while (line != NULL && *line != '\0') {
        const char *const end = strchr(line, '\n');
        const char *const found = strstr(line, word);
        count += strncmp(line, begin, strlen(begin)) == 0 && found != NULL && found < end ? 1 : 0;
        line = end == NULL ? NULL : end + 1;
    }
    return count;
}

#define expect_lines(number, begin, word) \
    cr_assert_eq(count_lines((begin), (word)), (number), "%s", cli_stdout())

Test(topology, init_makes_what_is_not_there_and_check_only_looks)
{
    configure(uri(), ALL);
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_lines(3, "problem  broker \"main\": ", " is not there (NOT_FOUND");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_lines(3, "problem  broker \"main\": ", " is not there (NOT_FOUND");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    expect_lines(3, "ok       broker \"main\": ", " is there now");
    expect_lines(1, "ok       broker \"main\": binding ", " is there");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    expect_lines(3, "ok       broker \"main\": ", " is there as configured");
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    expect_lines(3, "ok       broker \"main\": ", " is there as configured");
    expect_lines(1, "ok       broker \"main\": binding ", " is made whenever the relay starts");
}

/* One line of a file. */
static void
expect_in_file(const char *path, const char *line_of, const char *word)
{
    char line[2000];
    FILE *const file = fopen(path, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL && strstr(line, line_of) != line) {
    }
    (void)fclose(file); /* was only read */
    cr_assert_not_null(strstr(line, word), "%s is not in %s", word, line);
}

Test(topology, a_queue_keeps_what_it_cannot_dead_letter)
{
    configure(uri(), ALL);
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    control("list_queues --no-table-headers name durable arguments");
    char start[100];
    (void)snprintf(start, sizeof(start), "%s\ttrue\t", queue); /* fits */
    expect_in_file("said", start, "{\"x-queue-type\",\"quorum\"}");
    expect_in_file("said", start, "{\"x-single-active-consumer\",true}");
    expect_in_file("said", start, "{\"x-dead-letter-exchange\",[]}");
    expect_in_file("said", start, "{\"x-dead-letter-strategy\",\"at-least-once\"}");
    expect_in_file("said", start, "{\"x-overflow\",\"reject-publish\"}");
    expect_in_file("said", start, "{\"x-delivery-limit\",2}");
}

Test(topology, what_is_there_otherwise_stays_and_is_told)
{
    broker_declare_exchange(broker, exchange, "fanout");
    broker_declare_queue(broker, queue);
    configure(uri(), ALL);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(cli(i == 0 ? "init -c relay.conf" : "check -c relay.conf"), 1);
        expect_lines(1, "problem  broker \"main\": exchange ",
                     "inequivalent arg 'type' for exchange");
        expect_lines(1, "problem  broker \"main\": queue ", "is there, but otherwise");
        expect_lines(2, "problem  broker \"main\": ", "; it stays as it is: ");
    }
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("topology_declared");
    cli_wait_for_log("source_owned");
    db_exec(db, "insert into outbox (routing_key, payload) values ('order.paid', 'one')");
    struct consumer *const consumer = consumer_open(NULL, queue);
    consumer_expect(consumer, "one"); /* the binding was made all the same */
    consumer_close(consumer);
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    cli_wait_for_log("topology_differs");
}

Test(topology, without_sections_nothing_is_declared)
{
    configure(uri(), "");
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    expect_lines(0, "", "broker");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_lines(1, "problem  source \"orders\": exchange ", "NOT_FOUND");
}

/* The link to the broker is so slow that declaring takes a second or more, while the database is reached at once: a
 * source that did not wait would be ready long before. */
Test(topology, no_source_starts_before_all_is_made)
{
    char slowly[200];
    struct slow_link *const link =
        slow_link_open((unsigned short)strtoul(test_env("OUTBOX_TEST_AMQP_PORT"), NULL, 10), 3000);
    (void)snprintf(slowly, sizeof(slowly), "amqp://guest:guest@127.0.0.1:%d/",
                   slow_link_port(link)); /* fits */
    configure(slowly, ALL);
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("event=source_owned");
    const char *const made = strstr(cli_stderr(), "event=topology_declared");
    cr_assert(made != NULL && made < strstr(cli_stderr(), "event=source_owned"), "%s",
              cli_stderr());
    slow_link_rate(link, UINT64_MAX);
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    slow_link_close(link);
}

/* "one" is rejected without requeue; "two" is returned more often than delivery_limit allows. So both must be in the
 * dead-letter queue. */
Test(topology, what_a_relay_makes_takes_what_it_sends)
{
    struct delivery delivery;
    configure(uri(), ALL);
    db_exec(db, "insert into outbox (routing_key, payload) values ('order.paid', 'one'), "
                "('order.sent', 'two')");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("topology_declared");
    struct consumer *consumer = consumer_open(NULL, queue);
    consumer_take(consumer, &delivery);
    cr_assert_str_eq(delivery.body, "one");
    consumer_refuse(consumer, false);
    for (int i = 0; i < 3; i++) { /* closed channels count; a requeue does not, since 4.3 */
        consumer_take(consumer, &delivery);
        cr_assert_str_eq(delivery.body, "two");
        consumer_leave(consumer);
        consumer = consumer_open(NULL, queue);
    }
    consumer_close(consumer);
    struct consumer *const undertaker = consumer_open(NULL, dead);
    consumer_expect(undertaker, "one");
    consumer_expect(undertaker, "two");
    consumer_close(undertaker);
    cr_assert_eq(db_int(db, "select count(*) from outbox_held"), 0);
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
    cr_assert_eq(system("grep -q message_refused log"), 256, "nothing was sent too early");
}

/* A user of the broker with these rights, and a relay that connects as this user. */
static void
be_user_with(const char *configure_right, const char *write_right, const char *read_right)
{
    char text[400];
    char as_user[300];
    user = broker_name("user");
    (void)snprintf(text, sizeof(text), "add_user %s pw", user); /* fits */
    control(text);
    (void)snprintf(text, sizeof(text), "set_permissions -p / %s '%s' '%s' '%s'", user,
                   configure_right, write_right, read_right); /* fits */
    control(text);
    (void)snprintf(as_user, sizeof(as_user), "amqp://%s:pw@%s:%s/", user,
                   test_env("OUTBOX_TEST_AMQP_HOST"), test_env("OUTBOX_TEST_AMQP_PORT")); /* fits */
    configure(as_user, ALL);
}

/* Runs the command in the first problem of init's output, unchanged. */
static void
do_as_told(void)
{
    static const char before[] = "give the relay's user the rights: rabbitmqctl ";
    const char *const found = strstr(cli_stdout(), before);
    cr_assert_not_null(found, "%s", cli_stdout());
    char command[1000];
    (void)snprintf(command, sizeof(command), "%.*s", (int)strcspn(found + strlen(before), "\n"),
                   found + strlen(before)); /* fits */
    control(command);
}

Test(topology, without_the_right_it_goes_on_and_says_which)
{
    be_user_with("^$", ".*", "^$");
    broker_declare_exchange(broker, exchange, "topic");
    broker_declare_queue(broker, dead);
    broker_bind(broker, dead, exchange, "order.#");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("topology_failed");
    db_exec(db, "insert into outbox (routing_key, payload) values ('order.paid', 'one')");
    struct consumer *const consumer = consumer_open(NULL, dead);
    consumer_expect(consumer, "one");
    consumer_close(consumer);
    broker_delete_queue(broker, dead);
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);

    cr_assert_eq(cli("check -c relay.conf"), 1);
    expect_lines(1, "advice   broker \"main\": a relay publishes without a second fence",
                 "the configure permission ^outbox-relay\\. allows it");
    cr_assert_eq(cli("init -c relay.conf"), 1);
    expect_lines(3, "problem  broker \"main\": ", "cannot be made: ACCESS_REFUSED");
    do_as_told();
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    expect_lines(1, "ok       broker \"main\": ", "a relay may have its fence there");
}

/* Nobody listens on this port: no source waits for such a broker, and the relay can end meanwhile. */
Test(topology, a_broker_that_is_away_stops_nobody)
{
    configure(uri(), "broker away { uri = \"amqp://127.0.0.1:1/\" }\n"
                     "queue q { broker = away }\n"
                     "exchange \"%1$s\" { broker = main }\n"
                     "queue \"%2$s\" { broker = main }\n"
                     "binding { broker = main exchange = \"%1$s\" queue = \"%2$s\" }\n");
    const pid_t relay = cli_start("run -c relay.conf");
    cli_wait_for_log("topology_waits");
    cli_wait_for_log("topology_declared"); /* of the other broker */
    db_exec(db, "insert into outbox (routing_key, payload) values ('order.paid', 'one')");
    struct consumer *const consumer = consumer_open(NULL, queue);
    consumer_expect(consumer, "one");
    consumer_close(consumer);
    cr_assert_eq(kill(relay, SIGTERM), 0);
    cr_assert_eq(cli_wait(relay), 0);
}
