/* relay/ports/fetch_plan.h - how a source asks for rows: how many at a time and how far, and what it asks instead where something
 * cannot be read. It is the plan; the statements, and who runs them, are the source's. FETCH_PRESENT needs none.
 *
 * What the server refuses, what takes it too long, and what a session ends over, is asked for again by halves, down to one
 * row. If that cannot be read either, its texts are not ("bare"): it comes withheld, with the reason. If even that fails, it is
 * no row's fault.
 *
 * FETCH_NEXT has two statements. The cheap one bounds the batch by bounding each row to its equal share; where it meets a row
 * above that, the exact one counts bytes. Where even that gives nothing but a row that was cut, which is larger than all may be, that
 * row is asked for alone. */
#ifndef RELAY_PORTS_FETCH_PLAN_H
#define RELAY_PORTS_FETCH_PLAN_H

#include "relay/ports/source.h"

#define FETCH_PLAN_KINDS 2 /* FETCH_NEXT, FETCH_HEADS */
#define FETCH_PLAN_UNREAD_MAX 16
#define FETCH_PLAN_REASON_BYTES 450
/* One row alone may take so many leases. */
#define FETCH_PLAN_PATIENCE 20

/* A message that could not be read. */
struct fetch_unread {
    int64_t id;
    uint64_t until_us; /* not tried again before */
    char reason[FETCH_PLAN_REASON_BYTES];
};

struct fetch_plan {
    uint64_t takeover_us;
    bool outstanding;
    bool exact;          /* the statement that was sent counts bytes */
    bool alone;          /* it reads one row, however large */
    bool bare;           /* it reads no texts: `trouble` says why the row cannot be read */
    uint32_t exact_left; /* so many more fetches are sent as exact: large rows are about */
    enum fetch_kind kind;
    int64_t after_id;
    int64_t stretch;     /* FETCH_NEXT: so many ids at a time, */
    int64_t stretch_max; /* at most: less after one took too long; 0: no limit */
    int64_t stretch_end; /* the statement that was sent looks no further */
    uint64_t sent_us;
    uint32_t rows_max;
    /* The source's own limit: more would cost it too much. UINT32_MAX: it has none. */
    uint32_t rows_cap;
    uint64_t bytes_max;
    /* The source's own limit where bytes are counted, until it is known how fast the link is; UINT64_MAX: none. */
    uint64_t bytes_cap;
    /* How often what is asked for is halved, of each kind: a row of it could not be read, or the link is slow. Kept
     * from session to session. */
    uint32_t halvings[FETCH_PLAN_KINDS];
    uint32_t losses[FETCH_PLAN_KINDS]; /* sessions that ended, one after the other, over one row */
    char trouble[FETCH_PLAN_REASON_BYTES];
    /* Answers take long, and less is asked for at a time: this, and since when it is told; empty: they do not. */
    char slow[200];
    uint64_t slow_told_us;
    struct fetch_unread unread
        [FETCH_PLAN_UNREAD_MAX]; /* a ring: held messages that are not read again for a while */
    uint32_t unread_next;
};

void fetch_plan_init(struct fetch_plan *plan, uint64_t takeover_us);

/* Something is asked for, whose ids are the source's to keep. */
void fetch_plan_begin(struct fetch_plan *plan, const struct fetch *fetch);

/* A statement for it is sent now: this says how far it looks and whether it counts bytes. */
void fetch_plan_send(struct fetch_plan *plan, int64_t final_id, uint64_t now_us);

/* How many rows it gives at most. */
uint32_t fetch_plan_rows(const struct fetch_plan *plan);
/* How many it asks for: one more, to know that it is not all. */
int64_t fetch_plan_limit(const struct fetch_plan *plan);
/* Of each row by the cheap statement, of all by the others; no limit for one that is alone. */
int64_t fetch_plan_bytes(const struct fetch_plan *plan);
/* One row, and not even the next is looked at: if this fails, it is this row. It may take FETCH_PLAN_PATIENCE leases. */
bool fetch_plan_is_alone(const struct fetch_plan *plan);

/* Less is asked for than was wanted: rows are hard to read, or the link is slow. */
bool fetch_plan_is_halved(const struct fetch_plan *plan);

/* What the statement gave. False if there is nothing to deliver yet: the next is to be sent instead. *ret_news: that the table is
 * read slowly is to be told (plan->slow). */
bool fetch_plan_answered(struct fetch_plan *plan, struct batch *batch, uint64_t now_us,
                         bool *ret_news);

/* The server refused it for what a row can be to blame for. False if none can be: the session is to be given up. Else another
 * is to be sent. */
bool fetch_plan_refused(struct fetch_plan *plan, const char *why) MUST_CHECK;

/* The session has ended. `blameless`: for a reason that no row can have. */
void fetch_plan_lost(struct fetch_plan *plan, bool blameless, const char *why, uint64_t now_us);

/* Whether this one of the unread is not to be tried now. */
bool fetch_plan_is_unread(const struct fetch_unread *unread, uint64_t now_us);
/* An operator says that all are to be tried again. */
void fetch_plan_forget_unread(struct fetch_plan *plan);

/* ---- FETCH_PRESENT -------------------------------------------------------------------------------------- */

/* Ids of the log lie close together as a rule: then all of the range is read, and what was not asked for left out. */
bool fetch_present_is_dense(const struct fetch *fetch);
/* Keeps of the ids, and gives back how many they are, those that were asked for. Both are ascending. */
size_t fetch_present_keep(int64_t *ids, size_t count, const int64_t *asked, size_t asked_count);

#endif
