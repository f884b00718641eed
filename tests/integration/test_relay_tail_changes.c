/* Changes while a relay tails that are not the log's fault: of its owner, and of the table. Applications write all the
 * time. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_tail_changes, .init = scene_open_tail, .fini = scene_close, .timeout = 280);

#define NO_SWEEP "sweep_interval = \"1h\"\n"

static struct traffic *traffic;

static void
start(const char *source)
{
    traffic_set_up(scene.db);
    scene_start_relay(source);
    traffic = traffic_start_steady(scene.queue);
}

#define SHORT_LEASE NO_SWEEP "takeover = \"2s\"\n"

/* ---- the owner ------------------------------------------------------------------------------------- */

/* Promise: an owner that was stopped leaves the log to its successor, which sends its first message without waiting for
 * it. */
Test(relay_tail_changes, an_owner_that_was_stopped_leaves_the_log_to_its_successor)
{
    start(SHORT_LEASE);
    struct relay *standby = relay_start(&(struct relay_options){.source = SHORT_LEASE});
    (void)relay_await_log(standby, "event=source_standby", NULL); /* is enough */
    for (unsigned i = 0; i < 2; i++) {
        struct relay *stopped = scene.relay;
        relay_signal(stopped, SIGSTOP);
        (void)relay_await_log(standby, "event=source_owned", NULL); /* likewise */
        scene.relay = standby;
        scene_expect_no_pause();
        scene_await_tailing();
        relay_signal(stopped, SIGCONT);
        (void)relay_await_log(stopped, "event=source_standby", NULL); /* likewise */
        standby = stopped;
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
    relay_drain(standby);
    relay_free(standby);
}

/* ---- the table ------------------------------------------------------------------------------------- */

/* Promise: a table with the same name whose ids begin again is another one for the relay; if it cannot notice that
 * while it runs, then when it starts again. */
Test(relay_tail_changes, a_table_that_is_made_anew)
{
    start(NO_SWEEP);
    traffic_end(traffic);
    await_empty_outbox(scene.db);
    if (db_tells_tables_apart()) {
        db_make_anew(scene.db);
        traffic_burst(scene.db, scene.queue, 20, 10);
        (void)relay_await_log(scene.relay, "event=source_lost",
                              "is another"); /* from the session or the log */
    } else {
        relay_drain(scene.relay);
        db_make_anew(scene.db);
        traffic_burst(scene.db, scene.queue, 20, 10);
        relay_start_again(scene.relay);
    }
    scene_await_tailing();
    traffic_burst(scene.db, scene.queue, 20, 10);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    scene_drain_relay();
}

/* Promise: the same for a copy that takes the table's name, as tools for schema changes make it. */
Test(relay_tail_changes, a_table_that_is_copied_and_renamed)
{
    start(NO_SWEEP);
    for (unsigned i = 0; i < 2; i++) {
        db_copy_outbox(scene.db);
        (void)relay_await_log(scene.relay, db_event_copied(), NULL); /* is enough */
        scene_await_tailing();
        scene_expect_no_pause();
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}
