/* relay/ports/admin_status.h - the state of a source: which relay owns it, and how much work waits. */
#ifndef RELAY_PORTS_ADMIN_STATUS_H
#define RELAY_PORTS_ADMIN_STATUS_H

#include "relay/ports/admin.h"
#include "relay/ports/log_position.h"

/* A relay updates its row in outbox_relay about once a second. An older row than this does not show its present state. */
#define ADMIN_STATUS_FRESH_US INT64_C(15000000)

/* What the present owner of the outbox, or an earlier one, wrote about itself. */
struct admin_relay {
    bool known; /* false: no relay ever did */
    const char *host;
    int64_t pid;
    const char *version;
    uint64_t in_flight;
    int64_t in_flight_since_us;
    int64_t read_up_to;      /* INT64_MIN: nothing yet */
    int64_t published_up_to; /* likewise */
    uint64_t confirmed;
    double rate;
    const char *paused_reason; /* NULL: it works */
    int64_t paused_since_us;
    const char *reads;        /* "tail", "poll"; NULL: not known, an older relay */
    const char *reads_reason; /* why it polls although it is configured to tail; else NULL */
    uint64_t swept;           /* rows that the log did not deliver */
    /* Written by the session that owns the outbox now, not by an earlier one. */
    bool by_owner;
    int64_t owned_since_us;
    int64_t updated_us;
    struct admin_rows rows;
};

/* A relay's session in the database. */
struct admin_session {
    int64_t pid;
    const char *application;
    const char *host; /* NULL: a local socket, or not visible to this role */
    int64_t since_us; /* ADMIN_NO_TIME: not visible */
    bool owns;
};
struct admin_sessions {
    struct admin_session *sessions; /* the owner first */
    size_t count;
    struct admin_rows rows;
};

/* Size of its name, with the zero byte. */
#define ADMIN_KEEPER_BYTES 64

/* The server's object that keeps the log for this source, whether a relay reads it or not. */
struct admin_keeper {
    const char *what; /* "slot", as PostgreSQL calls it; NULL: there is none */
    char name[ADMIN_KEEPER_BYTES];
    bool active;        /* somebody reads it */
    bool lost;          /* the server has removed log that it needs */
    uint64_t retained;  /* not lost: bytes of log that the server keeps for it */
    const char *remark; /* about this amount; NULL: none */
    /* In the server's own word, "reserved", "extended", "unreserved" or "lost"; NULL: it has none. */
    const char *condition;
    bool limited;  /* the server keeps no more log than it is told to */
    uint64_t left; /* limited: so many bytes may be written before it removes log that is needed */
};

/* What is left in the table of rows that were deleted. */
struct admin_vacuum {
    bool known; /* this kind of database tells it */
    uint64_t dead_rows;
    bool has_snapshot;
    /* By how many transactions the oldest snapshot lags that keeps dead rows from being removed. */
    uint64_t snapshot_lag;
};

struct admin_status {
    struct admin_relay relay;
    struct admin_sessions sessions;
    struct admin_keeper keeper;
    struct admin_vacuum vacuum;
    uint64_t pending; /* at most ADMIN_MANY + 1 */
    /* When the oldest of those that are due was written, or became due; ADMIN_NO_TIME: none is. */
    int64_t oldest_us;
    struct admin_counts held; /* each at most ADMIN_MANY + 1 */
    int64_t now_us;
};
bool admin_status_get(struct admin *admin, struct admin_status *ret_status,
                      struct error *reterr) MUST_CHECK;
void admin_status_free(struct admin_status *status);

/* How many bytes the log has behind this position, one of the session that owns the outbox. So it must be this server that knows
 * the owner. *ret_known is false if the account may not ask, or the log was begun anew. */
bool admin_log_behind(struct admin *admin, log_position position, bool *ret_known,
                      uint64_t *ret_bytes, struct error *reterr) MUST_CHECK;

/* The session that owns the outbox; NULL: none. */
const struct admin_session *admin_status_owner(const struct admin_status *status);

/* True if there is an owner, and status->relay was written by it. */
bool admin_status_is_owners(const struct admin_status *status);

/* True if, in addition, it was written recently (ADMIN_STATUS_FRESH_US). */
bool admin_status_is_current(const struct admin_status *status);

#endif
