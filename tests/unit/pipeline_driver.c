#include "tests/unit/pipeline_driver.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pipeline_tables.h"

#define NOTES_MAX 100000
#define COPIES_BYTES ((size_t)16 << 20)
#define TAGS_MAX 20000

struct sent {
    int64_t ids[TAGS_MAX]; /* by tag; 0: answered */
    uint64_t next;
    enum { QUIET, CONNECTING, OPENING } asked;
};

struct driver driver;
static struct note notes[NOTES_MAX];
static size_t note_count;
static char copies[COPIES_BYTES];
static size_t copies_used;
static struct sent lanes[PIPELINE_LANES_MAX];

/* ---- what the core wants -------------------------------------------------------------------------- */

static void *
copy(const void *from, size_t bytes)
{
    char *const to = &copies[copies_used];
    copies_used += (bytes + 15) / 16 * 16;
    cr_assert_lt(copies_used, COPIES_BYTES);
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to;
}

static void
copy_holds(struct pipeline_action *action)
{
    struct hold *holds = copy(action->holds, action->count * sizeof(*holds));
    for (size_t i = 0; i < action->count; i++) {
        if (holds[i].reason != NULL) {
            holds[i].reason = copy(holds[i].reason, strlen(holds[i].reason) + 1);
        }
    }
    action->holds = holds;
}

static struct note *
add_note(const struct pipeline_action *action)
{
    cr_assert_lt(note_count, NOTES_MAX);
    struct note *note = &notes[note_count++];
    *note = (struct note){.action = *action};
    if (action->row != NULL) {
        note->id = action->row->id;
        cr_assert_gt(driver.rows_out, 0, "row %ld is given back twice", (long)note->id);
        driver.rows_out--;
    }
    note->action.fetch.ids = copy(action->fetch.ids, action->fetch.id_count * sizeof(int64_t));
    note->action.release.ids =
        copy(action->release.ids, action->release.id_count * sizeof(int64_t));
    note->action.release.keys =
        copy(action->release.keys, action->release.key_count * sizeof(int64_t));
    if (action->type == PIPELINE_HOLD) {
        copy_holds(&note->action);
    } else if (action->type == PIPELINE_SETTLE) {
        note->action.ids = copy(action->ids, action->count * sizeof(int64_t));
    }
    return note;
}

static void
check_order(int64_t id)
{
    const struct message *message = message_of(id);
    for (int64_t other = 1; other < id && message->ordered; other++) {
        const struct message *earlier = message_of(other);
        cr_assert_not(earlier->place != NOWHERE && earlier->ordered && !earlier->skipped &&
                          earlier->key == message->key && earlier->refused,
                      "%ld is published, and %ld of its key was refused", (long)id, (long)other);
    }
}

static void
do_publish(struct note *note)
{
    const int64_t id = note->id;
    struct sent *sent = &lanes[note->action.lane];
    note->probe = note->action.lane == driver.options.lane_count;
    if (id > 0) {
        cr_assert_eq(message_of(id)->place, note->probe ? IN_HELD : IN_OUTBOX,
                     "%ld is not where it was read", (long)id);
        check_order(id);
    }
    if (driver.unpublishable != NULL) {
        message_of(id)->refused = true;
        pipeline_unpublishable(driver.pipeline, driver.unpublishable, driver.now_us);
        return;
    }
    if (id > 0) {
        message_of(id)->sent++;
    }
    cr_assert_lt(sent->next, TAGS_MAX);
    sent->ids[sent->next++] = id;
    pipeline_published(driver.pipeline);
}

static void
act(const struct pipeline_action *action)
{
    struct note *note = add_note(action);
    tables_ask(&note->action);
    if (action->type == PIPELINE_PUBLISH) {
        do_publish(note);
    } else if (action->type == PIPELINE_CONNECT) {
        lanes[action->lane].asked = CONNECTING;
    } else if (action->type == PIPELINE_OPEN_CHANNEL) {
        lanes[action->lane].asked = OPENING;
    } else if (action->type == PIPELINE_DISCONNECT || action->type == PIPELINE_MOVE) {
        lanes[action->lane] = (struct sent){.next = 1};
    } else if (action->type == PIPELINE_DRAINED) {
        cr_assert_eq(driver.rows_out, 0);
        driver.drained = true;
    }
}

static void
go_on(void)
{
    struct pipeline_action action;
    while (!driver.drained && pipeline_next(driver.pipeline, driver.now_us, &action)) {
        act(&action);
    }
}

static void
forget_notes(void)
{
    note_count = 0;
    copies_used = 0;
}

void
turn(void)
{
    forget_notes();
    go_on();
}

static void
pass(uint64_t us)
{
    driver.now_us += us;
    if (!driver.lease_runs_out) {
        pipeline_lease(driver.pipeline, driver.now_us + 10 * CLOCK_S_US);
    }
}

void
later(uint64_t us)
{
    pass(us);
    turn();
}

/* ---- answers -------------------------------------------------------------------------------------- */

void
answer_fetch(void)
{
    if (!out.fetch_out) {
        go_on();
        return;
    }
    out.fetch_out = false;
    if (out.fetch_asked.kind == FETCH_PRESENT) {
        pipeline_present(driver.pipeline, &out.present, driver.now_us);
    } else {
        driver.rows_out += out.rows.count;
        pipeline_rows(driver.pipeline, &out.rows, driver.now_us);
    }
    go_on();
}

void
answer_fetch_with(struct row *rows, size_t count)
{
    cr_assert(out.fetch_out);
    out.fetch_out = false;
    driver.rows_out += count;
    pipeline_rows(driver.pipeline, &(struct batch){.rows = rows, .count = count, .complete = true},
                  driver.now_us);
    go_on();
}

void
answer_settle(void)
{
    if (out.settle_out) {
        out.settle_out = false;
        tables_settled();
        pipeline_settled(driver.pipeline, &out.settled, driver.now_us);
    }
    go_on();
}

void
answer_hold(void)
{
    if (out.hold_out) {
        out.hold_out = false;
        tables_held();
        pipeline_held(driver.pipeline, &out.held, driver.now_us);
    }
    go_on();
}

void
answer_release(void)
{
    if (out.release_out) {
        out.release_out = false;
        pipeline_released(driver.pipeline, &out.released, driver.now_us);
    }
    go_on();
}

void
answer_heads(void)
{
    if (out.heads_out) {
        out.heads_out = false;
        pipeline_heads(driver.pipeline, &out.heads, driver.now_us);
    }
    go_on();
}

void
answer_wake(void)
{
    if (out.wake_out) {
        out.wake_out = false;
        out.woken.acts = driver.acts;
        driver.acts = false;
        pipeline_woken(driver.pipeline, &out.woken, driver.now_us);
    }
    go_on();
}

void
answer_watermark(void)
{
    if (out.watermark_out) {
        out.watermark_out = false;
        pipeline_final(driver.pipeline, &out.final, driver.now_us);
    }
    go_on();
}

static void
answer_begin(void)
{
    if (driver.log_stuck || out.asked_position == 0) {
        return;
    }
    if (driver.log_refusal != NULL) {
        out.asked_position = 0;
        pipeline_not_tailing(driver.pipeline, driver.log_refusal, false, driver.now_us);
    } else {
        pipeline_tailing(driver.pipeline, tables_tailing(), driver.now_us);
    }
    go_on();
}

void
answer_log(void)
{
    struct source_log log;
    if (out.more && !driver.log_stuck && tables_log(&log)) {
        out.more = false;
        driver.rows_out += log.batch->count;
        pipeline_log(driver.pipeline, &log, driver.now_us);
    }
    go_on();
}

bool
log_is_asked(void)
{
    return out.more;
}

static void
answer_lane(uint32_t lane)
{
    struct sent *sent = &lanes[lane];
    if (driver.lane_stuck[lane] || sent->asked == QUIET) {
        return;
    }
    const bool connecting = sent->asked == CONNECTING;
    sent->asked = QUIET;
    sent->next = 1;
    if (connecting) {
        pipeline_lane_connected(driver.pipeline, lane, driver.now_us);
    } else {
        pipeline_lane_ready(driver.pipeline, lane, driver.now_us);
    }
    go_on();
}

static void
answer_lanes(void)
{
    for (uint32_t lane = 0; lane <= driver.options.lane_count; lane++) {
        answer_lane(lane);
    }
}

/* The source answers in the order in which the core asks. */
static void (*const answers[])(void) = {
    answer_lanes, answer_settle, answer_hold,      answer_release, answer_heads,
    answer_wake,  answer_fetch,  answer_watermark, answer_begin,   answer_log,
};
#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

void
answer_all(void)
{
    for (size_t i = 0; i < ANSWERS; i++) {
        answers[i]();
    }
}

/* ---- the broker ----------------------------------------------------------------------------------- */

static bool
find_sent(int64_t id, uint32_t *ret_lane, uint64_t *ret_tag)
{
    for (uint32_t lane = 0; lane <= driver.options.lane_count; lane++) {
        for (uint64_t tag = 1; tag < lanes[lane].next; tag++) {
            if (lanes[lane].ids[tag] == id) {
                *ret_lane = lane;
                *ret_tag = tag;
                return true;
            }
        }
    }
    return false;
}

static void
close_channel(uint32_t lane, uint32_t exchange)
{
    lanes[lane].next = 1;
    if (driver.cuts_connections) {
        pipeline_lane_cut(driver.pipeline, lane, "reset", driver.now_us);
        return;
    }
    if (driver.closes_connections) {
        pipeline_lane_closed(driver.pipeline, lane, "541 internal error", driver.now_us);
        return;
    }
    pipeline_channel_closed(driver.pipeline, lane, "404 no exchange", exchange, driver.now_us);
}

static void
judge(uint32_t lane, uint64_t tag, enum verdict verdict)
{
    const int64_t id = lanes[lane].ids[tag];
    struct message *message = id > 0 ? message_of(id) : &driver.messages[0];
    lanes[lane].ids[tag] = 0;
    if (verdict == TAKES) {
        message->taken++;
        message->refused = false;
        cr_assert(pipeline_confirmed(driver.pipeline, lane, tag, false, driver.now_us));
    } else if (verdict == NACKS) {
        message->refused = true;
        cr_assert(pipeline_nacked(driver.pipeline, lane, tag, false, driver.now_us));
    } else if (verdict == RETURNS) {
        message->refused = true;
        cr_assert(pipeline_returned(driver.pipeline, lane, id, "unroutable", driver.now_us));
        cr_assert(pipeline_confirmed(driver.pipeline, lane, tag, false, driver.now_us));
    } else if (verdict == CLOSES_NAMED) {
        message->refused = true;
        close_channel(lane, pipeline_exchange_hash(
                                (struct span){message->exchange, strlen(message->exchange)}));
    } else {
        close_channel(lane, 0);
    }
}

static void
judge_id(int64_t id, enum verdict verdict)
{
    uint32_t lane = 0;
    uint64_t tag = 0;
    cr_assert(find_sent(id, &lane, &tag), "%ld is not in flight", (long)id);
    judge(lane, tag, verdict);
}

void
take(int64_t id)
{
    judge_id(id, TAKES);
}

void
take_all(void)
{
    for (uint32_t lane = 0; lane <= driver.options.lane_count; lane++) {
        for (uint64_t tag = 1; tag < lanes[lane].next; tag++) {
            if (lanes[lane].ids[tag] != 0) {
                judge(lane, tag, TAKES);
            }
        }
    }
}

void
give_back(int64_t id)
{
    judge_id(id, RETURNS);
}

void
nack(int64_t id)
{
    judge_id(id, NACKS);
}

void
close_for(int64_t id, bool named)
{
    judge_id(id, named ? CLOSES_NAMED : CLOSES);
}

static bool
closes(enum verdict verdict)
{
    return verdict == CLOSES || verdict == CLOSES_NAMED;
}

static bool
will_close(uint32_t lane)
{
    bool any = false;
    for (uint64_t tag = 1; tag < lanes[lane].next; tag++) {
        any |= lanes[lane].ids[tag] != 0 && closes(driver.broker(lanes[lane].ids[tag]));
    }
    return any;
}

/* In the order of the channel; messages after the one for which it closes are not handled. */
static void
broker_looks_at(uint32_t lane)
{
    const uint64_t end = lanes[lane].next;
    const bool only_closes = driver.confirms_late && will_close(lane);
    for (uint64_t tag = 1; tag < end; tag++) {
        const int64_t id = lanes[lane].ids[tag];
        const enum verdict verdict = id == 0 ? IS_SILENT : driver.broker(id);
        if (verdict == IS_SILENT || (only_closes && !closes(verdict))) {
            continue;
        }
        judge(lane, tag, verdict);
        if (closes(verdict)) {
            driver.closes++;
            return;
        }
    }
}

static void
broker_answers(void)
{
    for (uint32_t lane = 0; driver.broker != NULL && lane <= driver.options.lane_count; lane++) {
        broker_looks_at(lane);
        go_on();
    }
}

/* A second loss changes nothing, as with sockets. */
void
lose_lane(uint32_t lane)
{
    lanes[lane] = (struct sent){.next = 1};
    pipeline_lane_lost(driver.pipeline, lane, driver.now_us);
}

void
cut_lane(uint32_t lane)
{
    lanes[lane] = (struct sent){.next = 1};
    pipeline_lane_cut(driver.pipeline, lane, "reset", driver.now_us);
}

static void
end_log(const char *reason, bool seldom)
{
    out.asked_position = 0;
    out.tailing = false;
    out.more = false;
    pipeline_not_tailing(driver.pipeline, reason, seldom, driver.now_us);
}

void
lose_log(void)
{
    end_log("the slot is gone", false);
}

void
refuse_log(void)
{
    end_log("the publication has not the outbox", true);
}

void
lose_source(void)
{
    tables_settled(); /* the core will not learn of it, */
    tables_held();    /* but it is done */
    memset(&out, 0, sizeof(out));
    pipeline_source_lost(driver.pipeline, driver.now_us);
}

void
own_source(void)
{
    pipeline_source_owned(driver.pipeline, driver.now_us);
    pipeline_lease(driver.pipeline, driver.now_us + 10 * CLOCK_S_US);
}

/* ---- time ----------------------------------------------------------------------------------------- */

/* An answer comes within 1 ms. If none is outstanding, time moves to the core's deadline: a core that has nothing to do
 * and wants to be asked at once would keep the worker busy in vain. */
static void
pass_until(uint64_t end_us, bool busy)
{
    const uint64_t deadline_us = pipeline_deadline_us(driver.pipeline, driver.now_us);
    cr_assert_gt(deadline_us, driver.now_us);
    const uint64_t next_us = busy ? 0 : deadline_us < end_us ? deadline_us : end_us;
    pass(next_us > driver.now_us + CLOCK_MS_US ? next_us - driver.now_us : CLOCK_MS_US);
}

void
run(uint64_t us)
{
    const uint64_t end_us = driver.now_us + us;
    turn();
    while (driver.now_us < end_us && !driver.drained) {
        const size_t before = note_count;
        answer_all();
        broker_answers();
        if (!driver.drained) {
            pass_until(end_us, note_count > before);
        }
        go_on();
    }
}

/* One answer at a time, so that the awaited action is not answered itself. */
static void
answer_until(enum pipeline_action_type type)
{
    for (size_t i = 0; i < ANSWERS && noted(type) == 0; i++) {
        answers[i]();
    }
    if (noted(type) == 0) {
        broker_answers();
    }
}

const struct note *
await_within(enum pipeline_action_type type, uint64_t us)
{
    const uint64_t end_us = driver.now_us + us;
    for (turn(); noted(type) == 0; turn()) {
        const size_t before = note_count;
        answer_until(type);
        if (noted(type) > 0) {
            break;
        }
        if (driver.now_us >= end_us) {
            return NULL;
        }
        pass_until(end_us, note_count > before);
    }
    return note_at(type, 0);
}

const struct note *
await(enum pipeline_action_type type)
{
    const struct note *note = await_within(type, 400 * CLOCK_S_US);
    cr_assert_not_null(note, "no action of type %d", type);
    return note;
}

const struct pipeline_report *
await_report(enum pipeline_report_type type)
{
    for (int i = 0; i < 10000; i++) {
        (void)await(PIPELINE_REPORT); /* it is searched for below */
        if (reported(type) > 0) {
            break;
        }
    }
    return report_of(type);
}

const struct note *
await_fetch(enum fetch_kind kind)
{
    for (int i = 0; i < 100000; i++) {
        const struct note *fetch = await(PIPELINE_FETCH);
        if (fetch->action.fetch.kind == kind) {
            return fetch;
        }
    }
    cr_assert_fail("nothing is read");
    return NULL;
}

/* ---- notes ---------------------------------------------------------------------------------------- */

size_t
noted(enum pipeline_action_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < note_count; i++) {
        count += notes[i].action.type == type;
    }
    return count;
}

const struct note *
note_at(enum pipeline_action_type type, size_t index)
{
    for (size_t i = 0; i < note_count; i++) {
        if (notes[i].action.type == type && index-- == 0) {
            return &notes[i];
        }
    }
    return NULL;
}

const struct note *
only(enum pipeline_action_type type)
{
    cr_assert_eq(noted(type), 1, "%zu actions of type %d", noted(type), type);
    return note_at(type, 0);
}

const struct pipeline_report *
report_of(enum pipeline_report_type type)
{
    for (size_t i = 0; i < note_count; i++) {
        const struct pipeline_action *action = &notes[i].action;
        if (action->type == PIPELINE_REPORT && action->report.type == type) {
            return &action->report;
        }
    }
    cr_assert_fail("no report of type %d", type);
    return NULL;
}

size_t
reported(enum pipeline_report_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < note_count; i++) {
        const struct pipeline_action *action = &notes[i].action;
        count += action->type == PIPELINE_REPORT && action->report.type == type;
    }
    return count;
}

/* ---- a scene -------------------------------------------------------------------------------------- */

void
driver_init(void)
{
    driver.options = pipeline_defaults();
    driver.now_us = 1000 * CLOCK_S_US;
    driver.log_end = 5000;
    for (uint32_t lane = 0; lane < PIPELINE_LANES_MAX; lane++) {
        lanes[lane].next = 1;
    }
}

void
start(void)
{
    driver.pipeline = pipeline_new(&driver.options, driver.now_us);
    own_source();
    turn();
    cr_assert_eq(noted(PIPELINE_FETCH), 0, "nothing is read before the lanes are up");
    for (int i = 0; i < 3 && !fetch_is_out(); i++) {
        forget_notes();
        for (uint32_t lane = 0; lane <= driver.options.lane_count; lane++) {
            answer_lane(lane);
        }
        answer_heads();
    }
}

uint64_t
safe_position(void)
{
    return out.safe;
}

void
driver_done(void)
{
    pipeline_free(driver.pipeline);
}
