/* relay/mysql/sent.h - the record of what was sent, for `explain`: written in the transaction that deletes confirmed messages. It is
 * only an aid, so no message waits for it: where it cannot be written, the messages are deleted without it. All functions
 * run on the link's thread. */
#ifndef RELAY_MYSQL_SENT_H
#define RELAY_MYSQL_SENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct my_session;

/* Of a session. */
struct my_sent {
    bool usable;              /* table and privileges are there */
    bool empty;               /* nothing is wanted, and what there was is forgotten */
    uint64_t paused_until_us; /* after a failure nothing is recorded for a minute */
    struct error trouble; /* why nothing is recorded, until somebody takes it; "": nothing new */
};

/* Learns whether messages can be recorded. Only a lost connection makes it false. */
bool my_sent_learn(struct my_session *session) MUST_CHECK;

/* Runs `record` and `remove` in a transaction, where `record` may fail. False with the reason in the session if the rest does. */
bool my_sent_remove(struct my_session *session,
                    bool (*record)(struct my_session *session, void *context),
                    bool (*remove)(struct my_session *session, void *context),
                    void *context) MUST_CHECK;

/* Forgets the oldest batches that are too old or too much, all if nothing is wanted. *ret_more: there may be more of them. Only a lost connection makes
 * it false. */
bool my_sent_forget(struct my_session *session, bool *ret_more) MUST_CHECK;

/* The trouble since the last call; its text is "" if there was none. */
struct error my_sent_take_trouble(struct my_session *session);

#endif
