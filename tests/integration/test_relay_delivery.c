/* What is sent is what was written: every property, every header, every byte, at the right time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/table.h"
#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_delivery, .init = scene_open, .fini = scene_close, .timeout = 240);
TestSuite(relay_delivery_large, .init = scene_open_large, .fini = scene_close_own, .timeout = 240);

static bool
is_text(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.data, text, span.size) == 0;
}

#define expect_text(span, expected)                                                              \
    check(is_text((span), (expected)), #span " is \"%.*s\" instead of \"%s\"", (int)(span).size, \
          (const char *)(span).data, (expected))

static struct table_field
field(struct span fields, const char *name, char type)
{
    struct table_field found;
    check(table_find(fields, name, &found), "there is no header %s", name);
    check(found.type == type, "header %s has type %c instead of %c", name, found.type, type);
    return found;
}

/* The n-th element of an array. */
static struct table_field
element(struct span fields, unsigned n, char type)
{
    struct table_field found;
    size_t position = 0;
    for (unsigned i = 0; i <= n; i++) {
        check(table_next(fields, true, &position, &found), "there is no element %u", n);
    }
    check(found.type == type, "element %u has type %c instead of %c", n, found.type, type);
    return found;
}

/* Promise: the AMQP properties of a message are those of its row; app-id names the relay. */
Test(relay_delivery, a_message_has_the_properties_of_its_row)
{
    struct delivery delivery;
    const char *exchange = broker_name("exchange");
    broker_declare_exchange(scene.broker, exchange, "topic");
    broker_bind(scene.broker, scene.queue, exchange, "orders.#");
    scene_start_relay(NULL);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene_exec(
        "insert into outbox (message_id, exchange, routing_key, \"key\", type, content_type, "
        "payload, created_at) values (as_id('01890a5d-ac96-774b-bcce-b302099a8057'), "
        "'%s', 'orders.paid', 'customer Ä', 'order.paid', 'application/json', "
        "'{\"n\": 1}', as_time('2024-02-29 10:34:56.789'))",
        exchange);
    consumer_take(consumer, &delivery);
    const struct rabbit_message *message = &delivery.message;
    expect_text(message->message_id, "01890a5d-ac96-774b-bcce-b302099a8057");
    expect_text(message->exchange, exchange);
    expect_text(message->routing_key, "orders.paid");
    expect_text(message->type, "order.paid");
    expect_text(message->content_type, "application/json");
    expect_text(message->app_id, "outbox-relay");
    expect_text(message->body, "{\"n\": 1}");
    check(message->timestamp_s == 1709202896, "timestamp %llu",
          (unsigned long long)message->timestamp_s);
    check(message->delivery_mode == 2, "delivery mode %u", message->delivery_mode);
    check(!delivery.redelivered, "redelivered");
    expect_text(field(message->headers, "x-outbox-source", 'S').text, "test");
    expect_text(field(message->headers, "x-outbox-key", 'S').text, "customer Ä");
    check(field(message->headers, "x-outbox-id", 'l').integer == 1, "x-outbox-id is not the id");
    consumer_close(consumer);
    broker_delete_exchange(scene.broker, exchange);
}

/* Promise: an insert with only a routing key and a payload is enough; properties that the row does not have are absent. */
Test(relay_delivery, a_plain_insert_is_a_message)
{
    struct delivery delivery;
    struct table_field found;
    scene_start_relay(NULL);
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'hello')", scene.queue);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_take(consumer, &delivery);
    const struct rabbit_message *message = &delivery.message;
    expect_text(message->exchange, "");
    expect_text(message->body, "hello");
    check(message->message_id.size == 36, "no message-id");
    check(message->type.size == 0 && message->content_type.size == 0, "type and content type");
    const uint64_t now_s = clock_wall_us() / CLOCK_S_US;
    check(message->timestamp_s + 120 > now_s && message->timestamp_s <= now_s + 1,
          "the timestamp is not now");
    check(!table_find(message->headers, "x-outbox-key", &found), "a key from nowhere");
    consumer_close(consumer);
    await_empty_outbox(scene.db);
}

/* Promise: exchange NULL is the source's, '' is AMQP's default exchange. */
Test(relay_delivery, no_exchange_is_the_sources_and_an_empty_one_is_the_default)
{
    struct delivery delivery;
    const char *exchange = broker_name("exchange");
    broker_declare_exchange(scene.broker, exchange, "fanout");
    broker_bind(scene.broker, scene.queue, exchange, "");
    scene.relay = relay_start(&(struct relay_options){.exchange = exchange});
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene_exec("insert into outbox (\"key\", exchange, routing_key, payload) "
               "values ('k', null, 'anything', '1'), ('k', '', '%s', '2')",
               scene.queue);
    consumer_take(consumer, &delivery);
    expect_text(delivery.message.exchange, exchange);
    expect_text(delivery.message.body, "1");
    consumer_take(consumer, &delivery);
    expect_text(delivery.message.exchange, "");
    expect_text(delivery.message.body, "2");
    consumer_close(consumer);
    broker_delete_exchange(scene.broker, exchange);
}

static void
expect_scalars(struct span headers)
{
    expect_text(field(headers, "text", 'S').text, "Grüße \"1\"");
    expect_text(field(headers, "empty", 'S').text, "");
    check(field(headers, "int", 'l').integer == 42, "int");
    check(field(headers, "big", 'l').integer == INT64_C(9007199254740993), "big");
    check(field(headers, "negative", 'l').integer == -1, "negative");
    check(field(headers, "real", 'd').number == 1.5, "real");
    check(field(headers, "yes", 't').integer == 1, "yes");
    check(field(headers, "no", 't').integer == 0, "no");
    struct table_field found;
    check(!table_find(headers, "nothing", &found), "null is a header");
}

/* Promise: headers of every JSON type, also nested, arrive as AMQP types, beside the relay's own headers. */
Test(relay_delivery, headers_of_every_type_arrive)
{
    struct delivery delivery;
    scene_start_relay(NULL);
    scene_exec("insert into outbox (routing_key, payload, headers) values ('%s', '', "
               "'{\"text\": \"Grüße \\\"1\\\"\", \"empty\": \"\", \"int\": 42, "
               "\"big\": 9007199254740993, \"negative\": -1, \"real\": 1.5, \"yes\": true, "
               "\"no\": false, \"nothing\": null, \"object\": {\"a\": {\"b\": [7, \"two\", "
               "null, {\"c\": false}]}, \"none\": {}}, \"array\": [[], [1.25]]}')",
               scene.queue);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_take(consumer, &delivery);
    const struct span headers = delivery.message.headers;
    expect_scalars(headers);
    const struct span object = field(headers, "object", 'F').text;
    const struct span array = field(field(object, "a", 'F').text, "b", 'A').text;
    check(element(array, 0, 'l').integer == 7, "object.a.b[0]");
    expect_text(element(array, 1, 'S').text, "two");
    (void)element(array, 2, 'V'); /* null has a type and no value */
    check(field(element(array, 3, 'F').text, "c", 't').integer == 0, "object.a.b[3].c");
    check(field(object, "none", 'F').text.size == 0, "object.none");
    const struct span arrays = field(headers, "array", 'A').text;
    check(element(arrays, 0, 'A').text.size == 0, "array[0]");
    check(element(element(arrays, 1, 'A').text, 0, 'd').number == 1.25, "array[1][0]");
    check(field(headers, "x-outbox-id", 'l').integer == 1, "x-outbox-id is the row's");
    expect_text(field(headers, "x-outbox-source", 'S').text, "test");
    consumer_close(consumer);
}

/* Promise: a header with the name of a property becomes that property instead of a header. */
Test(relay_delivery, properties_without_a_column_are_written_as_headers)
{
    struct delivery delivery;
    scene_start_relay(NULL);
    scene_exec("insert into outbox (routing_key, payload, headers) values ('%s', '', "
               "'{\"amqp-correlation-id\": \"request 7 Ä\", \"amqp-reply-to\": \"answers\", "
               "\"amqp-expiration\": 4294967295, \"amqp-priority\": 0, \"mine\": 1}')",
               scene.queue);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_take(consumer, &delivery);
    const struct rabbit_message *message = &delivery.message;
    expect_text(message->correlation_id, "request 7 Ä");
    expect_text(message->reply_to, "answers");
    expect_text(message->expiration, "4294967295");
    check(message->has_priority && message->priority == 0, "priority %u", message->priority);
    check(field(message->headers, "mine", 'l').integer == 1, "mine");
    struct table_field found;
    check(!table_find(message->headers, "amqp-correlation-id", &found), "it is a header too");
    /* Written only now, because from RabbitMQ 4 on a quorum queue delivers higher priorities first. */
    scene_exec("insert into outbox (routing_key, payload, headers) values ('%s', 'second', "
               "'{\"amqp-expiration\": \"600000\", \"amqp-priority\": 255}')",
               scene.queue);
    consumer_take(consumer, &delivery);
    expect_text(message->body, "second");
    check(message->correlation_id.size == 0 && message->reply_to.size == 0, "of the one before");
    expect_text(message->expiration, "600000");
    check(message->has_priority && message->priority == 255, "priority %u", message->priority);
    consumer_close(consumer);
}

/* Promise: CC and BCC are further routing keys, and the consumer does not see BCC. */
Test(relay_delivery, routing_keys_of_the_sender_are_followed)
{
    struct delivery delivery;
    struct table_field found;
    const char *copy = broker_name("copy");
    broker_declare_queue(scene.broker, copy);
    scene_start_relay(NULL);
    scene_exec("insert into outbox (routing_key, payload, headers) values "
               "('%s', 'first', '{\"CC\": [\"%s\"]}'), ('%s', 'second', '{\"BCC\": [\"%s\"]}'), "
               "('no-such-queue', 'third', '{\"CC\": [\"%s\", \"%s\"]}')",
               scene.queue, copy, scene.queue, copy, scene.queue, copy);
    const char *const queues[] = {scene.queue, copy};
    for (size_t i = 0; i < 2; i++) {
        struct consumer *consumer = consumer_open(NULL, queues[i]);
        consumer_take(consumer, &delivery);
        expect_text(delivery.message.body, "first");
        expect_text(element(field(delivery.message.headers, "CC", 'A').text, 0, 'S').text, copy);
        consumer_take(consumer, &delivery);
        expect_text(delivery.message.body, "second");
        check(!table_find(delivery.message.headers, "BCC", &found), "BCC is seen");
        consumer_take(consumer, &delivery);
        expect_text(delivery.message.body, "third");
        consumer_close(consumer);
    }
    broker_delete_queue(scene.broker, copy);
}

#define FRAME_BODY (131072 - 8) /* the most that fits into one body frame */

/* Every byte depends on its place, so a frame that is lost, doubled or swapped is noticed. */
static uint8_t *
make_payload(size_t size)
{
    uint8_t *payload = malloc(size + 1);
    check(payload != NULL, "out of memory");
    uint64_t state = size;
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        payload[i] = (uint8_t)(state >> 56);
    }
    return payload;
}

static void
insert_payload(const uint8_t *payload, size_t size)
{
    char *sql = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&sql, &length);
    check(out != NULL, "out of memory");
    (void)fprintf(out,
                  "insert into outbox (\"key\", routing_key, payload) values ('k', '%s', unhex('",
                  scene.queue);
    for (size_t i = 0; i < size; i++) {
        (void)fputc("0123456789abcdef"[payload[i] >> 4], out);
        (void)fputc("0123456789abcdef"[payload[i] & 15], out);
    }
    (void)fputs("'))", out);
    check(fclose(out) == 0, "out of memory");
    db_exec(scene.db, sql);
    free(sql);
}

/* Promise: a payload of any size arrives byte for byte. Most sizes are around multiples of a frame, where encoders
 * fail. */
Test(relay_delivery_large, payloads_of_every_size_arrive_byte_for_byte)
{
    static const size_t sizes[] = {0,
                                   1,
                                   FRAME_BODY - 1,
                                   FRAME_BODY,
                                   FRAME_BODY + 1,
                                   2 * FRAME_BODY - 1,
                                   2 * FRAME_BODY,
                                   2 * FRAME_BODY + 1,
                                   (size_t)1 << 20,
                                   (size_t)16 << 20};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    uint8_t *payloads[sizeof(sizes) / sizeof(sizes[0])];
    struct delivery delivery;
    scene_start_relay(NULL);
    for (size_t i = 0; i < count; i++) {
        payloads[i] = make_payload(sizes[i]);
        insert_payload(payloads[i], sizes[i]);
    }
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    for (size_t i = 0; i < count; i++) {
        consumer_take(consumer, &delivery);
        check(delivery.message.body.size == sizes[i], "%zu bytes came instead of %zu",
              delivery.message.body.size, sizes[i]);
        check(sizes[i] == 0 || memcmp(delivery.message.body.data, payloads[i], sizes[i]) == 0,
              "%zu bytes are not the same", sizes[i]);
        free(payloads[i]);
    }
    consumer_close(consumer);
    await_empty_outbox(scene.db);
    /* One warning is not the fault of the payloads: transactions of other tests can delay the creation of the slot. */
    check(relay_logged(scene.relay, "level=warning") ==
              relay_logged(scene.relay, "waits for transactions that were open"),
          "the relay had trouble");
}

/* The log of MariaDB and MySQL has the changes of all databases, so the relay's memory also held large rows of other
 * tests. */
static uint64_t
others_kib(void)
{
    return db_is_mysql() && relay_tails() ? 20 * 1024 : 0;
}

/* The payloads of all rows are 24 MiB. The relay with the system's libraries takes 12 when idle, with later versions of them 5 more; with
 * those of MySQL 9.7 and OpenSSL 3.5 it was 24.8 at most. */
#define SMALL_KIB (UINT64_C(30) * 1024)

/* Promise: memory does not grow with the number of messages. */
Test(relay_delivery, memory_stays_small)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', concat(mod(i, 100)), unhex(repeat('ab', 512)) "
               "from " DB_SERIES("1", "50000"),
               scene.queue);
    scene_start_relay(NULL);
    await_empty_outbox(scene.db);
    const uint64_t peak_kib = relay_peak_kib(scene.relay);
    (void)fprintf(stderr, "peak memory: %llu KiB\n", (unsigned long long)peak_kib);
    check(peak_kib <= (SMALL_KIB + others_kib()) * SANITIZED_FACTOR, "peak memory: %llu KiB",
          (unsigned long long)peak_kib);
    relay_drain(scene.relay);
}

static int64_t
now_ms(void)
{
    return db_int(scene.db, "select epoch_us(from_now(0))") / 1000;
}

/* Promise: deliver_after is obeyed, and a message that waits for its time delays no other, not even of its key. */
Test(relay_delivery, a_message_goes_when_it_is_due)
{
    scene_start_relay(NULL);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    const int64_t start_ms = now_ms();
    scene_exec("insert into outbox (\"key\", routing_key, payload, deliver_after) "
               "values ('k', '%s', 'late', from_now(6)), ('k', '%s', 'now', null), "
               "('k', '%s', 'past', from_now(-86400)), (null, '%s', 'later', from_now(7)), "
               "(null, '%s', 'never', from_now(3e9))",
               scene.queue, scene.queue, scene.queue, scene.queue, scene.queue);
    consumer_expect(consumer, "now");
    consumer_expect(consumer, "past");
    consumer_expect(consumer, "late");
    check(now_ms() - start_ms >= 6000, "came before it was due");
    check(now_ms() - start_ms < 20000 * SANITIZED_FACTOR, "came long after it was due");
    consumer_expect(consumer, "later");
    check(now_ms() - start_ms >= 7000, "came before it was due");
    struct delivery delivery;
    check(!consumer_take_within(consumer, CLOCK_S_US, &delivery), "\"%s\" came", delivery.body);
    check(scene_count("select count(*) from outbox_held where state = 'scheduled'") == 1,
          "one waits for ever");
    check(scene_count("select count(*) from outbox") == 0, "it waits in the outbox");
    consumer_close(consumer);
    relay_drain(scene.relay);
}

static const char *
tls_uri(const char *ca)
{
    static char uri[1024];
    (void)snprintf(uri, sizeof(uri), "amqps://guest:guest@%s:%s/?cacertfile=%s",
                   test_env("OUTBOX_TEST_AMQP_HOST"), test_env("OUTBOX_TEST_AMQP_TLS_PORT"), ca);
    return uri;
}

/* Promise: amqps works, also for payloads larger than a TLS record. */
Test(relay_delivery, messages_go_by_tls)
{
    struct delivery delivery;
    scene.relay =
        relay_start(&(struct relay_options){.uri = tls_uri(test_env("OUTBOX_TEST_AMQP_CA"))});
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    uint8_t *payload = make_payload(3 << 20);
    insert_payload(payload, 3 << 20);
    scene_exec("insert into outbox (\"key\", routing_key, payload) values ('k', '%s', 'small')",
               scene.queue);
    consumer_take(consumer, &delivery);
    check(delivery.message.body.size == 3 << 20 &&
              memcmp(delivery.message.body.data, payload, 3 << 20) == 0,
          "3 MiB are not the same");
    consumer_expect(consumer, "small");
    consumer_close(consumer);
    relay_drain(scene.relay);
    free(payload);
}

/* Promise: a broker whose certificate is not valid gets nothing, and the log says so. */
Test(relay_delivery, a_broker_with_another_certificate_gets_nothing)
{
    const char *not_its_ca = test_env("OUTBOX_TEST_AMQP_CERT");
    scene.relay = relay_start(&(struct relay_options){.uri = tls_uri(not_its_ca)});
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'secret')", scene.queue);
    (void)relay_await_log(scene.relay, "event=lane_lost", "certificate"); /* is enough */
    check(broker_count(scene.broker, scene.queue) == 0, "it was sent all the same");
    relay_drain(scene.relay);
}

/* Promise: the relay does not touch tables of another version, and logs both versions; when the version is right, it
 * begins to work. */
Test(relay_delivery, a_table_of_another_version_is_refused)
{
    scene_exec("update outbox_schema set version = 99");
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'hello')", scene.queue);
    scene.relay = relay_start(&(struct relay_options){0});
    const char *line = relay_await_log(scene.relay, "event=source_lost", "version 99");
    check(strstr(line, "level=error") != NULL && strstr(line, "version 1") != NULL,
          "both versions are not named: %s", line);
    check(relay_logged(scene.relay, "event=source_owned") == 0, "it works all the same");
    check(broker_count(scene.broker, scene.queue) == 0, "it was sent all the same");
    scene_exec("update outbox_schema set version = 1");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "hello");
    consumer_close(consumer);
    relay_drain(scene.relay);
}
