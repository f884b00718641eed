#include "relay/ports/fetch_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* After a row that was too large for the cheap statement, so many fetches use the exact one. */
#define EXACT_FETCHES 32
/* An answer within takeover / 64 lets the stretch grow. */
#define STRETCH_FAST 64
/* If an answer takes longer than takeover / 4, the next fetches are halved; within takeover / 16, they are doubled
 * again. */
#define SLOW 4
#define FAST 16
/* After a fast answer the source's own limit on bytes grows by this factor: at most to a quarter of the lease, as fast
 * means a sixteenth. */
#define BYTES_GROWTH 4
#define BYTES_CAP_MIN 4096
#define SLOW_TOLD_US (60 * CLOCK_S_US)
/* A row is blamed when so many sessions in a row ended over it. */
#define LOSSES_MAX 3
/* A held message that could not be read is read again after this time, or when an operator asks for it. */
#define UNREAD_US (600 * CLOCK_S_US)

void
fetch_plan_init(struct fetch_plan *plan, uint64_t takeover_us)
{
    *plan = (struct fetch_plan){
        .takeover_us = takeover_us, .rows_cap = UINT32_MAX, .bytes_cap = UINT64_MAX};
}

static size_t
kind_of(const struct fetch_plan *plan)
{
    return plan->kind == FETCH_HEADS ? 1 : 0;
}

static uint64_t
halved(uint64_t value, uint32_t halvings)
{
    value = halvings < 64 ? value >> halvings : 0;
    return value > 0 ? value : 1;
}

uint32_t
fetch_plan_rows(const struct fetch_plan *plan)
{
    const uint32_t rows =
        plan->alone ? 1 : (uint32_t)halved(plan->rows_max, plan->halvings[kind_of(plan)]);
    return rows < plan->rows_cap ? rows : plan->rows_cap;
}

bool
fetch_plan_is_halved(const struct fetch_plan *plan)
{
    return plan->halvings[kind_of(plan)] > 0;
}

bool
fetch_plan_is_alone(const struct fetch_plan *plan)
{
    const uint32_t halvings = plan->halvings[kind_of(plan)];
    return plan->alone || (halvings > 0 && halved(plan->rows_max, halvings) == 1);
}

int64_t
fetch_plan_limit(const struct fetch_plan *plan)
{
    return (int64_t)fetch_plan_rows(plan) + (fetch_plan_is_alone(plan) ? 0 : 1);
}

int64_t
fetch_plan_bytes(const struct fetch_plan *plan)
{
    const bool share = plan->kind == FETCH_NEXT && !plan->exact;
    const uint64_t all = halved(plan->bytes_max, plan->halvings[kind_of(plan)]);
    if (fetch_plan_is_alone(plan)) {
        return INT64_MAX;
    }
    const uint64_t bytes = share                   ? all / fetch_plan_rows(plan)
                           : all < plan->bytes_cap ? all
                                                   : plan->bytes_cap;
    return bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
}

/* One statement might walk over millions of dead rows that somebody's long transaction keeps (measured: 0.25 to 3 us
 * each), outlast the lease, be given up and begin again, forever. So it reads a stretch of ids that takes at most 10 us
 * per id, and after an empty stretch comes the next one. Only final ids are read in stretches: above them a row may
 * become visible behind us while its successor is still ahead, and one statement must see both. */
static int64_t
stretch_usual(const struct fetch_plan *plan)
{
    return (int64_t)(plan->takeover_us / 10);
}

static int64_t
stretch_end(const struct fetch_plan *plan, int64_t final_id)
{
    const int64_t start = plan->after_id > 0 ? plan->after_id : 0;
    return start < final_id - plan->stretch ? start + plan->stretch : INT64_MAX;
}

/* If there is nothing, not even dead rows, the answer is fast for any stretch, and the stretch doubles. If an answer is
 * slow, it shrinks to the usual size. */
static void
adapt_stretch(struct fetch_plan *plan, uint64_t now_us)
{
    const bool fast = now_us - plan->sent_us < plan->takeover_us / STRETCH_FAST;
    if (!fast) {
        plan->stretch = stretch_usual(plan);
    } else if (plan->stretch < INT64_MAX / 4 &&
               (plan->stretch_max == 0 || plan->stretch * 2 <= plan->stretch_max)) {
        plan->stretch *= 2;
    }
}

void
fetch_plan_begin(struct fetch_plan *plan, const struct fetch *fetch)
{
    assert(!plan->outstanding && fetch->rows_max > 0 && fetch->bytes_max > 0);
    plan->outstanding = true;
    plan->kind = fetch->kind;
    plan->after_id = fetch->after_id;
    plan->rows_max = fetch->rows_max;
    plan->bytes_max = fetch->bytes_max;
    plan->exact = plan->exact_left > 0;
    plan->bare = plan->losses[kind_of(plan)] >= LOSSES_MAX;
    plan->alone = plan->bare;
    plan->stretch = stretch_usual(plan);
}

void
fetch_plan_send(struct fetch_plan *plan, int64_t final_id, uint64_t now_us)
{
    plan->stretch_end = plan->kind == FETCH_NEXT ? stretch_end(plan, final_id) : INT64_MAX;
    plan->sent_us = now_us;
    plan->exact |= fetch_plan_is_alone(plan) || plan->bare;
}

/* ---- what cannot be read -------------------------------------------------------------------------------- */

static void
halve(struct fetch_plan *plan)
{
    if (!fetch_plan_is_alone(plan)) {
        plan->halvings[kind_of(plan)]++;
    }
}

static void
read_bare(struct fetch_plan *plan, const char *why)
{
    (void)snprintf(plan->trouble, sizeof(plan->trouble), "it cannot be read: %s",
                   why); /* cut is fine */
    plan->bare = true;
}

bool
fetch_plan_refused(struct fetch_plan *plan, const char *why)
{
    if (plan->bare) {
        return false;
    }
    if (fetch_plan_is_alone(plan)) {
        read_bare(plan, why);
    } else {
        halve(plan);
    }
    return true;
}

/* A row is blamed only after LOSSES_MAX losses in a row, as this costs the message an attempt. */
static void
learn_from_loss(struct fetch_plan *plan, const char *why)
{
    if (!fetch_plan_is_alone(plan)) {
        halve(plan);
    } else if (++plan->losses[kind_of(plan)] >= LOSSES_MAX) {
        read_bare(plan, why);
    }
}

/* A stretch that took longer than the session lasted would do so again, so stretches stay below that size from now on. */
void
fetch_plan_lost(struct fetch_plan *plan, bool blameless, const char *why, uint64_t now_us)
{
    plan->exact_left = 0;
    if (!plan->outstanding) {
        return;
    }
    plan->outstanding = false;
    if (plan->stretch > stretch_usual(plan) && now_us - plan->sent_us > plan->takeover_us / 2) {
        plan->stretch_max = plan->stretch / 2;
    }
    if (!blameless && !plan->bare) {
        learn_from_loss(plan, why);
    }
}

bool
fetch_plan_is_unread(const struct fetch_unread *unread, uint64_t now_us)
{
    return unread->until_us > now_us;
}

void
fetch_plan_forget_unread(struct fetch_plan *plan)
{
    for (size_t i = 0; i < FETCH_PLAN_UNREAD_MAX; i++) {
        plan->unread[i].until_us = 0;
    }
}

/* Such a message is not read again for a while, as each time the fetch would have to be halved again. */
static void
remember_unread(struct fetch_plan *plan, const struct batch *batch, uint64_t now_us)
{
    if (plan->kind != FETCH_HEADS || batch->count != 1) {
        return; /* in the outbox it may have been another row that came meanwhile */
    }
    struct fetch_unread *unread = &plan->unread[plan->unread_next++ % FETCH_PLAN_UNREAD_MAX];
    unread->id = batch->rows[0].id;
    unread->until_us = now_us + UNREAD_US;
    memcpy(unread->reason, plan->trouble, sizeof(unread->reason));
}

/* ---- what came ------------------------------------------------------------------------------------------ */

static uint64_t
bytes_of(const struct batch *batch)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->rows[i].payload.size + batch->rows[i].headers.size;
    }
    return bytes;
}

/* True if it is to be logged: once while it lasts, and at most once a minute, as the size varies around what fits. */
static bool
note_slow(struct fetch_plan *plan, const struct batch *batch, uint64_t took_us, uint64_t now_us)
{
    const bool news = plan->slow[0] == '\0' && now_us >= plan->slow_told_us;
    (void)snprintf(plan->slow, sizeof(plan->slow),
                   "slowly: %zu rows, with %" PRIu64 " bytes of payload and headers, took the "
                   "database or the link to it %.1f s; less is asked for at a time",
                   batch->count, bytes_of(batch), (double)took_us / 1e6); /* fits */
    if (news) {
        plan->slow_told_us = now_us + SLOW_TOLD_US;
    }
    return news;
}

static bool
counts_bytes(const struct fetch_plan *plan)
{
    return (plan->exact || plan->kind == FETCH_HEADS) && !fetch_plan_is_alone(plan);
}

/* True if a single row was larger than the source's own limit: if it came fast, as many bytes of smaller rows will,
 * too. */
static bool
was_larger(const struct fetch_plan *plan, const struct batch *batch)
{
    return fetch_plan_is_alone(plan) && bytes_of(batch) > plan->bytes_cap;
}

static void
adapt_bytes(struct fetch_plan *plan, const struct batch *batch, bool fast, bool slow)
{
    if (plan->bytes_cap == UINT64_MAX || !(counts_bytes(plan) || was_larger(plan, batch))) {
        return;
    }
    if (slow && plan->bytes_cap > BYTES_CAP_MIN) {
        plan->bytes_cap /= 2;
    } else if (fast && plan->bytes_cap < plan->bytes_max) {
        plan->bytes_cap *= BYTES_GROWTH;
    }
}

/* A batch should take a small part of the lease, so that the requests behind it are answered in time. An answer that
 * only says that the first row is too large comes fast and proves nothing. */
static bool
adapt_size(struct fetch_plan *plan, const struct batch *batch, uint64_t now_us)
{
    const uint64_t took_us = now_us - plan->sent_us;
    const bool told = batch->count > 0 || batch->complete;
    uint32_t *halvings = &plan->halvings[kind_of(plan)];
    const bool slow = took_us > plan->takeover_us / SLOW && batch->count > 1;
    const bool fast = told && took_us < plan->takeover_us / FAST;
    adapt_bytes(plan, batch, fast, slow);
    if (slow) {
        halve(plan);
        return note_slow(plan, batch, took_us, now_us);
    }
    if (fast && fetch_plan_is_halved(plan)) {
        --*halvings;
        if (*halvings == 0) {
            plan->slow[0] = '\0';
        }
    }
    return false;
}

/* True if the cheap statement met a row above its share. */
static bool
was_cut(const struct fetch_plan *plan, const struct batch *batch)
{
    return plan->kind == FETCH_NEXT && !plan->exact && !batch->complete &&
           batch->count < fetch_plan_rows(plan);
}

/* Chooses the statement of the next fetches: large rows seldom come alone. */
static void
learn(struct fetch_plan *plan, const struct batch *batch)
{
    if (plan->kind == FETCH_NEXT && plan->exact_left > 0) {
        plan->exact_left--;
    }
    if (was_cut(plan, batch)) {
        plan->exact_left = EXACT_FETCHES;
    }
}

/* True if there is nothing to deliver yet; the plan then holds the next statement. */
static bool
must_ask_again(struct fetch_plan *plan, struct batch *batch)
{
    const bool cut = !batch->complete;
    if (plan->stretch_end < INT64_MAX) {
        batch->complete = false;
    }
    if (batch->count > 0 || batch->complete) {
        return false;
    }
    if (cut) {
        plan->alone = plan->exact || plan->kind == FETCH_HEADS;
        plan->exact = true;
    } else {
        plan->after_id = plan->stretch_end;
    }
    return true;
}

bool
fetch_plan_answered(struct fetch_plan *plan, struct batch *batch, uint64_t now_us, bool *ret_news)
{
    learn(plan, batch);
    batch->complete &= !fetch_plan_is_alone(plan) || batch->count == 0;
    if (plan->bare) {
        remember_unread(plan, batch, now_us);
    }
    plan->bare = false;
    if (batch->count > 0 || batch->complete) {
        plan->losses[kind_of(plan)] = 0;
    }
    *ret_news = adapt_size(plan, batch, now_us);
    if (must_ask_again(plan, batch)) {
        adapt_stretch(plan, now_us);
        return false;
    }
    plan->outstanding = false;
    return true;
}

/* ---- FETCH_PRESENT -------------------------------------------------------------------------------------- */

bool
fetch_present_is_dense(const struct fetch *fetch)
{
    return fetch->id_count > 1 &&
           (uint64_t)fetch->ids[fetch->id_count - 1] - (uint64_t)fetch->ids[0] <
               2 * (uint64_t)fetch->id_count;
}

size_t
fetch_present_keep(int64_t *ids, size_t count, const int64_t *asked, size_t asked_count)
{
    size_t kept = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < asked_count && asked[at] < ids[i]) {
            at++;
        }
        if (at < asked_count && asked[at] == ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}
