/* What changes under a relay that tails, and is no fault of the log: its owner, and the table. Applications write all the time. */
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
    traffic = traffic_start(&(struct traffic_options){.routing_key = scene.queue,
                                                      .writers = 4,
                                                      .keys = 20,
                                                      .rollback_percent = 5,
                                                      .open_us_max = 2000,
                                                      .pause_us_max = 20000});
}

static void
await_tailing(void)
{
    (void)relay_await_log(scene.relay, "event=tailing", NULL); /* the line says no more */
}

/* A message that is written now goes now, whether by the log or by the table. */
static void
expect_no_pause(void)
{
    const int64_t read = scene_count("select coalesce(max(id), 0) from outbox");
    const uint64_t start_us = clock_monotonic_us();
    scene_await("what was written goes",
                "select not exists (select 1 from outbox where id <= %lld)", (long long)read);
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    check(took_ms < 20000 * SANITIZED_FACTOR, "it took %llu ms", (unsigned long long)took_ms);
}

#define SHORT_LEASE NO_SWEEP "takeover = \"2s\"\n"

/* ---- the owner ------------------------------------------------------------------------------------- */

/* Promise: an owner that was stopped leaves the log to its successor, whose first message does not wait for it. */
Test(relay_tail_changes, an_owner_that_was_stopped_leaves_the_log_to_its_successor)
{
    start(SHORT_LEASE);
    struct relay *standby = relay_start(&(struct relay_options){.source = SHORT_LEASE});
    (void)relay_await_log(standby, "event=source_standby", NULL); /* the line says no more */
    for (unsigned i = 0; i < 2; i++) {
        struct relay *stopped = scene.relay;
        relay_signal(stopped, SIGSTOP);
        (void)relay_await_log(standby, "event=source_owned", NULL); /* likewise */
        scene.relay = standby;
        expect_no_pause();
        await_tailing();
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

/* Promise: a table under the same name, whose ids begin anew, is another one for the relay, too; if not for itself, then for one
 * that is started when the table is there. */
Test(relay_tail_changes, a_table_that_is_made_anew)
{
    start(NO_SWEEP);
    traffic_end(traffic);
    await_empty_outbox(scene.db);
    if (db_tells_tables_apart()) {
        db_make_anew(scene.db);
        traffic_burst(scene.db, scene.queue, 20, 10);
        (void)relay_await_log(scene.relay, "event=source_lost",
                              "is another"); /* session or log find it */
    } else {
        relay_drain(scene.relay);
        db_make_anew(scene.db);
        traffic_burst(scene.db, scene.queue, 20, 10);
        relay_start_again(scene.relay);
    }
    await_tailing();
    traffic_burst(scene.db, scene.queue, 20, 10);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    scene_drain_relay();
}

/* Promise: so is a copy that takes the name of the table, as tools for changes of a schema make it. */
Test(relay_tail_changes, a_table_that_is_copied_and_renamed)
{
    start(NO_SWEEP);
    for (unsigned i = 0; i < 2; i++) {
        db_copy_outbox(scene.db);
        (void)relay_await_log(scene.relay, db_event_copied(), NULL); /* the server's words too */
        await_tailing();
        expect_no_pause();
    }
    traffic_end(traffic);
    (void)ledger_check(NULL, scene.queue, scene.db); /* duplicates are allowed */
    scene_drain_relay();
}
