/* relay/core/cursor.h - from which id on the table has to be read.
 *
 * An id is taken before its transaction commits, so rows can appear below the highest id already read ("WHERE id >
 * last" loses them). Three ids say what may still be unread:
 *   high   every row up to here that was visible has been read
 *   final  no late row can appear up to here: every row that will ever be committed was visible
 *          when `high` was read
 *   floor  rows above this id were read but dropped from memory (a lost lane, a held key), and
 *          must be read again
 *
 * The next fetch starts after the lowest of the three and leaves out the ids in memory. It is one statement, and so one
 * snapshot: a late row and its successor of the same key are seen together and arrive in order.
 *
 * While the log delivers new commits, the table is not read. Afterwards reading continues at `live_final`. */
#ifndef RELAY_CORE_CURSOR_H
#define RELAY_CORE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURSOR_START INT64_MIN
#define CURSOR_NONE INT64_MAX

struct cursor {
    int64_t high;
    int64_t final;
    int64_t floor; /* CURSOR_NONE: nothing was dropped */
    /* The source's latest answer. It becomes `final` once a fetch that was sent after it has come back. */
    int64_t final_known;
    /* the fetch that is out */
    int64_t sent_floor;
    int64_t sent_final;
    /* Everything that was committed before this position of the log was read; 0: not known. */
    uint64_t covered;
    /* Everything committed before this position is visible; handled like final_known. */
    uint64_t position_known;
    uint64_t sent_position;
    /* What `final` becomes when reading of the log ends: every row up to here has been seen. */
    int64_t live_final;
    uint64_t forgotten; /* how often a row was dropped */
    /* Where the fetch would have started if it were no sweep; CURSOR_NONE: no sweep is under way. */
    int64_t sent_without_sweep;
};

/* Nothing has been read yet. */
void cursor_init(struct cursor *cursor);

/* After which id the next fetch starts. */
int64_t cursor_after(const struct cursor *cursor);

/* This row was dropped from memory and must be read again. */
void cursor_forget(struct cursor *cursor, int64_t id);

/* The next fetch reads the table from its start. */
void cursor_sweep(struct cursor *cursor);

/* The source said: no late row can appear up to this id, nor one committed before this position. */
void cursor_final(struct cursor *cursor, int64_t id, uint64_t position);

/* The log starts, or stops, delivering the rows that the table has not shown. */
void cursor_enter_live(struct cursor *cursor);
void cursor_leave_live(struct cursor *cursor);

/* The log has brought every row up to this id that will ever be committed. */
void cursor_pass_live(struct cursor *cursor, int64_t id);

/* The log may have left out any of the rows that it should have brought: once it stops, the whole table is read. */
void cursor_doubt_live(struct cursor *cursor);

/* True if a dropped row has not been read again yet. */
bool cursor_has_gap(const struct cursor *cursor);

/* A fetch is sent that starts after cursor_after(). */
void cursor_sent(struct cursor *cursor);

/* The fetch came back: the id of its last row (ignored when count is 0), and whether there were no more rows. */
void cursor_received(struct cursor *cursor, size_t count, int64_t last_id, bool complete);

/* The fetch did not come back, or its rows must not be used. */
void cursor_unsent(struct cursor *cursor);

#endif
