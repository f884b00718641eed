#include "relay/core/pipeline_tail.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

/* Wait before the log is opened again; doubled each time. */
#define BEGIN_MIN_US CLOCK_S_US
#define BEGIN_MAX_US (30 * CLOCK_S_US)
/* After a log was live for this long, its failure is a new one: the waits start small again. */
#define GOOD_US (60 * CLOCK_S_US)
/* If a commit in the log is not visible after this time, the table is polled. */
#define UNSEEN_MAX_US (500 * CLOCK_MS_US)
/* Interval at which a live log learns from which id the table would have to be read. */
#define FINAL_US CLOCK_S_US
/* Transactions that prevent the opening of the log for this long are reported. */
#define WRITERS_US (10 * CLOCK_S_US)

void
tail_init(struct pipeline *pipeline)
{
    pipeline->tail.writers_at_us = CLOCK_NEVER_US;
    backoff_init(&pipeline->tail.backoff, BEGIN_MIN_US, BEGIN_MAX_US);
}

void
tail_done(struct pipeline *pipeline)
{
    memory_free(pipeline->tail.lookup_ids);
    memory_free(pipeline->tail.taken);
}

bool
tail_is_live(const struct pipeline *pipeline)
{
    return pipeline->tail.state == TAIL_LIVE;
}

bool
tail_is_followed(const struct pipeline *pipeline)
{
    return pipeline->tail.state == TAIL_BEHIND || tail_is_live(pipeline);
}

log_position
tail_reached(const struct pipeline *pipeline)
{
    return tail_is_followed(pipeline) ? pipeline->tail.reached : 0;
}

log_position
tail_covered(const struct pipeline *pipeline)
{
    return pipeline->tail.covered;
}

const char *
tail_reason(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    if (!pipeline->options.tail || tail_is_live(pipeline)) {
        return NULL;
    }
    return tail->reason[0] != '\0' ? tail->reason
                                   : "the log has not come to where the table is read";
}

void
tail_table_read(struct pipeline *pipeline, bool whole)
{
    pipeline->tail.caught_up = whole && !cursor_has_gap(&pipeline->cursor);
}

void
tail_table_grew(struct pipeline *pipeline)
{
    pipeline->tail.caught_up = false;
}

bool
tail_has_caught_up(const struct pipeline *pipeline)
{
    return pipeline->tail.caught_up;
}

/* True if rows of the log could be published. */
static bool
is_open(const struct pipeline *pipeline)
{
    return pipeline->owned && heads_are_known(pipeline) && lanes_any_ready(pipeline) &&
           !lanes_any_blocked(pipeline) && !route_is_bad(pipeline) && !pipeline_is_full(pipeline);
}

/* Not while a fetch is out: its answer is judged by what was in memory when it was sent. */
static bool
may_admit(const struct pipeline *pipeline)
{
    return is_open(pipeline) && fetching_is_idle(pipeline) &&
           queue_rows(&pipeline->queue) <= 2 * pipeline->options.batch_rows;
}

static bool
may_ask(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    return tail_is_followed(pipeline) && !tail->more_out && !tail->waiting && is_open(pipeline) &&
           queue_rows(&pipeline->queue) <= pipeline->options.batch_rows &&
           pipeline->queue.bytes <= pipeline->options.batch_bytes;
}

/* A row of the log was not found in the table, but may become visible. */
static bool
waits_to_see(const struct pipeline *pipeline)
{
    return pipeline->tail.waiting &&
           pipeline->tail.unseen_position >= pipeline->cursor.position_known;
}

/* The log was left because of such a row, and the row is not certain to be visible yet: opening the log now would end
 * in the same wait. */
static bool
is_doubtful(const struct pipeline *pipeline)
{
    const log_position past = pipeline->tail.begin_past;
    return past > 0 && past >= pipeline->cursor.position_known;
}

/* ---- what came ------------------------------------------------------------------------------------- */

static void
drop_waiting(struct pipeline *pipeline)
{
    struct tail *tail = &pipeline->tail;
    for (size_t i = 0; i < tail->row_count; i++) {
        queue_push(&pipeline->queue, &(struct queued){.row = &tail->rows[i], .dropped = true});
    }
    tail->waiting = false;
    tail->row_count = 0;
}

static int
compare_ids(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool
contains(const int64_t *sorted, size_t count, int64_t id)
{
    return count > 0 && bsearch(&id, sorted, count, sizeof(id), compare_ids) != NULL;
}

/* True once for each id in `present`; `taken` marks the ids used. (A row that moved aside and back is in the log
 * twice.) */
static bool
takes_out(const struct source_present *present, int64_t *taken, int64_t id)
{
    const int64_t *const found =
        present->count > 0 ? bsearch(&id, present->ids, present->count, sizeof(id), compare_ids)
                           : NULL;
    if (found == NULL || taken[found - present->ids] != 0) {
        return false;
    }
    taken[found - present->ids] = 1;
    return true;
}

/* present: the waiting rows that are in the outbox and not in memory, ascending. */
static void
admit_waiting(struct pipeline *pipeline, const struct source_present *present, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    queue_rewind(&pipeline->queue);
    pipeline_reserve(&tail->taken, &tail->taken_capacity, present->count);
    for (size_t i = 0; i < present->count; i++) {
        tail->taken[i] = 0;
    }
    for (size_t i = 0; i < tail->row_count; i++) {
        const struct row *row = &tail->rows[i];
        if (row->position >= tail->covered && takes_out(present, tail->taken, row->id)) {
            fetching_admit(pipeline, row, now_us);
        } else {
            queue_push(&pipeline->queue, &(struct queued){.row = row, .dropped = true});
        }
    }
    if (tail->rows_position > tail->covered) {
        tail->covered = tail->rows_position;
    }
    tail->waiting = false;
    tail->row_count = 0;
}

struct lookup {
    int64_t *ids; /* ascending */
    size_t count;
    int64_t *unknown; /* for each id: the id itself, or CURSOR_NONE if it is in memory */
};

static void
strike_out(void *context, int64_t id)
{
    const struct lookup *lookup = context;
    if (id < lookup->ids[0] || id > lookup->ids[lookup->count - 1]) {
        return;
    }
    const int64_t *const found = bsearch(&id, lookup->ids, lookup->count, sizeof(id), compare_ids);
    if (found != NULL) {
        lookup->unknown[found - lookup->ids] = CURSOR_NONE;
    }
}

/* Sorts the ids and removes duplicates: a row that moved back to the outbox may come twice. */
static size_t
sort_out(int64_t *ids, size_t count)
{
    size_t kept = 0;
    qsort(ids, count, sizeof(int64_t), compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

/* Collects the ids of waiting rows that were not read from the table and are not in memory. */
static size_t
collect_unknown(struct pipeline *pipeline)
{
    struct tail *tail = &pipeline->tail;
    pipeline_reserve(&tail->lookup_ids, &tail->lookup_capacity, 2 * tail->row_count);
    struct lookup lookup = {.ids = tail->lookup_ids};
    for (size_t i = 0; i < tail->row_count; i++) {
        if (tail->rows[i].position >= tail->covered) {
            lookup.ids[lookup.count++] = tail->rows[i].id;
        }
    }
    if (lookup.count == 0) {
        return 0;
    }
    lookup.count = sort_out(lookup.ids, lookup.count);
    if (lookup.ids[0] > fetching_highest_admitted(pipeline)) {
        return lookup.count;
    }
    lookup.unknown = lookup.ids + lookup.count;
    memcpy(lookup.unknown, lookup.ids, lookup.count * sizeof(int64_t));
    fetching_each_in_memory(pipeline, strike_out, &lookup);
    size_t count = 0;
    for (size_t i = 0; i < lookup.count; i++) {
        if (lookup.unknown[i] != CURSOR_NONE) {
            lookup.ids[count++] = lookup.unknown[i];
        }
    }
    return count;
}

/* The log is ahead of the table: a commit is in the log before it is visible, with a synchronous standby long before.
 * And the log may bring rows that were settled, cancelled or held since. So only rows that the table shows are
 * published; a row that must be visible and is not in the table is gone. True if a lookup is to be sent. */
static bool
next_admission(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct tail *tail = &pipeline->tail;
    if (waits_to_see(pipeline)) {
        return false;
    }
    tail->lookup_count = collect_unknown(pipeline);
    if (tail->lookup_count == 0) {
        admit_waiting(pipeline, &(struct source_present){0}, now_us);
        return false;
    }
    const struct fetch fetch = {
        .kind = FETCH_PRESENT, .ids = tail->lookup_ids, .id_count = tail->lookup_count};
    tail->lookup_visible = pipeline->cursor.position_known;
    return fetching_send(pipeline, &fetch, now_us, ret_action);
}

/* True if a row was not found that may become visible. */
static bool
may_be_unseen(struct tail *tail, const struct source_present *present)
{
    if (present->count == tail->lookup_count) {
        return false;
    }
    for (size_t i = 0; i < tail->row_count; i++) {
        const struct row *row = &tail->rows[i];
        if (row->position >= tail->covered && row->position >= tail->lookup_visible &&
            contains(tail->lookup_ids, tail->lookup_count, row->id) &&
            !contains(present->ids, present->count, row->id)) {
            tail->unseen_position = row->position;
            return true;
        }
    }
    return false;
}

void
pipeline_present(struct pipeline *pipeline, const struct source_present *present, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    const bool good = fetching_came(pipeline, FETCH_PRESENT);
    /* Rows in memory at the time of the lookup may have been dropped since; they must go first then. */
    if (good && tail->waiting && !cursor_has_gap(&pipeline->cursor) &&
        !may_be_unseen(tail, present)) {
        admit_waiting(pipeline, present, now_us);
    }
    if (waits_to_see(pipeline)) {
        watermark_hurry(pipeline, now_us);
    }
    releasing_apply(pipeline);
}

void
pipeline_log(struct pipeline *pipeline, const struct source_log *log, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    assert(tail->more_out && !tail->waiting);
    tail->more_out = false;
    tail->waiting = true;
    tail->rows = log->batch->rows;
    tail->row_count = log->batch->count;
    if (tail->row_count > 0) {
        pipeline_note_activity(pipeline, now_us);
    }
    tail->rows_position = log->position;
    tail->reached = log->position;
    const struct row *last = tail->row_count > 0 ? &tail->rows[tail->row_count - 1] : NULL;
    if (last != NULL && last->position > log->position) {
        tail->reached = last->position; /* the transaction goes on */
    }
}

/* ---- live, and back -------------------------------------------------------------------------------- */

/* All further rows of the log were not read from the table, or will be recognized. */
static void
go_live(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    tail->state = TAIL_LIVE;
    cursor_enter_live(&pipeline->cursor);
    if (tail->live_since_us == 0) {
        tail->live_since_us = now_us;
        reports_put(&pipeline->reports, &(struct pipeline_report){.type = REPORT_TAILING});
    }
}

/* Rows of the log from before the position up to which the table was read are not needed. */
static void
catch_up(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    const log_position covered = pipeline->cursor.covered;
    tail->covered = covered > tail->covered ? covered : tail->covered;
    if (tail->reached < tail->covered) {
        drop_waiting(pipeline);
    } else if (tail->covered >= tail->from && tail->caught_up &&
               !cursor_has_gap(&pipeline->cursor)) {
        go_live(pipeline, now_us);
    }
}

/* From now on the table is polled. */
static void
leave_live(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    cursor_leave_live(&pipeline->cursor);
    tail->state = TAIL_BEHIND;
    tail->caught_up = false;
    tail->unseen_position = 0;
    tail->sweep = TAIL_SWEEP_REST;
    /* If the log missed rows it may have missed more: sweep at once. */
    fetching_plan_sweep(pipeline,
                        now_us + (tail->distrusted ? 0 : pipeline->options.sweep_interval_us));
    fetching_spoil_rows(pipeline); /* its start was right only with the log */
    fetching_look_at_once(pipeline);
}

static void
leave(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    if (tail->state == TAIL_LIVE) {
        leave_live(pipeline, now_us);
    }
    if (tail->live_since_us > 0 && now_us - tail->live_since_us >= GOOD_US) {
        backoff_reset(&tail->backoff);
    }
    tail->live_since_us = 0;
    drop_waiting(pipeline);
    tail->state = TAIL_OFF;
    tail->more_out = false;
    tail->caught_up = false;
    tail->distrusted = false;
    safe_forget(pipeline);
}

void
tail_lost(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    leave(pipeline, now_us);
    tail->begin_at_us = now_us;
    tail->covered = 0;
    tail->begin_past = 0;
    tail->reason[0] = '\0';
    safe_lost(pipeline);
}

void
pipeline_tailing(struct pipeline *pipeline, log_position from, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    assert(tail->state == TAIL_BEGINNING);
    tail->state = TAIL_BEHIND;
    tail->from = from;
    tail->reached = from;
    tail->open_us = now_us;
    tail->reason[0] = '\0';
}

void
pipeline_not_tailing(struct pipeline *pipeline, const char *reason, bool seldom, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    if (tail->state == TAIL_OFF) {
        return;
    }
    tail->refused = tail->state == TAIL_BEGINNING;
    if (seldom) {
        /* Settings that an operator must mend were noticed late: the log may have left rows out. */
        cursor_doubt_live(&pipeline->cursor);
    }
    leave(pipeline, now_us);
    tail->begin_at_us =
        now_us + (seldom ? BEGIN_MAX_US : backoff_next_us(&tail->backoff, &pipeline->random));
    (void)snprintf(tail->reason, sizeof(tail->reason), "%s", reason); /* cut is fine */
}

/* The log is opened when the whole table was read, so that it need not be read from far back. A source without a log is
 * asked too: its refusal says why. */
static uint64_t
begin_deadline_us(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    return pipeline->options.tail && tail->state == TAIL_OFF && tail->caught_up &&
                   !is_doubtful(pipeline) && (pipeline->cursor.covered > 0 || tail->absent) &&
                   is_open(pipeline)
               ? tail->begin_at_us
               : CLOCK_NEVER_US;
}

static bool
begin(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct tail *tail = &pipeline->tail;
    if (now_us < begin_deadline_us(pipeline)) {
        return false;
    }
    const log_position covered = pipeline->cursor.covered;
    tail->covered = covered > tail->covered ? covered : tail->covered;
    tail->state = TAIL_BEGINNING;
    tail->open_us = now_us;
    *ret_action = (struct pipeline_action){.type = PIPELINE_TAIL_BEGIN, .position = tail->covered};
    return true;
}

/* The time for an unseen row runs only while its visibility can be found out. */
static void
plan_unseen(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    if (!is_open(pipeline) || !waits_to_see(pipeline)) {
        tail->unseen_since_us = 0;
    } else if (tail->unseen_since_us == 0) {
        tail->unseen_since_us = now_us;
    }
}

static uint64_t
unseen_deadline_us(const struct pipeline *pipeline)
{
    const uint64_t since_us = pipeline->tail.unseen_since_us;
    return since_us == 0 ? CLOCK_NEVER_US : since_us + UNSEEN_MAX_US;
}

/* Why reading of the log must end; NULL: it need not. (A server cannot shut down while nobody reads the data that it
 * wants to send.) */
static const char *
end_reason(const struct pipeline *pipeline, uint64_t now_us)
{
    const struct tail *tail = &pipeline->tail;
    if (tail->distrusted) {
        return "the sweep found rows that the log had not brought";
    }
    if (route_is_bad(pipeline)) {
        return "the broker refuses nearly everything";
    }
    if (now_us >= unseen_deadline_us(pipeline)) {
        return "a commit is in the log and perhaps not visible: a synchronous standby does not "
               "answer, or a transaction that has written the outbox stays open";
    }
    if (!is_open(pipeline) && now_us >= tail->open_us + pipeline->options.tail_patience_us) {
        return "the broker takes no messages, and the server must not wait for that";
    }
    return NULL;
}

static bool
end(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct tail *tail = &pipeline->tail;
    const char *const reason = end_reason(pipeline, now_us);
    if (reason == NULL) {
        return false;
    }
    struct pipeline_report report = {.type = REPORT_POLLING};
    tail->begin_past = waits_to_see(pipeline) ? tail->unseen_position : 0;
    (void)snprintf(report.reason, sizeof(report.reason), "%s", reason); /* fits */
    (void)snprintf(tail->reason, sizeof(tail->reason), "%s", reason);   /* fits */
    reports_put(&pipeline->reports, &report);
    leave(pipeline, now_us);
    tail->begin_at_us = now_us + backoff_next_us(&tail->backoff, &pipeline->random);
    *ret_action = (struct pipeline_action){.type = PIPELINE_TAIL_END};
    return true;
}

/* ---- the sweep ------------------------------------------------------------------------------------- */

static uint64_t
final_deadline_us(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    if (tail->state != TAIL_LIVE || tail->sweep != TAIL_SWEEP_REST) {
        return CLOCK_NEVER_US;
    }
    const bool news = fetching_highest_admitted(pipeline) > pipeline->cursor.live_final;
    return clock_earlier_us(fetching_sweep_deadline_us(pipeline),
                            news ? tail->final_at_us : CLOCK_NEVER_US);
}

/* A log that lags must not be mistaken for one that misses rows. When the log has passed a position before which all
 * rows up to some id were committed, then rows up to that id that are still in the table and not in memory were missed.
 * Without reading the table, the same tells from which id to read it if a row is dropped. */
static void
plan_sweep(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    if (tail->sweep == TAIL_SWEEP_PASSING && tail->covered >= tail->sweep_position) {
        cursor_pass_live(&pipeline->cursor, tail->sweep_id);
        tail->sweep = tail->sweep_reads ? TAIL_SWEEP_READING : TAIL_SWEEP_REST;
        tail->sweep_after = CURSOR_START;
    }
    if (now_us >= final_deadline_us(pipeline)) {
        tail->sweep = TAIL_SWEEP_ID;
        tail->sweep_reads = now_us >= fetching_sweep_deadline_us(pipeline);
        tail->final_at_us = now_us + FINAL_US;
        fetching_sweep_begins(pipeline, now_us);
    }
}

bool
tail_sweeps(const struct pipeline *pipeline)
{
    return pipeline->tail.sweep == TAIL_SWEEP_READING && may_admit(pipeline);
}

int64_t
tail_sweep_after(const struct pipeline *pipeline)
{
    return pipeline->tail.sweep_after;
}

int64_t
tail_sweep_id(const struct pipeline *pipeline)
{
    return pipeline->tail.sweep_id;
}

/* Transactions that wrote to the outbox and were open at the first look prevent the opening of the log; a prepared one
 * may do so for days. */
static void
report_writers(struct pipeline *pipeline, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    struct pipeline_report report = {.type = REPORT_POLLING};
    if (!pipeline->options.tail || tail->absent || pipeline->cursor.position_known > 0) {
        tail->writers_at_us = CLOCK_NEVER_US;
        return;
    }
    if (tail->writers_at_us == CLOCK_NEVER_US) {
        tail->writers_at_us = now_us + WRITERS_US;
    } else if (now_us >= tail->writers_at_us && tail->reason[0] == '\0') {
        (void)snprintf(
            tail->reason, sizeof(tail->reason), "%s",
            "a transaction that has written the outbox stays open (prepared?)");  /* fits */
        (void)snprintf(report.reason, sizeof(report.reason), "%s", tail->reason); /* fits */
        reports_put(&pipeline->reports, &report);
    }
}

void
tail_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    tail->absent = final->log_end == 0;
    tail->refused = false;
    report_writers(pipeline, now_us);
    if (tail->sweep == TAIL_SWEEP_ID) {
        tail->sweep_id = final->id;
        tail->sweep = TAIL_SWEEP_POSITION;
    } else if (tail->sweep == TAIL_SWEEP_POSITION) {
        tail->sweep_position = final->log_end;
        tail->sweep = TAIL_SWEEP_PASSING;
    }
}

bool
tail_wants_watermark(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    if (tail->state == TAIL_LIVE) {
        return waits_to_see(pipeline) || tail->sweep == TAIL_SWEEP_ID ||
               tail->sweep == TAIL_SWEEP_POSITION;
    }
    if (tail->state == TAIL_OFF) {
        return pipeline->options.tail && !tail->absent && tail->caught_up &&
               (pipeline->cursor.position_known == 0 || is_doubtful(pipeline) || tail->refused);
    }
    return tail->state == TAIL_BEHIND && pipeline->cursor.covered < tail->from;
}

/* Takes in the rows up to sweep_id; later ones may still come in the log. */
size_t
tail_swept(struct pipeline *pipeline, const struct batch *batch, bool missed, uint64_t now_us)
{
    struct tail *tail = &pipeline->tail;
    tail->distrusted = missed;
    size_t swept = 0;
    while (swept < batch->count && batch->rows[swept].id <= tail->sweep_id) {
        swept++;
    }
    if (!batch->complete && swept == batch->count) {
        tail->sweep_after = batch->rows[swept - 1].id;
        return swept;
    }
    fetching_sweep_ends(pipeline, now_us);
    tail->sweep = TAIL_SWEEP_REST;
    return swept;
}

/* ---- steps ----------------------------------------------------------------------------------------- */

bool
tail_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct tail *tail = &pipeline->tail;
    if (pipeline->draining) {
        drop_waiting(pipeline);
        return false;
    }
    if (tail->state == TAIL_OFF) {
        return begin(pipeline, now_us, ret_action);
    }
    if (is_open(pipeline)) {
        tail->open_us = now_us;
    }
    plan_unseen(pipeline, now_us);
    if (end(pipeline, now_us, ret_action)) {
        return true;
    }
    if (tail->state == TAIL_LIVE && cursor_has_gap(&pipeline->cursor)) {
        /* A dropped row comes first in its key, and a read of the table from there on may show rows whose predecessors
         * are only in the log. So the table is read as without a log until nothing is missing. */
        leave_live(pipeline, now_us);
    }
    if (tail->state == TAIL_BEHIND) {
        catch_up(pipeline, now_us);
    }
    if (tail->waiting && tail->state == TAIL_LIVE && may_admit(pipeline) &&
        next_admission(pipeline, now_us, ret_action)) {
        return true;
    }
    plan_sweep(pipeline, now_us);
    if (may_ask(pipeline)) {
        tail->more_out = true;
        *ret_action = (struct pipeline_action){.type = PIPELINE_TAIL_MORE,
                                               .count = pipeline->options.batch_rows,
                                               .bytes = pipeline->options.batch_bytes};
        return true;
    }
    return false;
}

uint64_t
tail_deadline_us(const struct pipeline *pipeline)
{
    const struct tail *tail = &pipeline->tail;
    if (pipeline->draining) {
        return CLOCK_NEVER_US;
    }
    if (tail->state == TAIL_OFF) {
        return begin_deadline_us(pipeline);
    }
    uint64_t deadline_us = CLOCK_NEVER_US;
    if (!is_open(pipeline)) {
        deadline_us = tail->open_us + pipeline->options.tail_patience_us;
    }
    deadline_us = clock_earlier_us(deadline_us, unseen_deadline_us(pipeline));
    return clock_earlier_us(deadline_us, final_deadline_us(pipeline));
}
