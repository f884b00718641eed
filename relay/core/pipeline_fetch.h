/* relay/core/pipeline_fetch.h - which rows are read next, and what becomes of them: rows of the outbox, rows that the
 * log should have brought (the sweep), and held messages that are due. */
#ifndef RELAY_CORE_PIPELINE_FETCH_H
#define RELAY_CORE_PIPELINE_FETCH_H

#include "relay/core/pipeline.h"

/* FETCH_OUT_STALE: a row that the fetch left out, being in memory, was dropped meanwhile. The fetched rows would
 * overtake it, so they are not used. */
enum fetch_state { FETCH_IDLE, FETCH_OUT, FETCH_OUT_STALE };

struct fetching {
    enum fetch_state state;
    enum fetch_kind kind;
    bool sweeps; /* FETCH_NEXT: it is a sweep of a live log, which does not move the cursor */
    uint64_t sent_us;
    uint64_t sent_change; /* value of held.changes when it was sent */
    uint64_t poll_at_us;
    uint64_t poll_interval_us;
    uint64_t sweep_at_us; /* CLOCK_NEVER_US: a sweep is under way */
    uint64_t sweep_begun_us;
    int64_t highest_admitted; /* no row in memory has a higher id */
    bool full_reported;
    int64_t *exclude_ids;
    size_t exclude_capacity;
};

void fetching_init(struct pipeline *pipeline);
void fetching_done(struct pipeline *pipeline);
void fetching_owned(struct pipeline *pipeline, uint64_t now_us);
void fetching_lost(struct pipeline *pipeline);

/* No fetch is out. */
bool fetching_is_idle(const struct pipeline *pipeline);
/* Whether anything may be read at all. */
bool fetching_is_allowed(const struct pipeline *pipeline);
/* Makes the fetch that is out, if any, stale. */
void fetching_spoil(struct pipeline *pipeline);
/* The same, but only for FETCH_NEXT. */
void fetching_spoil_rows(struct pipeline *pipeline);
/* There may be rows to read: fetch without waiting for the poll interval. */
void fetching_look_at_once(struct pipeline *pipeline);
/* A key is not held back any more: its rows may be read, and there may be room for other refused messages. */
void fetching_key_opened(struct pipeline *pipeline);

/* The sweep of the table, with or without a live log: when the next one begins; plan it; it begins; it has ended. */
uint64_t fetching_sweep_deadline_us(const struct pipeline *pipeline);
void fetching_plan_sweep(struct pipeline *pipeline, uint64_t at_us);
void fetching_sweep_begins(struct pipeline *pipeline, uint64_t now_us);
void fetching_sweep_ends(struct pipeline *pipeline, uint64_t now_us);

/* Takes in a row of the outbox that was not in memory, from the table or from the log. */
void fetching_admit(struct pipeline *pipeline, const struct row *row, uint64_t now_us);
int64_t fetching_highest_admitted(const struct pipeline *pipeline);

/* Visits the ids of all messages in memory that are still in the outbox. Those being settled or held are among them:
 * when a statement meets a row that it cannot process, it is carried out again in parts, after a later fetch. */
void fetching_each_in_memory(const struct pipeline *pipeline,
                             void (*visit)(void *context, int64_t id), void *context);

bool fetching_send(struct pipeline *pipeline, const struct fetch *fetch, uint64_t now_us,
                   struct pipeline_action *ret_action);
/* The answer to the fetch that is out has come. False: the fetch was stale. */
bool fetching_came(struct pipeline *pipeline, enum fetch_kind kind) MUST_CHECK;

bool fetching_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t fetching_deadline_us(const struct pipeline *pipeline);

#endif
