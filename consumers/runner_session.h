/* runner_session.h - what the runner asks of a session with a database, whatever kind of database it is: one transaction
 * at a time, in which ids are claimed and messages applied. A kind is a table of functions; a session is the kind's own
 * struct, which begins with a struct runner_session. Sessions share nothing, so each may have a thread of its own; all of a
 * session's functions but `cut` are called by one thread at a time, and block. */
#ifndef CONSUMERS_RUNNER_SESSION_H
#define CONSUMERS_RUNNER_SESSION_H

#include <inbox/inbox.h>
#include <inbox/inbox_delivery.h>

#include "base/error.h"

/* Whose fault a failure is. */
enum runner_fault {
    RUNNER_FAULT_NONE,
    RUNNER_FAULT_MESSAGE,    /* of a message, or not to be told: costs an attempt */
    RUNNER_FAULT_CONTENTION, /* of another transaction: try again */
    RUNNER_FAULT_OUTAGE,     /* of the database or the way to it: wait */
    RUNNER_FAULT_ENDED, /* of the apply function: it has ended the transaction, so what was claimed may be committed */
};

struct runner_session;

struct runner_session_kind {
    /* Connects if there is no connection, and sees that one that is there still answers. Outside of transactions.
     * RUNNER_FAULT_NONE or RUNNER_FAULT_OUTAGE. */
    enum runner_fault (*open)(struct runner_session *session, struct error *reterr);

    /* As far as necessary connects, and begins a transaction. RUNNER_FAULT_NONE or RUNNER_FAULT_OUTAGE. */
    enum runner_fault (*begin)(struct runner_session *session, struct error *reterr);

    enum runner_fault (*claim)(struct runner_session *session, const char *consumer,
                               const struct inbox_id *ids, size_t count,
                               inbox_verdict *ret_verdicts, struct error *reterr);

    /* Calls the apply function, and looks what has become of the transaction: RUNNER_FAULT_NONE if it can go on. */
    enum runner_fault (*apply)(struct runner_session *session,
                               const struct inbox_delivery *delivery, inbox_apply *ret_answer,
                               struct error *reterr);

    /* RUNNER_FAULT_OUTAGE also if nobody knows whether it was committed. */
    enum runner_fault (*commit)(struct runner_session *session, struct error *reterr);

    /* Ends a transaction that failed; drops the connection if that is not possible, or if it was the connection that
     * failed. No transaction, no connection: fine. */
    void (*rollback)(struct runner_session *session, bool drop);

    /* Another thread's: whatever waits for the database now fails at once, and so does all that is asked of this
     * connection later. The application's own code goes on. */
    void (*cut)(struct runner_session *session);

    void (*close)(
        struct runner_session *session); /* the connection; `open` and `begin` make another */
    void (*free)(struct runner_session *session);
};

struct runner_session {
    const struct runner_session_kind *kind;
};

#endif
