/* The log as a relay reads it: over a connection of its own, from where the server still keeps it, with any delay and
 * in pieces of any size. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

static bool
chance(unsigned percent)
{
    return world_chance(&world, percent);
}

void
tail_close(struct relay *relay)
{
    relay->tail = (struct tail_link){.state = TAIL_LINK_CLOSED};
}

void
tail_cut(struct relay *relay)
{
    relay->tail.cut = relay->tail.state != TAIL_LINK_CLOSED;
}

static void
lose(struct relay *relay, const char *reason)
{
    if (relay->tail.state == TAIL_LINK_CLOSED) {
        return;
    }
    world_note(&world, "relay %d loses the log: %s", relay->index, reason);
    tail_close(relay);
    pipeline_not_tailing(relay->pipeline, reason, !world.mended && chance(20), world.now_us);
    relay->stirred = true;
}

/* ---- what the core wants -------------------------------------------------------------------------- */

void
tail_begin(struct relay *relay, uint64_t position)
{
    PROMISE(relay->options.tail && relay->owned_told, "relay %d may not read the log",
            relay->index);
    PROMISE(relay->tail.state == TAIL_LINK_CLOSED, "relay %d reads the log twice", relay->index);
    PROMISE(position > 0, "relay %d begins the log nowhere", relay->index);
    world_note(&world, "relay %d wants the log from %" PRIu64, relay->index, position);
    relay->tail = (struct tail_link){.state = TAIL_LINK_ASKED, .next = position};
}

void
tail_end(struct relay *relay)
{
    PROMISE(relay->tail.state != TAIL_LINK_CLOSED, "relay %d ends a log that it does not read",
            relay->index);
    world_note(&world, "relay %d lets go of the log", relay->index);
    tail_close(relay);
}

void
tail_more(struct relay *relay, uint32_t rows_max, uint64_t bytes_max)
{
    struct tail_link *link = &relay->tail;
    PROMISE(link->state == TAIL_LINK_OPEN && !link->asked,
            "relay %d asks for more of the log, and not in its turn", relay->index);
    PROMISE(rows_max > 0, "relay %d wants nothing of the log", relay->index);
    link->asked = true;
    link->rows_max = rows_max;
    link->bytes_max = bytes_max;
}

/* Rows committed before this position are not in the outbox any more: they were deleted or held. (If one came back
 * since, that was a new commit.) */
void
tail_safe(struct relay *relay, uint64_t position)
{
    struct tail_link *link = &relay->tail;
    world_note(&world, "relay %d says that the log is safe up to %" PRIu64, relay->index, position);
    world_count(&world, EVENT_SAFE);
    PROMISE(link->state == TAIL_LINK_OPEN, "relay %d speaks of a log that it does not read",
            relay->index);
    PROMISE(position > relay->safe_told, "relay %d calls %" PRIu64 " safe, after %" PRIu64,
            relay->index, position, relay->safe_told);
    relay->safe_told = position;
    if (link->cut) {
        return; /* there is no connection */
    }
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct slot *slot = &world.slots[id];
        const bool there = slot->place == PLACE_OUTBOX || slot->place == PLACE_OPEN;
        PROMISE(!there || slot->missed || world.messages[slot->message].stuck ||
                    slot->position == 0 || slot->position >= position,
                "row %ld is in the outbox since %" PRIu64 ", and %" PRIu64 " is called safe",
                (long)id, slot->position, position);
    }
    world_log_safe(&world, position);
}

/* ---- what the server does ------------------------------------------------------------------------- */

/* Another relay may still read the slot, or again: then it must let go. */
static bool
is_taken(const struct relay *relay)
{
    struct relay *other = &relays[1 - relay->index];
    if (other->tail.state != TAIL_LINK_OPEN) {
        return false;
    }
    if (!world.mended && chance(50)) {
        return true;
    }
    lose(other, "another relay reads it");
    return false;
}

/* A new slot begins at the end of the log; an old one never goes back before its safe position. If the log is not kept
 * for its reader, nothing before the removed part can be read, and such a request is refused. */
static void
open_log(struct relay *relay)
{
    struct tail_link *link = &relay->tail;
    struct log_slot *slot = &world.log.slot;
    if (is_taken(relay) || (!world.mended && chance(world.cut_percent * 10))) {
        lose(relay, "it cannot be read now");
        return;
    }
    if (!slot->there) {
        *slot =
            (struct log_slot){.there = true, .position = world.log.end, .persisted = world.log.end};
    }
    if (slot->position > link->next && !world.dialect->keeps_log) {
        lose(relay, "it was thrown away");
        return;
    }
    const uint64_t from = slot->position > link->next ? slot->position : link->next;
    world_note(&world, "relay %d reads the log from %" PRIu64, relay->index, from);
    *link = (struct tail_link){.state = TAIL_LINK_OPEN, .next = from, .told = from};
    relay->stirred = true;
    pipeline_tailing(relay->pipeline, from, world.now_us);
}

/* The rows of one commit, as far as they fit. After the last row, the end of the commit may not have come yet. */
static void
deliver_commit(struct tail_link *link, const struct log_commit *commit, struct loan *loan,
               size_t rows_max, uint64_t *bytes)
{
    struct batch *batch = &loan->batch;
    while (link->rows_done < commit->row_count && batch->count < rows_max &&
           *bytes < link->bytes_max) {
        struct row *row = &batch->rows[batch->count++];
        *row = world_log_read(&world, commit, link->rows_done++);
        row->batch = batch;
        *bytes += row->payload.size;
    }
    if (link->rows_done == commit->row_count && (batch->count < rows_max || chance(50))) {
        link->next = commit->end;
        link->rows_done = 0;
        link->told = commit->end;
    }
}

static void
deliver(struct tail_link *link, struct loan *loan)
{
    const size_t rows_max = random_between(&world.random, chance(50) ? 1 : 0, link->rows_max);
    uint64_t bytes = 0;
    size_t at = world_log_find(&world, link->next);
    while (at < world.log.commit_count && loan->batch.count < rows_max && bytes < link->bytes_max &&
           !chance(5)) {
        deliver_commit(link, &world.log.commits[at++], loan, rows_max, &bytes);
    }
    loan->batch.in_use = loan->batch.count;
    loan->batch.complete = true;
}

/* The position up to which a keepalive may report that there was nothing for this reader. */
static void
keep_alive(struct tail_link *link)
{
    const size_t at = world_log_find(&world, link->next);
    const uint64_t next =
        at < world.log.commit_count ? world.log.commits[at].position : world.log.end;
    if (next > link->told && chance(70)) {
        link->told = random_between(&world.random, link->told + 1, next);
        if (world.mended || chance(50)) {
            link->told = next;
        }
    }
}

static void
note_rows(const struct relay *relay, const struct loan *loan)
{
    for (size_t i = 0; i < loan->batch.count; i++) {
        const struct row *row = &loan->batch.rows[i];
        world_note(&world, "relay %d reads row %ld in the log, at %" PRIu64, relay->index,
                   (long)row->id, row->position);
        world_count(&world, EVENT_LOGGED);
    }
    world_note(&world, "relay %d has the log up to %" PRIu64, relay->index, relay->tail.told);
}

static void
answer(struct relay *relay)
{
    struct tail_link *link = &relay->tail;
    const uint64_t told = link->told;
    struct loan *loan = loan_new(link->rows_max);
    deliver(link, loan);
    keep_alive(link);
    if (loan->batch.count == 0 && link->told == told) {
        loan_free(loan);
        return;
    }
    link->asked = false;
    relay->stirred = true;
    note_rows(relay, loan);
    const struct source_log log = {.batch = &loan->batch, .position = link->told};
    pipeline_log(relay->pipeline, &log, world.now_us);
    loan_lend(relay, loan);
}

static void
trouble(struct relay *relay)
{
    if (chance(20)) {
        world_log_lose_slot(&world);
    }
    lose(relay, "the connection is lost");
}

void
tail_steps(struct relay *relay)
{
    const struct tail_link *link = &relay->tail;
    if (link->cut) {
        if (chance(60)) {
            lose(relay, "the server has gone");
        }
        return;
    }
    if (!world.log.slot.there && link->state == TAIL_LINK_OPEN) {
        lose(relay, "it is not kept any more");
    }
    if (!world.mended && link->state != TAIL_LINK_CLOSED && chance(world.cut_percent)) {
        trouble(relay);
    }
    if (link->state == TAIL_LINK_ASKED && chance(40)) {
        open_log(relay);
    } else if (link->asked && chance(world.mended ? 60 : world.log_percent)) {
        answer(relay);
    }
}
