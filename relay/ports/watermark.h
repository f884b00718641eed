/* relay/ports/watermark.h - finds the id up to which the outbox is final: every row up to it that will ever be
 * committed is visible to snapshots taken from now on. So a transaction that took a low id and commits late is never
 * missed, and a long transaction that does not write to the outbox does not delay the answer. In the same way it finds
 * the position of the log before which every commit is visible.
 *
 * What it needs of a server (source_watermark.h of each source shows that it has it): ids ascend in the order in which
 * they are given out; a writer locks the table before it takes an id, and keeps the lock until its transaction is over
 * and, if committed, visible; and there is a list of the holders of that lock.
 *
 * Why the answer is exact:
 *   1. read the last id that was given out: S. Whoever took an id up to S locked the table before this moment;
 *   2. then list the holders of the lock. A transaction with an id up to S that is not listed is over: its rows are
 *      visible, or will never be. If the list is empty, S is final;
 *   3. otherwise remember S and the list. These transactions end, and no new one can join them: when none of them
 *      is listed any more, S is final. New writers do not matter, so steady writing cannot delay the answer.
 *
 * Positions. A transaction holds its locks from the writing of its commit to the log until it is visible; with a
 * synchronous standby this may take long. So read the end of the log, P, before S. A transaction that committed before
 * P and is not on the list of 2. is over and visible, as above: P is final when nobody of that list is left. P is also
 * final if there is a list, but S was final already: a transaction that committed before P took its ids before S was
 * read, so they are up to S, and all transactions with such ids are over. (Ids chosen by the writer are the exception,
 * see below.) And in the other direction: rows that are final at one look were committed before the P of every later
 * look.
 *
 * Orphans. The list may name a transaction by its session, and a prepared one (XA) by something that outlives the
 * session. Then an awaited transaction can leave the list without being over: it goes on as an orphan that was not
 * listed before. So when an awaited session leaves the list, all orphans are awaited too. As no further session is
 * awaited, this ends as well.
 *
 * Assumption: the server gives out the ids while the table is locked. Rows inserted with an id that the writer chose
 * are found by the sweep. After a crash a server may give out the same ids again, if their transactions never reached
 * the disk; so the final id is forgotten with the connection. */
#ifndef RELAY_PORTS_WATERMARK_H
#define RELAY_PORTS_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/ports/log_position.h"

/* A holder of the lock, named by whatever names a transaction on this server. If the same numbers come again for
 * another transaction, that one is awaited too. */
struct watermark_writer {
    uint64_t session;
    uint64_t transaction; /* within the session */
    bool orphan;          /* its session may be gone */
};

struct watermark {
    int64_t final_id;                /* 0: none yet */
    log_position final_position;     /* 0: none yet, or the server has no readable log */
    int64_t candidate;               /* final once `awaited` is empty, */
    log_position candidate_position; /* final together with `candidate` */
    struct watermark_writer *awaited;
    size_t awaited_count;
};

void watermark_init(struct watermark *watermark);
void watermark_done(struct watermark *watermark);

/* Takes in one look at the server: where its log ends (0: it has none), then the last id that was given out (0: none),
 * then the holders of the lock. */
void watermark_observe(struct watermark *watermark, log_position position, int64_t last_id,
                       const struct watermark_writer *writers, size_t count);

#endif
