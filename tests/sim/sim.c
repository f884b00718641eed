/* tests/sim/sim.c - the real core against a world that breaks at random, from a seed: transactions
 * that commit late, two relays, lost and reordered confirms, nacks, returns, closed channels, lost
 * connections to either side, a blocked broker, frozen and killed relays, at any point between two
 * actions. The promises of the design are checked at every step; then everything is mended, and all
 * that was committed must have arrived.
 *
 *   sim [--runs N] [--seed S] [--trace]
 *
 * A failing seed is printed, and runs alone with --seed. */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/pipeline.h"
#include "tests/sim/world.h"

#define TAKEOVER_US (3 * CLOCK_S_US)
#define REQUESTS_MAX 4
#define IDS_MAX 4096

enum request_type { REQUEST_FETCH, REQUEST_SETTLE, REQUEST_WATERMARK };

struct request {
    enum request_type type;
    bool executed;
    uint64_t sent_us;
    struct fetch fetch;
    int64_t ids[IDS_MAX];
    int64_t keys[KEYS_MAX + 1];
    size_t id_count;
    struct row *rows;
    size_t count;
    bool complete;
    int64_t final;
};

struct link {
    struct pipe *pipe;
    bool channel_wanted;
    bool blocked;       /* the pipeline was told */
    int64_t sent[8192]; /* row by tag; negative: of an earlier ownership */
    uint64_t sent_count;
    uint64_t confirmed_to;
    bool connecting;
};

struct relay {
    int index;
    struct pipeline *pipeline;
    struct pipeline_options options;
    bool session;    /* connected to the database */
    bool owned_told; /* the pipeline knows that it owns */
    bool frozen;
    bool unaware;      /* the server ended the session and no word of it got through yet */
    uint64_t heard_us; /* when the server last heard of this session */
    struct request requests[REQUESTS_MAX]; /* in the order they were sent */
    size_t request_count;
    struct link links[PIPELINE_LANES_MAX];
    /* What this incarnation knows of each row: in flight on the present channel, and not known to
     * be refused. */
    bool in_flight[ROWS_MAX];
    uint32_t row_lane[ROWS_MAX];
    bool confirmed[ROWS_MAX];
};

static struct world world;
static struct relay relays[RELAYS_MAX];
static uint64_t seed_now;
static struct row *graveyard[1 << 16];
static size_t graveyard_count;

static void
on_abort(int signal_number)
{
    (void)signal_number; /* only SIGABRT comes here */
    char text[100];
    const int length =
        snprintf(text, sizeof(text), "seed %" PRIu64 " failed: sim --seed %" PRIu64 " --trace\n",
                 seed_now, seed_now);
    (void)!write(STDERR_FILENO, text, (size_t)length); /* the process is ending */
}

static bool
chance(unsigned percent)
{
    return random_chance(&world.random, percent);
}

static void
relay_start(struct relay *relay)
{
    relay->options.seed = random_next(&world.random);
    relay->pipeline = pipeline_new(&relay->options, world.now_us);
    memset(relay->in_flight, 0, sizeof(relay->in_flight));
    memset(relay->confirmed, 0, sizeof(relay->confirmed));
}

static void
cut_link(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    if (link->pipe != NULL) {
        world_cut(&world, link->pipe);
        if (chance(50)) {
            link->pipe->in_count =
                0; /* what had not reached the broker is gone with the socket, or still comes */
        }
    }
    *link = (struct link){.pipe = NULL};
    for (size_t id = 0; id < ROWS_MAX; id++) {
        if (relay->row_lane[id] == lane) {
            relay->in_flight[id] = false;
        }
    }
}

static void
cut_session(struct relay *relay)
{
    relay->session = false;
    relay->request_count = 0;
    if (world.owner == relay->index) {
        world.owner = NOBODY;
    }
}

static void
relay_kill(struct relay *relay)
{
    world_note(&world, "relay %d killed", relay->index);
    pipeline_free(relay->pipeline);
    for (uint32_t lane = 0; lane < relay->options.lane_count; lane++) {
        cut_link(relay, lane);
    }
    cut_session(relay);
    relay->owned_told = false;
    relay->frozen = false;
    relay->unaware = false;
    relay_start(relay);
}

static struct request *
add_request(struct relay *relay, enum request_type type)
{
    assert(relay->request_count < REQUESTS_MAX);
    struct request *request = &relay->requests[relay->request_count++];
    *request = (struct request){.type = type, .sent_us = world.now_us};
    return request;
}

static void
do_fetch(struct relay *relay, const struct fetch *fetch)
{
    struct request *request = add_request(relay, REQUEST_FETCH);
    request->fetch = *fetch;
    assert(fetch->id_count <= IDS_MAX && fetch->key_count <= KEYS_MAX);
    if (fetch->id_count > 0) {
        memcpy(request->ids, fetch->ids, fetch->id_count * sizeof(int64_t));
    }
    if (fetch->key_count > 0) {
        memcpy(request->keys, fetch->keys, fetch->key_count * sizeof(int64_t));
    }
}

static void
do_settle(struct relay *relay, const int64_t *ids, size_t count)
{
    struct request *request = add_request(relay, REQUEST_SETTLE);
    memcpy(request->ids, ids, count * sizeof(int64_t));
    request->id_count = count;
}

/* At the moment of publishing: this relay owns the outbox, and no earlier message of the key is
 * left behind. */
static void
check_publish(const struct relay *relay, const struct row *row)
{
    PROMISE(world.owner == relay->index, "relay %d published row %ld without owning the outbox",
            relay->index, (long)row->id);
    PROMISE(!relay->in_flight[row->id], "row %ld published while it is in flight", (long)row->id);
    PROMISE(!relay->confirmed[row->id], "row %ld published after its confirm", (long)row->id);
    for (int64_t id = 1; row->ordered && !world.late_rows && id < row->id; id++) {
        const struct world_row *earlier = &world.rows[id];
        if (earlier->key == row->key_hash && earlier->state == ROW_COMMITTED &&
            earlier->due_us == 0 && earlier->accepted == 0) {
            PROMISE(relay->in_flight[id] || relay->confirmed[id],
                    "row %ld of key %ld published before row %ld", (long)row->id,
                    (long)row->key_hash, (long)id);
        }
    }
}

static void
do_publish(struct relay *relay, const struct row *row, uint32_t lane)
{
    check_publish(relay, row);
    if (!world.mended && world.rows[row->id].poison == POISON_UNENCODABLE) {
        pipeline_unpublishable(relay->pipeline, "cannot be encoded", world.now_us);
        return;
    }
    assert(relay->links[lane].pipe != NULL);
    PROMISE(!relay->links[lane].blocked, "row %ld published to a blocked broker", (long)row->id);
    world_note(&world, "relay %d publishes row %ld of key %ld", relay->index, (long)row->id,
               (long)row->key_hash);
    struct sent sent = {.id = row->id};
    memcpy(&sent.version, row->message_id, sizeof(sent.version));
    world_publish(&world, relay->links[lane].pipe, sent);
    relay->links[lane].sent[++relay->links[lane].sent_count] = row->id;
    relay->in_flight[row->id] = true;
    relay->row_lane[row->id] = lane;
    pipeline_published(relay->pipeline);
}

static void
note_report(const struct relay *relay, const struct pipeline_report *report)
{
    world_note(&world, "relay %d reports %d: row %ld, attempt %u, count %" PRIu64 " %s",
               relay->index, report->type, (long)report->id, report->attempts, report->count,
               report->reason);
}

static void
do_action(struct relay *relay, const struct pipeline_action *action)
{
    switch (action->type) {
    case PIPELINE_CONNECT:
        relay->links[action->lane].connecting = true;
        break;
    case PIPELINE_OPEN_CHANNEL:
        relay->links[action->lane].channel_wanted = true;
        break;
    case PIPELINE_DISCONNECT:
        cut_link(relay, action->lane);
        break;
    case PIPELINE_FETCH:
        do_fetch(relay, &action->fetch);
        break;
    case PIPELINE_SETTLE:
        do_settle(relay, action->ids, action->count);
        break;
    case PIPELINE_WATERMARK:
        (void)add_request(relay, REQUEST_WATERMARK);
        break;
    case PIPELINE_PUBLISH:
        do_publish(relay, action->row, action->lane);
        break;
    case PIPELINE_RELEASE:
        break;
    case PIPELINE_REPORT:
        note_report(relay, &action->report);
        break;
    case PIPELINE_DRAINED:
        PROMISE(false, "nobody drains here");
        break;
    }
}

/* Some actions, or all there are. A core that says "nothing" must also name a time that is not now.
 */
static void
relay_acts(struct relay *relay)
{
    struct pipeline_action action;
    uint64_t budget = random_between(&world.random, 1, 200);
    while (budget-- > 0) {
        if (!pipeline_next(relay->pipeline, world.now_us, &action)) {
            PROMISE(pipeline_deadline_us(relay->pipeline, world.now_us) > world.now_us,
                    "relay %d would spin", relay->index);
            return;
        }
        do_action(relay, &action);
    }
}

static void
execute_next(struct relay *relay)
{
    for (size_t i = 0; i < relay->request_count; i++) {
        struct request *request = &relay->requests[i];
        if (request->executed) {
            continue;
        }
        request->executed = true;
        relay->heard_us = world.now_us;
        if (request->type == REQUEST_SETTLE) {
            world_settle(&world, request->ids, request->id_count);
        } else if (request->type == REQUEST_WATERMARK) {
            request->final = world_final(&world);
        } else {
            request->rows = calloc(request->fetch.rows_max, sizeof(struct row));
            assert(request->rows != NULL &&
                   graveyard_count < sizeof(graveyard) / sizeof(graveyard[0]));
            graveyard[graveyard_count++] = request->rows;
            world_fetch(&world, &request->fetch, request->ids, request->keys, request->rows,
                        &request->count, &request->complete);
        }
        return;
    }
}

static void
answer_next(struct relay *relay)
{
    if (relay->request_count == 0 || !relay->requests[0].executed) {
        return;
    }
    static struct request request;
    request = relay->requests[0];
    relay->request_count--;
    memmove(relay->requests, relay->requests + 1, relay->request_count * sizeof(request));
    pipeline_lease(relay->pipeline, request.sent_us + TAKEOVER_US);
    if (request.type == REQUEST_SETTLE) {
        pipeline_settled(relay->pipeline, world.now_us);
    } else if (request.type == REQUEST_WATERMARK) {
        pipeline_final(relay->pipeline, request.final, world.now_us);
    } else {
        pipeline_rows(relay->pipeline, request.rows, request.count, request.complete, world.now_us);
    }
}

/* With the ownership goes what was known of rows: what is in flight counts for nothing any more. */
static void
forget_all(struct relay *relay)
{
    memset(relay->in_flight, 0, sizeof(relay->in_flight));
    memset(relay->confirmed, 0, sizeof(relay->confirmed));
    for (uint32_t lane = 0; lane < relay->options.lane_count; lane++) {
        struct link *link = &relay->links[lane];
        for (uint64_t tag = 1; tag <= link->sent_count; tag++) {
            link->sent[tag] = link->sent[tag] > 0 ? -link->sent[tag] : link->sent[tag];
        }
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
        relay->request_count = 0;
        if (relay->owned_told) {
            relay->owned_told = false;
            forget_all(relay);
            pipeline_source_lost(relay->pipeline, world.now_us);
        }
        relay->session = chance(50);
        relay->heard_us = world.now_us;
        return;
    }
    if (!relay->owned_told) {
        relay->heard_us = world.now_us; /* a standby asks for the lock from time to time */
    }
    if (world.owner == NOBODY && !relay->owned_told) {
        world.owner = relay->index;
        relay->owned_told = true;
        relay->heard_us = world.now_us;
        world_note(&world, "relay %d owns the outbox", relay->index);
        pipeline_source_owned(relay->pipeline, world.now_us);
        pipeline_lease(relay->pipeline, world.now_us + TAKEOVER_US);
    } else if (world.owner == relay->index && relay->request_count == 0 && chance(20)) {
        relay->heard_us = world.now_us; /* the ping of an idle source */
        pipeline_lease(relay->pipeline, world.now_us + TAKEOVER_US);
    }
}

/* The server ends sessions that have been silent for the takeover time. */
static void
expire_sessions(void)
{
    for (int i = 0; i < RELAYS_MAX; i++) {
        struct relay *relay = &relays[i];
        if (relay->session && world.now_us - relay->heard_us >= TAKEOVER_US) {
            world_note(&world, "the server ends the session of relay %d", i);
            cut_session(relay);
            relay->unaware = chance(50);
        }
    }
}

static void
note_refused(struct relay *relay, struct link *link, uint64_t tag)
{
    if (link->sent[tag] > 0) {
        relay->in_flight[link->sent[tag]] = false;
    }
    link->sent[tag] = 0;
}

/* A return has no tag. It is for the first copy that is out: a later one may be on its way before
 * the confirm of a returned one has come. */
static uint64_t
tag_of_returned(const struct link *link, int64_t id)
{
    uint64_t tag = 1;
    while (tag < link->sent_count && link->sent[tag] != id && link->sent[tag] != -id) {
        tag++;
    }
    return tag;
}

static void
note_confirmed(struct relay *relay, struct link *link, const struct frame *frame)
{
    for (uint64_t tag = frame->multiple ? 1 : frame->tag; tag <= frame->tag; tag++) {
        const int64_t id = link->sent[tag];
        if (id > 0) {
            relay->in_flight[id] = false;
            relay->confirmed[id] = true;
        }
        link->sent[tag] = 0;
    }
}

static void
set_blocked(struct relay *relay, uint32_t lane, bool blocked)
{
    relay->links[lane].blocked = blocked;
    pipeline_lane_blocked(relay->pipeline, lane, blocked, world.now_us);
}

static void
deliver_frame(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    struct pipe *pipe = link->pipe;
    if (pipe == NULL || pipe->out_count == 0) {
        return;
    }
    const struct frame frame = pipe->out[pipe->out_head];
    pipe->out_head = (pipe->out_head + 1) % (sizeof(pipe->out) / sizeof(pipe->out[0]));
    pipe->out_count--;
    bool known = true;
    switch (frame.type) {
    case FRAME_ACK:
        note_confirmed(relay, link, &frame);
        known = pipeline_confirmed(relay->pipeline, lane, frame.tag, frame.multiple, world.now_us);
        break;
    case FRAME_NACK:
        note_refused(relay, link, frame.tag);
        known = pipeline_nacked(relay->pipeline, lane, frame.tag, frame.multiple, world.now_us);
        break;
    case FRAME_RETURN:
        note_refused(relay, link, tag_of_returned(link, frame.id));
        known = pipeline_returned(relay->pipeline, lane, frame.id, "unroutable", world.now_us);
        break;
    case FRAME_CLOSE:
        cut_link(relay, lane);
        pipeline_channel_closed(relay->pipeline, lane, "404 no exchange", world.now_us);
        break;
    case FRAME_BLOCKED:
        set_blocked(relay, lane, true);
        break;
    case FRAME_UNBLOCKED:
        set_blocked(relay, lane, false);
        break;
    }
    PROMISE(known, "the core did not know tag %" PRIu64 " or row %ld", frame.tag, (long)frame.id);
}

static void
link_steps(struct relay *relay, uint32_t lane)
{
    struct link *link = &relay->links[lane];
    if (link->connecting) {
        link->connecting = false;
        if (chance(80)) {
            pipeline_lane_connected(relay->pipeline, lane, world.now_us);
        } else {
            pipeline_lane_lost(relay->pipeline, lane, world.now_us);
        }
    } else if (link->channel_wanted) {
        link->channel_wanted = false;
        link->pipe = world_connect(&world);
        pipeline_lane_ready(relay->pipeline, lane, world.now_us);
        set_blocked(relay, lane, world.blocked);
    } else {
        for (uint64_t i = random_between(&world.random, 0, 20); i > 0; i--) {
            deliver_frame(relay, lane);
        }
    }
}

static void
broker_steps(void)
{
    for (size_t i = 0; i < PIPES_MAX; i++) {
        struct pipe *pipe = &world.pipes[i];
        if (!pipe->used) {
            continue;
        }
        for (uint64_t n = random_between(&world.random, 0, 10); n > 0; n--) {
            world_broker_reads(&world, pipe);
        }
        if (pipe->connected && !pipe->closed && chance(50)) {
            world_broker_confirms(&world, pipe);
        }
    }
}

static void
broker_crash(void)
{
    world_note(&world, "the broker crashes");
    world_broker_crash(&world);
    for (int i = 0; i < RELAYS_MAX; i++) {
        for (uint32_t lane = 0; lane < relays[i].options.lane_count; lane++) {
            if (relays[i].links[lane].pipe != NULL) {
                cut_link(&relays[i], lane);
                pipeline_lane_lost(relays[i].pipeline, lane, world.now_us);
            }
        }
    }
}

static void
database_crash(void)
{
    world_note(&world, "the database crashes");
    world_database_crash(&world);
    cut_session(&relays[0]);
    cut_session(&relays[1]);
}

static void
fault(struct relay *relay)
{
    const uint32_t lane = (uint32_t)random_between(&world.random, 0, relay->options.lane_count - 1);
    switch (random_between(&world.random, 0, 8)) {
    case 0:
        relay_kill(relay);
        break;
    case 1:
        cut_session(relay);
        break;
    case 2:
        if (relay->links[lane].pipe != NULL) {
            world_note(&world, "relay %d loses lane %u", relay->index, lane);
            cut_link(relay, lane);
            pipeline_lane_lost(relay->pipeline, lane, world.now_us);
        }
        break;
    case 3:
        relay->frozen = true;
        world_note(&world, "relay %d frozen", relay->index);
        break;
    case 4:
        world_set_blocked(&world, !world.blocked);
        break;
    case 5:
        world.now_us += random_between(&world.random, 0, 2 * TAKEOVER_US);
        break;
    case 6:
        pipeline_lane_congested(relay->pipeline, lane, chance(50));
        break;
    case 7:
        broker_crash();
        break;
    case 8:
        database_crash();
        break;
    default:
        break;
    }
}

static void
relay_steps(struct relay *relay)
{
    if (relay->session && chance(70)) {
        execute_next(relay); /* the server goes on whether the relay is frozen or not */
    }
    if (relay->frozen) {
        relay->frozen = chance(95);
        return;
    }
    session_steps(relay);
    if (relay->session && chance(70)) {
        answer_next(relay);
    }
    for (uint32_t lane = 0; lane < relay->options.lane_count; lane++) {
        link_steps(relay, lane);
    }
    relay_acts(relay);
}

static void
step(void)
{
    world.now_us += random_between(&world.random, 10, 5000);
    expire_sessions();
    broker_steps();
    for (int i = 0; i < RELAYS_MAX; i++) {
        relay_steps(&relays[i]);
    }
}

static void
mend(void)
{
    world_note(&world, "everything is mended");
    world.mended = true;
    world.nack_percent = 0;
    if (world.blocked) {
        world_set_blocked(&world, false);
    }
    world_end_all(&world);
    for (int i = 0; i < RELAYS_MAX; i++) {
        relays[i].frozen = false;
        for (uint32_t lane = 0; lane < relays[i].options.lane_count; lane++) {
            pipeline_lane_congested(relays[i].pipeline, lane, false);
        }
    }
}

static struct pipeline_options
choose_options(void)
{
    struct pipeline_options options = pipeline_defaults();
    options.lane_count = (uint32_t)random_between(&world.random, 1, 3);
    options.window_messages = (uint32_t)random_between(&world.random, 1, 64);
    options.batch_rows = (uint32_t)random_between(&world.random, 1, 40);
    options.confirm_timeout_us = 2 * CLOCK_S_US;
    options.sweep_interval_us = random_between(&world.random, 1, 10) * CLOCK_S_US;
    options.retry_initial_us = random_between(&world.random, 1, 50) * CLOCK_MS_US;
    options.retry_max_us = CLOCK_S_US;
    options.reconnect_max_us = CLOCK_S_US;
    options.paused_max = (uint32_t)random_between(&world.random, 2, 50);
    return options;
}

static void
note_counts(const struct relay *relay)
{
    struct pipeline_counts counts;
    pipeline_counts(relay->pipeline, &counts);
    world_note(
        &world,
        "relay %d at the end: session %d, owned %d, lanes ready %u, blocked %d, queued %" PRIu64
        ", in flight %" PRIu64 ", unsettled %" PRIu64 ", paused %" PRIu64 ", requests %zu",
        relay->index, relay->session, counts.owned, counts.lanes_ready, counts.blocked,
        counts.queued, counts.in_flight, counts.unsettled, counts.paused, relay->request_count);
}

static void
check_end(void)
{
    note_counts(&relays[0]);
    note_counts(&relays[1]);
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct world_row *row = &world.rows[id];
        PROMISE(row->state == ROW_DELETED || row->state == ROW_ROLLED_BACK,
                "row %ld of key %ld never left (state %d)", (long)id, (long)row->key, row->state);
        PROMISE(row->state != ROW_DELETED || (row->accepted > 0 && row->safe > 0), "row %ld lost",
                (long)id);
        PROMISE(row->state != ROW_ROLLED_BACK || row->accepted == 0,
                "row %ld was rolled back and sent", (long)id);
    }
}

static void
start_run(uint64_t seed)
{
    seed_now = seed;
    world_init(&world, seed);
    world.strict_order = chance(30);
    world.nack_percent = chance(50) ? 3 : 0;
    world.late_rows = !world.strict_order && chance(10);
    memset(relays, 0, sizeof(relays));
    for (int i = 0; i < RELAYS_MAX; i++) {
        relays[i].index = i;
        relays[i].options = choose_options();
        relay_start(&relays[i]);
    }
}

static uint64_t
run(uint64_t seed)
{
    start_run(seed);
    const unsigned fault_percent = chance(20) ? 0 : (unsigned)random_between(&world.random, 1, 8);
    const uint64_t chaos = random_between(&world.random, 100, 2500);
    for (uint64_t i = 0; i < chaos; i++) {
        if (world.next_id < ROWS_MAX - 8 && chance(40)) {
            world_begin(&world);
        }
        if (chance(45)) {
            world_end_some(&world);
        }
        if (chance(fault_percent)) {
            fault(&relays[random_between(&world.random, 0, RELAYS_MAX - 1)]);
        }
        step();
    }
    mend();
    /* A lost row would wait for nothing: the sweep comes within ten seconds, a retry within one. */
    for (uint64_t i = 0; i < 60000 && world_left(&world) > 0; i++) {
        step();
    }
    check_end();
    for (int i = 0; i < RELAYS_MAX; i++) {
        pipeline_free(relays[i].pipeline);
    }
    while (graveyard_count > 0) {
        free(graveyard[--graveyard_count]);
    }
    return world.duplicates;
}

int
main(int argc, char **argv)
{
    uint64_t runs = 1000;
    uint64_t first = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            world.trace = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--runs") == 0) {
            runs = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            first = strtoull(argv[++i], NULL, 10);
            runs = 1;
        } else {
            (void)fprintf(stderr, "usage: sim [--runs N] [--seed S] [--trace]\n");
            return 64;
        }
    }
    (void)signal(SIGABRT, on_abort);
    uint64_t duplicates = 0;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        duplicates += run(seed);
    }
    (void)printf("%" PRIu64 " runs, no promise broken, %" PRIu64 " duplicates\n", runs, duplicates);
    return 0;
}
