/* The part of log_fixture.h for PostgreSQL: a slot, and a publication. */
#include <stddef.h>

#include "tests/integration/log_fixture_private.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"

#define OUR_SLOT "from pg_replication_slots where database = current_database()"
#define PUBLICATION "publication outbox_relay_public"
#define CREATE "create " PUBLICATION " for table outbox with (publish = 'insert')"

/* As an administrator would: ends the reader, and drops the slot before it comes back. */
static void
drop_slot(void)
{
    db_exec(scene.db,
            "do $$ begin perform pg_terminate_backend(active_pid) " OUR_SLOT " and active; "
            "loop begin perform pg_drop_replication_slot(slot_name) " OUR_SLOT "; exit; "
            "exception when object_in_use then perform pg_sleep(0.01); end; end loop; end $$");
}

static void
drop_publication(void)
{
    db_exec(scene.db, "drop " PUBLICATION);
}

static void
create_publication(void)
{
    db_exec(scene.db, CREATE);
}

/* Servers from version 18 on continue, and leave out the rows that the publication would have included. */
static void
make_publication_anew(void)
{
    drop_publication();
    const int64_t last = scene_count("select last_value from outbox_id_seq");
    scene_await("they write", "select last_value > %lld from outbox_id_seq", (long long)last + 20);
    create_publication();
}

static void
take_outbox_out(void)
{
    db_exec(scene.db, "alter " PUBLICATION " drop table outbox");
}

static void
put_outbox_back(void)
{
    db_exec(scene.db, "alter " PUBLICATION " add table outbox");
}

static void
take_inserts_out(void)
{
    db_exec(scene.db, "alter " PUBLICATION " set (publish = 'delete')");
}

static void
put_inserts_back(void)
{
    db_exec(scene.db, "alter " PUBLICATION " set (publish = 'insert')");
}

static void
log_less(void)
{
    servers_restart_with("wal_level = replica");
    scene_reconnect();
}

static void
log_all(void)
{
    servers_restart_without();
    scene_reconnect();
}

const struct log_ways log_ways_postgres[] = {
    [LOG_REMOVED] = {.harm = drop_slot,
                     .event = "event=source_notice",
                     .words = "does not exist",
                     .rounds = 3},
    [LOG_BEGUN_ANEW] = {.harm = make_publication_anew,
                        .event = "event=not_tailing",
                        .words = "publication \\\"outbox_relay_public\\\"",
                        .rounds = 3},
    [LOG_NOT_KEPT] = {.harm = drop_publication,
                      .mend = create_publication,
                      .event = "event=not_tailing",
                      .words = "publication \\\"outbox_relay_public\\\" does not exist",
                      .rounds = 1},
    [LOG_WITHOUT_OUTBOX] = {.harm = take_outbox_out,
                            .mend = put_outbox_back,
                            .event = "event=not_tailing",
                            .words =
                                "alter publication outbox_relay_public add table public.outbox",
                            .rounds = 1},
    [LOG_WITHOUT_ROWS] = {.harm = take_inserts_out,
                          .mend = put_inserts_back,
                          .event = "event=not_tailing",
                          .words = "alter publication outbox_relay_public set (publish = 'insert')",
                          .rounds = 1},
    [LOG_SWITCHED_OFF] =
        {.harm = log_less,
         .mend = log_all,
         .event = "event=not_tailing",
         .words = "wal_level is replica: set wal_level = logical and restart the server",
         .rounds = 1,
         .repeats = true},
};
