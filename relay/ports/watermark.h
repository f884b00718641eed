/* relay/ports/watermark.h - up to which id the outbox is final: every row with an id up to it that will ever be committed is
 * visible to snapshots taken from now on. A transaction that took a low id and commits late is thus never missed, and no other
 * transaction of the server, however long, holds the answer back. Likewise up to which position of the log: all that was
 * committed before it is visible.
 *
 * What a server must have, and what each source says of its own (source_watermark.h): ids ascend in the order in which they are
 * given out; whoever writes a row locks the table before he asks for its id, and lets go of it only when his transaction is
 * over and, if it was committed, visible; and there is a list of those who hold such a lock.
 *
 * Why it is exact then:
 *   1. read the last id that was given out: S. Whoever holds an id up to S has locked the table before this moment;
 *   2. after that, list who holds the lock. Whoever holds an id up to S and is not on the list is over: its rows are
 *      visible, or will never be. If the list is empty, S is final;
 *   3. otherwise remember S and the list. Those transactions come to an end and no new one can join them: once none of them
 *      is listed any more, S is final. New writers do not matter, so steady writing cannot hold the answer back.
 *
 * Positions. Between the writing of its commit to the log and its becoming visible a transaction still holds its locks; with a
 * synchronous standby that may take long. So read the position P where the log ends before S. Whoever has committed before P
 * and is not on the list of 2. is over and visible, as above; thus P is final as soon as nobody of that list is left. It is
 * so too if there is a list, but S was final already: whoever has committed before P took its ids before S was read, so
 * they are up to S, and all with such ids are over. (An id of one's own is the exception again.) The other way round: what is
 * final by one look has been committed before the P of every later one.
 *
 * Orphans. A list may name a transaction by its session, and one that was prepared (XA) by something else, which stays when the
 * session goes. Then somebody who was awaited leaves the list and is not over: it goes on as one of the orphans that came after the
 * first look. So when somebody who was awaited leaves, all orphans are awaited. As no session joins those that are awaited, that
 * comes to an end as well.
 *
 * What it takes for granted: ids come from the server while the table is locked. Rows that are put in with an id of one's own
 * are found by the sweep. After a crash a server may give out ids again whose transactions were never written to disk; so what
 * was final is forgotten with the connection. */
#ifndef RELAY_PORTS_WATERMARK_H
#define RELAY_PORTS_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/ports/log_position.h"

/* Somebody who holds the lock, by whatever names a transaction on this server; if the same numbers come again for another one,
 * that is awaited as well. */
struct watermark_writer {
    uint64_t session;
    uint64_t transaction; /* within it */
    bool orphan;          /* its session may be gone */
};

struct watermark {
    int64_t final_id;                /* 0: none yet */
    log_position final_position;     /* likewise; and if the server has no log to be read */
    int64_t candidate;               /* final once `awaited` is empty, */
    log_position candidate_position; /* and so is this */
    struct watermark_writer *awaited;
    size_t awaited_count;
};

void watermark_init(struct watermark *watermark);
void watermark_done(struct watermark *watermark);

/* A look at the server: where its log ends (0: there is none), then the last id that was given out (0: none was), then who
 * holds the lock. */
void watermark_observe(struct watermark *watermark, log_position position, int64_t last_id,
                       const struct watermark_writer *writers, size_t count);

#endif
