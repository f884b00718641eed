/* The log of the inserts into the outbox, in the order of the commits. */
#include <assert.h>
#include <string.h>

#include "tests/sim/world.h"

void
world_log_other(struct world *world)
{
    world->log.end += LOG_STEP;
}

/* Removes the older half, even if somebody wants to read it. */
static void
make_room(struct world *world)
{
    struct log *log = &world->log;
    const size_t first = log->commit_count / 2;
    const size_t first_row = log->commits[first].first_row;
    log->commit_count -= first;
    log->row_count -= first_row;
    memmove(log->commits, log->commits + first, log->commit_count * sizeof(log->commits[0]));
    memmove(log->rows, log->rows + first_row, log->row_count * sizeof(log->rows[0]));
    for (size_t i = 0; i < log->commit_count; i++) {
        log->commits[i].first_row -= first_row;
    }
    if (log->slot.position < log->commits[0].position) {
        world_log_lose_slot(world);
    }
}

void
world_log_commit(struct world *world)
{
    struct log *log = &world->log;
    if (log->commit_count == LOG_COMMITS_MAX || log->row_count > LOG_ROWS_MAX - IDS_MAX) {
        make_room(world);
    }
    log->commits[log->commit_count++] = (struct log_commit){
        .position = log->end,
        .end = log->end + LOG_STEP,
        .transaction = world->writing,
        .first_row = log->row_count,
    };
    log->end += LOG_STEP;
}

void
world_log_row(struct world *world, int64_t id)
{
    struct log *log = &world->log;
    struct log_commit *commit = &log->commits[log->commit_count - 1];
    struct slot *slot = &world->slots[id];
    slot->position = commit->position;
    slot->missed = !world->mended && world_chance(world, world->missed_percent);
    if (slot->missed) {
        world->messages[slot->message].aside = true;
        world_count(world, EVENT_MISSED);
        world_note(world, "the log misses row %ld", (long)id);
        return;
    }
    assert(log->row_count < LOG_ROWS_MAX);
    log->rows[log->row_count++] =
        (struct log_row){.id = id,
                         .message = slot->message,
                         .scheduled = world->messages[slot->message].stored.scheduled};
    commit->row_count++;
    world_note(world, "row %ld is in the log at %lu", (long)id, (unsigned long)commit->position);
}

/* Positions may be given out again. */
void
world_log_lose(struct world *world, uint64_t last)
{
    struct log *log = &world->log;
    const bool again = world->dialect->reuses_positions && world_chance(world, 50);
    while (log->commit_count > 0 && log->commits[log->commit_count - 1].transaction > last) {
        const struct log_commit *commit = &log->commits[--log->commit_count];
        log->row_count = commit->first_row;
        log->end = again ? commit->position : log->end;
    }
    if (!world->dialect->keeps_log) {
        log->end += LOG_FILE - log->end % LOG_FILE;
    }
    struct log_slot *slot = &log->slot;
    slot->persisted = slot->persisted < log->end ? slot->persisted : log->end;
    slot->position = slot->persisted;
}

size_t
world_log_find(const struct world *world, uint64_t position)
{
    const struct log *log = &world->log;
    size_t low = 0;
    size_t high = log->commit_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (log->commits[middle].position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct row
world_log_read(const struct world *world, const struct log_commit *commit, size_t row)
{
    assert(row < commit->row_count);
    const struct log_row *logged = &world->log.rows[commit->first_row + row];
    struct row read = world_row(world, logged->id, logged->message);
    read.position = commit->position;
    if (logged->scheduled) {
        read.scheduled = true;
        read.payload = (struct span){0};
    }
    return read;
}

/* A checkpoint may come now, or later. */
void
world_log_safe(struct world *world, uint64_t position)
{
    struct log_slot *slot = &world->log.slot;
    if (!world->dialect->keeps_log) {
        return;
    }
    if (position > slot->position) {
        slot->position = position;
    }
    if (world_chance(world, 30)) {
        slot->persisted = slot->position;
    }
}

void
world_log_lose_slot(struct world *world)
{
    if (world->log.slot.there) {
        world_note(world, "what there is of the log is not kept");
        world_count(world, EVENT_SLOT_LOST);
        world->log.slot.there = false;
    }
}
