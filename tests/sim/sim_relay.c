/* What a worker does around the core, and what can happen to a relay. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

static bool
chance(unsigned percent)
{
    return world_chance(&world, percent);
}

/* ---- beginning and end ------------------------------------------------------------------------ */

void
relay_start(struct relay *relay)
{
    relay->options.seed = random_next(&world.random);
    relay->pipeline = pipeline_new(&relay->options, world.now_us);
    relay->owned_told = false;
    relay->rival_asked = false;
    relay->frozen = false;
    relay->unaware = false;
    relay->degraded = false;
    relay->bad_route = 0;
    relay->charged_id = 0;
    relay->draining = false;
    relay->drained = false;
    relay->stirred = true;
    relay->ahead = relay->options.rate_max * BUCKET_BURST_US; /* it may begin with one message */
    relay->ahead_us = world.now_us;
    memset(relay->in_flight, 0, sizeof(relay->in_flight));
    memset(relay->confirmed, 0, sizeof(relay->confirmed));
    memset(relay->probe, 0, sizeof(relay->probe));
}

/* Publishes that had not reached the broker are lost with the socket, or still arrive. */
void
relay_cut_lane(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    if (link->pipe != NULL) {
        world.faults++;
        world_cut(&world, link->pipe);
        if (chance(50)) {
            link->pipe->in_count = 0;
        }
    }
    link->pipe = NULL;
    link->connecting = false;
    link->channel_wanted = false;
    link->leaving = false;
    link->blocked = false;
    link->sent_count = 0;
    for (size_t id = 0; id < IDS_MAX; id++) {
        if (relay->row_lane[id] == lane) {
            relay->in_flight[id] = false;
        }
    }
}

void
relay_cut_session(struct relay *relay)
{
    relay->session = false;
    relay->fit = false;
    watermark_done(&relay->watermark);
    requests_drop(relay);
    if (world.owner == relay->index) {
        world.owner = NOBODY;
        world.resets++;
        world.faults++;
    }
}

void
relay_stop(struct relay *relay)
{
    pipeline_free(relay->pipeline);
    loans_drop(relay);
    tail_close(relay);
    for (uint32_t lane = 0; lane <= relay->options.lane_count; lane++) {
        relay_cut_lane(relay, lane);
    }
    relay_cut_session(relay);
}

void
relay_kill(struct relay *relay)
{
    world_note(&world, "relay %d killed", relay->index);
    relay_stop(relay);
    relay_start(relay);
}

/* The only message in flight on this lane; NULL: there are others, or none. */
static struct message *
alone_on(const struct relay *relay, uint32_t lane)
{
    int64_t found = 0;
    for (int64_t id = 1; id < IDS_MAX; id++) {
        if (relay->in_flight[id] && relay->row_lane[id] == lane) {
            if (found != 0) {
                return NULL;
            }
            found = id;
        }
    }
    return found != 0 ? world_message_at(&world, found) : NULL;
}

/* The network fails, and the socket reports it; or the relay itself closes the connection. */
void
relay_lose_lane(struct relay *relay, uint32_t lane)
{
    if (relay->links[lane].pipe == NULL) {
        return;
    }
    world_note(&world, "relay %d loses lane %u", relay->index, lane);
    world.resets++;
    struct message *alone = alone_on(relay, lane);
    if (alone != NULL && ++alone->cuts >= CUTS_ASIDE) {
        world.suspicious = true;
    }
    relay_cut_lane(relay, lane);
    if (chance(70)) {
        pipeline_lane_cut(relay->pipeline, lane, "reset", world.now_us);
    } else {
        pipeline_lane_lost(relay->pipeline, lane, world.now_us);
    }
    relay->stirred = true;
}

/* Another connection is open, and the lane is to move to it; or that one is lost again. */
void
relay_leave_lane(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    if (link->pipe == NULL || lane == relay->options.lane_count) {
        return;
    }
    link->leaving = !link->leaving;
    world_note(&world, "lane %u of relay %d is %sto move", lane, relay->index,
               link->leaving ? "" : "not ");
    pipeline_lane_leave(relay->pipeline, lane, link->leaving);
    relay->stirred = true;
}

void
relay_shut_out(struct relay *relay)
{
    world_note(&world, "relay %d is shut out of the broker", relay->index);
    relay->shut_out = true;
    for (uint32_t lane = 0; lane <= relay->options.lane_count; lane++) {
        relay_lose_lane(relay, lane);
    }
}

/* ---- actions ---------------------------------------------------------------------------------- */

static bool
do_publish(struct relay *relay, const struct row *row, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    struct sent sent = {.id = row->id};
    memcpy(&sent.message, row->message_id, sizeof(sent.message));
    check_publish(relay, row, lane);
    if (!world.mended && world.messages[sent.message].poison == POISON_UNENCODABLE) {
        world_note(&world, "relay %d cannot encode row %ld", relay->index, (long)row->id);
        world.messages[sent.message].refused++;
        pipeline_unpublishable(relay->pipeline, "cannot be encoded", world.now_us);
        loan_return(relay, row);
        return false;
    }
    check_rate(relay);
    world_note(&world, "relay %d publishes row %ld of key %ld on lane %u", relay->index,
               (long)row->id, (long)row->key_hash, lane);
    world_publish(&world, link->pipe, sent);
    assert(link->sent_count + 1 < TAGS_MAX);
    link->sent[++link->sent_count] = sent;
    link->doubtful[link->sent_count] = false;
    relay->in_flight[row->id] = true;
    relay->probe[row->id] &= row->position == 0;
    relay->row_lane[row->id] = lane;
    pipeline_published(relay->pipeline);
    loan_return(relay, row);
    return true;
}

static void
do_publish_run(struct relay *relay, const struct row *row, uint32_t lane)
{
    while (row != NULL) {
        const bool more = do_publish(relay, row, lane) && chance(60);
        row = more ? pipeline_publish_on(relay->pipeline, world.now_us, &lane) : NULL;
    }
}

static void
do_disconnect(struct relay *relay, uint32_t lane)
{
    world_note(&world, "relay %d disconnects lane %u", relay->index, lane);
    world.resets += lane < relay->options.lane_count;
    relay_cut_lane(relay, lane);
}

static void
set_blocked(struct relay *relay, uint32_t lane, bool blocked)
{
    relay->links[lane].blocked = blocked;
    pipeline_lane_blocked(relay->pipeline, lane, blocked, world.now_us);
}

static void
do_move(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    world_note(&world, "relay %d moves lane %u", relay->index, lane);
    world_count(&world, EVENT_MOVED);
    check_move(relay, lane);
    world_cut(&world, link->pipe);
    *link = (struct link){.pipe = world_connect(&world, false)};
    set_blocked(relay, lane, world.blocked);
}

/* It leaves nothing behind that the other one would send again, and there is another one. */
static void
do_yield(struct relay *relay)
{
    world_note(&world, "relay %d leaves the outbox to another", relay->index);
    world_count(&world, EVENT_YIELDED);
    check_yield(relay);
    requests_drop(relay);
    tail_close(relay);
    watermark_done(&relay->watermark);
    relay->session = false;
    relay->fit = false;
    world.owner = NOBODY;
}

static void
do_drained(struct relay *relay)
{
    world_note(&world, "relay %d is drained", relay->index);
    world_count(&world, EVENT_DRAINED);
    check_drained(relay);
    relay->drained = true;
}

static void
do_action(struct relay *relay, const struct pipeline_action *action)
{
    PROMISE(relay->charged_id == 0 || action->type == PIPELINE_REPORT,
            "row %ld is charged on a bad route", (long)relay->charged_id);
    switch (action->type) {
    case PIPELINE_CONNECT:
        PROMISE(action->lane < relay->options.lane_count || world.refusing || world.suspicious,
                "relay %d connects the probe lane for nothing", relay->index);
        relay->links[action->lane].connecting = true;
        break;
    case PIPELINE_OPEN_CHANNEL:
        relay->links[action->lane].channel_wanted = true;
        break;
    case PIPELINE_DISCONNECT:
        do_disconnect(relay, action->lane);
        break;
    case PIPELINE_MOVE:
        do_move(relay, action->lane);
        break;
    case PIPELINE_FETCH:
        PROMISE(relay->heads_told, "relay %d reads before it knows what is held", relay->index);
        request_send(relay, REQUEST_FETCH, action);
        break;
    case PIPELINE_SETTLE:
        request_send(relay, REQUEST_SETTLE, action);
        break;
    case PIPELINE_WATERMARK:
        request_send(relay, REQUEST_WATERMARK, action);
        break;
    case PIPELINE_HOLD:
        check_hold(relay, action);
        request_send(relay, REQUEST_HOLD, action);
        break;
    case PIPELINE_RELEASE:
        request_send(relay, REQUEST_RELEASE, action);
        break;
    case PIPELINE_HEADS:
        request_send(relay, REQUEST_HEADS, action);
        break;
    case PIPELINE_WAKE:
        request_send(relay, REQUEST_WAKE, action);
        break;
    case PIPELINE_TAIL_BEGIN:
        tail_begin(relay, action->position);
        break;
    case PIPELINE_TAIL_END:
        tail_end(relay);
        break;
    case PIPELINE_TAIL_MORE:
        tail_more(relay, (uint32_t)action->count, action->bytes);
        break;
    case PIPELINE_TAIL_SAFE:
        tail_safe(relay, action->position);
        break;
    case PIPELINE_RIVAL:
        relay->rival_asked = true;
        break;
    case PIPELINE_YIELD:
        do_yield(relay);
        break;
    case PIPELINE_PUBLISH:
        do_publish_run(relay, action->row, action->lane);
        break;
    case PIPELINE_DROP:
        loan_return(relay, action->row);
        break;
    case PIPELINE_REPORT:
        check_report(relay, &action->report);
        break;
    case PIPELINE_DRAINED:
        do_drained(relay);
        break;
    }
}

/* A core that says that there is nothing to do must also name a later time, and must have nothing to do before that
 * time if nothing happens. */
static void
relay_rests(struct relay *relay)
{
    relay->next_us = pipeline_deadline_us(relay->pipeline, world.now_us);
    PROMISE(relay->next_us > world.now_us, "relay %d would spin", relay->index);
    check_idle(relay);
    relay->stirred = false;
}

/* Takes some actions, or all. In some runs the core is not asked before its time, like a worker that sleeps until
 * then. */
static void
relay_acts(struct relay *relay)
{
    struct pipeline_action action;
    const bool early = !relay->stirred && world.now_us < relay->next_us;
    if (early && world.punctual) {
        return;
    }
    const uint64_t budget = chance(95) ? random_between(&world.random, 1, 200) : ACTIONS_MAX;
    relay->stirred = true;
    for (uint64_t i = 0; i < budget && !relay->drained; i++) {
        if (!pipeline_next(relay->pipeline, world.now_us, &action)) {
            relay_rests(relay);
            return;
        }
        PROMISE(!early, "relay %d would have slept over action %d", relay->index, action.type);
        PROMISE(i + 1 < ACTIONS_MAX, "relay %d acts without end", relay->index);
        do_action(relay, &action);
    }
}

/* ---- the session with the database ------------------------------------------------------------ */

/* The knowledge about rows ends with the ownership: messages in flight no longer count. */
static void
forget_all(struct relay *relay)
{
    memset(relay->in_flight, 0, sizeof(relay->in_flight));
    memset(relay->confirmed, 0, sizeof(relay->confirmed));
    memset(relay->probe, 0, sizeof(relay->probe));
    for (uint32_t lane = 0; lane <= relay->options.lane_count; lane++) {
        struct link *link = &relay->links[lane];
        for (uint64_t tag = 1; tag <= link->sent_count; tag++) {
            const int64_t id = link->sent[tag].id;
            link->sent[tag].id = id > 0 ? -id : id;
        }
    }
}

static void
lose_session(struct relay *relay)
{
    requests_drop(relay);
    tail_close(relay);
    relay->rival_asked = false;
    if (relay->owned_told) {
        relay->owned_told = false;
        forget_all(relay);
        pipeline_source_lost(relay->pipeline, world.now_us);
        relay->stirred = true;
    }
    relay->session = chance(50);
    relay->heard_us = world.now_us;
}

static void
win_ownership(struct relay *relay)
{
    world.owner = relay->index;
    relay->owned_told = true;
    relay->heads_told = false;
    relay->safe_told = 0;
    relay->acts_told = false;
    relay->wake_asked_us = world.now_us;
    relay->heard_us = world.now_us;
    relay->stirred = true;
    world_note(&world, "relay %d owns the outbox", relay->index);
    world_count(&world, EVENT_TAKEOVER);
    pipeline_source_owned(relay->pipeline, world.now_us);
    pipeline_lease(relay->pipeline, world.now_us + TAKEOVER_US);
}

static bool
has_fit_rival(const struct relay *relay)
{
    for (int i = 0; i < RELAYS_MAX; i++) {
        if (i != relay->index && relays[i].fit) {
            return true;
        }
    }
    return false;
}

static void
answer_rival(struct relay *relay)
{
    relay->rival_asked = false;
    relay->stirred = true;
    pipeline_rival(relay->pipeline, has_fit_rival(relay), world.now_us);
}

/* A standby asks for the ownership, and leaves it to a fit one if it is not fit itself. */
static void
stand_by(struct relay *relay)
{
    relay->heard_us = world.now_us;
    relay->fit = pipeline_reaches_broker(relay->pipeline);
    if (world.owner == NOBODY && (relay->fit || !has_fit_rival(relay))) {
        win_ownership(relay);
    }
}

static void
session_steps(struct relay *relay)
{
    if (relay->unaware && chance(90)) {
        return;
    }
    relay->unaware = false;
    if (!relay->session) {
        lose_session(relay);
        return;
    }
    if (!relay->owned_told) {
        stand_by(relay);
    } else if (relay->rival_asked && chance(50)) {
        answer_rival(relay);
    } else if (world.owner == relay->index && relay->request_count == 0 && chance(20)) {
        relay->heard_us = world.now_us; /* the ping of an idle source */
        pipeline_lease(relay->pipeline, world.now_us + TAKEOVER_US);
        relay->stirred = true;
    }
}

/* ---- the lanes -------------------------------------------------------------------------------- */

/* A return has no tag. It belongs to the first copy in flight: a later one may have been sent before the confirm of a
 * returned one came. */
static uint64_t
tag_of_returned(const struct link *link, int64_t id)
{
    uint64_t tag = 1;
    while (tag < link->sent_count && link->sent[tag].id != id && link->sent[tag].id != -id) {
        tag++;
    }
    return tag;
}

/* If that copy is from an earlier ownership, the return may as well belong to the later copy, whose confirm then proves
 * nothing. */
static void
note_doubt(struct link *link, uint64_t tag)
{
    const int64_t id = -link->sent[tag].id;
    for (uint64_t later = tag + 1; id > 0 && later <= link->sent_count; later++) {
        if (link->sent[later].id == id) {
            link->doubtful[later] = true;
            world.messages[link->sent[later].message].may_repeat = true;
        }
    }
}

static void
note_answer(struct relay *relay, struct link *link, const struct frame *frame, bool confirmed)
{
    for (uint64_t tag = frame->multiple ? 1 : frame->tag; tag <= frame->tag; tag++) {
        const int64_t id = link->sent[tag].id;
        if (id > 0) {
            relay->in_flight[id] = false;
            relay->confirmed[id] |= confirmed && !link->doubtful[tag];
            world.messages[link->sent[tag].message].may_repeat |= !confirmed;
        }
        link->sent[tag].id = 0;
    }
}

static uint32_t
exchange_hash(uint32_t exchange)
{
    const char *name = world_exchange_name(exchange);
    return pipeline_exchange_hash((struct span){(const uint8_t *)name, strlen(name)});
}

static bool
take_frame(struct relay *relay, uint32_t lane, const struct frame *frame)
{
    struct pipeline *pipeline = relay->pipeline;
    struct link *link = &relay->links[lane];
    const uint64_t now_us = world.now_us;
    struct frame returned = *frame;
    const bool leaving = link->leaving;
    switch (frame->type) {
    case FRAME_ACK:
        note_answer(relay, link, frame, true);
        return pipeline_confirmed(pipeline, lane, frame->tag, frame->multiple, now_us);
    case FRAME_NACK:
        note_answer(relay, link, frame, false);
        return pipeline_nacked(pipeline, lane, frame->tag, frame->multiple, now_us);
    case FRAME_RETURN:
        returned.tag = tag_of_returned(link, frame->id);
        note_doubt(link, returned.tag);
        note_answer(relay, link, &returned, false);
        return pipeline_returned(pipeline, lane, frame->id, "unroutable", now_us);
    case FRAME_CLOSE:
        world_note(&world, "relay %d learns that the channel of lane %u is closed", relay->index,
                   lane);
        relay_cut_lane(relay, lane);
        if (frame->connection) {
            pipeline_lane_closed(pipeline, lane, "541 internal error", now_us);
            return true;
        }
        link->leaving = leaving; /* the connection is the same */
        pipeline_channel_closed(pipeline, lane, "404 no exchange",
                                frame->named ? exchange_hash(frame->exchange) : 0, now_us);
        return true;
    case FRAME_CUT:
        world_note(&world, "relay %d learns that lane %u is cut", relay->index, lane);
        relay_cut_lane(relay, lane);
        pipeline_lane_cut(pipeline, lane, "reset", now_us);
        return true;
    case FRAME_BLOCKED:
    case FRAME_UNBLOCKED:
        set_blocked(relay, lane, frame->type == FRAME_BLOCKED);
        return true;
    }
    return false;
}

static void
deliver_frame(struct relay *relay, uint32_t lane)
{
    struct pipe *pipe = relay->links[lane].pipe;
    if (pipe == NULL || pipe->out_count == 0) {
        return;
    }
    const struct frame frame = pipe->out[pipe->out_head];
    pipe->out_head = (pipe->out_head + 1) % PIPE_OUT;
    pipe->out_count--;
    relay->stirred = true;
    PROMISE(take_frame(relay, lane, &frame), "the core did not know tag %" PRIu64 " or row %ld",
            frame.tag, (long)frame.id);
}

static void
open_channel(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    link->channel_wanted = false;
    if (!world.mended && chance(5)) {
        world.resets++;
        if (chance(50)) {
            pipeline_lane_lost(relay->pipeline, lane, world.now_us);
        } else {
            pipeline_channel_closed(relay->pipeline, lane, "530 not allowed", 0, world.now_us);
        }
        return;
    }
    link->pipe = world_connect(&world, lane == relay->options.lane_count);
    link->sent_count = 0;
    pipeline_lane_ready(relay->pipeline, lane, world.now_us);
    set_blocked(relay, lane, world.blocked);
}

static void
link_steps(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    if (link->connecting) {
        link->connecting = false;
        relay->stirred = true;
        if (chance(80) && !relay->shut_out) {
            pipeline_lane_connected(relay->pipeline, lane, world.now_us);
        } else {
            pipeline_lane_lost(relay->pipeline, lane, world.now_us);
        }
    } else if (link->channel_wanted) {
        relay->stirred = true;
        open_channel(relay, lane);
    } else if (link->pipe != NULL) {
        for (uint64_t i = random_between(&world.random, 0, 20); i > 0; i--) {
            deliver_frame(relay, lane);
        }
    }
}

void
relay_steps(struct relay *relay)
{
    if (relay->session && chance(70)) {
        request_execute(relay); /* the server goes on, also while the relay is frozen */
    }
    if (relay->frozen) {
        relay->frozen = chance(95);
        return;
    }
    relay->shut_out = relay->shut_out && random_between(&world.random, 0, 299) > 0;
    session_steps(relay);
    if (relay->session && chance(70)) {
        request_answer(relay);
    }
    for (uint32_t lane = 0; lane <= relay->options.lane_count; lane++) {
        link_steps(relay, lane);
    }
    tail_steps(relay);
    relay_acts(relay);
    if (relay->drained) {
        relay_stop(relay);
        relay_start(relay);
    }
}
