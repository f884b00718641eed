#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
world_note(const struct world *world, const char *format, ...)
{
    if (!world->trace) {
        return;
    }
    (void)printf("%10.3f ms  ", (double)world->now_us / 1000);
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
}

_Noreturn void
promise_broken(const char *condition, const char *format, ...)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "promise broken: ");
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, " (%s)\n", condition);
    abort();
}

void
world_init(struct world *world, uint64_t seed)
{
    const bool trace = world->trace;
    memset(world, 0, sizeof(*world));
    world->trace = trace;
    random_seed(&world->random, seed);
    world->next_id = 1;
    world->owner = NOBODY;
    world->now_us = 1000000;
}

static bool
key_is_locked(const struct world *world, int64_t key)
{
    for (int64_t id = 1; id < world->next_id; id++) {
        if (world->rows[id].state == ROW_OPEN && world->rows[id].key == key) {
            return true;
        }
    }
    return false;
}

static enum poison
choose_poison(struct world *world)
{
    if (world->strict_order || !random_chance(&world->random, 4)) {
        return POISON_NONE;
    }
    return (enum poison)random_between(&world->random, POISON_RETURN, POISON_UNENCODABLE);
}

/* Ids are taken now; other transactions take theirs before this one ends. Writers of a key are
 * serialised, as by the lock on the row whose change the message tells. */
void
world_begin(struct world *world)
{
    int64_t key = (int64_t)random_between(&world->random, 0, KEYS_MAX - 1);
    if (key != 0 && key_is_locked(world, key)) {
        key = 0;
    }
    const uint64_t count = random_between(&world->random, 1, 4);
    const uint32_t hold = (uint32_t)world->next_id;
    for (uint64_t i = 0; i < count && world->next_id < ROWS_MAX; i++) {
        struct world_row *row = &world->rows[world->next_id++];
        *row = (struct world_row){
            .state = ROW_OPEN, .key = key, .poison = choose_poison(world), .key_hold = hold};
        if (random_chance(&world->random, 5)) {
            row->due_us = world->now_us + random_between(&world->random, 0, 2000000);
        }
    }
}

static void
end_transaction(struct world *world, uint32_t hold, bool commit)
{
    for (int64_t id = 1; id < world->next_id; id++) {
        struct world_row *row = &world->rows[id];
        if (row->state == ROW_OPEN && row->key_hold == hold) {
            row->state = commit ? ROW_COMMITTED : ROW_ROLLED_BACK;
            row->commit = ++world->commits;
            world_note(world, "row %ld of key %ld %s", (long)id, (long)row->key,
                       commit ? "committed" : "rolled back");
        }
    }
}

void
world_end_some(struct world *world)
{
    const int64_t start = (int64_t)random_between(&world->random, 1, (uint64_t)world->next_id);
    for (int64_t i = 0; i < world->next_id; i++) {
        const int64_t id = (start + i) % world->next_id;
        if (world->rows[id].state == ROW_OPEN) {
            end_transaction(world, world->rows[id].key_hold, !random_chance(&world->random, 20));
            return;
        }
    }
}

void
world_end_all(struct world *world)
{
    for (int64_t id = 1; id < world->next_id; id++) {
        if (world->rows[id].state == ROW_OPEN) {
            end_transaction(world, world->rows[id].key_hold, true);
        }
    }
}

size_t
world_left(const struct world *world)
{
    size_t left = 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        left += world->rows[id].state == ROW_COMMITTED;
    }
    return left;
}

static void
recount_key(struct world *world, int64_t key)
{
    world->key_accepted[key] = 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        if (world->rows[id].key == key && world->rows[id].accepted > 0) {
            world->key_accepted[key] = id;
        }
    }
}

void
world_database_crash(struct world *world)
{
    const uint64_t lost = random_between(&world->random, 0, 8);
    const uint64_t end = world->commits > lost ? world->commits - lost : 0;
    for (int64_t id = 1; id < world->next_id; id++) {
        struct world_row *row = &world->rows[id];
        if (row->state != ROW_COMMITTED && row->state != ROW_DELETED) {
            continue;
        }
        if (row->commit > end) {
            row->version++;
            row->state = ROW_COMMITTED;
            row->commit = ++world->commits;
            row->accepted = 0;
            row->safe = 0;
            recount_key(world, row->key);
            world_note(world, "row %ld is another message now", (long)id);
        } else if (row->state == ROW_DELETED && row->commit + 30 > end &&
                   random_chance(&world->random, 20)) {
            row->state = ROW_COMMITTED;
        }
    }
}

static bool
contains(const int64_t *values, size_t count, int64_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] == value) {
            return true;
        }
    }
    return false;
}

static bool
matches(const struct world *world, const struct fetch *fetch, const int64_t *ids,
        const int64_t *keys, int64_t id)
{
    const struct world_row *row = &world->rows[id];
    if (row->state != ROW_COMMITTED) {
        return false;
    }
    if (fetch->kind == FETCH_IDS) {
        return contains(ids, fetch->id_count, id);
    }
    if (contains(ids, fetch->id_count, id) ||
        (row->key != 0 && contains(keys, fetch->key_count, row->key))) {
        return false;
    }
    const bool due = row->due_us <= world->now_us;
    return due && (fetch->kind == FETCH_NEXT ? id > fetch->after_id
                                             : id <= fetch->up_to_id && row->due_us != 0);
}

void
world_fetch(struct world *world, const struct fetch *fetch, const int64_t *ids, const int64_t *keys,
            struct row *ret_rows, size_t *ret_count, bool *ret_complete)
{
    *ret_count = 0;
    *ret_complete = true;
    for (int64_t id = 1; id < world->next_id; id++) {
        if (!matches(world, fetch, ids, keys, id)) {
            continue;
        }
        if (*ret_count == fetch->rows_max) {
            *ret_complete = false;
            return;
        }
        const struct world_row *row = &world->rows[id];
        struct row *ret_row = &ret_rows[(*ret_count)++];
        *ret_row = (struct row){.id = id, .key_hash = row->key, .ordered = row->key != 0};
        memcpy(ret_row->message_id, &row->version, sizeof(row->version));
    }
}

void
world_settle(struct world *world, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct world_row *row = &world->rows[ids[i]];
        PROMISE(row->state == ROW_COMMITTED || row->state == ROW_DELETED,
                "row %ld settled in state %d", (long)ids[i], row->state);
        world_note(world, "row %ld deleted", (long)ids[i]);
        PROMISE(row->safe > 0, "row %ld deleted before it was confirmed: it may be lost",
                (long)ids[i]);
        row->state = ROW_DELETED;
    }
}

int64_t
world_final(const struct world *world)
{
    if (world->late_rows) {
        return world->next_id - 1; /* and open transactions have lower ids */
    }
    for (int64_t id = 1; id < world->next_id; id++) {
        if (world->rows[id].state == ROW_OPEN) {
            return id - 1;
        }
    }
    return world->next_id - 1;
}

struct pipe *
world_connect(struct world *world)
{
    for (size_t i = 0; i < PIPES_MAX; i++) {
        struct pipe *pipe = &world->pipes[i];
        if (!pipe->used || (!pipe->connected && pipe->in_count == 0)) {
            pipe->used = true;
            pipe->closed = false;
            pipe->connected = true;
            pipe->in_head = pipe->in_count = 0;
            pipe->out_head = pipe->out_count = 0;
            pipe->unconfirmed_count = 0;
            pipe->next_tag = 1;
            return pipe;
        }
    }
    PROMISE(false, "more connections than the simulation has room for");
    return NULL;
}

void
world_publish(struct world *world, struct pipe *pipe, struct sent sent)
{
    const int64_t id = sent.id;
    const struct world_row *row = &world->rows[id];
    PROMISE(row->state != ROW_OPEN && row->state != ROW_ROLLED_BACK,
            "row %ld published without a commit", (long)id);
    PROMISE(row->due_us <= world->now_us, "row %ld published before its time", (long)id);
    assert(pipe->in_count < sizeof(pipe->in) / sizeof(pipe->in[0]));
    pipe->in[(pipe->in_head + pipe->in_count++) % (sizeof(pipe->in) / sizeof(pipe->in[0]))] = sent;
}

static void
send_frame(struct pipe *pipe, struct frame frame)
{
    const size_t capacity = sizeof(pipe->out) / sizeof(pipe->out[0]);
    assert(pipe->out_count < capacity);
    pipe->out[(pipe->out_head + pipe->out_count++) % capacity] = frame;
}

static void
accept(struct world *world, struct sent sent)
{
    const int64_t id = sent.id;
    struct world_row *row = &world->rows[id];
    if (row->version != sent.version) {
        return; /* a message that its database forgot */
    }
    row->accepted++;
    world->duplicates += row->accepted > 1;
    if (row->key == 0 || row->accepted > 1 || row->due_us != 0) {
        return; /* the consumer's inbox drops repetitions; a scheduled message may be late */
    }
    if (world->strict_order) {
        PROMISE(id > world->key_accepted[row->key],
                "row %ld of key %ld reached the queue after row %ld", (long)id, (long)row->key,
                (long)world->key_accepted[row->key]);
    }
    world->key_accepted[row->key] = id;
}

static void
make_safe(struct world *world, const struct unconfirmed *unconfirmed)
{
    world_note(world, "row %ld is safe", (long)unconfirmed->id);
    struct world_row *row = &world->rows[unconfirmed->id];
    row->safe += unconfirmed->place != 0 && row->version == unconfirmed->version;
    if (unconfirmed->place > world->log_safe) {
        world->log_safe = unconfirmed->place;
    }
}

/* Nobody will be told, but the broker has them. */
static void
keep_unconfirmed(struct world *world, struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->unconfirmed_count; i++) {
        make_safe(world, &pipe->unconfirmed[i]);
    }
    pipe->unconfirmed_count = 0;
}

void
world_cut(struct world *world, struct pipe *pipe)
{
    keep_unconfirmed(world, pipe);
    pipe->connected = false;
}

/* A queue is a log: what it loses is its end. */
void
world_broker_crash(struct world *world)
{
    const uint64_t end = random_between(&world->random, world->log_safe, world->log_end);
    for (size_t i = 0; i < PIPES_MAX; i++) {
        struct pipe *pipe = &world->pipes[i];
        size_t kept = 0;
        for (size_t k = 0; k < pipe->unconfirmed_count; k++) {
            struct world_row *row = &world->rows[pipe->unconfirmed[k].id];
            if (pipe->unconfirmed[k].place <= end) {
                pipe->unconfirmed[kept++] = pipe->unconfirmed[k];
            } else if (row->accepted > 0 && row->version == pipe->unconfirmed[k].version) {
                /* and it was not returned */
                row->accepted--;
                recount_key(world, row->key);
            }
        }
        pipe->unconfirmed_count = kept;
        keep_unconfirmed(world, pipe);
        pipe->in_count = 0;
    }
}

void
world_broker_reads(struct world *world, struct pipe *pipe)
{
    if (pipe->in_count == 0 || world->blocked) {
        return;
    }
    const struct sent sent = pipe->in[pipe->in_head];
    const int64_t id = sent.id;
    pipe->in_head = (pipe->in_head + 1) % (sizeof(pipe->in) / sizeof(pipe->in[0]));
    pipe->in_count--;
    if (pipe->closed) {
        return;
    }
    const uint64_t tag = pipe->next_tag++;
    const enum poison poison = world->mended ? POISON_NONE : world->rows[id].poison;
    if (poison == POISON_CLOSE) {
        pipe->closed = true;
        keep_unconfirmed(world, pipe);
        send_frame(pipe, (struct frame){.type = FRAME_CLOSE});
        return;
    }
    if (poison == POISON_NONE && !world->strict_order &&
        random_chance(&world->random, world->nack_percent)) {
        send_frame(pipe, (struct frame){.type = FRAME_NACK, .tag = tag, .id = id});
        return;
    }
    if (poison == POISON_RETURN) {
        send_frame(pipe, (struct frame){.type = FRAME_RETURN, .id = id});
    } else {
        accept(world, sent);
    }
    const uint64_t place = poison == POISON_RETURN ? 0 : ++world->log_end;
    pipe->unconfirmed[pipe->unconfirmed_count++] =
        (struct unconfirmed){.tag = tag, .id = id, .version = sent.version, .place = place};
}

/* Either everything up to one tag, or a single one out of order, as RabbitMQ does (rabbit_channel:
 * coalesce_and_send). */
void
world_broker_confirms(struct world *world, struct pipe *pipe)
{
    if (pipe->unconfirmed_count == 0) {
        return;
    }
    const size_t pick = (size_t)random_between(&world->random, 0, pipe->unconfirmed_count - 1);
    const uint64_t tag = pipe->unconfirmed[pick].tag;
    /* `multiple` would cover refused tags in between only after their nack was sent, and it was. */
    const bool multiple = random_chance(&world->random, 50);
    size_t kept = 0;
    for (size_t i = 0; i < pipe->unconfirmed_count; i++) {
        const struct unconfirmed each = pipe->unconfirmed[i];
        if (multiple ? each.tag > tag : each.tag != tag) {
            pipe->unconfirmed[kept++] = each;
        } else {
            make_safe(world, &each);
        }
    }
    pipe->unconfirmed_count = kept;
    send_frame(pipe, (struct frame){.type = FRAME_ACK, .tag = tag, .multiple = multiple});
}

void
world_set_blocked(struct world *world, bool blocked)
{
    world->blocked = blocked;
    for (size_t i = 0; i < PIPES_MAX; i++) {
        if (world->pipes[i].used && world->pipes[i].connected) {
            send_frame(&world->pipes[i],
                       (struct frame){.type = blocked ? FRAME_BLOCKED : FRAME_UNBLOCKED});
        }
    }
}
