/* relay/postgres/source_watermark.h - up to which id the outbox is final: every row with an id
 * up to it that will ever be committed is visible to snapshots taken from now on. A transaction
 * that took a low id and commits late is thus never missed, and no other transaction of the
 * server, however long, holds the answer back. Likewise up to which position of the log: all that
 * was committed before it is visible.
 *
 * Why it is exact. An INSERT or COPY locks the table (RowExclusiveLock) before it asks the
 * sequence for an id, and keeps the lock until its transaction is over; a commit becomes visible
 * before its locks are let go. So:
 *   1. read the sequence: S. Whoever holds an id up to S has locked the table before this moment;
 *   2. after that, list the transactions that hold the lock. Whoever holds an id up to S and is not
 *      on the list is over: its rows are visible, or will never be. If the list is empty, S is
 *      final;
 *   3. otherwise remember S and the list. Those transactions come to an end and no new one can join
 *      them: once none of them is listed any more, S is final. New writers do not matter, so steady
 *      writing cannot hold the answer back.
 *
 * Positions. Between the writing of its commit to the log and its becoming visible a transaction
 * still holds its locks; with a synchronous standby that may take long. So read the position P where
 * the log ends before the sequence. Whoever has committed before P and is not on the list of 2. is
 * over and visible, as above; thus P is final as soon as nobody of that list is left. It is so too
 * if there is a list, but S was final already: whoever has committed before P took its ids before
 * the sequence was read, so they are up to S, and all with such ids are over. (An id of one's own is
 * the exception again.)
 * The other way round: what is final by one look has been committed before the P of every later one.
 *
 * A prepared transaction keeps its locks under the same name (PostgreSQL 14.1 and newer).
 *
 * What it takes for granted: ids come from the sequence while the table is locked. Rows that are
 * put in with an id of one's own (OVERRIDING SYSTEM VALUE) are found by the sweep. After a crash
 * a server may give out ids again whose transactions were never written to disk; so what was
 * final is forgotten with the connection. */
#ifndef RELAY_POSTGRES_SOURCE_WATERMARK_H
#define RELAY_POSTGRES_SOURCE_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_watermark {
    int64_t final_id;            /* 0: none yet */
    uint64_t final_position;     /* likewise; and if the server has no log to be read */
    int64_t candidate;           /* final once `awaited` is empty, */
    uint64_t candidate_position; /* and so is this */
    uint64_t *awaited;           /* transactions */
    size_t awaited_count;
};

void pg_watermark_init(struct pg_watermark *watermark);
void pg_watermark_done(struct pg_watermark *watermark);

/* A look at the server: where its log ends (0: there is none), then the sequence's last id (0 if it
 * gave out none), then the transactions that hold the lock. */
void pg_watermark_observe(struct pg_watermark *watermark, uint64_t position, int64_t last_id,
                          const uint64_t *writers, size_t count);

/* "3/1507" as one number. False if it is not a virtual transaction. */
bool pg_watermark_parse(const char *text, uint64_t *ret_transaction);

#endif
