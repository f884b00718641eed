/* relay/core/pipeline_tail.h - the log, if the source has one: when it is read, what becomes of its rows, and when the
 * table is polled instead. */
#ifndef RELAY_CORE_PIPELINE_TAIL_H
#define RELAY_CORE_PIPELINE_TAIL_H

#include "base/backoff.h"
#include "relay/core/pipeline.h"

enum tail_state {
    TAIL_OFF,       /* the log is not read; the table is polled */
    TAIL_BEGINNING, /* the log is being opened; the table is polled */
    /* The log is read but not used: it has not reached the point up to which the table was read, or starts behind it.
     * The table is polled. */
    TAIL_BEHIND,
    TAIL_LIVE, /* new rows come from the log; the table is read for the sweep */
};

/* The sweep of a live log learns a final id, then a log position behind it, waits until the log has passed that
 * position, and reads the table. */
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
    uint64_t live_since_us; /* when it first was; 0: not since it was opened */
    uint64_t open_us;       /* when messages of the log could last be published */
    bool caught_up;         /* the whole table was read since the log was last used */
    bool distrusted;        /* the sweep found rows that the log had not brought */
    bool absent;            /* the source has no log */
    /* Opening failed, perhaps because the server does not keep the log that far back: a later position is asked for,
     * even if the table has no new rows. */
    bool refused;
    uint64_t writers_at_us; /* when to report that open transactions prevent its opening */
    char reason[240];       /* why the log is not read; empty: it is read, or no reason is known */

    log_position from; /* the log delivers what was committed from here on */
    /* Everything committed before it was taken into memory, from the log or the table. */
    log_position covered;
    log_position reached; /* how far the log was read */
    bool more_out;

    /* An answer whose rows were not taken in yet. */
    bool waiting;
    const struct row *rows;
    size_t row_count;
    log_position rows_position;
    int64_t *lookup_ids; /* ids that are looked up in the table, ascending */
    size_t lookup_count;
    size_t lookup_capacity;
    /* Everything committed before it was visible at the lookup. */
    log_position lookup_visible;
    int64_t *taken; /* for each id found in the table: 1: its row was taken in */
    size_t taken_capacity;

    /* Position of a row that was not found and may be not visible yet. */
    log_position unseen_position;
    /* The log is not opened again before everything up to here is visible. */
    log_position begin_past;
    uint64_t unseen_since_us; /* waiting for that row since then; 0: not waiting */

    enum tail_sweep sweep;
    /* Reads the table; if not, it only learns from which id to read it when needed. */
    bool sweep_reads;
    uint64_t final_at_us; /* when to learn that id again */
    int64_t sweep_id;
    log_position sweep_position;
    int64_t sweep_after;
};

void tail_init(struct pipeline *pipeline);
void tail_done(struct pipeline *pipeline);
void tail_lost(struct pipeline *pipeline, uint64_t now_us);

bool tail_is_live(const struct pipeline *pipeline);
/* The log is read, live or not: the safe position may be reported. */
bool tail_is_followed(const struct pipeline *pipeline);
/* Up to where the log was read; 0: it is not followed. */
log_position tail_reached(const struct pipeline *pipeline);
/* Everything committed before this position was taken into memory. */
log_position tail_covered(const struct pipeline *pipeline);
/* Why the log is not live although the configuration wants it; NULL: it is live, or not wanted. */
const char *tail_reason(const struct pipeline *pipeline);

/* Rows of the table were read; whole: there were no more. */
void tail_table_read(struct pipeline *pipeline, bool whole);
/* The table has rows that were not read yet. */
void tail_table_grew(struct pipeline *pipeline);
/* All that the table had was read since the log was left. */
bool tail_has_caught_up(const struct pipeline *pipeline);

/* Whether the sweep of a live log may read the table now, after the id sweep_after. Rows up to sweep_id that it finds
 * are missed ones. */
bool tail_sweeps(const struct pipeline *pipeline);
int64_t tail_sweep_after(const struct pipeline *pipeline);
int64_t tail_sweep_id(const struct pipeline *pipeline);
/* The sweep has read this batch. Gives how many of its rows, from the first, are to be taken in; missed: the log should
 * have brought some of them. */
size_t tail_swept(struct pipeline *pipeline, const struct batch *batch, bool missed,
                  uint64_t now_us) MUST_CHECK;

bool tail_wants_watermark(const struct pipeline *pipeline);
void tail_final(struct pipeline *pipeline, const struct source_final *final, uint64_t now_us);

bool tail_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t tail_deadline_us(const struct pipeline *pipeline);

#endif
