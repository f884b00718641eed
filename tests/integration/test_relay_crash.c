/* The relay is killed, stopped, started twice and told to end, with applications writing all the time. All that is
 * committed arrives, in the order of its key if duplicates are left out. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* As many as a relay of one connection has sent without having deleted them, of a window of 50 (pipeline_settle.c). */
#define WINDOW "window_messages = 50\n"
#define KEYS 20
#define IN_FLIGHT_MAX (2 * 50 + 256 + 2000)

TestSuite(relay_crash, .init = scene_open, .fini = scene_close, .timeout = 280);

static struct traffic *
start_traffic(void)
{
    traffic_set_up(scene.db);
    return traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                   .writers = 6,
                                                   .keys = KEYS,
                                                   .rollback_percent = 5,
                                                   .open_us_max = 2000,
                                                   .pause_us_max = 5000});
}

static void
burst(unsigned per_key)
{
    traffic_burst(scene.db, scene.queue, KEYS, per_key);
}

static bool
queue_has_some(void *context)
{
    const uint32_t *wanted = context;
    return broker_count(scene.broker, scene.queue) >= *wanted;
}

static void
await_queue(uint32_t count)
{
    await(queue_has_some, &count, "messages are in the queue", PATIENCE_S);
}

/* Promise: kill -9 of the relay at any moment loses nothing and breaks no order. */
Test(relay_crash, killed_again_and_again_it_loses_nothing)
{
    struct random random;
    random_seed(&random, clock_wall_us());
    struct traffic *traffic = start_traffic();
    scene_start_relay("publishers = 2\n");
    for (unsigned kill = 0; kill < 20; kill++) {
        burst(50);
        (void)usleep((useconds_t)random_between(&random, 0, 250000)); /* the random moment */
        relay_kill(scene.relay);
        relay_start_again(scene.relay);
        if (kill % 2 == 0) { /* every second time the next kill may come during the start */
            (void)relay_await_log(scene.relay, "event=source_owned", NULL); /* is enough */
        }
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

/* Promise: if the database ends the relay's session, it only needs a new one. */
Test(relay_crash, its_session_ended_by_the_database_it_loses_nothing)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(NULL);
    for (unsigned i = 0; i < 5; i++) {
        burst(100);
        db_end_session(scene.db, db_owner(scene.db));
        (void)relay_await_log(scene.relay, "event=source_lost", NULL);  /* is enough */
        (void)relay_await_log(scene.relay, "event=source_owned", NULL); /* likewise */
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
}

static struct relay *
start_standby(const char *source)
{
    struct relay *relay = relay_start(&(struct relay_options){.source = source});
    (void)relay_await_log(relay, "event=source_standby", NULL); /* is enough */
    return relay;
}

static void
keep_from_deleting(struct db *db)
{
    db_exec(db, db_choose("begin; lock table outbox in share mode", "lock tables outbox read"));
}

static void
let_delete(struct db *db)
{
    db_exec(db, db_choose("commit", "unlock tables"));
}

/* Promise: after kill -9 no more comes twice than was in flight. That is the most when somebody keeps the relay from deleting. */
Test(relay_crash, after_a_kill_no_more_comes_twice_than_was_in_flight)
{
    struct db *other = db_connect();
    traffic_set_up(scene.db);
    scene_start_relay(WINDOW);
    burst(500);
    keep_from_deleting(other);
    await_queue(
        (uint32_t)(KEYS * 500 - scene_count("select count(*) from outbox") + IN_FLIGHT_MAX));
    relay_kill(scene.relay);
    let_delete(other);
    db_close(other);
    relay_start_again(scene.relay);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    (void)fprintf(stderr, "came twice: %llu of %u that were in flight\n",
                  (unsigned long long)duplicates, IN_FLIGHT_MAX);
    check(duplicates <= IN_FLIGHT_MAX, "%llu came twice", (unsigned long long)duplicates);
    relay_drain(scene.relay);
}

/* Promise: of two relays, one works and one waits; it takes over when the first is killed. */
Test(relay_crash, a_standby_takes_over_from_an_owner_that_was_killed)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(NULL);
    struct relay *standby = start_standby(NULL);
    for (unsigned i = 0; i < 4; i++) {
        burst(200);
        await_queue(500);
        relay_kill(scene.relay);
        (void)relay_await_log(standby, "event=source_owned", NULL); /* is enough */
        struct relay *killed = scene.relay;
        scene.relay = standby;
        standby = killed;
        relay_start_again(standby);
        (void)relay_await_log(standby, "event=source_standby", NULL); /* likewise */
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
    relay_drain(standby);
    relay_free(standby);
}

/* Promise: an owner that drains leaves the outbox to the standby, and no message arrives twice. */
Test(relay_crash, a_standby_takes_over_from_an_owner_that_drains)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(NULL);
    struct relay *standby = start_standby(NULL);
    burst(200);
    await_queue(500);
    relay_drain(scene.relay);
    (void)relay_await_log(standby, "event=source_owned", NULL); /* is enough */
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    relay_drain(standby);
    relay_free(standby);
}

#define SHORT_LEASE "takeover = \"2s\"\n"

/* Promise: an owner that is stopped for longer than its lease loses the outbox. When it continues, it publishes nothing
 * beside its successor, and becomes the standby. */
Test(relay_crash, an_owner_that_was_stopped_does_not_publish_beside_its_successor)
{
    struct traffic *traffic = start_traffic();
    scene_start_relay(SHORT_LEASE);
    struct relay *standby = start_standby(SHORT_LEASE);
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t before = broker_count(scene.broker, scene.queue);
        burst(400);
        await_queue(before + 500);
        relay_signal(scene.relay, SIGSTOP);
        (void)relay_await_log(standby, "event=source_owned", NULL); /* is enough */
        burst(200);
        relay_signal(scene.relay, SIGCONT); /* both run, almost at the same time */
        (void)relay_await_log(scene.relay, "event=source_lost", NULL);    /* is enough */
        (void)relay_await_log(scene.relay, "event=source_standby", NULL); /* likewise */
        struct relay *successor = standby;
        standby = scene.relay;
        scene.relay = successor;
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    relay_drain(scene.relay);
    relay_drain(standby);
    relay_free(standby);
}

static bool
nothing_is_in_between(void *context)
{
    (void)context;
    return broker_count(scene.broker, scene.queue) +
               db_int(scene.db, "select count(*) from outbox") ==
           traffic_committed(scene.db);
}

/* Promise: after SIGTERM, everything that was sent is settled: each message is either in the queue or in the outbox,
 * and the next relay sends none again. */
Test(relay_crash, told_to_go_it_settles_what_is_in_flight)
{
    traffic_set_up(scene.db);
    scene_start_relay("publishers = 2\n");
    burst(1000);
    await_queue(2000);
    relay_drain(scene.relay);
    const int64_t left = db_int(scene.db, "select count(*) from outbox");
    await(nothing_is_in_between, NULL, "each message is here or there", PATIENCE_S);
    (void)fprintf(stderr, "left in the outbox: %lld\n", (long long)left);
    relay_start_again(scene.relay);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice", (unsigned long long)duplicates);
    relay_drain(scene.relay);
}

static bool
is_at_work_without_broker(void *context)
{
    (void)context;
    return relay_logged(scene.relay, "event=source_owned") > 0 &&
           relay_logged(scene.relay, "refused") > 0;
}

/* Promise: without the broker, SIGTERM does not wait for anything. */
Test(relay_crash, told_to_go_without_a_broker_it_goes)
{
    scene.relay = relay_start(&(struct relay_options){.uri = "amqp://guest:guest@127.0.0.1:1/"});
    scene_exec("insert into outbox (routing_key, payload) values ('%s', 'stays')", scene.queue);
    await(is_at_work_without_broker, NULL, "it owns the outbox and has no broker", PATIENCE_S);
    relay_signal(scene.relay, SIGTERM);
    const int status = relay_await_exit(scene.relay, 10 * SANITIZED_FACTOR);
    check(status == 0, "exit status %d", status);
    check(db_int(scene.db, "select count(*) from outbox") == 1, "a message is gone");
}
