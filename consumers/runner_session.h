/* runner_session.h - what the runner needs from a session with a database, whatever kind it is: one transaction at a
 * time, in which ids are claimed and messages applied. A kind is a table of functions; a session is the kind's own
 * struct, which begins with a struct runner_session. Sessions share nothing, so each may have a thread of its own. All
 * functions of a session except `cut` are called by one thread at a time, and block. */
#ifndef CONSUMERS_RUNNER_SESSION_H
#define CONSUMERS_RUNNER_SESSION_H

#include <inbox/inbox.h>
#include <inbox/inbox_delivery.h>

#include "base/error.h"

/* Whose fault a failure is. */
enum runner_fault {
    RUNNER_FAULT_NONE,
    RUNNER_FAULT_MESSAGE,    /* of a message, or not known: costs an attempt */
    RUNNER_FAULT_CONTENTION, /* of another transaction: try again */
    RUNNER_FAULT_OUTAGE,     /* of the database or the way to it: wait */
    /* Of the apply function: it has ended the transaction, so the claims may be committed. */
    RUNNER_FAULT_ENDED,
};

struct runner_session;

struct runner_session_kind {
    /* Connects if there is no connection, and checks that an existing one still answers. Not within a transaction.
     * RUNNER_FAULT_NONE or RUNNER_FAULT_OUTAGE. */
    enum runner_fault (*open)(struct runner_session *session, struct error *reterr);

    /* Connects if necessary, and begins a transaction. RUNNER_FAULT_NONE or RUNNER_FAULT_OUTAGE. */
    enum runner_fault (*begin)(struct runner_session *session, struct error *reterr);

    enum runner_fault (*claim)(struct runner_session *session, const char *consumer,
                               const struct inbox_id *ids, size_t count,
                               inbox_verdict *ret_verdicts, struct error *reterr);

    /* Calls the apply function, and checks what it has done with the transaction: RUNNER_FAULT_NONE if that can go
     * on. */
    enum runner_fault (*apply)(struct runner_session *session,
                               const struct inbox_delivery *delivery, inbox_apply *ret_answer,
                               struct error *reterr);

    /* RUNNER_FAULT_OUTAGE also if it is unknown whether the transaction was committed. */
    enum runner_fault (*commit)(struct runner_session *session, struct error *reterr);

    /* Rolls back a failed transaction; closes the connection if that is not possible, or if `drop`. Without a
     * transaction or a connection it does nothing. */
    void (*rollback)(struct runner_session *session, bool drop);

    /* Called by another thread: whatever waits for the database now fails at once, and so does everything that is asked
     * of this connection later. The application's own code continues. */
    void (*cut)(struct runner_session *session);

    /* Closes the connection; `open` and `begin` make another. */
    void (*close)(struct runner_session *session);
    void (*free)(struct runner_session *session);
};

struct runner_session {
    const struct runner_session_kind *kind;
};

#endif
