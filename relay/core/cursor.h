/* relay/core/cursor.h - from which id on the table has to be read.
 *
 * Ids are given out before their transactions commit, so rows appear behind the highest id read
 * (PITFALLS of every poller: "WHERE id > last" loses them). Three ids say what may still be unseen:
 *   high   every row that was visible up to here has been read
 *   final  every row up to here that will ever be committed was visible when `high` was read: no
 * late rows below it floor  rows above it were read but dropped from memory (a lost lane, a paused
 * key), and must be read again The next fetch starts after the lowest of the three and leaves out
 * what is in memory, in one statement and thus one snapshot: a late row and its successor of the
 * same key are seen together and come in order.
 *
 * While a log delivers what is committed, the table is not read: then it goes on where it was (`live_final`). */
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
    /* Learned from the source; holds for `final` once a fetch that was sent after it has come back. */
    int64_t final_known;
    /* the fetch that is out */
    int64_t sent_floor;
    int64_t sent_final;
    /* Everything that was committed before this position of the log was read; 0: not known. */
    uint64_t covered;
    /* Everything that was committed before it is visible: as final_known. */
    uint64_t position_known;
    uint64_t sent_position;
    int64_t live_final; /* what `final` is when the log is left: nothing up to here is unseen */
    uint64_t forgotten; /* how often something was dropped */
    /* Where it would have started without the sweep; CURSOR_NONE: it is no sweep. */
    int64_t sent_without_sweep;
};

/* Everything is unseen. */
void cursor_init(struct cursor *cursor);

/* After which id the next fetch starts. */
int64_t cursor_after(const struct cursor *cursor);

/* The row with this id was dropped from memory and must be read again. */
void cursor_forget(struct cursor *cursor, int64_t id);

/* The next fetch shall look at the whole table. */
void cursor_sweep(struct cursor *cursor);

/* The source said that no late rows will come up to this id, nor of what was committed before this position. */
void cursor_final(struct cursor *cursor, int64_t id, uint64_t position);

/* From now on a log delivers what the table has not shown; or it does not any more. */
void cursor_enter_live(struct cursor *cursor);
void cursor_leave_live(struct cursor *cursor);

/* The log has brought every row up to this id that will ever be committed. */
void cursor_pass_live(struct cursor *cursor, int64_t id);

/* Whether something was dropped that has not been read again. */
bool cursor_has_gap(const struct cursor *cursor);

/* A fetch goes out, starting after cursor_after(). */
void cursor_sent(struct cursor *cursor);

/* It came back: its last row (ignored when count is 0), and whether it was all there was. */
void cursor_received(struct cursor *cursor, size_t count, int64_t last_id, bool complete);

/* It did not come back, or its rows must not be used. */
void cursor_unsent(struct cursor *cursor);

#endif
