/* relay/ports/admin_explain.h - all that the database knows of one message. */
#ifndef RELAY_PORTS_ADMIN_EXPLAIN_H
#define RELAY_PORTS_ADMIN_EXPLAIN_H

#include "relay/ports/admin_held.h"

/* A message in the outbox. */
struct admin_pending {
    int64_t id;
    const char *message_id;
    const char *key;
    const char *type;
    bool escaped; /* as in struct admin_message */
    int64_t created_us;
    int64_t deliver_after_us;
    bool scheduled;  /* deliver_after is in the future */
    uint64_t before; /* number of messages with lower ids; at most ADMIN_MANY + 1 */
};

/* An open transaction that may have written to the outbox. */
struct admin_writer {
    const char *pid; /* "": a prepared transaction, named gid */
    const char *application;
    const char *role; /* NULL: not visible */
    const char *gid;
    int64_t since_us;
};

#define ADMIN_SENT_UNKNOWN_BYTES 200

/* What the record of sent messages says of a message. It is only asked if the message is in no table. */
struct admin_sent {
    int64_t at_us; /* when its batch was confirmed; ADMIN_NO_TIME: it is not in the record */
    int64_t id;
    char message_id[UUID_TEXT_BYTES];
    int64_t since_us; /* when the oldest batch was; ADMIN_NO_TIME: there is none */
    char unknown[ADMIN_SENT_UNKNOWN_BYTES]; /* why there is no record to read; "": there is */
};

/* All that the database knows of one message, in one snapshot. */
struct admin_findings {
    struct admin_pending *pending;
    size_t pending_count;
    struct admin_rows pending_rows;
    struct admin_messages held;
    struct admin_acts acts;
    struct admin_sent sent;
    struct admin_writer *writers;
    size_t writer_count;
    /* Why writers are not visible, and what to do about it; NULL: they are. */
    const char *writers_unknown;
    struct admin_rows writer_rows;
};
bool admin_explain(struct admin *admin, const struct admin_name *name,
                   struct admin_findings *ret_findings, struct error *reterr) MUST_CHECK;
void admin_findings_free(struct admin_findings *findings);

#endif
