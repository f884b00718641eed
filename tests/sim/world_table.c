/* The tables outbox and outbox_held, and the statements of relays. Each statement is executed at once and
 * completely. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/core/cuts.h"
#include "tests/sim/world.h"

/* ---- changes that can be undone --------------------------------------------------------------- */

uint64_t
world_transaction(struct world *world)
{
    world->writing = ++world->transactions;
    return world->writing;
}

/* When there is no more room, half of the record is forgotten, because a crash undoes little. */
static void
make_room(struct world *world)
{
    size_t first = CHANGES_MAX / 2;
    while (world->changes[first].transaction == world->changes[first - 1].transaction) {
        first++;
        assert(first < CHANGES_MAX);
    }
    world->change_count -= first;
    memmove(world->changes, world->changes + first,
            world->change_count * sizeof(world->changes[0]));
}

struct slot *
world_change(struct world *world, int64_t id)
{
    if (world->change_count == CHANGES_MAX) {
        make_room(world);
    }
    struct slot *slot = &world->slots[id];
    world->changes[world->change_count++] = (struct change){
        .transaction = world->writing,
        .id = id,
        .slot = *slot,
        .stored = world->messages[slot->message].stored,
    };
    return slot;
}

struct message *
world_message_at(struct world *world, int64_t id)
{
    const struct slot *slot = &world->slots[id];
    return slot->place == PLACE_NONE || slot->place == PLACE_GONE ? NULL
                                                                  : &world->messages[slot->message];
}

void
world_delete(struct world *world, int64_t id, enum fate fate)
{
    struct slot *slot = world_change(world, id);
    struct message *message = &world->messages[slot->message];
    message->stored.fate = fate;
    message->aside |= fate != FATE_DELETED;
    world->live--;
    world_log_other(world);
    *slot = (struct slot){.place = PLACE_GONE, .message = slot->message};
}

/* Somebody is changing the row, and the statement does not wait. */
static bool
is_locked(struct world *world)
{
    return !world->mended && world_chance(world, world->locked_percent);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void
mark(struct world *world, const int64_t *ids, size_t count)
{
    world->stamp++;
    for (size_t i = 0; i < count; i++) {
        assert(ids[i] > 0 && ids[i] < IDS_MAX);
        world->stamps[ids[i]] = world->stamp;
    }
}

static bool
matches(struct world *world, const struct fetch *fetch, int64_t id)
{
    const struct slot *slot = &world->slots[id];
    if (world->stamps[id] == world->stamp) {
        return false;
    }
    if (fetch->kind == FETCH_NEXT) {
        return slot->place == PLACE_OUTBOX && id > fetch->after_id;
    }
    return slot->place == PLACE_HELD && slot->state == HELD_RETRYING &&
           slot->next_us <= world->now_us && !is_locked(world);
}

/* Heads come in the order of their times. */
static size_t
find_matches(struct world *world, const struct fetch *fetch, int64_t *ret_ids)
{
    size_t count = 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        if (!matches(world, fetch, id)) {
            continue;
        }
        size_t at = count++;
        const uint64_t next_us = world->slots[id].next_us;
        while (fetch->kind == FETCH_HEADS && at > 0 &&
               world->slots[ret_ids[at - 1]].next_us > next_us) {
            ret_ids[at] = ret_ids[at - 1];
            at--;
        }
        ret_ids[at] = id;
    }
    return count;
}

struct row
world_row(const struct world *world, int64_t id, uint32_t index)
{
    const struct message *message = &world->messages[index];
    const char *exchange = world_exchange_name(message->exchange);
    struct row row = {
        .id = id,
        .key_hash = world_key_hash(message->key),
        .has_key = message->key != 0,
        .ordered = message->key != 0,
        .exchange = {.data = (const uint8_t *)exchange, .size = strlen(exchange)},
    };
    memcpy(row.message_id, &index, sizeof(index));
    row.payload = (struct span){.data = (const uint8_t *)exchange, .size = message->bytes};
    return row;
}

static struct row
read_row(const struct world *world, int64_t id)
{
    const struct slot *slot = &world->slots[id];
    struct row row = world_row(world, id, slot->message);
    row.ordered = row.has_key && !slot->skipped;
    if (world->messages[slot->message].stored.scheduled) {
        row.scheduled = true;
        row.payload = (struct span){0};
    }
    return row;
}

void
world_fetch(struct world *world, const struct fetch *fetch, struct row *ret_rows, size_t *ret_count,
            bool *ret_complete)
{
    int64_t ids[IDS_MAX];
    uint64_t bytes = 0;
    mark(world, fetch->ids, fetch->id_count);
    const size_t found = find_matches(world, fetch, ids);
    *ret_count = 0;
    while (*ret_count < found && *ret_count < fetch->rows_max && bytes < fetch->bytes_max) {
        struct row *row = &ret_rows[*ret_count];
        *row = read_row(world, ids[(*ret_count)++]);
        bytes += row->payload.size;
    }
    *ret_complete = *ret_count == found;
}

struct source_present
world_present(struct world *world, const int64_t *ids, size_t count)
{
    struct source_present present = {.ids = memory_array(count, sizeof(int64_t))};
    for (size_t i = 0; i < count; i++) {
        PROMISE(i == 0 || ids[i - 1] < ids[i], "row %ld is asked for behind row %ld", (long)ids[i],
                (long)ids[i - 1]);
        if (world->slots[ids[i]].place == PLACE_OUTBOX) {
            present.ids[present.count++] = ids[i];
        }
    }
    world->tally[EVENT_PRESENT] += present.count;
    world->tally[EVENT_NOT_PRESENT] += count - present.count;
    return present;
}

static bool
is_head(const struct slot *slot)
{
    return slot->place == PLACE_HELD &&
           (slot->state == HELD_RETRYING || (slot->state == HELD_DEAD && !slot->skipped));
}

static struct head
read_head(const struct world *world, int64_t id)
{
    const struct slot *slot = &world->slots[id];
    const int64_t key = world->messages[slot->message].key;
    const bool dead = slot->state == HELD_DEAD;
    const uint64_t now_us = world->now_us;
    return (struct head){
        .id = id,
        .key_hash = world_key_hash(key),
        .ordered = key != 0 && !slot->skipped,
        .dead = dead,
        .attempts = slot->attempts,
        .retry_in_us = dead || slot->next_us < now_us ? 0 : slot->next_us - now_us,
    };
}

static int
compare_heads(const void *a, const void *b)
{
    const struct head *one = a;
    const struct head *other = b;
    if (one->key_hash != other->key_hash) {
        return one->key_hash < other->key_hash ? -1 : 1;
    }
    return one->id < other->id ? -1 : 1;
}

/* Adds one for each key that has messages waiting, and no head. */
static size_t
add_orphans(const struct world *world, struct head *heads, size_t count)
{
    const size_t led = count;
    for (int64_t id = 1; id < world->next_id; id++) {
        const struct slot *slot = &world->slots[id];
        const int64_t hash = world_key_hash(world->messages[slot->message].key);
        size_t at = 0;
        while (at < count && (heads[at].key_hash != hash || !heads[at].ordered)) {
            at++;
        }
        if (slot->place == PLACE_HELD && slot->state == HELD_WAITING && at == count) {
            heads[count++] =
                (struct head){.id = id, .key_hash = hash, .ordered = true, .orphans = true};
        }
    }
    assert(count - led < KEYS_MAX);
    return count;
}

struct source_heads
world_heads(struct world *world)
{
    struct head *heads = memory_array((size_t)world->next_id + KEYS_MAX, sizeof(*heads));
    size_t count = 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        if (is_head(&world->slots[id])) {
            heads[count++] = read_head(world, id);
        }
    }
    count = add_orphans(world, heads, count);
    qsort(heads, count, sizeof(*heads), compare_heads);
    return (struct source_heads){.items = heads, .count = count};
}

/* ---- writing ---------------------------------------------------------------------------------- */

void
world_settle(struct world *world, const int64_t *ids, size_t count)
{
    (void)world_transaction(world);
    for (size_t i = 0; i < count; i++) {
        const int64_t id = ids[i];
        const enum place place = world->slots[id].place;
        PROMISE(place == PLACE_OUTBOX || place == PLACE_GONE, "row %ld settled at place %d",
                (long)id, place);
        if (place == PLACE_OUTBOX) {
            world_note(world, "row %ld deleted", (long)id);
            PROMISE(world_message_at(world, id)->safe > 0,
                    "row %ld deleted before it was confirmed: it may be lost", (long)id);
            world_delete(world, id, FATE_DELETED);
        }
    }
}

/* A message loses an attempt only for a failure of its own, and only once for each; or if failures by chance looked
 * like its own so often that chance is unlikely. */
static void
check_attempts(const struct world *world, const struct hold *hold)
{
    const struct message *message = &world->messages[world->slots[hold->id].message];
    const uint32_t most = world->rules.max_attempts;
    const uint32_t chance = message->cuts >= CUTS_BLAMED ? message->cuts - CUTS_BLAMED + 1 : 0;
    PROMISE(hold->attempts <= message->refused + chance,
            "row %ld was refused %u times and is charged with %u attempts", (long)hold->id,
            message->refused, hold->attempts);
    PROMISE(most == 0 || hold->attempts <= most, "row %ld is charged with %u attempts of %u",
            (long)hold->id, hold->attempts, most);
}

/* A dead message stays dead, unless there is an earlier one that nobody could know of: it came late, or the log lacked
 * it, or it was published and could not be deleted, or it was scheduled, or its transaction was open when this one
 * became due; or another key has the same hash. */
static bool
may_be_led_late(const struct world *world, const struct message *message)
{
    return world->stuck_rows || world->late_rows || world->missed_percent > 0 ||
           world->scheduled_percent > 0 || message->key >= KEYS_MAX - 2;
}

static void
check_hold(const struct world *world, const struct hold *hold)
{
    const struct slot *slot = &world->slots[hold->id];
    const struct message *message = &world->messages[slot->message];
    const uint32_t most = world->rules.max_attempts;
    PROMISE(slot->place == PLACE_OUTBOX || slot->state == HELD_RETRYING ||
                slot->state == HELD_WAITING ||
                (slot->state == HELD_DEAD && may_be_led_late(world, message)),
            "row %ld is held in state %d and goes to state %d", (long)hold->id, slot->state,
            hold->state);
    switch (hold->state) {
    case HELD_SCHEDULED:
        PROMISE(message->stored.scheduled && slot->place == PLACE_OUTBOX,
                "row %ld is to wait for a time that it does not have", (long)hold->id);
        break;
    case HELD_WAITING:
        PROMISE(message->key != 0, "row %ld is to wait behind nothing", (long)hold->id);
        break;
    case HELD_DEAD:
        PROMISE(most != 0 && hold->attempts == most, "row %ld is dead after %u attempts of %u",
                (long)hold->id, hold->attempts, most);
        PROMISE(hold->skipped == world->rules.skip_dead, "row %ld is dead, skipped: %d",
                (long)hold->id, hold->skipped);
        check_attempts(world, hold);
        break;
    case HELD_RETRYING:
        PROMISE(most == 0 || hold->attempts < most, "row %ld is tried again after %u attempts",
                (long)hold->id, hold->attempts);
        check_attempts(world, hold);
        break;
    default:
        PROMISE(false, "row %ld is to be held in no known state", (long)hold->id);
    }
}

/* While the route takes no message at all, a message may lose an attempt before that is noticed (late confirms hide
 * it), and again after a relay has forgotten what it knew; but not each time that it is tried. If only a few messages
 * are refused, or for changing reasons, it cannot be noticed. */
static void
check_route(struct world *world, const struct hold *hold)
{
    const struct slot *slot = &world->slots[hold->id];
    const uint32_t before = slot->place == PLACE_HELD ? slot->attempts : 0;
    struct route *route = &world->route;
    struct message *message = &world->messages[slot->message];
    if (route->trouble == TROUBLE_NONE || route->number > 1 || !route->everywhere ||
        world->exchanges > 1 || world->poison_percent > 0 || world->nack_percent > 0 ||
        hold->attempts <= before) {
        return;
    }
    route->blamed += message->outage != route->number;
    message->charged = message->outage == route->number ? message->charged + 1 : 1;
    message->outage = route->number;
    const uint32_t most = CHARGED_MAX * (world->confirm_percent < 50 ? 2 : 1);
    PROMISE(route->blamed < BLAMED_MIN ||
                message->charged <= most * (1 + world->resets - route->resets_before),
            "row %ld: %u attempts for one broken route", (long)hold->id, message->charged);
}

static void
count_hold(struct world *world, const struct hold *hold)
{
    static const enum event events[] = {
        [HELD_SCHEDULED] = EVENT_SCHEDULED,
        [HELD_RETRYING] = EVENT_HOLD,
        [HELD_WAITING] = EVENT_WAITING,
        [HELD_DEAD] = EVENT_DEAD,
    };
    world_count(world, events[hold->state]);
    if (hold->skipped) {
        world_count(world, EVENT_SKIPPED);
    }
    if (world->messages[world->slots[hold->id].message].poison == POISON_NONE &&
        hold->attempts > 0) {
        world_count(world, hold->state == HELD_DEAD ? EVENT_DEAD_GOOD : EVENT_HOLD_GOOD);
    }
    world_note(world, "row %ld is held: state %d, attempts %u", (long)hold->id, hold->state,
               hold->attempts);
}

static void
hold_one(struct world *world, const struct hold *hold)
{
    struct slot *slot = world_change(world, hold->id);
    struct message *message = &world->messages[slot->message];
    if (slot->place == PLACE_OUTBOX) {
        *slot = (struct slot){.place = PLACE_HELD, .message = slot->message};
    }
    world_log_other(world);
    message->holds += hold->state == HELD_RETRYING || hold->state == HELD_DEAD;
    slot->state = hold->state;
    slot->skipped |= hold->skipped;
    slot->next_us = 0;
    if (hold->state == HELD_SCHEDULED) {
        slot->next_us = message->stored.due_us;
        world->tally[EVENT_OVERDUE] += message->stored.due_us <= world->now_us;
    } else if (hold->state == HELD_RETRYING) {
        slot->next_us = world->now_us + (slot->retried ? 0 : hold->retry_after_us);
        slot->attempts = hold->attempts;
    } else if (hold->state == HELD_DEAD) {
        slot->attempts = hold->attempts;
        message->aside |= hold->skipped;
    }
}

struct source_held
world_hold(struct world *world, const struct hold *holds, size_t count)
{
    (void)world_transaction(world);
    struct source_held held = {.missing = memory_array(count, sizeof(int64_t))};
    for (size_t i = 0; i < count; i++) {
        const enum place place = world->slots[holds[i].id].place;
        const bool there = place == PLACE_OUTBOX || place == PLACE_HELD;
        if (!there || (holds[i].state == HELD_SCHEDULED && is_locked(world))) {
            world_note(world, "row %ld was to be held and is %s", (long)holds[i].id,
                       there ? "locked" : "gone");
            held.missing[held.missing_count++] = holds[i].id;
            continue;
        }
        check_hold(world, &holds[i]);
        check_route(world, &holds[i]);
        count_hold(world, &holds[i]);
        hold_one(world, &holds[i]);
    }
    return held;
}

void
world_delete_heads(struct world *world, const struct release *release)
{
    (void)world_transaction(world);
    for (size_t i = 0; i < release->id_count; i++) {
        const int64_t id = release->ids[i];
        const enum place place = world->slots[id].place;
        PROMISE(place == PLACE_HELD || place == PLACE_GONE, "row %ld released at place %d",
                (long)id, place);
        if (place == PLACE_HELD) {
            world_note(world, "row %ld deleted, it was held", (long)id);
            PROMISE(world_message_at(world, id)->safe > 0,
                    "row %ld deleted before it was confirmed: it may be lost", (long)id);
            world_delete(world, id, FATE_DELETED);
        }
    }
}

static bool
has_key(const struct release *release, int64_t key)
{
    for (size_t i = 0; i < release->key_count; i++) {
        if (release->keys[i] == world_key_hash(key)) {
            return true;
        }
    }
    return false;
}

bool
world_lowest_waiting(const struct world *world, const struct release *release, int64_t *ret_id,
                     int64_t *ret_key_hash)
{
    for (int64_t id = 1; id < world->next_id; id++) {
        const struct slot *slot = &world->slots[id];
        if (slot->place == PLACE_HELD && slot->state == HELD_WAITING &&
            has_key(release, world->messages[slot->message].key)) {
            *ret_id = id;
            *ret_key_hash = world_key_hash(world->messages[slot->message].key);
            return true;
        }
    }
    return false;
}

struct source_released
world_release(struct world *world, const struct release *release)
{
    world_delete_heads(world, release);
    if (world->dialect->moves_apart) {
        (void)world_transaction(world);
    }
    struct source_released released = {0};
    for (int64_t id = 1; id < world->next_id && released.count < release->rows_max; id++) {
        const struct slot *slot = &world->slots[id];
        if (slot->place != PLACE_HELD || slot->state != HELD_WAITING ||
            !has_key(release, world->messages[slot->message].key)) {
            continue;
        }
        if (released.count == 0) {
            world_log_commit(world);
        }
        *world_change(world, id) = (struct slot){.place = PLACE_OUTBOX, .message = slot->message};
        world_log_row(world, id);
        released.first_id = released.count++ == 0 ? id : released.first_id;
        released.last_id = id;
        world_count(world, EVENT_RELEASED);
        world_note(world, "row %ld is back in the outbox", (long)id);
    }
    released.complete = released.count < release->rows_max;
    return released;
}

/* Without the marked ones. */
static int64_t
next_scheduled(const struct world *world)
{
    int64_t next = 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        const struct slot *slot = &world->slots[id];
        if (slot->place == PLACE_HELD && slot->state == HELD_SCHEDULED &&
            world->stamps[id] != world->stamp &&
            (next == 0 || slot->next_us < world->slots[next].next_us)) {
            next = id;
        }
    }
    return next;
}

static void
wake_one(struct world *world, int64_t old_id)
{
    const int64_t id = world->next_id++;
    assert(id < IDS_MAX);
    /* The record is undone in reverse order, so the message goes back to where it was. */
    struct slot *old = world_change(world, old_id);
    struct message *message = &world->messages[old->message];
    *world_change(world, id) = (struct slot){.place = PLACE_OUTBOX, .message = old->message};
    *old = (struct slot){.place = PLACE_GONE, .message = old->message};
    message->stored.id = id;
    message->stored.visible = world->visible;
    message->stored.scheduled = false;
    world_log_row(world, id);
    message->stored.position = world->slots[id].position;
    world_count(world, EVENT_WOKEN);
    world_note(world, "row %ld of key %ld wakes up as row %ld", (long)old_id, (long)message->key,
               (long)id);
}

static void
take_note(struct world *world)
{
    for (int64_t id = 1; world->acts_unseen && id < world->next_id; id++) {
        world->slots[id].retried = false;
    }
    world->acts_unseen = false;
}

struct source_woken
world_wake(struct world *world, size_t rows_max)
{
    (void)world_transaction(world);
    struct source_woken woken = {.acts = world->acts_unseen, .next_in_us = CLOCK_NEVER_US};
    take_note(world);
    mark(world, NULL, 0);
    int64_t next = next_scheduled(world);
    while (next != 0 && world->slots[next].next_us <= world->now_us && woken.count < rows_max) {
        if (is_locked(world)) {
            world->stamps[next] = world->stamp;
        } else {
            if (woken.count++ == 0) {
                world->visible++;
                world_log_commit(world);
            }
            wake_one(world, next);
        }
        next = next_scheduled(world);
    }
    mark(world, NULL, 0);
    next = next_scheduled(world);
    if (next != 0) {
        const uint64_t next_us = world->slots[next].next_us;
        woken.next_in_us = next_us > world->now_us ? next_us - world->now_us : 0;
    }
    return woken;
}
