/* The others who change the tables: applications, operators, and a crash. */
#include <assert.h>
#include <string.h>

#include "tests/sim/world.h"

/* ---- applications ----------------------------------------------------------------------------- */

static enum poison
choose_poison(struct world *world)
{
    if (!world_chance(world, world->poison_percent)) {
        return POISON_NONE;
    }
    return (enum poison)random_between(&world->random, POISON_RETURN, POISON_UNENCODABLE);
}

static uint32_t
choose_exchange(struct world *world, enum poison poison)
{
    return poison == POISON_MISSING
               ? (uint32_t)random_between(&world->random, EXCHANGES_GOOD, EXCHANGES_MAX - 1)
               : (uint32_t)random_between(&world->random, 0, world->exchanges - 1);
}

static void
insert(struct world *world, int64_t key)
{
    assert(world->message_count < MESSAGES_MAX && world->next_id < IDS_MAX);
    const uint32_t index = world->message_count++;
    struct message *message = &world->messages[index];
    const enum poison poison = choose_poison(world);
    *message = (struct message){
        .stored = {.fate = FATE_OPEN, .id = world->next_id},
        .key = key,
        .poison = poison,
        .exchange = choose_exchange(world, poison),
        .bytes = (uint32_t)random_between(&world->random, 0, 1000),
    };
    if (world_chance(world, world->scheduled_percent)) {
        message->stored.due_us = world->now_us + random_between(&world->random, 0, 2000000);
        message->stored.scheduled = message->stored.due_us > world->now_us;
    }
    world->slots[world->next_id++] = (struct slot){.place = PLACE_OPEN, .message = index};
    world->key_messages[key][world->key_count[key]++] = index;
}

static bool
is_in_use(const struct world *world, uint64_t session)
{
    for (size_t i = 0; i < world->open_count; i++) {
        if (world->open[i].session == session) {
            return true;
        }
    }
    return false;
}

/* An idle session, or else a new one. */
static uint64_t
choose_session(struct world *world)
{
    const uint64_t session = random_between(&world->random, 1, SESSIONS);
    return is_in_use(world, session) ? SESSIONS + world->names : session;
}

static void
take_id(struct world *world, struct transaction *transaction)
{
    transaction->ids[transaction->count++] = world->next_id;
    insert(world, transaction->key);
}

static bool
has_room(const struct world *world)
{
    return world->next_id + TRANSACTION_IDS_MAX < APPLICATION_MAX &&
           world->message_count + TRANSACTION_IDS_MAX < APPLICATION_MAX;
}

/* Ids are taken now; other transactions take theirs before this one ends. Writers of a key run one after the other, as
 * with a lock on the row that the message is about. */
void
world_begin(struct world *world)
{
    if (world->open_count == OPEN_MAX || !has_room(world)) {
        return;
    }
    int64_t key = (int64_t)random_between(&world->random, 0, KEYS_MAX - 1);
    if (world->key_locked[key]) {
        key = 0;
    }
    struct transaction *transaction = &world->open[world->open_count];
    *transaction = (struct transaction){.name = ++world->names, .key = key};
    transaction->session = choose_session(world);
    world->open_count++;
    world->key_locked[key] = key != 0;
    for (uint64_t ids = random_between(&world->random, 1, 4); ids > 0; ids--) {
        take_id(world, transaction);
    }
}

/* An id that was taken in advance does not always become a row. */
void
world_go_on(struct world *world)
{
    if (world->open_count == 0) {
        return;
    }
    struct transaction *transaction =
        &world->open[random_between(&world->random, 0, world->open_count - 1)];
    if (transaction->position > 0 || transaction->prepared || !has_room(world)) {
        return;
    }
    if (world_chance(world, 5)) {
        transaction->prepared = true;
        world_count(world, EVENT_PREPARED);
        world_note(world, "transaction %lu is prepared", (unsigned long)transaction->name);
    } else if (transaction->count < TRANSACTION_IDS_MAX) {
        world->next_id += world_chance(world, 20);
        take_id(world, transaction);
    }
}

/* The commit is in the log, but statements do not see it yet. */
static void
commit(struct world *world, struct transaction *transaction)
{
    transaction->number = world_transaction(world);
    world_log_commit(world);
    for (size_t i = 0; i < transaction->count; i++) {
        const int64_t id = transaction->ids[i];
        world_log_row(world, id);
        transaction->position = world->slots[id].position;
        world_message_at(world, id)->stored.position = transaction->position;
    }
}

static void
become_visible(struct world *world, const struct transaction *transaction)
{
    world->writing = transaction->number;
    world->visible++;
    for (size_t i = 0; i < transaction->count; i++) {
        const int64_t id = transaction->ids[i];
        world_change(world, id)->place = PLACE_OUTBOX;
        struct message *message = world_message_at(world, id);
        message->stored.fate = FATE_LIVE;
        message->stored.visible = world->visible;
        message->resets_before = world->resets;
        world->live++;
        if (id <= world->final_told) {
            PROMISE(world->late_rows, "row %ld committed below what was called final", (long)id);
            message->aside = true;
            world->slots[id].missed = true;
        }
        world_note(world, "row %ld of key %ld committed", (long)id, (long)message->key);
    }
}

/* With a crash it may have been in the log. */
static void
roll_back(struct world *world, const struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->count; i++) {
        const int64_t id = transaction->ids[i];
        world_message_at(world, id)->stored.fate =
            transaction->position > 0 ? FATE_FORGOTTEN : FATE_ROLLED_BACK;
        world->slots[id] = (struct slot){.place = PLACE_NONE};
    }
    world_note(world, "rows from %ld on of transaction %lu rolled back", (long)transaction->ids[0],
               (unsigned long)transaction->name);
}

static void
end_transaction(struct world *world, size_t index, bool committed)
{
    if (committed && world->open[index].position == 0) {
        commit(world, &world->open[index]);
        if (!world->mended && world_chance(world, world->unseen_percent)) {
            world_count(world, EVENT_UNSEEN);
            return;
        }
    }
    const struct transaction transaction = world->open[index];
    world->open[index] = world->open[--world->open_count];
    world->key_locked[transaction.key] = false;
    if (committed) {
        become_visible(world, &transaction);
    } else {
        roll_back(world, &transaction);
    }
}

void
world_end_some(struct world *world)
{
    if (world->open_count > 0) {
        const size_t index = (size_t)random_between(&world->random, 0, world->open_count - 1);
        const bool committed = world->open[index].position > 0;
        if (world->open[index].prepared && world_chance(world, 80)) {
            return; /* its owner decides later */
        }
        end_transaction(world, index, committed || !world_chance(world, 20));
    }
}

void
world_end_all(struct world *world)
{
    while (world->open_count > 0) {
        end_transaction(world, 0, true);
    }
}

/* ---- operators -------------------------------------------------------------------------------- */

static void
operator_retries(struct world *world, int64_t id)
{
    const enum held_state state = world->slots[id].state;
    if (state == HELD_WAITING) {
        return;
    }
    (void)world_transaction(world);
    struct slot *slot = world_change(world, id);
    slot->next_us = world->now_us;
    slot->retried = true;
    if (state == HELD_DEAD) {
        slot->state = HELD_RETRYING;
        world->brought_back += slot->skipped;
        slot->attempts = 0;
    } else if (state == HELD_SCHEDULED) {
        world_message_at(world, id)->stored.due_us = world->now_us;
    }
    world->acts_unseen = true;
    world_count(world, EVENT_ACT);
    world_note(world, "an operator retries row %ld (state %d)", (long)id, state);
}

static void
operator_discards(struct world *world, int64_t id)
{
    world_note(world, "an operator discards row %ld (state %d)", (long)id, world->slots[id].state);
    (void)world_transaction(world);
    world_delete(world, id, FATE_DISCARDED);
    world->acts_unseen = true;
    world->acted = true;
    world_count(world, EVENT_ACT);
}

static void
application_cancels(struct world *world, int64_t id)
{
    world_note(world, "row %ld is cancelled", (long)id);
    (void)world_transaction(world);
    world_delete(world, id, FATE_CANCELLED);
    world->acted = true;
    world_count(world, EVENT_CANCEL);
}

/* Like the function outbox_cancel: a message in the outbox must not be due yet. */
static bool
may_be_cancelled(const struct world *world, const struct slot *slot)
{
    if (slot->place == PLACE_OUTBOX) {
        const struct stored *stored = &world->messages[slot->message].stored;
        return stored->scheduled && stored->due_us > world->now_us;
    }
    return slot->place == PLACE_HELD && slot->state == HELD_SCHEDULED;
}

/* Operators prefer messages that hold others back. */
static bool
is_of_interest(const struct slot *slot, bool heads_only)
{
    return slot->place == PLACE_HELD &&
           (!heads_only || slot->state == HELD_RETRYING || slot->state == HELD_DEAD);
}

void
world_operate(struct world *world)
{
    const int64_t start = (int64_t)random_between(&world->random, 0, (uint64_t)world->next_id);
    const uint64_t what = random_between(&world->random, 0, 9);
    const bool heads_only = world_chance(world, 60);
    for (int64_t i = 0; i < world->next_id; i++) {
        const int64_t id = (start + i) % world->next_id;
        const struct slot *slot = &world->slots[id];
        if (what == 0 && may_be_cancelled(world, slot)) {
            application_cancels(world, id);
            return;
        }
        if (what > 0 && is_of_interest(slot, heads_only)) {
            if (what < 6) {
                operator_retries(world, id);
            } else {
                operator_discards(world, id);
            }
            return;
        }
    }
}

void
world_retry_dead(struct world *world)
{
    for (int64_t id = 1; id < world->next_id; id++) {
        if (world->slots[id].place == PLACE_HELD && world->slots[id].state == HELD_DEAD) {
            operator_retries(world, id);
        }
    }
}

/* ---- a crash ---------------------------------------------------------------------------------- */

/* A message whose confirmation the database has lost keeps its place in the queue. But it gets a new place if it
 * becomes due again, so its order cannot be checked; nor can that of messages whose key went on without them for a
 * while. */
static void
undo(struct world *world, const struct change *change)
{
    struct message *before = &world->messages[change->slot.message];
    world_note(world, "undone: what was done to row %ld", (long)change->id);
    world_count(world, EVENT_UNDONE);
    world->slots[change->id] = change->slot;
    if (change->slot.place == PLACE_NONE) {
        return; /* of a row that became due; its earlier state is the next to be undone */
    }
    world->live -= before->stored.fate == FATE_LIVE;
    if (change->slot.place == PLACE_OPEN) {
        before->stored.fate = FATE_FORGOTTEN;
        world->slots[change->id] = (struct slot){.place = PLACE_NONE};
        return;
    }
    before->aside |= before->stored.id != change->stored.id;
    before->stored = change->stored;
    world->live += before->stored.fate == FATE_LIVE;
}

/* Transactions that became visible late were committed before some that were recorded earlier. */
static void
undo_after(struct world *world, uint64_t last)
{
    size_t kept = world->change_count;
    for (size_t i = world->change_count; i > 0; i--) {
        if (world->changes[i - 1].transaction > last) {
            undo(world, &world->changes[i - 1]);
        } else {
            world->changes[--kept] = world->changes[i - 1];
        }
    }
    world->change_count -= kept;
    memmove(world->changes, world->changes + kept, world->change_count * sizeof(world->changes[0]));
}

/* Committed transactions that are not visible yet become so, unless they are lost; prepared ones stay prepared. */
static void
end_in_crash(struct world *world, uint64_t last)
{
    size_t index = 0;
    while (index < world->open_count) {
        const struct transaction *transaction = &world->open[index];
        if (transaction->prepared && transaction->position == 0) {
            index++;
        } else {
            end_transaction(world, index, transaction->position > 0 && transaction->number <= last);
        }
    }
}

/* The sequence is never lower than an id that survived. */
static void
rewind_sequence(struct world *world)
{
    int64_t id = world->next_id;
    while (id > 1 && world->slots[id - 1].place == PLACE_NONE) {
        id--;
    }
    world->next_id = id;
}

void
world_database_crash(struct world *world)
{
    world_note(world, "the database crashes");
    world_count(world, EVENT_CRASH);
    const uint64_t lost = random_between(&world->random, 0, 12);
    const uint64_t last = world->transactions > lost ? world->transactions - lost : 0;
    end_in_crash(world, last);
    undo_after(world, last);
    world_log_lose(world, last);
    if (world_chance(world, 50)) {
        rewind_sequence(world);
    }
    world->final_told = 0;
}
