/* relay/ports/admin_status.h - how a source is doing: who works it, what there is to do. */
#ifndef RELAY_PORTS_ADMIN_STATUS_H
#define RELAY_PORTS_ADMIN_STATUS_H

#include "relay/ports/admin.h"

/* A relay writes its row about once a second. What is older than this is not its state now. */
#define ADMIN_STATUS_FRESH_US INT64_C(15000000)

/* What a relay that owns the outbox, or did, wrote of itself. */
struct admin_relay {
    bool known; /* if not, none ever did */
    const char *host;
    int64_t pid;
    const char *version;
    uint64_t in_flight;
    int64_t in_flight_since_us;
    int64_t read_up_to;      /* INT64_MIN: nothing */
    int64_t published_up_to; /* likewise */
    uint64_t confirmed;
    double rate;
    const char *paused_reason; /* NULL: it works */
    int64_t paused_since_us;
    const char *reads;        /* "tail", "poll"; NULL: an older relay, which did not say */
    const char *reads_reason; /* why it polls although it should tail; NULL: as it was told */
    uint64_t swept;           /* rows that the log did not deliver */
    bool by_owner;            /* the session that owns the outbox now wrote it, not one before it */
    int64_t owned_since_us;
    int64_t updated_us;
    struct admin_rows rows;
};

/* A relay's session in the database. */
struct admin_session {
    int64_t pid;
    const char *application;
    const char *host; /* NULL: a local socket, or not to be seen by this role */
    int64_t since_us; /* ADMIN_NO_TIME: not to be seen */
    bool owns;
};
struct admin_sessions {
    struct admin_session *sessions; /* the owner first */
    size_t count;
    struct admin_rows rows;
};

/* Its name, with the zero byte. */
#define ADMIN_KEEPER_BYTES 64

/* What makes the server keep its log for this source alone, whether a relay reads it or not. */
struct admin_keeper {
    const char *what; /* "slot", as PostgreSQL calls it; NULL: there is none */
    char name[ADMIN_KEEPER_BYTES];
    bool active;        /* somebody reads it */
    bool lost;          /* the server has dropped what it needs; */
    uint64_t retained;  /* if not: so many bytes of its log it keeps for it */
    const char *remark; /* of so much; NULL: none */
};

struct admin_status {
    struct admin_relay relay;
    struct admin_sessions sessions;
    struct admin_keeper keeper;
    uint64_t pending;         /* at most ADMIN_MANY + 1 */
    int64_t oldest_us;        /* when it was written, or due */
    struct admin_counts held; /* likewise, each */
    int64_t now_us;
};
bool admin_status_get(struct admin *admin, struct admin_status *ret_status,
                      struct error *reterr) MUST_CHECK;
void admin_status_free(struct admin_status *status);

/* NULL: no relay works it. */
const struct admin_session *admin_status_owner(const struct admin_status *status);

/* There is an owner, and what is known of a relay is his. */
bool admin_status_is_owners(const struct admin_status *status);

/* And it is fresh. */
bool admin_status_is_current(const struct admin_status *status);

#endif
