/* relay/ports/fetch_plan.h - plans the statements by which a source fetches rows: how many rows at a time, up to which
 * id, and what to ask instead when something cannot be read. The statements, and running them, are the source's.
 * FETCH_PRESENT needs no plan.
 *
 * When the server refuses a fetch, takes too long for it, or the session ends over it, the fetch is halved, down to one
 * row. If that row cannot be read either, it is read without its texts ("bare") and delivered as withheld, with the
 * reason. If even that fails, no row is to blame.
 *
 * FETCH_NEXT has two statements. The cheap one limits the batch by limiting each row to an equal share of the bytes; if
 * it meets a larger row, the exact one counts bytes. If even that returns nothing but a row that was cut, as it is
 * larger than the whole batch may be, the row is fetched alone. */
#ifndef RELAY_PORTS_FETCH_PLAN_H
#define RELAY_PORTS_FETCH_PLAN_H

#include "relay/ports/source.h"

#define FETCH_PLAN_KINDS 2 /* FETCH_NEXT, FETCH_HEADS */
#define FETCH_PLAN_UNREAD_MAX 16
#define FETCH_PLAN_REASON_BYTES 450
/* A row that is fetched alone may take so many leases. */
#define FETCH_PLAN_PATIENCE 20

/* A message that could not be read. */
struct fetch_unread {
    int64_t id;
    uint64_t until_us; /* not read again before this time */
    char reason[FETCH_PLAN_REASON_BYTES];
};

struct fetch_plan {
    uint64_t takeover_us;
    bool outstanding;
    bool exact; /* the statement that was sent counts bytes */
    bool alone; /* it fetches one row, of any size */
    bool bare;  /* it fetches no texts; `trouble` says why the row cannot be read */
    /* So many more fetches use the exact statement, as large rows are around. */
    uint32_t exact_left;
    enum fetch_kind kind;
    int64_t after_id;
    int64_t stretch;     /* FETCH_NEXT: range of ids that one statement reads */
    int64_t stretch_max; /* upper limit of stretch, lowered after one took too long; 0: no limit */
    int64_t stretch_end; /* last id of the range of the statement that was sent */
    uint64_t sent_us;
    uint32_t rows_max;
    /* The source's own limit on rows, because of its cost; UINT32_MAX: none. */
    uint32_t rows_cap;
    uint64_t bytes_max;
    /* The source's own limit on counted bytes, raised as the link proves fast; UINT64_MAX: none. */
    uint64_t bytes_cap;
    /* How often a fetch of each kind is halved, because a row could not be read or the link is slow. Kept over
     * sessions. */
    uint32_t halvings[FETCH_PLAN_KINDS];
    uint32_t losses[FETCH_PLAN_KINDS]; /* sessions in a row that ended over one single row */
    char trouble[FETCH_PLAN_REASON_BYTES];
    /* Answers are slow, so less is asked for at a time: the text for the log, and the earliest time of the next such
     * line; empty: they are not slow. */
    char slow[200];
    uint64_t slow_told_us;
    struct fetch_unread unread
        [FETCH_PLAN_UNREAD_MAX]; /* A ring of held messages that are not read again for a while. */
    uint32_t unread_next;
};

void fetch_plan_init(struct fetch_plan *plan, uint64_t takeover_us);

/* Begins a fetch. The source keeps the fetch's ids. */
void fetch_plan_begin(struct fetch_plan *plan, const struct fetch *fetch);

/* A statement is being sent now: sets how far it reads and whether it counts bytes. */
void fetch_plan_send(struct fetch_plan *plan, int64_t final_id, uint64_t now_us);

/* The most rows that may be delivered. */
uint32_t fetch_plan_rows(const struct fetch_plan *plan);
/* The statement's limit: one row more, to know whether there are more. */
int64_t fetch_plan_limit(const struct fetch_plan *plan);
/* The limit on bytes: of each row for the cheap statement, of all rows for the others; none for a row fetched alone. */
int64_t fetch_plan_bytes(const struct fetch_plan *plan);
/* True if only one row is fetched and the next is not even looked at: if the fetch fails, this row is the cause. It may
 * take FETCH_PLAN_PATIENCE leases. */
bool fetch_plan_is_alone(const struct fetch_plan *plan);

/* True if less is fetched than was asked for, as rows are hard to read or the link is slow. */
bool fetch_plan_is_halved(const struct fetch_plan *plan);

/* Handles the statement's answer. False: nothing to deliver yet, send the next statement. *ret_news: log that the table
 * is read slowly (plan->slow). */
bool fetch_plan_answered(struct fetch_plan *plan, struct batch *batch, uint64_t now_us,
                         bool *ret_news);

/* The server refused the statement for a reason that a row can cause. True: send the next statement. False: no row can
 * be the cause; give the session up. */
bool fetch_plan_refused(struct fetch_plan *plan, const char *why) MUST_CHECK;

/* The session has ended. `blameless`: for a reason that no row can cause. */
void fetch_plan_lost(struct fetch_plan *plan, bool blameless, const char *why, uint64_t now_us);

/* True if this unreadable message is not to be read now. */
bool fetch_plan_is_unread(const struct fetch_unread *unread, uint64_t now_us);
/* An operator wants all unreadable messages read again. */
void fetch_plan_forget_unread(struct fetch_plan *plan);

/* ---- FETCH_PRESENT -------------------------------------------------------------------------------------- */

/* True if the ids are close together, as those of the log usually are: then read the whole range and leave out the ids
 * that were not asked for. */
bool fetch_present_is_dense(const struct fetch *fetch);
/* Keeps only those of `ids` that were asked for, and returns their number. Both arrays are ascending. */
size_t fetch_present_keep(int64_t *ids, size_t count, const int64_t *asked, size_t asked_count);

#endif
