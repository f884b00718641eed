/* relay/core/pipeline_tail.h - the log, where the source has one: when it is read, what it brings, and when the table is
 * polled instead. */
#ifndef RELAY_CORE_PIPELINE_TAIL_H
#define RELAY_CORE_PIPELINE_TAIL_H

#include "base/backoff.h"
#include "relay/core/pipeline.h"

enum tail_state {
    TAIL_OFF,       /* the log is not read: the table is polled, */
    TAIL_BEGINNING, /* as here, */
    /* and here: the log has not come to where the table has been read to, or begins behind it */
    TAIL_BEHIND,
    TAIL_LIVE, /* the log brings what is new; the table is read for what was dropped, and to sweep */
};

/* The sweep of a live log asks for an id, then for a position behind it, waits for the log to pass, and reads. */
enum tail_sweep {
    TAIL_SWEEP_REST,
    TAIL_SWEEP_ID,
    TAIL_SWEEP_POSITION,
    TAIL_SWEEP_PASSING,
    TAIL_SWEEP_READING,
};

struct tail {
    enum tail_state state;
    uint64_t begin_at_us;
    struct backoff backoff;
    uint64_t live_since_us; /* first; 0: not since it was begun */
    uint64_t open_us;       /* when messages of the log could go out, last */
    bool caught_up;         /* all that the table had was read since the log was left */
    bool distrusted;        /* it missed rows */
    bool absent;            /* the source has none */
    /* Perhaps as nothing so old is kept: a later position is asked for, though nothing new is in the table. */
    bool refused;
    uint64_t writers_at_us; /* when to say that open transactions keep it from being begun */
    char reason[240];       /* why it is not read; empty: it is, or there is nothing against it */

    log_position from; /* the log brings what was committed from here on */
    /* What was committed before was let into memory, from the log or the table. */
    log_position covered;
    log_position reached; /* the log has come so far */
    bool more_out;

    /* An answer that was not let in yet. */
    bool waiting;
    const struct row *rows;
    size_t row_count;
    log_position rows_position;
    int64_t *lookup_ids; /* of rows that are looked up in the table, ascending */
    size_t lookup_count;
    size_t lookup_capacity;
    /* What was committed before was visible when they were looked up. */
    log_position lookup_visible;
    int64_t *taken; /* of what was found in the table: 1: it was let in */
    size_t taken_capacity;

    log_position unseen_position; /* one from here was not found, and may be not visible yet */
    log_position begin_past;      /* not begun again before all up to here is visible */
    uint64_t unseen_since_us;     /* it is looked for since then; 0: it is not */

    enum tail_sweep sweep;
    bool sweep_reads;     /* else it only learns from where on the table would have to be read */
    uint64_t final_at_us; /* when to learn that again */
    int64_t sweep_id;
    log_position sweep_position;
    int64_t sweep_after;
};

void tail_init(struct pipeline *pipeline);
void tail_done(struct pipeline *pipeline);
void tail_lost(struct pipeline *pipeline, uint64_t now_us);

bool tail_is_live(const struct pipeline *pipeline);
/* It is read, live or not: what is safe may be told. */
bool tail_is_followed(const struct pipeline *pipeline);
/* What was committed before was let into memory. */
log_position tail_covered(const struct pipeline *pipeline);
/* Why the log is not live although it should be; NULL: it is, or should not. */
const char *tail_reason(const struct pipeline *pipeline);

/* Rows of the table were read; whole: there are no more. */
void tail_table_read(struct pipeline *pipeline, bool whole);
/* There is something in the table that was not read. */
void tail_table_grew(struct pipeline *pipeline);
/* All that the table had was read since the log was left. */
bool tail_has_caught_up(const struct pipeline *pipeline);

/* The sweep of a live log reads, behind sweep_after. Rows up to sweep_id that come are missed ones. */
bool tail_sweeps(const struct pipeline *pipeline);
int64_t tail_sweep_after(const struct pipeline *pipeline);
int64_t tail_sweep_id(const struct pipeline *pipeline);
/* It has read these. How many of them, from the first, are to be admitted; missed: there were some that the log should have
 * brought. */
size_t tail_swept(struct pipeline *pipeline, const struct batch *batch, bool missed,
                  uint64_t now_us) MUST_CHECK;

bool tail_wants_watermark(const struct pipeline *pipeline);
void tail_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us);

bool tail_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t tail_deadline_us(const struct pipeline *pipeline);

#endif
