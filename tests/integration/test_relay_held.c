/* Promise: one bad message stops only its own key. The other messages of the key wait behind it, in order, for as long
 * as it takes, also when relays are killed or taken over. When the cause is repaired, or an operator says what to do
 * with the message, the key goes on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

#define STRICT "ordering = \"strict\"\n"
#define NO_SWEEP "sweep_interval = \"1h\"\n"

TestSuite(relay_held, .init = scene_open_route, .fini = scene_close, .timeout = 240);

static void
insert_message(const char *routing_key, const char *key, const char *payload)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) values ('%s', '%s', '%s')",
               routing_key, key, payload);
}

/* One message for each of the keys 0 to keys - 1, unroutable until the routing key is bound. */
static void
insert_poison(const char *routing_key, unsigned keys)
{
    traffic_burst(scene.db, routing_key, keys, 1);
}

static void
burst(unsigned keys, unsigned per_key)
{
    traffic_burst(scene.db, scene.queue, keys, per_key);
}

static void
await_held(const char *state, int64_t count)
{
    scene_await("so many messages are held",
                "select count(*) = %lld from outbox_held where state = '%s'", (long long)count,
                state);
}

static void
expect_ledger(bool duplicates_allowed)
{
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0 || duplicates_allowed, "%llu came twice without a reason",
          (unsigned long long)duplicates);
    check(relay_logged(scene.relay, "event=message_dead") == 0, "a message died");
}

/* ---- the cause is mended -------------------------------------------------------------------------- */

/* Promise: an unroutable message holds back only its own key, and is sent once it is bound; then all the others of its
 * key follow, also those that were written meanwhile. */
Test(relay_held, an_unroutable_message_goes_once_it_is_bound_and_its_key_follows)
{
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    burst(20, 5);
    await_empty_outbox(scene.db);
    insert_poison("later", 1);
    await_held("retrying", 1);
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 10, .pause_us_max = 3000});
    burst(20, 50);
    (void)relay_await_log(scene.relay, "attempt=4 ", "unroutable"); /* is enough */
    scene_await("nothing but its \"key\" is left",
                "select not exists (select 1 from outbox_held where \"key\" <> 'k0')");
    scene_bind("later");
    (void)relay_await_log(scene.relay, "event=message_sent", NULL); /* likewise */
    traffic_end(traffic);
    expect_ledger(false);
    scene_drain_relay();
}

/* Takes `count` messages of the healthy keys, 10 and above; no message behind a poison may come. */
static void
take_healthy(struct ledger *ledger, struct consumer *consumer, uint64_t count)
{
    struct delivery delivery;
    while (ledger_distinct(ledger) < count) {
        consumer_take(consumer, &delivery);
        ledger_note(ledger, &delivery);
    }
}

static void
poison_among_ten_thousand(const char *source, bool apart)
{
    struct ledger *ledger = ledger_new();
    traffic_set_up(scene.db);
    if (!apart) {
        burst(100, 50);
        insert_poison("later", 10);
        burst(100, 50);
    }
    scene_start_relay(source);
    if (apart) {
        burst(100, 50);
        await_empty_outbox(scene.db);
        insert_poison("later", 10);
        await_held("retrying", 10);
        burst(100, 50);
    }
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    take_healthy(ledger, consumer, 10000 - 10 * 50);
    await_held("waiting", 10 * 50);
    await_held("retrying", 10);
    scene_await("the outbox drains", "select count(*) = 0 from outbox");
    scene_bind("later");
    ledger_balance(ledger, consumer, scene.db);
    check(ledger_duplicates(ledger) == 0, "messages came twice without a reason");
    consumer_close(consumer);
    ledger_free(ledger);
    scene_drain_relay();
}

/* Promise: everything else is sent while the poison waits, and then what waited is sent in order. */
Test(relay_held, poison_among_ten_thousand)
{
    poison_among_ten_thousand(NO_SWEEP, true);
}

/* Promise: the same in strict order, with all messages in flight at once. */
Test(relay_held, poison_among_ten_thousand_in_strict_order)
{
    poison_among_ten_thousand(NO_SWEEP STRICT "publishers = 2\n", false);
}

/* Promise: many keys held at once, with thousands of waiting messages, go on in order, in more than one step. */
Test(relay_held, many_keys_with_thousands_waiting_go_on_in_order)
{
    traffic_set_up(scene.db);
    db_lift_headers(scene.db);
    scene_start_relay(NO_SWEEP "batch_rows = 100\n");
    scene_exec("begin; update account set seq = 1 where number < 150; "
               "insert into outbox (routing_key, \"key\", headers, payload) "
               "select '%s', \"key\", as_headers('[]'), bytes(concat(\"key\", ' 1')) "
               "from account where number < 150; commit",
               scene.queue); /* no message can have such headers */
    await_held("retrying", 150);
    burst(150, 30);
    await_held("waiting", 150 * 30);
    scene_exec("update outbox_held set headers = null where state = 'retrying'");
    expect_ledger(false);
    scene_drain_relay();
}

/* Promise: if there is another bad message among the waiting ones, the key stops there again. */
Test(relay_held, another_one_among_those_that_wait)
{
    struct ledger *ledger = ledger_new();
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP STRICT);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert_poison("later", 1);
    burst(1, 100);
    insert_poison("much later", 1);
    burst(1, 100);
    insert_poison("later", 1);
    burst(1, 100);
    await_held("waiting", 302);
    scene_bind("later");
    ledger_take(ledger, consumer, 101);
    scene_await("the second one leads",
                "select count(*) = 1 from outbox_held where state = 'retrying' and attempts >= 2 "
                "and last_error like '%%much later%%'");
    await_held("waiting", 201);
    check(broker_count(scene.broker, scene.queue) == 0, "something of its key came");
    scene_bind("much later");
    ledger_balance(ledger, consumer, scene.db);
    check(ledger_duplicates(ledger) == 0, "messages came twice without a reason");
    consumer_close(consumer);
    ledger_free(ledger);
    scene_drain_relay();
}

/* ---- larger than anything ------------------------------------------------------------------------- */

static void
open_large_route(void)
{
    scene_open_large();
    scene_add_route();
}

TestSuite(relay_held_large, .init = open_large_route, .fini = scene_close_own, .timeout = 240);

static void
stop_at_a_large_one(unsigned mebibytes, const char *words)
{
    /* A slow disk may need long to write so much. */
    scene_start_patient_relay("takeover = \"60s\"\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "values ('%s', 'k', bytes(repeat('x', %u * 1024 * 1024)))",
               scene.queue, mebibytes);
    (void)relay_await_log(scene.relay, "event=message_refused", words); /* is enough */
    insert_message(scene.queue, "k", "behind");
    insert_message(scene.queue, "l", "beside");
    consumer_expect(consumer, "beside");
    await_held("waiting", 1);
    operator_discard("state = 'retrying'");
    consumer_expect(consumer, "behind");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

Test(relay_held_large, a_message_larger_than_the_relay_takes)
{
    stop_at_a_large_one(200, "larger than can ever be sent");
}

/* The broker closes the channel for such a message. */
Test(relay_held_large, a_message_larger_than_the_broker_takes)
{
    stop_at_a_large_one(130, "PRECONDITION_FAILED");
}

/* ---- attempts are used up ------------------------------------------------------------------------- */

static void
start_with_a_dead_one(const char *source)
{
    scene_start_relay(source);
    insert_message("later", "k", "dead");
    const char *line = relay_await_log(scene.relay, "event=message_dead", "unroutable");
    check(strstr(line, "attempt=3 ") != NULL, "it had other than three attempts: %s", line);
    await_held("dead", 1);
    insert_message(scene.queue, "k", "behind");
}

/* Waits while another message is refused and tried again, and expects that this one is not tried. */
static void
expect_not_tried(void)
{
    insert_message("never", "other", "other");
    (void)relay_await_log(scene.relay, "event=message_dead", NULL); /* of the other message */
    check(scene_count("select attempts from outbox_held where payload = 'dead'") == 3,
          "it was tried again");
    operator_discard("payload = 'other'");
}

/* Promise: a dead message blocks its key until an operator retries it. */
Test(relay_held, a_dead_message_blocks_its_key_until_an_operator_retries_it)
{
    start_with_a_dead_one("max_attempts = 3\non_dead = \"block\"\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    await_held("waiting", 1);
    expect_not_tried();
    operator_retry("payload = 'dead'"); /* too early: it dies again, after three new attempts */
    (void)relay_await_log(scene.relay, "event=message_dead", "attempt=3 "); /* is enough */
    scene_bind("later");
    expect_not_tried();
    check(broker_count(scene.broker, scene.queue) == 0, "something of its key came");
    operator_retry("payload = 'dead'");
    consumer_expect(consumer, "dead");
    consumer_expect(consumer, "behind");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

/* Promise: or until an operator discards it. */
Test(relay_held, a_dead_message_blocks_its_key_until_an_operator_discards_it)
{
    start_with_a_dead_one("max_attempts = 3\n"); /* block is the default */
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    await_held("waiting", 1);
    operator_discard("payload = 'dead'");
    consumer_expect(consumer, "behind");
    check(relay_logged(scene.relay, "event=message_gone") == 1, "it is not told that it is gone");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

/* Promise: with on_dead = "skip" a key goes on without its dead message; an operator can still have that sent. */
Test(relay_held, a_dead_message_is_skipped)
{
    start_with_a_dead_one("max_attempts = 3\non_dead = \"skip\"\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "behind");
    scene_await("it is kept",
                "select count(*) = 1 from outbox_held where state = 'dead' and skipped");
    scene_await("nothing comes again", "select count(*) = 0 from outbox");
    relay_kill(scene.relay);
    relay_start_again(scene.relay);
    insert_message(scene.queue, "k", "after a restart");
    consumer_expect(consumer, "after a restart");
    scene_bind("later");
    operator_retry("payload = 'dead'");
    consumer_expect(consumer, "dead");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    scene_drain_relay();
}

/* ---- operators ------------------------------------------------------------------------------------ */

/* Promise: the relay notices an operator's act within a second, whatever it would have waited for otherwise. Of three
 * tries the best counts, because this machine may be busy. */
static void
act_and_measure(void (*act)(const char *condition), const char *routing_key, const char *first)
{
    uint64_t best_us = UINT64_MAX;
    scene_start_patient_relay(NULL);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    for (unsigned i = 0; i < 3; i++) {
        insert_message("later", "k", "bad");
        await_held("retrying", 1);
        insert_message(scene.queue, "k", "behind");
        await_held("waiting", 1);
        scene_bind(routing_key);
        const uint64_t start_us = clock_monotonic_us();
        act("payload = 'bad'");
        consumer_expect(consumer, first);
        const uint64_t took_us = clock_monotonic_us() - start_us;
        best_us = took_us < best_us ? took_us : best_us;
        if (strcmp(first, "behind") != 0) {
            consumer_expect(consumer, "behind");
            broker_unbind(scene.broker, scene.queue, scene.exchange, "later");
        }
        await_empty_outbox(scene.db);
    }
    (void)fprintf(stderr, "picked up after %llu ms\n", (unsigned long long)(best_us / CLOCK_MS_US));
    check(best_us < 5 * CLOCK_S_US * SANITIZED_FACTOR, "it took %llu ms",
          (unsigned long long)(best_us / CLOCK_MS_US));
    scene_await("the relay took note",
                "select count(*) = 3 from outbox_held_act where seen_at is not null");
    consumer_close(consumer);
    scene_drain_relay();
}

Test(relay_held, a_retry_is_picked_up_within_a_second)
{
    act_and_measure(operator_retry, "later", "bad");
}

Test(relay_held, a_discard_is_picked_up_within_a_second)
{
    act_and_measure(operator_discard, scene.queue, "behind");
}

/* Promise: a held message that somebody deletes directly in the table is noticed by the next sweep. */
Test(relay_held, a_message_that_is_gone_without_a_word_is_noticed)
{
    scene_start_patient_relay("sweep_interval = \"1s\"\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert_message("later", "k", "bad");
    await_held("retrying", 1);
    insert_message(scene.queue, "k", "behind");
    await_held("waiting", 1);
    scene_exec("delete from outbox_held where payload = 'bad'");
    consumer_expect(consumer, "behind");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* ---- how many ------------------------------------------------------------------------------------- */

/* Promise: at held_max the source pauses, and says so; it goes on when one of the held messages is gone. */
Test(relay_held, too_many_pause_the_stream_until_some_go)
{
    traffic_set_up(scene.db);
    scene_start_relay("held_max = 5\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert_poison("later", 5);
    (void)relay_await_log(scene.relay, "event=held_max_reached", "held=5"); /* is enough */
    insert_message(scene.queue, "healthy", "k100 1");
    scene_await("the relay tells why it is paused",
                "select coalesce(max(paused_reason) like '%%held_max%%', false) from outbox_relay");
    check(scene_count("select count(*) from outbox") == 1, "the stream is not paused");
    check(broker_count(scene.broker, scene.queue) == 0, "something came");
    operator_discard("\"key\" = 'k3'");
    consumer_expect(consumer, "k100 1");
    scene_bind("later");
    struct delivery delivery;
    for (unsigned i = 0; i < 4; i++) {
        consumer_take(consumer, &delivery);
        check(strcmp(delivery.body, "k3 1") != 0 && delivery.body[3] == '1', "\"%s\" came",
              delivery.body);
    }
    await_empty_outbox(scene.db);
    scene_await("the relay tells that it works",
                "select count(*) = 1 from outbox_relay where paused_reason is null");
    consumer_close(consumer);
    scene_drain_relay();
}

/* ---- kills and takeovers -------------------------------------------------------------------------- */

static struct relay *standby;

static void
await_standby(struct relay *relay)
{
    (void)relay_await_log(relay, "event=source_standby", NULL); /* is enough */
}

static void
start_two(const char *source)
{
    scene_start_relay(source);
    standby = relay_start(&(struct relay_options){.exchange = scene.exchange, .source = source});
    await_standby(standby);
}

static void
kill_owner(void)
{
    relay_kill(scene.relay);
    (void)relay_await_log(standby, "event=source_owned", NULL); /* is enough */
    struct relay *killed = scene.relay;
    scene.relay = standby;
    standby = killed;
    relay_start_again(standby);
    await_standby(standby);
}

/* Some keys are held, and others and new messages come. The owner is killed before and while the keys go on. */
static void
hold_kill_release_kill(struct random *random, unsigned round)
{
    char later[16];
    (void)snprintf(later, sizeof(later), "later %u", round);
    insert_poison(later, 7); /* the relay would blame the route if there were more */
    scene_await("they are held",
                "select count(*) = 7 from outbox_held where routing_key = '%s' "
                "and state = 'retrying'",
                later);
    burst(20, 100);
    (void)usleep((useconds_t)random_between(random, 0, 60000)); /* the random moment */
    kill_owner();
    scene_await("they wait or went",
                "select count(*) = 700 from outbox_held where state = 'waiting'");
    scene_bind(later);
    (void)usleep((useconds_t)random_between(random, 0, 400000)); /* the random moment */
    kill_owner();
}

static void
kill_in_the_middle(const char *source)
{
    struct random random;
    random_seed(&random, clock_wall_us());
    traffic_set_up(scene.db);
    start_two(source);
    for (unsigned round = 0; round < 5; round++) {
        hold_kill_release_kill(&random, round);
        await_empty_outbox(scene.db);
    }
    expect_ledger(true);
    relay_drain(standby);
    scene_drain_relay();
    relay_free(standby);
}

/* Promise: a successor holds back what its predecessor held back, and releases it in order. */
Test(relay_held, takeovers_while_keys_are_held_and_go_on)
{
    kill_in_the_middle("batch_rows = 200\n");
}

Test(relay_held, takeovers_while_keys_are_held_and_go_on_in_strict_order)
{
    kill_in_the_middle(STRICT "publishers = 2\n");
}

/* Promise: the same for a dead message: the successor keeps its key blocked. */
Test(relay_held, a_takeover_with_a_dead_message)
{
    start_two("max_attempts = 2\n");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    insert_message("later", "k", "dead");
    await_held("dead", 1);
    insert_message(scene.queue, "k", "behind");
    await_held("waiting", 1);
    kill_owner();
    insert_message(scene.queue, "k", "behind that");
    await_held("waiting", 2);
    scene_bind("later");
    operator_retry("state = 'dead'");
    consumer_expect(consumer, "dead");
    consumer_expect(consumer, "behind");
    consumer_expect(consumer, "behind that");
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(standby);
    scene_drain_relay();
    relay_free(standby);
}

/* ---- others --------------------------------------------------------------------------------------- */

/* Promise: held messages are tried again on a channel of their own: a missing exchange may make others arrive twice at
 * the first try, but not later. */
Test(relay_held, a_message_that_closes_its_channel_disturbs_others_once)
{
    traffic_set_up(scene.db);
    scene_start_relay("publishers = 2\n");
    scene_exec("insert into outbox (exchange, routing_key, \"key\", payload) "
               "values ('%s', '', 'bad', 'bad')",
               broker_name("missing"));
    (void)relay_await_log(scene.relay, "event=message_refused", "attempt=1 "); /* is enough */
    struct traffic *traffic = traffic_start(&(struct traffic_options){
        .routing_key = scene.queue, .writers = 4, .keys = 100, .pause_us_max = 1000});
    (void)relay_await_log(scene.relay, "event=message_refused", "attempt=12 "); /* likewise */
    traffic_end(traffic);
    operator_discard("\"key\" = 'bad'");
    expect_ledger(false);
    scene_drain_relay();
}
