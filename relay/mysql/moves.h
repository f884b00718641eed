/* relay/mysql/moves.h - changes of messages in outbox and outbox_held: each function is one transaction, or a query, on
 * the thread of a link. False: see the session, and nothing was changed. moves_hold.c sets messages aside, moves_back.c
 * moves them back to the outbox, moves.c has the rest. */
#ifndef RELAY_MYSQL_MOVES_H
#define RELAY_MYSQL_MOVES_H

#include "relay/mysql/session.h"
#include "relay/ports/source.h"

/* Sets messages aside, or changes the state of those that are held already. ret_missing, with room for all: the ids
 * that are in neither table, and scheduled ones that another transaction has locked. */
bool my_moves_hold(struct my_session *session, const struct hold *holds, size_t count,
                   int64_t *ret_missing, size_t *ret_missing_count) MUST_CHECK;

/* Deletes held messages that were published, in the order of ids. */
bool my_moves_settle_held(struct my_session *session, const int64_t *ids, size_t count) MUST_CHECK;

struct my_released {
    /* How many moved, or were discarded by an operator meanwhile. Fewer than asked for means that no more are
     * waiting. */
    size_t count;
    int64_t first_id;
    int64_t last_id;
};

/* Moves back the messages with the lowest ids that wait for these keys, at most rows_max. */
bool my_moves_release(struct my_session *session, const int64_t *keys, size_t key_count,
                      size_t rows_max, struct my_released *ret_released) MUST_CHECK;

/* The one that would move first, and the hash of its key. *ret_any is false if none waits. */
bool my_moves_first_waiting(struct my_session *session, const int64_t *keys, size_t key_count,
                            bool *ret_any, int64_t *ret_id, int64_t *ret_key_hash) MUST_CHECK;

#define MY_WAKE_ALL INT64_MIN

struct my_woken {
    size_t count;
    bool any_due;        /* a message was due */
    int64_t first_id;    /* the first one that was due */
    int64_t up_to_us;    /* the next `from_us` */
    uint64_t next_in_us; /* CLOCK_NEVER_US: nothing is scheduled */
};

/* Moves scheduled messages that are due, at most rows_max, of those with a time of `from_us` or later (microseconds
 * since 1970; MY_WAKE_ALL: any). Sets any_due and first_id also if it fails. */
bool my_moves_wake(struct my_session *session, int64_t from_us, size_t rows_max,
                   struct my_woken *ret_woken) MUST_CHECK;
/* For one that cannot move: sets it aside, or lets it be sent from outbox_held, with this reason (wake_stuck.sql). */
bool my_moves_wake_stuck(struct my_session *session, int64_t id, const char *reason) MUST_CHECK;

/* *ret_acts: whether operators have acted since the last call; marks these acts as seen. */
bool my_moves_acts(struct my_session *session, bool *ret_acts) MUST_CHECK;

bool my_moves_heads(struct my_session *session, struct source_heads *ret_heads) MUST_CHECK;

#endif
