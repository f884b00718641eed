/* relay/mysql/moves.h - what becomes of messages in both tables: each a transaction, or a question, on the thread of a link.
 * False: see the session, and nothing was changed. moves_hold.c sets aside, moves_back.c moves back to the outbox, moves.c
 * has the rest. */
#ifndef RELAY_MYSQL_MOVES_H
#define RELAY_MYSQL_MOVES_H

#include "relay/mysql/session.h"
#include "relay/ports/source.h"

/* Sets messages aside, or gives those that are held already another state. *ret_missing, room for all of them: those that are in
 * neither table, and scheduled ones that somebody holds locked. */
bool my_moves_hold(struct my_session *session, const struct hold *holds, size_t count,
                   int64_t *ret_missing, size_t *ret_missing_count) MUST_CHECK;

/* Held messages that went: their rows go. In the order of ids. */
bool my_moves_settle_held(struct my_session *session, const int64_t *ids, size_t count) MUST_CHECK;

struct my_released {
    /* What moved, or was discarded by an operator meanwhile: fewer than were asked for mean that no more wait. */
    size_t count;
    int64_t first_id;
    int64_t last_id;
};

/* Of what waits behind these keys the messages with the lowest ids go back, at most rows_max. */
bool my_moves_release(struct my_session *session, const int64_t *keys, size_t key_count,
                      size_t rows_max, struct my_released *ret_released) MUST_CHECK;

/* The one of them that would be the first, and the hash of its key. False in *ret_any: none waits. */
bool my_moves_first_waiting(struct my_session *session, const int64_t *keys, size_t key_count,
                            bool *ret_any, int64_t *ret_id, int64_t *ret_key_hash) MUST_CHECK;

#define MY_WAKE_ALL INT64_MIN

struct my_woken {
    size_t count;
    bool any_due;        /* something was to move; */
    int64_t first_id;    /* this would have been the first of it */
    int64_t up_to_us;    /* the next `from_us` */
    uint64_t next_in_us; /* CLOCK_NEVER_US: nothing is scheduled */
};

/* Scheduled messages whose time has come move, at most rows_max, of those with a time from `from_us` on (since 1970; MY_WAKE_ALL).
 * any_due and first_id are told also if it fails. */
bool my_moves_wake(struct my_session *session, int64_t from_us, size_t rows_max,
                   struct my_woken *ret_woken) MUST_CHECK;
/* One that cannot move is set aside, or sent from where it is, with this reason (wake_stuck.sql). */
bool my_moves_wake_stuck(struct my_session *session, int64_t id, const char *reason) MUST_CHECK;

/* Takes note of what operators did. */
bool my_moves_acts(struct my_session *session, bool *ret_acts) MUST_CHECK;

bool my_moves_heads(struct my_session *session, struct source_heads *ret_heads) MUST_CHECK;

#endif
