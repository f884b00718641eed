/* The promises that concern more than one statement or one channel. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

/* ---- at the moment of publishing -------------------------------------------------------------- */

static const struct message *
message_of(const struct row *row)
{
    uint32_t index;
    memcpy(&index, row->message_id, sizeof(index));
    return &world.messages[index];
}

/* No message is published while an earlier one of its key is left behind in either table; or, with strict, while
 * another one of its key is in flight. */
static void
check_order(const struct relay *relay, const struct row *row)
{
    const struct message *message = message_of(row);
    for (uint32_t i = 0; i < world.key_count[message->key]; i++) {
        const struct message *other = &world.messages[world.key_messages[message->key][i]];
        const int64_t id = other->stored.id;
        if (other == message || other->stored.fate != FATE_LIVE || other->aside || message->aside) {
            continue;
        }
        if (other->stuck && other->safe > 0) {
            continue; /* it was published, and may be sent again */
        }
        PROMISE(!world.rules.strict || !relay->in_flight[id],
                "row %ld of key %ld published while row %ld is under way", (long)row->id,
                (long)message->key, (long)id);
        PROMISE(!world_precedes(other, message) || relay->in_flight[id] || relay->confirmed[id],
                "row %ld of key %ld published before row %ld", (long)row->id, (long)message->key,
                (long)id);
    }
}

void
check_publish(const struct relay *relay, const struct row *row, uint32_t lane)
{
    const uint32_t probe_lane = relay->options.lane_count;
    PROMISE(world.owner == relay->index, "relay %d published row %ld without owning the outbox",
            relay->index, (long)row->id);
    PROMISE(!relay->in_flight[row->id], "row %ld published while it is in flight", (long)row->id);
    PROMISE(!relay->confirmed[row->id], "row %ld published after its confirm", (long)row->id);
    /* Otherwise it would overtake messages that were written before it was due. */
    PROMISE(!message_of(row)->stored.scheduled,
            "row %ld published in the place from before its time", (long)row->id);
    PROMISE(!row->scheduled, "row %ld published without its payload", (long)row->id);
    const bool probe = relay->probe[row->id] && row->position == 0;
    PROMISE((lane == probe_lane) == probe, "row %ld published on lane %u", (long)row->id, lane);
    PROMISE(probe || message_of(row)->stored.fate != FATE_DISCARDED,
            "row %ld published after it was discarded", (long)row->id);
    PROMISE(relay->links[lane].pipe != NULL, "row %ld published on a lane that is down",
            (long)row->id);
    PROMISE(!relay->links[lane].leaving, "row %ld published on a lane that is to move",
            (long)row->id);
    PROMISE(!relay->links[lane].blocked, "row %ld published to a blocked broker", (long)row->id);
    if (message_of(row)->key != 0) {
        check_order(relay, row);
    }
}

/* In any time no more messages go than rate_max allows in it, and a burst. */
void
check_rate(struct relay *relay)
{
    const uint64_t rate = relay->options.rate_max;
    const uint64_t allowed = (world.now_us - relay->ahead_us) * rate;
    const uint64_t burst = CLOCK_S_US + rate * BUCKET_BURST_US;
    if (rate > 0) {
        relay->ahead = (relay->ahead > allowed ? relay->ahead - allowed : 0) + CLOCK_S_US;
        relay->ahead_us = world.now_us;
        PROMISE(relay->ahead <= burst, "relay %d publishes more than %" PRIu64 " a second",
                relay->index, rate);
    }
}

/* A lane moves when it was asked to and has nothing in flight, of earlier ownerships neither. */
void
check_move(const struct relay *relay, uint32_t lane)
{
    const struct link *link = &relay->links[lane];
    PROMISE(link->leaving, "lane %u moves without being asked to", lane);
    for (uint64_t tag = 1; tag <= link->sent_count; tag++) {
        PROMISE(link->sent[tag].id == 0, "row %ld is in flight on lane %u, which moves",
                (long)link->sent[tag].id, lane);
    }
}

/* ---- other actions ---------------------------------------------------------------------------- */

/* On a route that is known to be bad no message loses an attempt. That the route is good again is reported after its
 * consequences. */
static void
check_charge(struct relay *relay, const struct hold *hold)
{
    const struct slot *slot = &world.slots[hold->id];
    const uint32_t before = slot->place == PLACE_HELD ? slot->attempts : 0;
    if (relay->degraded && hold->attempts > before) {
        relay->charged_id = hold->id;
    }
}

/* A message in flight is not set aside. (A held message is: the result of its last attempt may be written after the
 * next one has begun.) */
void
check_hold(struct relay *relay, const struct pipeline_action *action)
{
    for (size_t i = 0; i < action->count; i++) {
        const struct hold *hold = &action->holds[i];
        const bool held = relay->probe[hold->id];
        check_charge(relay, hold);
        PROMISE(held || !relay->in_flight[hold->id], "row %ld is set aside while in flight",
                (long)hold->id);
        PROMISE(held || !relay->confirmed[hold->id], "row %ld is set aside after its confirm",
                (long)hold->id);
        for (size_t k = 0; k < i; k++) {
            PROMISE(action->holds[k].id != hold->id, "row %ld is set aside twice in one statement",
                    (long)hold->id);
        }
    }
}

/* It may belong to the trouble before. */
static bool
is_for_trouble(const char *reason)
{
    const bool returns = strcmp(reason, "unroutable") == 0;
    const bool nacks = strstr(reason, "basic.nack") != NULL;
    switch (world.route.trouble) {
    case TROUBLE_RETURNS:
        return returns;
    case TROUBLE_NACKS:
        return nacks;
    case TROUBLE_CLOSES:
        return !returns && !nacks;
    case TROUBLE_NONE:
        break;
    }
    return false;
}

/* Held messages that the relay retries, so far without success. */
static uint32_t
count_retrying(const struct relay *relay)
{
    uint32_t count = 0;
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct slot *slot = &world.slots[id];
        count += slot->place == PLACE_HELD && slot->state == HELD_RETRYING && !relay->confirmed[id];
    }
    return count;
}

/* A route that took nothing since it was reported as bad is not reported as good, unless there are too few messages to
 * decide. */
static void
check_healed(const struct relay *relay)
{
    const bool lasts =
        world.route.trouble != TROUBLE_NONE && relay->bad_route == world.route.number;
    PROMISE(!world.only_route || !lasts || count_retrying(relay) < MANY_RETRYING,
            "relay %d calls a route good that takes nothing", relay->index);
}

void
check_report(struct relay *relay, const struct pipeline_report *report)
{
    world_note(&world, "relay %d reports %d: row %ld, attempts %u, count %" PRIu64 " %s",
               relay->index, report->type, (long)report->id, report->attempts, report->count,
               report->reason);
    switch (report->type) {
    case REPORT_SWEPT:
        PROMISE(world.late_rows || world.missed_percent > 0, "the regular look missed row %ld",
                (long)report->id);
        world_count(&world, EVENT_SWEPT);
        break;
    case REPORT_GONE:
        PROMISE(world.acted, "row %ld is gone, and nobody took it", (long)report->id);
        break;
    case REPORT_DEGRADED:
        PROMISE(world.refusing, "relay %d calls a good route bad", relay->index);
        relay->degraded = true;
        relay->bad_route = is_for_trouble(report->reason) ? world.route.number : 0;
        world_count(&world, EVENT_DEGRADED);
        break;
    case REPORT_FULL:
        world_count(&world, EVENT_FULL);
        break;
    case REPORT_REFUSED:
    case REPORT_DEAD:
        PROMISE(world.refusing || world.suspicious, "row %ld was never refused", (long)report->id);
        break;
    case REPORT_HEALED:
        check_healed(relay);
        relay->degraded = false;
        relay->charged_id = 0;
        break;
    case REPORT_TAILING:
        world_count(&world, EVENT_TAILING);
        break;
    case REPORT_POLLING:
        world_count(&world, EVENT_POLLING);
        break;
    case REPORT_UNMOVED:
    case REPORT_UNDELETED:
        world_count(&world, EVENT_FAILED_MOVE);
        break;
    case REPORT_SENT:
    case REPORT_TIMEOUT:
        break;
    }
}

static uint64_t
longest_look_us(const struct pipeline_options *options)
{
    return options->rest_after_us == CLOCK_NEVER_US ||
                   options->look_interval_idle_us < options->look_interval_us
               ? options->look_interval_us
               : options->look_interval_idle_us;
}

/* The core asks often enough for acts of operators, and then for the heads. */
void
check_idle(const struct relay *relay)
{
    if (!relay->session || !relay->owned_told || !relay->heads_told || relay->draining) {
        return;
    }
    PROMISE(!relay->acts_told || request_is_out(relay, REQUEST_HEADS),
            "relay %d does not look at what operators did", relay->index);
    PROMISE(request_is_out(relay, REQUEST_WAKE) ||
                world.now_us < relay->wake_asked_us + longest_look_us(&relay->options),
            "relay %d does not look for what operators did", relay->index);
}

void
check_drained(const struct relay *relay)
{
    struct pipeline_counts counts;
    pipeline_counts(relay->pipeline, &counts);
    PROMISE(relay->draining, "relay %d has drained unasked", relay->index);
    PROMISE(relay->loans == NULL, "relay %d keeps rows after the drain", relay->index);
    PROMISE(counts.in_flight == 0 && counts.unsettled == 0, "relay %d leaves work behind",
            relay->index);
    PROMISE(!request_is_out(relay, REQUEST_SETTLE) && !request_is_out(relay, REQUEST_HOLD) &&
                !request_is_out(relay, REQUEST_RELEASE),
            "relay %d leaves requests behind", relay->index);
}

/* What is left behind would be sent again. */
void
check_yield(const struct relay *relay)
{
    struct pipeline_counts counts;
    pipeline_counts(relay->pipeline, &counts);
    PROMISE(counts.lanes_ready == 0, "relay %d reaches the broker, and gives up", relay->index);
    PROMISE(counts.in_flight == 0 && counts.unsettled == 0, "relay %d leaves work behind",
            relay->index);
    PROMISE(!request_is_out(relay, REQUEST_SETTLE) && !request_is_out(relay, REQUEST_HOLD) &&
                !request_is_out(relay, REQUEST_RELEASE),
            "relay %d leaves requests behind", relay->index);
    PROMISE(relay->options.yield_after_us > 0, "relay %d must not give up", relay->index);
}

/* ---- the state of the world ------------------------------------------------------------------- */

static bool
is_dead(const struct slot *slot)
{
    return slot->place == PLACE_HELD && slot->state == HELD_DEAD;
}

/* A message that closes channels is found after about as many closes as the window can be halved; and again each time
 * that it is tried, or after a relay forgot what it knew. */
static void
check_closes(void)
{
    for (uint32_t i = 1; i < world.message_count; i++) {
        const struct message *message = &world.messages[i];
        const uint32_t finds = 1 + world.resets - message->resets_before;
        PROMISE(message->closes <= finds * CLOSES_MAX, "row %ld closed %u channels",
                (long)message->stored.id, message->closes);
        PROMISE(message->probe_closes <= (finds + message->holds) * CLOSES_MAX,
                "row %ld closed %u channels of probes", (long)message->stored.id,
                message->probe_closes);
    }
}

static void
check_tables(void)
{
    uint32_t live = 0;
    for (uint32_t i = 1; i < world.message_count; i++) {
        const struct message *message = &world.messages[i];
        if (message->stored.fate != FATE_LIVE) {
            continue;
        }
        const struct slot *slot = &world.slots[message->stored.id];
        PROMISE((slot->place == PLACE_OUTBOX || slot->place == PLACE_HELD) && slot->message == i,
                "row %ld is in neither table", (long)message->stored.id);
        live++;
    }
    PROMISE(live == world.live, "%u messages are live, not %u", live, world.live);
}

/* Beyond the limit there are only messages that were in flight when it was reached, and those that operators bring
 * back. */
static void
check_held(void)
{
    uint32_t held = 0;
    uint32_t on_its_way = world.brought_back;
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct slot *slot = &world.slots[id];
        held += slot->place == PLACE_HELD &&
                (slot->state == HELD_RETRYING || (slot->state == HELD_DEAD && !slot->skipped));
    }
    for (int i = 0; i < RELAYS_MAX; i++) {
        const struct pipeline_options *options = &relays[i].options;
        on_its_way += options->lane_count * options->window_messages + options->batch_rows;
    }
    PROMISE(held <= world.rules.held_max + on_its_way, "%u messages are held, with a limit of %u",
            held, world.rules.held_max);
}

void
check_world(void)
{
    check_held();
    check_tables();
    check_closes();
}

/* By hash: two keys with the same hash are one for the relay. */
static bool
is_led(int64_t key)
{
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct slot *slot = &world.slots[id];
        if (is_dead(slot) && !slot->skipped &&
            world_key_hash(world.messages[slot->message].key) == world_key_hash(key)) {
            return true;
        }
    }
    return false;
}

static uint32_t
count_dead(void)
{
    uint32_t count = 0;
    for (int64_t id = 1; id < world.next_id; id++) {
        const struct slot *slot = &world.slots[id];
        count += is_dead(slot) && !slot->skipped;
    }
    return count;
}

/* A row that is still to be sent, or 0. */
static int64_t
find_unsettled(void)
{
    const bool full = count_dead() >= world.rules.held_max;
    for (int64_t id = 1; id < world.next_id && !full; id++) {
        const struct slot *slot = &world.slots[id];
        const bool held = slot->place == PLACE_HELD;
        const bool waits =
            held && slot->state == HELD_WAITING && is_led(world.messages[slot->message].key);
        if (slot->place == PLACE_OUTBOX || (held && !is_dead(slot) && !waits)) {
            return id;
        }
    }
    return 0;
}

bool
is_settled_down(void)
{
    return find_unsettled() == 0;
}

static void
note_counts(const struct relay *relay)
{
    struct pipeline_counts counts;
    struct source_status status;
    pipeline_counts(relay->pipeline, &counts);
    pipeline_status(relay->pipeline, world.now_us, &status);
    world_note(&world,
               "relay %d at the end: session %d, owned %d, lanes ready %u, blocked %d, queued "
               "%" PRIu64 ", in flight %" PRIu64 ", unsettled %" PRIu64 ", held %" PRIu64
               ", requests %zu, %s",
               relay->index, relay->session, counts.owned, counts.lanes_ready, counts.blocked,
               counts.queued, counts.in_flight, counts.unsettled, counts.held, relay->request_count,
               status.paused_reason == NULL ? "" : status.paused_reason);
}

void
check_settled_down(void)
{
    note_counts(&relays[0]);
    note_counts(&relays[1]);
    const int64_t id = find_unsettled();
    const struct slot *slot = &world.slots[id];
    PROMISE(id == 0, "row %ld of key %ld does not go on (place %d, state %d)", (long)id,
            (long)world.messages[slot->message].key, slot->place, slot->state);
}

static bool
is_live(const struct relay *relay)
{
    struct pipeline_counts counts;
    pipeline_counts(relay->pipeline, &counts);
    return counts.tailing;
}

bool
is_up_to_date(const struct relay *relay)
{
    return world.owner == relay->index &&
           (!relay->options.tail || (is_live(relay) && relay->safe_told == world.log.end));
}

void
check_up_to_date(void)
{
    PROMISE(world.owner != NOBODY, "nobody owns the outbox");
    const struct relay *relay = &relays[world.owner];
    PROMISE(!relay->options.tail || is_live(relay), "relay %d does not read the log", relay->index);
    PROMISE(is_up_to_date(relay), "the log ends at %" PRIu64 " and is safe up to %" PRIu64,
            world.log.end, relay->safe_told);
}

void
check_quiet(void)
{
    for (int i = 0; i < RELAYS_MAX; i++) {
        const struct relay *relay = &relays[i];
        const uint64_t *asked = relay->asked;
        /* They come on beats, the first of them early. */
        const uint64_t interval_us = clock_on_beat_us(0, relay->options.sweep_interval_us, 0);
        const uint64_t sweeps = QUIET_US / interval_us + 2;
        const uint64_t most = QUIET_REQUESTS_MAX + 2 * sweeps;
        PROMISE(asked[REQUEST_HOLD] + asked[REQUEST_RELEASE] + asked[REQUEST_SETTLE] == 0,
                "relay %d moves what is not there", i);
        PROMISE(asked[REQUEST_FETCH] <= most && asked[REQUEST_HEADS] <= most &&
                    asked[REQUEST_WAKE] <= most && asked[REQUEST_WATERMARK] <= most,
                "relay %d asks too often with nothing to do", i);
        PROMISE(!is_live(relay) || asked[REQUEST_FETCH] <= sweeps,
                "relay %d reads the log, and the table all the same", i);
    }
}

void
check_end(void)
{
    note_counts(&relays[0]);
    note_counts(&relays[1]);
    for (uint32_t i = 1; i < world.message_count; i++) {
        const struct message *message = &world.messages[i];
        const enum fate fate = message->stored.fate;
        const long id = (long)message->stored.id;
        PROMISE(fate != FATE_LIVE && fate != FATE_OPEN, "row %ld of key %ld never left", id,
                (long)message->key);
        PROMISE(fate != FATE_DELETED || (message->accepted > 0 && message->safe > 0),
                "row %ld lost", id);
        PROMISE(fate != FATE_ROLLED_BACK || message->accepted == 0,
                "row %ld was rolled back and sent", id);
    }
}
