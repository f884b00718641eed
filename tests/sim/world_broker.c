/* The broker: queues as one log, channels that confirm, return, refuse and close. */
#include <assert.h>
#include <string.h>

#include "tests/sim/world.h"

struct pipe *
world_connect(struct world *world, bool probe)
{
    for (size_t i = 0; i < PIPES_MAX; i++) {
        struct pipe *pipe = &world->pipes[i];
        if (!pipe->used || (!pipe->connected && pipe->in_count == 0)) {
            pipe->used = true;
            pipe->closed = false;
            pipe->connected = true;
            pipe->probe = probe;
            pipe->in_head = pipe->in_count = 0;
            pipe->out_head = pipe->out_count = 0;
            pipe->unconfirmed_count = 0;
            pipe->next_tag = 1;
            world->pipe_end = i < world->pipe_end ? world->pipe_end : i + 1;
            return pipe;
        }
    }
    PROMISE(false, "more connections than the simulation has room for");
    return NULL;
}

/* A message may come again only after something went wrong. */
static void
check_repetition(const struct world *world, const struct message *message, int64_t id)
{
    PROMISE(!message->sent || message->may_repeat || world->faults > message->sent_faults,
            "row %ld published twice for nothing", (long)id);
}

void
world_publish(struct world *world, struct pipe *pipe, struct sent sent)
{
    struct message *message = &world->messages[sent.message];
    const enum fate fate = message->stored.fate;
    check_repetition(world, message, sent.id);
    message->sent = true;
    message->may_repeat = false;
    message->sent_faults = world->faults;
    PROMISE(fate != FATE_OPEN && fate != FATE_ROLLED_BACK,
            "row %ld published without a commit, or before it is visible", (long)sent.id);
    PROMISE(fate != FATE_DELETED, "row %ld published after it was settled", (long)sent.id);
    PROMISE(message->stored.due_us <= world->now_us, "row %ld published before its time",
            (long)sent.id);
    PROMISE(fate != FATE_CANCELLED, "row %ld published after it was cancelled", (long)sent.id);
    assert(pipe->in_count < PIPE_IN);
    pipe->in[(pipe->in_head + pipe->in_count++) % PIPE_IN] = sent;
}

static void
send_frame(struct pipe *pipe, struct frame frame)
{
    assert(pipe->out_count < PIPE_OUT);
    pipe->out[(pipe->out_head + pipe->out_count++) % PIPE_OUT] = frame;
}

/* The first time counts, because the consumer's inbox ignores duplicates. If nothing is refused, or if at most one
 * message of a key is in flight, no message may come after one that it precedes. */
static void
check_order(const struct world *world, const struct message *message)
{
    if (message->key == 0 || (world->refusing && !world->rules.strict)) {
        return;
    }
    for (uint32_t i = 0; i < world->key_count[message->key]; i++) {
        const struct message *other = &world->messages[world->key_messages[message->key][i]];
        PROMISE(other->accepted == 0 || other->stored.fate == FATE_FORGOTTEN ||
                    !world_precedes(message, other),
                "row %ld of key %ld reached the queue after row %ld", (long)message->stored.id,
                (long)message->key, (long)other->stored.id);
    }
}

static void
accept(struct world *world, struct message *message)
{
    if (message->stored.fate == FATE_FORGOTTEN) {
        return;
    }
    if (message->accepted == 0) {
        check_order(world, message);
    } else {
        world_count(world, EVENT_DUPLICATE);
    }
    message->accepted++;
}

static void
make_safe(struct world *world, const struct unconfirmed *unconfirmed)
{
    if (unconfirmed->place == 0) {
        return;
    }
    world_note(world, "row %ld is safe", (long)unconfirmed->sent.id);
    world->messages[unconfirmed->sent.message].safe++;
    if (unconfirmed->place > world->queue_safe) {
        world->queue_safe = unconfirmed->place;
    }
}

/* The broker keeps these messages, but nobody gets their confirms. */
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

/* A queue is a log, of which the end may be lost. */
void
world_broker_crash(struct world *world)
{
    const uint64_t end = random_between(&world->random, world->queue_safe, world->queue_end);
    for (size_t i = 0; i < world->pipe_end; i++) {
        struct pipe *pipe = &world->pipes[i];
        size_t kept = 0;
        for (size_t k = 0; k < pipe->unconfirmed_count; k++) {
            struct message *message = &world->messages[pipe->unconfirmed[k].sent.message];
            if (pipe->unconfirmed[k].place <= end) {
                pipe->unconfirmed[kept++] = pipe->unconfirmed[k];
            } else if (message->accepted > 0) {
                message->accepted--;
            }
        }
        pipe->unconfirmed_count = kept;
        keep_unconfirmed(world, pipe);
        pipe->in_count = 0;
    }
}

/* ---- what it does with a message -------------------------------------------------------------- */

enum verdict { VERDICT_TAKE, VERDICT_RETURN, VERDICT_NACK, VERDICT_CLOSE };

static enum verdict
judge_message(struct world *world, const struct message *message)
{
    if (message->poison == POISON_OVERSIZED || message->poison == POISON_CUTTING ||
        world->missing[message->exchange]) {
        return VERDICT_CLOSE;
    }
    if (message->poison == POISON_RETURN) {
        return VERDICT_RETURN;
    }
    return world_chance(world, world->nack_percent) ? VERDICT_NACK : VERDICT_TAKE;
}

static enum verdict
judge(struct world *world, const struct message *message)
{
    static const enum verdict verdicts[] = {VERDICT_TAKE, VERDICT_RETURN, VERDICT_NACK,
                                            VERDICT_CLOSE};
    const struct route *route = &world->route;
    if (world->mended) {
        return VERDICT_TAKE;
    }
    const enum verdict own = judge_message(world, message);
    const bool concerned = route->everywhere || route->exchange == message->exchange;
    return own != VERDICT_CLOSE && route->trouble != TROUBLE_NONE && concerned
               ? verdicts[route->trouble]
               : own;
}

/* The broker took these messages for the same exchange before that went missing, and did not confirm them: judging by
 * its reason, any of them may be the culprit. */
static void
blame_others(struct world *world, const struct pipe *pipe, uint32_t exchange)
{
    for (size_t i = 0; i < pipe->unconfirmed_count; i++) {
        struct message *other = &world->messages[pipe->unconfirmed[i].sent.message];
        other->refused += other->exchange == exchange;
    }
}

/* The broker names a missing exchange, but the relay may not find the name in its message. A cut connection may lose
 * what the broker has sent before. */
static void
close_channel(struct world *world, struct pipe *pipe, struct message *message)
{
    const bool counts = world->route.trouble == TROUBLE_NONE;
    const bool cut = message->poison == POISON_CUTTING;
    const bool named = message->poison != POISON_OVERSIZED && !cut && !world_chance(world, 10);
    if (named) {
        blame_others(world, pipe, message->exchange);
    }
    keep_unconfirmed(world, pipe);
    pipe->closed = true;
    message->refused++;
    message->closes += counts && !pipe->probe;
    message->probe_closes += counts && pipe->probe;
    world_count(world, pipe->probe ? EVENT_CLOSE_PROBE : EVENT_CLOSE_MAIN);
    if (cut && world_chance(world, 50)) {
        pipe->out_count = 0;
    }
    send_frame(pipe,
               (struct frame){.type = cut ? FRAME_CUT : FRAME_CLOSE,
                              .connection = !named && world_chance(world, world->hard_percent),
                              .named = named,
                              .exchange = message->exchange});
}

static void
keep(struct pipe *pipe, const struct unconfirmed *unconfirmed)
{
    assert(pipe->unconfirmed_count < PIPE_IN);
    pipe->unconfirmed[pipe->unconfirmed_count++] = *unconfirmed;
}

void
world_broker_reads(struct world *world, struct pipe *pipe)
{
    if (pipe->in_count == 0 || world->blocked) {
        return;
    }
    const struct sent sent = pipe->in[pipe->in_head];
    struct message *message = &world->messages[sent.message];
    pipe->in_head = (pipe->in_head + 1) % PIPE_IN;
    pipe->in_count--;
    if (pipe->closed) {
        return;
    }
    struct unconfirmed unconfirmed = {.tag = pipe->next_tag++, .sent = sent};
    switch (judge(world, message)) {
    case VERDICT_CLOSE:
        world_note(world, "row %ld closes a channel", (long)sent.id);
        close_channel(world, pipe, message);
        return;
    case VERDICT_NACK:
        world_note(world, "row %ld is nacked", (long)sent.id);
        world_count(world, EVENT_NACK);
        unconfirmed.nack = true;
        break;
    case VERDICT_RETURN:
        world_note(world, "row %ld is returned", (long)sent.id);
        world_count(world, EVENT_RETURN);
        message->refused++;
        send_frame(pipe, (struct frame){.type = FRAME_RETURN, .id = sent.id});
        break;
    case VERDICT_TAKE:
        unconfirmed.place = ++world->queue_end;
        accept(world, message);
        break;
    }
    keep(pipe, &unconfirmed);
}

/* ---- what it says of it ----------------------------------------------------------------------- */

/* All messages up to it get the same answer. */
static bool
may_be_multiple(const struct pipe *pipe, const struct unconfirmed *last)
{
    for (size_t i = 0; i < pipe->unconfirmed_count; i++) {
        if (pipe->unconfirmed[i].tag < last->tag && pipe->unconfirmed[i].nack != last->nack) {
            return false;
        }
    }
    return true;
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
    const struct unconfirmed last = pipe->unconfirmed[pick];
    const bool multiple = world_chance(world, 50) && may_be_multiple(pipe, &last);
    size_t kept = 0;
    for (size_t i = 0; i < pipe->unconfirmed_count; i++) {
        const struct unconfirmed each = pipe->unconfirmed[i];
        if (multiple ? each.tag > last.tag : each.tag != last.tag) {
            pipe->unconfirmed[kept++] = each;
        } else {
            make_safe(world, &each);
        }
    }
    pipe->unconfirmed_count = kept;
    send_frame(pipe, (struct frame){.type = last.nack ? FRAME_NACK : FRAME_ACK,
                                    .tag = last.tag,
                                    .multiple = multiple});
}

void
world_set_blocked(struct world *world, bool blocked)
{
    world->blocked = blocked;
    for (size_t i = 0; i < world->pipe_end; i++) {
        if (world->pipes[i].used && world->pipes[i].connected) {
            send_frame(&world->pipes[i],
                       (struct frame){.type = blocked ? FRAME_BLOCKED : FRAME_UNBLOCKED});
        }
    }
}

void
world_route_breaks(struct world *world)
{
    world->route = (struct route){
        .trouble = (enum trouble)random_between(&world->random, TROUBLE_RETURNS, TROUBLE_CLOSES),
        .everywhere = world_chance(world, 70),
        .exchange = (uint32_t)random_between(&world->random, 0, world->exchanges - 1),
        .until_us = world->now_us + random_between(&world->random, 10000,
                                                   world_chance(world, 20) ? 20000000 : 3000000),
        .number = world->route.number + 1,
        .resets_before = world->resets,
    };
    world_count(world, EVENT_OUTAGE);
    world_note(world, "the route breaks: trouble %d, everywhere %d, exchange %s",
               world->route.trouble, world->route.everywhere,
               world_exchange_name(world->route.exchange));
}

void
world_route_mends(struct world *world)
{
    if (world->route.trouble != TROUBLE_NONE) {
        world_note(world, "the route is mended");
        world->route.trouble = TROUBLE_NONE;
    }
}
