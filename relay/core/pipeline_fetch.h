/* relay/core/pipeline_fetch.h - what is read next, and what came: rows of the outbox, those that the sweep of a live log
 * looks for, and held messages that are due. */
#ifndef RELAY_CORE_PIPELINE_FETCH_H
#define RELAY_CORE_PIPELINE_FETCH_H

#include "relay/core/pipeline.h"

/* Stale: something was dropped from memory that it left out, so its rows would overtake that. They are not used. */
enum fetch_state { FETCH_IDLE, FETCH_OUT, FETCH_OUT_STALE };

struct fetching {
    enum fetch_state state;
    enum fetch_kind kind;
    bool sweeps; /* FETCH_NEXT: beside the cursor, for the sweep of a live log */
    uint64_t sent_us;
    uint64_t sent_change; /* held.changes, then */
    uint64_t poll_at_us;
    uint64_t poll_interval_us;
    uint64_t sweep_at_us; /* CLOCK_NEVER_US: one is under way */
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

/* Nothing is out. */
bool fetching_is_idle(const struct pipeline *pipeline);
/* Whether anything may be read at all. */
bool fetching_is_allowed(const struct pipeline *pipeline);
/* What is out, if anything is, has become stale. */
void fetching_spoil(struct pipeline *pipeline);
/* Likewise, if it is FETCH_NEXT. */
void fetching_spoil_rows(struct pipeline *pipeline);
/* There is something to be read. */
void fetching_look_at_once(struct pipeline *pipeline);
/* Rows of a key that was held back may be read; and there may be room for others again. */
void fetching_key_opened(struct pipeline *pipeline);

/* Of the table, with or without a live log: when the next begins; it begins; it has come to its end. */
uint64_t fetching_sweep_deadline_us(const struct pipeline *pipeline);
void fetching_plan_sweep(struct pipeline *pipeline, uint64_t at_us);
void fetching_sweep_begins(struct pipeline *pipeline, uint64_t now_us);
void fetching_sweep_ends(struct pipeline *pipeline, uint64_t now_us);

/* A row of the outbox that was not in memory, from the table or from the log. */
void fetching_admit(struct pipeline *pipeline, const struct row *row, uint64_t now_us);
int64_t fetching_highest_admitted(const struct pipeline *pipeline);

/* What is in memory and still in the outbox. What is being settled or held, too: where a row of it makes trouble, that is
 * carried out again in parts, after a statement that was asked later. */
void fetching_each_in_memory(const struct pipeline *pipeline,
                             void (*visit)(void *context, int64_t id), void *context);

bool fetching_send(struct pipeline *pipeline, const struct fetch *fetch, uint64_t now_us,
                   struct pipeline_action *ret_action);
/* The answer to what is out has come, which is of this kind. False: it was stale. */
bool fetching_came(struct pipeline *pipeline, enum fetch_kind kind) MUST_CHECK;

bool fetching_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t fetching_deadline_us(const struct pipeline *pipeline);

#endif
