/* While the relay tails, it is killed and the database crashes, again and again, with applications writing all the
 * time. All that is committed arrives, in the order of its key if duplicates are left out; and in the end no relay
 * needs any of the log. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/traffic_fixture.h"

static void
open_scene(void)
{
    scene_tail();
    scene_open_own();
}

TestSuite(relay_tail_crash, .init = open_scene, .fini = scene_close_own, .timeout = 280);

static void
crash_database(void)
{
    servers_do_database("kill");
    servers_do_database("start");
    scene_reconnect();
}

static void
kill_relay(void)
{
    relay_kill(scene.relay);
    relay_start_again(scene.relay);
}

static bool
may_forget(void *context)
{
    return db_may_forget(scene.db, context);
}

/* The server may drop all of the log up to now. */
static void
expect_all_safe(void)
{
    char position[64];
    (void)snprintf(position, sizeof(position), "%s", db_log_position(scene.db));
    await(may_forget, position, "the server may forget its log", PATIENCE_S);
}

/* OUTBOX_TEST_ROUNDS: more rounds. */
Test(relay_tail_crash, killed_and_crashed_again_and_again)
{
    const char *text = getenv("OUTBOX_TEST_ROUNDS");
    const unsigned long rounds = text != NULL ? strtoul(text, NULL, 10) : 6;
    struct random random;
    random_seed(&random, clock_wall_us());
    traffic_set_up(scene.db);
    scene_start_relay("sweep_interval = \"1h\"\npublishers = 2\n");
    struct traffic *traffic = traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                                      .writers = 6,
                                                                      .keys = 20,
                                                                      .rollback_percent = 5,
                                                                      .open_us_max = 2000,
                                                                      .pause_us_max = 5000});
    for (unsigned long round = 0; round < rounds; round++) {
        traffic_burst(scene.db, scene.queue, 20, 50);
        (void)usleep((useconds_t)random_between(&random, 0, 500000)); /* the random moment */
        if (round % 2 == 0) {
            kill_relay();
        } else {
            crash_database();
        }
        if (round % 3 != 2) { /* every third time the next kill may come during the start */
            (void)relay_await_log(scene.relay, "event=tailing", NULL); /* is enough */
        }
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    expect_all_safe();
    scene_drain_relay();
}
