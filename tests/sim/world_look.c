/* The differences between the kinds of database, and how a relay sees the writers. */
#include <assert.h>

#include "tests/sim/world.h"

const struct dialect world_dialects[] = {
    {.name = "PostgreSQL", .keeps_log = true, .reuses_positions = true},
    {.name = "MySQL", .by_session = true, .moves_apart = true},
    {.name = "MariaDB", .by_session = true, .has_orphans = true, .moves_apart = true},
    {.name = "MySQL without a list", .by_session = true, .listless = true, .moves_apart = true},
};
const size_t world_dialect_count = sizeof(world_dialects) / sizeof(world_dialects[0]);

static void
add_writer(struct look *look, struct watermark_writer writer)
{
    assert(look->writer_count < LOOK_WRITERS_MAX);
    look->writers[look->writer_count++] = writer;
}

/* A transaction that takes ids without a lock is invisible until its commit is in the log. */
static bool
is_hidden(const struct world *world, const struct transaction *transaction)
{
    return world->late_rows && transaction->position == 0;
}

static void
list_holders(const struct world *world, struct look *look)
{
    for (size_t i = 0; i < world->open_count; i++) {
        const struct transaction *open = &world->open[i];
        if (!is_hidden(world, open) && !(open->prepared && world->dialect->has_orphans)) {
            add_writer(look, (struct watermark_writer){
                                 .session = open->session,
                                 .transaction = world->dialect->by_session ? 0 : open->name});
        }
    }
}

static void
list_orphans(const struct world *world, struct look *look)
{
    for (size_t i = 0; i < world->open_count; i++) {
        const struct transaction *open = &world->open[i];
        if (!is_hidden(world, open) && open->prepared && world->dialect->has_orphans) {
            add_writer(look, (struct watermark_writer){.session = open->name, .orphan = true});
        }
    }
}

/* In the order of relay/ports/watermark.h. */
bool
world_look(const struct world *world, struct look *look)
{
    switch (look->asked++) {
    case 0:
        look->log_end = world->tailing ? world->log.end : 0;
        return false;
    case 1:
        look->last_id = world->next_id - 1;
        return false;
    case 2:
        list_holders(world, look);
        return false;
    default:
        list_orphans(world, look);
        return true;
    }
}

void
world_final_is_told(struct world *world, const struct source_final *final)
{
    if (final->id > world->final_told) {
        world->final_told = final->id;
        world_count(world, EVENT_FINAL);
    }
}
