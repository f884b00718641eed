/* Slow, delayed and lossy links on the side of the database and of the broker, with two relays for one outbox.
 * Everything arrives in order, about as fast as the link can carry it, and no relay takes the link for an outage. Each
 * test waits for its link most of the time. With OUTBOX_TEST_LONG they carry ten times as much. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/slow_link_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* What a row or a message needs besides its payload, about the same on both sides. */
#define OVERHEAD_BYTES 250
/* For a machine that is busy. */
#define GRACE_US (10 * SANITIZED_FACTOR * CLOCK_S_US)
#define KEYS 10
#define WAIT_US (120 * CLOCK_S_US)

struct bad_link {
    uint64_t bytes_per_s;
    uint64_t delay_us; /* one way */
    unsigned loss_percent;
    /* Bytes that the link carries with this rate, delay and loss; a connection has at most 128 KiB in flight. */
    uint64_t carries_per_s;
    unsigned per_key;       /* messages, */
    unsigned payload_bytes; /* of this size */
};

static const struct bad_link kbit_64 = {8000, 0, 0, 8000, 15, 100};
static const struct bad_link mbit_1 = {125000, 0, 0, 125000, 15, 4096};
static const struct bad_link far_away = {12500000, 150 * CLOCK_MS_US, 0, 850000, 200, 1024};
static const struct bad_link lossy = {1250000, 10 * CLOCK_MS_US, 5, 350000, 120, 1024};

enum side { DATABASE, BROKER };

static struct slow_link *slow;
static char dsn[2000];
static char uri[200];
static struct relay *standby;

static void
open_scene(void)
{
    scene_open();
    traffic_set_up(scene.db);
    standby = NULL;
}

static void
close_scene(void)
{
    relay_free(scene.relay);
    relay_free(standby);
    scene.relay = NULL;
    slow_link_close(slow);
    scene_close();
}

TestSuite(relay_slow, .init = open_scene, .fini = close_scene, .timeout = 280);

/* A link to the server on this side, at full speed at first, and its address. */
static void
open_link(enum side side)
{
    const char *amqp = test_env("OUTBOX_TEST_AMQP_URI");
    const char *port = strrchr(amqp, ':');
    const bool database = side == DATABASE;
    check(port != NULL, "no port in %s", amqp);
    slow = slow_link_open(database ? db_port() : (int)strtol(port + 1, NULL, 10), UINT64_MAX);
    (void)snprintf(dsn, sizeof(dsn), "%s host=127.0.0.1 port=%d sslmode=disable", db_dsn(),
                   slow_link_port(slow)); /* fits */
    (void)snprintf(uri, sizeof(uri), "%.*s:%d/", (int)(port - amqp), amqp,
                   slow_link_port(slow)); /* fits */
}

static void
set_link(const struct bad_link *link)
{
    slow_link_rate(slow, link->bytes_per_s);
    slow_link_delay(slow, link->delay_us);
    slow_link_loss(slow, link->loss_percent);
}

static void
start_relays(enum side side, const char *broker, const char *source)
{
    const struct relay_options options = {.dsn = side == DATABASE ? dsn : NULL,
                                          .uri = side == BROKER ? uri : NULL,
                                          .broker = broker,
                                          .source = source};
    scene.relay = relay_start(&options);
    if (relay_tails()) {
        relay_await_tailing(scene.relay);
    } else {
        relay_await_work(scene.relay);
    }
    standby = relay_start(&options);
    (void)relay_await_log(standby, "event=source_standby", NULL); /* is enough */
}

static void
write_messages(unsigned keys, unsigned per_key, unsigned payload_bytes)
{
    traffic_large(scene.db, scene.queue, keys, per_key, payload_bytes);
}

/* All messages arrive, in order and once, within this time. */
static void
take_all(uint64_t most_us)
{
    struct ledger *ledger = ledger_new();
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    const uint64_t start_us = clock_monotonic_us();
    const uint64_t committed = (uint64_t)traffic_committed(scene.db);
    struct delivery delivery;
    while (ledger_distinct(ledger) < committed) {
        check(consumer_take_within(consumer, WAIT_US, &delivery), "%llu of %llu came",
              (unsigned long long)ledger_distinct(ledger), (unsigned long long)committed);
        ledger_note(ledger, &delivery);
    }
    const uint64_t took_us = clock_monotonic_us() - start_us;
    (void)fprintf(stderr, "%llu messages in %.1f s, the bare link needs %.1f s\n",
                  (unsigned long long)committed, (double)took_us / 1e6,
                  (double)(most_us - GRACE_US) / 2e6);
    check(took_us < most_us, "it took %llu ms", (unsigned long long)(took_us / CLOCK_MS_US));
    check(ledger_duplicates(ledger) == 0, "some came twice");
    consumer_close(consumer);
    ledger_free(ledger);
}

static void
expect_calm(const struct relay *relay)
{
    static const char *const outages[] = {"event=source_lost", "event=lane_lost",
                                          "event=confirm_timeout", "event=rows_swept",
                                          "event=message_refused"};
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++) {
        check(relay_logged(relay, outages[i]) == 0, "%s", outages[i]);
    }
}

/* The first relay owns the outbox still. */
static void
expect_owner(void)
{
    expect_calm(scene.relay);
    check(relay_logged(scene.relay, "event=source_owned") == 1, "the ownership was lost");
    check(relay_logged(standby, "event=source_owned") == 0, "the stand-by took over");
}

static void
expect_no_outage(void)
{
    expect_owner();
    expect_calm(standby);
}

static void
carry(enum side side, const struct bad_link *link)
{
    const unsigned per_key = (getenv("OUTBOX_TEST_LONG") != NULL ? 10 : 1) * link->per_key;
    const uint64_t bytes = (uint64_t)KEYS * per_key * (link->payload_bytes + OVERHEAD_BYTES);
    open_link(side);
    set_link(link);
    start_relays(side, NULL, NULL);
    write_messages(KEYS, per_key, link->payload_bytes);
    take_all(2 * bytes * CLOCK_S_US / link->carries_per_s + GRACE_US);
    expect_no_outage();
}

Test(relay_slow, database_64_kbit)
{
    carry(DATABASE, &kbit_64);
}

Test(relay_slow, database_1_mbit)
{
    carry(DATABASE, &mbit_1);
}

Test(relay_slow, database_far_away)
{
    carry(DATABASE, &far_away);
}

Test(relay_slow, database_lossy)
{
    carry(DATABASE, &lossy);
}

Test(relay_slow, broker_64_kbit)
{
    carry(BROKER, &kbit_64);
}

Test(relay_slow, broker_1_mbit)
{
    carry(BROKER, &mbit_1);
}

Test(relay_slow, broker_far_away)
{
    carry(BROKER, &far_away);
}

Test(relay_slow, broker_lossy)
{
    carry(BROKER, &lossy);
}

/* Each message takes 2.4 s. */
static void
carry_large(enum side side, const char *broker, const char *source)
{
    open_link(side);
    start_relays(side, broker, source);
    slow_link_rate(slow, mbit_1.bytes_per_s);
    write_messages(4, 1, 300000);
    take_all(2 * 4 * 300000 * CLOCK_S_US / mbit_1.carries_per_s + GRACE_US);
    expect_owner();
}

Test(relay_slow, database_messages_longer_than_the_lease)
{
    /* The standby's answer waits behind such a message for longer than its lease: it may have to connect again. */
    carry_large(DATABASE, NULL, "takeover = \"2s\"\n");
    check(relay_logged(standby, "is not there") == 0, "a session that was lost is told as none");
}

/* Log and status say that the table is read slowly. */
Test(relay_slow, database_that_is_slow_says_so)
{
    check(setenv("OUTBOX_TEST_MODE", "poll", 1) == 0, "out of memory");
    open_link(DATABASE);
    start_relays(DATABASE, NULL, "takeover = \"4s\"\n");
    slow_link_rate(slow, mbit_1.bytes_per_s);
    write_messages(KEYS, 10, 4096);
    (void)relay_await_log(scene.relay, "event=source_notice", "the table is read slowly: ");
    write_messages(KEYS, 10, 4096);
    scene_await("status says why",
                "select coalesce(max(reads_reason) like '%%slowly: %%less is asked "
                "for at a time', false) from outbox_relay");
    expect_no_outage();
}

Test(relay_slow, broker_messages_longer_than_confirm_timeout)
{
    carry_large(BROKER, "confirm_timeout = \"1s\"\n", NULL);
    expect_calm(standby);
}
