/* A request and its reply through two outboxes: what the request's writer sets in its headers arrives in `apply` as
 * properties, and the reply that `apply` writes in its transaction comes back with them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/broker_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"
#include "tests/integration/runner_fixture.h"
#include "tests/integration/write_fixture.h"

static struct broker *broker;
static struct relay *relay;
static const char *replies;

static void
set_up(void)
{
    runner_fixture_setup();
    db_load_outbox(runner_fixture_db);
    broker = broker_open(NULL);
    replies = broker_name("replies");
    broker_declare_queue(broker, replies);
    relay = relay_start(&(struct relay_options){.mode = "poll"});
}

static void
tear_down(void)
{
    relay_free(relay);
    broker_delete_queue(broker, replies);
    broker_close(broker);
    runner_fixture_teardown();
}

TestSuite(request, .init = set_up, .fini = tear_down, .timeout = 240);

/* Writes the reply, if the request asks for one. */
static inbox_apply
answer(void *context, struct db *tx, const struct inbox_delivery *request)
{
    const struct outbox_header header = {"amqp-correlation-id", request->correlation_id};
    struct outbox_message reply = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    char text[200];
    const int length = snprintf(text, sizeof(text), "%s: %s, %d", (const char *)request->body,
                                request->expiration, (int)request->priority); /* fits */
    reply.exchange = "";
    reply.routing_key = request->reply_to;
    reply.headers = &header;
    reply.header_count = 1;
    reply.payload = text;
    reply.payload_length = (size_t)length;
    if (request->reply_to[0] == '\0') {
        cr_expect_str_eq(request->correlation_id, "");
        cr_expect_str_eq(request->expiration, "");
        cr_expect_eq(request->priority, -1);
    } else if (write_fixture_message(tx, &reply, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return INBOX_APPLY_RETRY;
    }
    return runner_fixture_apply(context, tx, request);
}

static void
ask(const char *payload, const char *headers)
{
    char sql[1000];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (exchange, routing_key, \"key\", payload_text, headers) values "
        "('', '%s', 'k', '%s', '%s')",
        queue_fixture_name(), payload, headers); /* fits */
    db_exec(runner_fixture_db, sql);
}

static void
expect_reply(struct consumer *consumer, const char *correlation_id, const char *body)
{
    struct delivery reply;
    consumer_take(consumer, &reply);
    cr_expect_str_eq(reply.body, body);
    cr_expect(
        reply.message.correlation_id.size == strlen(correlation_id) &&
            memcmp(reply.message.correlation_id.data, correlation_id, strlen(correlation_id)) == 0,
        "%.*s", (int)reply.message.correlation_id.size,
        (const char *)reply.message.correlation_id.data);
}

Test(request, the_reply_goes_where_the_request_says)
{
    struct runner_fixture_options options = runner_fixture_options();
    struct consumer *const consumer = consumer_open(NULL, replies);
    char headers[300];
    options.apply = answer;
    ask("no question", "{}");
    (void)snprintf(headers, sizeof(headers),
                   "{\"amqp-reply-to\": \"%s\", \"amqp-correlation-id\": \"order-4711\", "
                   "\"amqp-expiration\": 600000, \"amqp-priority\": 7}",
                   replies); /* fits */
    ask("a question", headers);
    runner_fixture_start(&options);
    runner_fixture_wait(2);
    expect_reply(consumer, "order-4711", "a question: 600000, 7");
    const struct inbox_runner_counters counters = runner_fixture_stop();
    cr_expect_eq(counters.applied, 2);
    consumer_close(consumer);
    relay_drain(relay);
}
