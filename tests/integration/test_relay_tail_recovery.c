/* The log is lost in one of the ways in which an operator or another relay can take it away. Nothing else is: the relay says
 * what is wrong and what to do, goes on by polling at once, and reads the log again as soon as it can. Applications write all
 * the time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_tail_recovery, .init = scene_open_tail, .fini = scene_close, .timeout = 280);

#define NO_SWEEP "sweep_interval = \"1h\"\n"
#define OUR_SLOT "from pg_replication_slots where database = current_database()"

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

/* Nothing of what happened here is a reason to send anything twice. */
static void
finish(void)
{
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    scene_drain_relay();
}

/* What the relay said of the log. */
static void
expect_event(const char *event, const char *words)
{
    (void)relay_await_log(scene.relay, event, words); /* the words are what counts */
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
    scene_await("what was written goes", "select not exists (select from outbox where id <= %lld)",
                (long long)read);
    const uint64_t took_ms = (clock_monotonic_us() - start_us) / CLOCK_MS_US;
    check(took_ms < 20000 * SANITIZED_FACTOR, "it took %llu ms", (unsigned long long)took_ms);
}

/* ---- the slot -------------------------------------------------------------------------------------- */

/* As an administrator does it: the reader is ended, and the slot dropped before it comes back. */
static void
drop_slot(void)
{
    db_exec(scene.db,
            "do $$ begin perform pg_terminate_backend(active_pid) " OUR_SLOT " and active; "
            "loop begin perform pg_drop_replication_slot(slot_name) " OUR_SLOT "; exit; "
            "exception when object_in_use then perform pg_sleep(0.01); end; end loop; end $$");
}

Test(relay_tail_recovery, a_slot_that_is_dropped_is_made_anew)
{
    start(NO_SWEEP);
    for (unsigned i = 0; i < 3; i++) {
        drop_slot();
        expect_no_pause();
        expect_event("event=source_notice", "does not exist");
        await_tailing();
    }
    finish();
}

/* A reader of the slot that is no relay. */
static PGconn *
read_slot(void)
{
    char text[512];
    char slot[64];
    scene_await("nobody reads the slot", "select bool_and(not active) " OUR_SLOT);
    (void)snprintf(slot, sizeof(slot), "%s", db_text(scene.db, "select slot_name " OUR_SLOT));
    (void)snprintf(text, sizeof(text), "%s replication=database application_name=stranger",
                   pg_fixture_dsn());
    PGconn *conn = PQconnectdb(text);
    check(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    (void)snprintf(text, sizeof(text),
                   "START_REPLICATION SLOT \"%s\" LOGICAL 0/0 (proto_version '1', "
                   "publication_names 'outbox_relay_public')",
                   slot);
    PGresult *result = PQexec(conn, text);
    check(PQresultStatus(result) == PGRES_COPY_BOTH, "%s", PQerrorMessage(conn));
    PQclear(result);
    return conn;
}

Test(relay_tail_recovery, a_slot_that_a_stranger_reads_is_left_to_him)
{
    start(NO_SWEEP);
    relay_drain(scene.relay);
    PGconn *stranger = read_slot();
    relay_start_again(scene.relay);
    expect_event("event=not_tailing", "(stranger): end it, or set `slot` to another name");
    expect_no_pause();
    check(scene_count("select count(*) " OUR_SLOT " and active_pid = %d", PQbackendPID(stranger)) ==
              1,
          "the stranger was thrown out");
    PQfinish(stranger);
    await_tailing();
    finish();
}

/* ---- the publication ------------------------------------------------------------------------------- */

/* What the log does not bring meanwhile, the table does; no log is trusted that was read while it was narrowed. */
static void
narrow_and_mend(const char *narrow, const char *words, const char *mend)
{
    start(NO_SWEEP);
    db_exec(scene.db, narrow);
    expect_event("event=not_tailing", words);
    expect_no_pause();
    db_exec(scene.db, mend);
    await_tailing();
    expect_no_pause();
    finish();
}

#define PUBLICATION "publication outbox_relay_public"

Test(relay_tail_recovery, a_publication_that_is_dropped)
{
    narrow_and_mend("drop " PUBLICATION, "publication \\\"outbox_relay_public\\\" does not exist",
                    "create " PUBLICATION " for table outbox with (publish = 'insert')");
}

/* Servers from version 18 on go on and leave out what the publication would have passed on. */
Test(relay_tail_recovery, a_publication_that_is_made_anew_while_applications_write)
{
    start(NO_SWEEP);
    for (unsigned i = 0; i < 3; i++) {
        db_exec(scene.db, "drop " PUBLICATION);
        const int64_t last = scene_count("select last_value from outbox_id_seq");
        scene_await("they write", "select last_value > %lld from outbox_id_seq",
                    (long long)last + 20);
        db_exec(scene.db, "create " PUBLICATION " for table outbox with (publish = 'insert')");
        expect_event("event=not_tailing", "publication \\\"outbox_relay_public\\\"");
        await_tailing();
        expect_no_pause();
    }
    finish();
}

Test(relay_tail_recovery, a_publication_without_the_outbox)
{
    narrow_and_mend("alter " PUBLICATION " drop table outbox",
                    "alter publication outbox_relay_public add table public.outbox",
                    "alter " PUBLICATION " add table outbox");
}

Test(relay_tail_recovery, a_publication_without_inserts)
{
    narrow_and_mend("alter " PUBLICATION " set (publish = 'delete')",
                    "alter publication outbox_relay_public set (publish = 'insert')",
                    "alter " PUBLICATION " set (publish = 'insert')");
}
