/* Promise: a message that cannot be sent stops only its own key. The log says what to do about it, the relay tries
 * again, and once the cause is repaired its key goes on, in order. Nothing that a row contains can do more harm than
 * that. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

static void
open_scene(void)
{
    scene_open();
    db_lift_headers(scene.db);
}

TestSuite(relay_refused, .init = open_scene, .fini = scene_close, .timeout = 240);
TestSuite(relay_refused_unlimited, .init = scene_open_unlimited, .fini = scene_close,
          .timeout = 240);

static struct consumer *consumer;

static void
start(void)
{
    scene_start_relay(NULL);
    consumer = consumer_open(NULL, scene.queue);
}

static void
finish(void)
{
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* Three messages of the key "bad", the first of which is spoilt, that is, it cannot be sent; and messages of other keys
 * before and after them. It is spoilt before it is inserted, because rows in the outbox do not change. */
static void
insert_messages(const char *spoil)
{
    const char *queue = scene.queue;
    scene_exec("create temporary table draft as select exchange, routing_key, \"key\", type, "
               "content_type, headers, payload from outbox where 1 = 0; "
               "insert into draft (routing_key, \"key\", payload) values ('%s', 'bad', 'bad 1'); "
               "update draft set %s; "
               "begin; insert into outbox (routing_key, \"key\", payload) "
               "select '%s', concat('before', i), bytes(concat('before ', i)) "
               "from " DB_SERIES(
                   "1", "50") "; "
                              "insert into outbox (exchange, routing_key, \"key\", type, "
                              "content_type, headers, "
                              "payload) select * from draft; "
                              "insert into outbox (routing_key, \"key\", payload) "
                              "values ('%s', 'bad', 'bad 2'), ('%s', 'bad', 'bad 3'); "
                              "insert into outbox (routing_key, \"key\", payload) "
                              "select '%s', case when mod(i, 2) = 0 then concat('after', i) end, "
                              "bytes(concat('after ', i)) from " DB_SERIES("1", "50") "; commit",
               queue, spoil, queue, queue, queue, queue);
}

static bool
starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* All messages of the other keys come, perhaps some twice, and none of the key "bad". */
static void
expect_others(void)
{
    struct delivery delivery;
    bool seen[2][51] = {0};
    for (unsigned missing = 100; missing > 0;) {
        consumer_take(consumer, &delivery);
        const bool after = starts_with(delivery.body, "after ");
        check(after || starts_with(delivery.body, "before "), "\"%s\" came", delivery.body);
        const unsigned long number = strtoul(strchr(delivery.body, ' '), NULL, 10);
        check(number >= 1 && number <= 50, "\"%s\" came", delivery.body);
        missing -= seen[after][number] ? 0 : 1;
        seen[after][number] = true;
    }
}

/* Others may come again, because their channel was closed; then the key "bad" comes in order. */
static void
expect_bad_key(const char *first)
{
    struct delivery delivery;
    do {
        consumer_take(consumer, &delivery);
    } while (!starts_with(delivery.body, "bad"));
    check(strcmp(delivery.body, first) == 0, "\"%s\" came first", delivery.body);
    for (unsigned i = first[4] - '0' + 1u; i <= 3; i++) {
        char body[16];
        (void)snprintf(body, sizeof(body), "bad %u", i);
        consumer_expect(consumer, body);
    }
}

/* The relay says what is wrong, tries again and says it again; meanwhile the key's messages are set aside. */
static void
expect_refused(const char *words)
{
    const int64_t id = scene_count("select id from outbox where payload = 'bad 1' union all "
                                   "select id from outbox_held where payload = 'bad 1'");
    char text[64];
    (void)snprintf(text, sizeof(text), " id=%lld ", (long long)id);
    const char *line = relay_await_log(scene.relay, "event=message_refused", text);
    check(strstr(line, "attempt=1 ") != NULL && strstr(line, words) != NULL,
          "not the words \"%s\": %s", words, line);
    line = relay_await_log(scene.relay, "attempt=3 ", text);
    check(strstr(line, words) != NULL, "not the words \"%s\": %s", words, line);
    scene_await("its key waits behind it",
                "select count(*) = 3 and sum(case when state = 'waiting' then 1 else 0 end) = 2 "
                "and sum(case when payload = 'bad 1' and state = 'retrying' and next_attempt_at "
                "is not null and attempts >= 1 and last_error <> '' then 1 else 0 end) = 1 "
                "from outbox_held where \"key\" = 'bad'");
    scene_await("nothing stays in the outbox", "select count(*) = 0 from outbox");
    check(broker_count(scene.broker, scene.queue) == 0, "something of its key came");
}

static void
refuse_and_mend(const char *spoil, const char *words, const char *mend)
{
    start();
    insert_messages(spoil);
    expect_others();
    expect_refused(words);
    scene_exec("%s", mend);
    expect_bad_key("bad 1");
    (void)relay_await_log(scene.relay, "event=message_sent",
                          NULL); /* with the confirm, which may be later than the delivery */
    check(relay_logged(scene.relay, "event=message_sent") == 1,
          "it is told twice that it went out");
    finish();
}

/* Later messages of the key that were in flight when the broker returned the first one have been sent; new ones wait. */
Test(relay_refused, an_unroutable_message_goes_once_its_queue_is_bound)
{
    char nobody[200];
    (void)snprintf(nobody, sizeof(nobody), "%s-nobody", scene.queue);
    start();
    scene_exec("insert into outbox (exchange, routing_key, \"key\", payload) "
               "values ('amq.direct', '%s', 'bad', 'bad 1')",
               nobody);
    (void)relay_await_log(scene.relay, "event=message_refused", nobody); /* is enough */
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', 'bad', 'bad 2'), "
               "('%s', 'bad', 'bad 3'), ('%s', 'good', 'good')",
               scene.queue, scene.queue, scene.queue);
    consumer_expect(consumer, "good");
    (void)relay_await_log(scene.relay, "attempt=3 ", "unroutable"); /* is enough */
    check(broker_count(scene.broker, scene.queue) == 0, "something of its key came");
    broker_bind(scene.broker, scene.queue, "amq.direct", nobody);
    expect_bad_key("bad 1");
    finish();
}

Test(relay_refused, a_missing_exchange_costs_only_its_key_and_can_be_declared)
{
    char spoil[200];
    const char *exchange = broker_name("missing");
    (void)snprintf(spoil, sizeof(spoil), "exchange = '%s'", exchange);
    start();
    insert_messages(spoil);
    expect_others();
    expect_refused(exchange);
    broker_declare_exchange(scene.broker, exchange, "fanout");
    broker_bind(scene.broker, scene.queue, exchange, "");
    expect_bad_key("bad 1");
    finish();
    broker_delete_exchange(scene.broker, exchange);
}

static bool
is_full(void *context)
{
    const char *const *queue = context;
    return broker_count(scene.broker, *queue) >= 5;
}

/* Promise: also an exchange with a name so long that the broker shortens it in its error. One channel is closed for it
 * (apart from probes), and not one more each time that a window is halved. */
Test(relay_refused, a_missing_exchange_with_a_long_name_is_recognised)
{
    scene.relay = relay_start(&(struct relay_options){.global = "log_level = \"debug\"\n"});
    relay_await_work(scene.relay);
    consumer = consumer_open(NULL, scene.queue);
    scene_exec("insert into outbox (exchange, routing_key, payload) select "
               "case i when 100 then repeat('x', 250) end, '%s', 'x' from " DB_SERIES("1", "200"),
               scene.queue);
    (void)relay_await_log(scene.relay, "event=message_refused", "NOT_FOUND"); /* is enough */
    scene_await("the others are through", "select not exists (select 1 from outbox)");
    check(relay_logged(scene.relay, "event=channel_closed source=test lane=0") == 1,
          "it was searched for");
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* The broker's nack means "not now": the message is tried again until the queue has room, and none is blamed; messages
 * for other queues are sent meanwhile. */
Test(relay_refused, a_full_queue_is_tried_until_it_has_room)
{
    struct delivery delivery;
    bool seen[41] = {0};
    const char *small = broker_name("small");
    broker_declare_small_queue(scene.broker, small, 5);
    start();
    scene_exec("insert into outbox (routing_key, payload) "
               "select '%s', bytes(concat(i)) from " DB_SERIES("1", "40"),
               small);
    (void)relay_await_log(scene.relay, "event=degraded", "a queue is full"); /* is enough */
    await(is_full, &small, "the queue is full", PATIENCE_S);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'good')", scene.queue);
    consumer_expect(consumer, "good");
    struct consumer *late = consumer_open(NULL, small);
    for (unsigned missing = 40; missing > 0;) {
        consumer_take(late, &delivery);
        const unsigned long number = strtoul(delivery.body, NULL, 10);
        check(number >= 1 && number <= 40, "\"%s\" came", delivery.body);
        missing -= seen[number] ? 0 : 1;
        seen[number] = true;
    }
    finish();
    check(relay_logged(scene.relay, "event=message_dead") == 0,
          "the queue was blamed on a message");
    consumer_close(late);
    broker_delete_queue(scene.broker, small);
}

/* Only exchanges may publish to an internal exchange: 403. */
Test(relay_refused, an_exchange_that_may_not_be_used_costs_only_its_key)
{
    char mend[200];
    (void)snprintf(mend, sizeof(mend),
                   "update outbox_held set exchange = null where payload = 'bad 1'");
    refuse_and_mend("exchange = 'amq.rabbitmq.trace'", "ACCESS_REFUSED", mend);
}

#define MEND_ALL                                                                                \
    "update outbox_held set headers = null, type = null, content_type = null, exchange = null " \
    "where payload = 'bad 1'"

Test(relay_refused_unlimited, a_routing_key_over_255_bytes_costs_only_its_key)
{
    char mend[256];
    (void)snprintf(mend, sizeof(mend),
                   "update outbox_held set routing_key = '%s' where payload = 'bad 1'",
                   scene.queue);
    refuse_and_mend("routing_key = repeat('r', 300)", "routing", mend);
}

Test(relay_refused_unlimited, a_type_over_255_bytes_costs_only_its_key)
{
    refuse_and_mend("type = repeat('t', 256)", "type", MEND_ALL);
}

Test(relay_refused_unlimited, a_content_type_over_255_bytes_costs_only_its_key)
{
    refuse_and_mend("content_type = repeat('t', 256)", "content", MEND_ALL);
}

Test(relay_refused_unlimited, an_exchange_over_255_bytes_costs_only_its_key)
{
    refuse_and_mend("exchange = repeat('t', 256)", "exchange", MEND_ALL);
}

Test(relay_refused, headers_that_are_an_array_cost_only_their_key)
{
    refuse_and_mend("headers = '[1, 2]'", "headers", MEND_ALL);
}

Test(relay_refused, headers_that_are_a_string_cost_only_their_key)
{
    refuse_and_mend("headers = '\"text\"'", "headers", MEND_ALL);
}

Test(relay_refused, headers_that_are_a_number_cost_only_their_key)
{
    refuse_and_mend("headers = '7'", "headers", MEND_ALL);
}

Test(relay_refused, headers_that_are_json_null_cost_only_their_key)
{
    refuse_and_mend("headers = 'null'", "headers", MEND_ALL);
}

Test(relay_refused, a_header_with_an_over_long_name_costs_only_its_key)
{
    refuse_and_mend("headers = as_headers(concat('{\"', repeat('n', 300), '\": 1}'))", "headers",
                    MEND_ALL);
}

Test(relay_refused_unlimited, headers_over_a_frame_cost_only_their_key)
{
    refuse_and_mend("headers = as_headers(concat('{\"long\": \"', repeat('h', 200000), '\"}'))",
                    "headers", MEND_ALL);
}

Test(relay_refused, a_number_no_header_can_hold_costs_only_its_key)
{
    refuse_and_mend("headers = '{\"n\": 123456789012345678901234567890}'",
                    "\\\"n\\\" cannot be read", MEND_ALL);
}

Test(relay_refused, headers_nested_too_deep_cost_only_their_key)
{
    refuse_and_mend("headers = as_headers(concat(repeat('{\"a\":', 100), '1', repeat('}', 100)))",
                    "headers", MEND_ALL);
}

Test(relay_refused, a_property_the_broker_would_not_take_costs_only_its_key)
{
    refuse_and_mend("headers = '{\"amqp-expiration\": 4294967296}'", "amqp-expiration", MEND_ALL);
}

Test(relay_refused, a_reply_to_that_would_close_the_channel_costs_only_its_key)
{
    refuse_and_mend("headers = '{\"amqp-reply-to\": \"amq.rabbitmq.reply-to\"}'", "amqp-reply-to",
                    MEND_ALL);
}

/* The broker would close the channel for it. */
Test(relay_refused, routing_keys_that_are_no_array_cost_only_their_key)
{
    refuse_and_mend("headers = '{\"CC\": \"orders\"}'", "must be an array", MEND_ALL);
}

Test(relay_refused, a_header_with_a_name_of_the_relays_costs_only_its_key)
{
    refuse_and_mend("headers = '{\"x-outbox-id\": 1}'", "x-outbox-id", MEND_ALL);
}

/* Discarding the message also lets the key go on. */
Test(relay_refused, a_refused_message_can_be_discarded)
{
    start();
    insert_messages("headers = '[]'");
    expect_others();
    expect_refused("headers");
    operator_discard("payload = 'bad 1'");
    expect_bad_key("bad 2");
    check(relay_logged(scene.relay, "event=message_gone") == 1, "it is not told that it is gone");
    finish();
}

/* A message without a key stops no other. */
Test(relay_refused, an_unordered_message_stops_only_itself)
{
    start();
    scene_exec("insert into outbox (routing_key, payload) values "
               "('%s', 'good 1'), ('%s-nobody', 'bad'), ('%s', 'good 2')",
               scene.queue, scene.queue, scene.queue);
    consumer_expect(consumer, "good 1");
    consumer_expect(consumer, "good 2");
    (void)relay_await_log(scene.relay, "event=message_refused", "attempt=2"); /* is enough */
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'good 3')", scene.queue);
    consumer_expect(consumer, "good 3");
    scene_exec("update outbox_held set routing_key = '%s' where payload = 'bad'", scene.queue);
    consumer_expect(consumer, "bad");
    finish();
}

/* Promise: however many messages are refused, the log reports at most a hundred a minute. The others are sent. */
Test(relay_refused, many_that_are_refused_do_not_fill_the_log)
{
    const uint64_t start_us = clock_monotonic_us();
    start();
    scene_exec("insert into outbox (routing_key, \"key\", headers, payload) "
               "select '%s', concat('bad', i), '[]', 'bad' from " DB_SERIES("1", "50"),
               scene.queue);
    scene_await("they are tried again and again",
                "select count(*) = 50 and min(attempts) >= 4 from outbox_held");
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', 'k', 'good')",
               scene.queue);
    consumer_expect(consumer, "good");
    const unsigned lines = relay_logged(scene.relay, "event=message_refused");
    const uint64_t minutes = 1 + (clock_monotonic_us() - start_us) / (60 * CLOCK_S_US);
    check(lines > 0 && lines <= 100 * minutes, "%u lines in minute %u", lines, (unsigned)minutes);
    if (getenv("OUTBOX_TEST_LONG") != NULL) { /* it takes a minute */
        const char *line = relay_await_log(scene.relay, "event=more_refused", " messages=");
        check(strstr(line, " source=") != NULL, "of which source? %s", line);
    }
    operator_discard("payload = 'bad'");
    finish();
}

/* All kinds of refusal at once, under traffic: each one is logged, other keys never wait, and what was refused is sent
 * in the end. */
Test(relay_refused_unlimited, all_kinds_at_once_under_traffic)
{
    traffic_set_up(scene.db);
    scene_start_relay("publishers = 2\n");
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 20, .pause_us_max = 4000});
    scene_exec(
        "insert into outbox (\"key\", exchange, routing_key, headers, payload) values "
        "('a', 'test-missing-exchange', '', null, '1'), ('b', '', 'test-nobody', null, '1'), "
        "('c', '', repeat('r', 300), null, '1'), ('d', '', '', '[]', '1'), "
        "('e', 'amq.rabbitmq.trace', '', null, '1')");
    for (unsigned i = 0; i < 20; i++) { /* every kind several times, and all are tried again */
        (void)relay_await_log(scene.relay, "event=message_refused", NULL);
    }
    traffic_end(traffic);
    operator_discard("payload = '1'");
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates: where a channel was closed */
    relay_drain(scene.relay);
}
