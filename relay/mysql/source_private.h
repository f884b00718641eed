/* relay/mysql/source_private.h - what the files of the MySQL source share.
 *
 *   source.c          the state machine and its events
 *   source_session.c  the session: set-up, ownership, loss
 *   source_fetch.c    fetch, by the plan of relay/ports/fetch_plan.h
 *   source_rows.c     turns a result into rows
 *   source_settle.c   settle, and rows that cannot be deleted; forgets what was sent long ago
 *   source_status.c   status
 *   source_watermark.c  which ids are final
 *   source_tail*.c    the second session, which reads the log (source_tail.h)
 *   source_held.c     hold, release, heads and wake (source_held.h)
 *
 * Each request is a job (link.h): its struct begins with a struct my_job. The job's `run` is called on the link's
 * thread and may use only that struct and its session; `done` is called on the pipeline's thread. When the session is
 * lost, the link is stopped first; then the function of each file whose name ends in _lost frees the results of its
 * jobs. */
#ifndef RELAY_MYSQL_SOURCE_PRIVATE_H
#define RELAY_MYSQL_SOURCE_PRIVATE_H

#include <poll.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/random.h"
#include "relay/mysql/hash.h"
#include "relay/mysql/link.h"
#include "relay/mysql/names.h"
#include "relay/mysql/session.h"
#include "relay/mysql/source.h"
#include "relay/mysql/source_held.h"
#include "relay/mysql/source_tail.h"
#include "relay/mysql/source_watermark.h"
#include "relay/mysql/versions.h"
#include "relay/ports/events.h"
#include "relay/ports/fetch_plan.h"
#include "relay/ports/halving.h"

enum my_state {
    MY_DOWN, /* no connection; the next try is at retry_us */
    MY_CONNECTING,
    MY_SETTING_UP, /* variables of the session, versions and privileges */
    MY_STANDBY,    /* asks for the ownership regularly */
    MY_OWNED,
};

/* Sets up the session, and checks the versions of the tables and the privileges. */
struct my_setup {
    struct my_job job;
    bool is_mariadb;
    bool others_write;
    struct error unrecorded; /* why what is sent cannot be recorded; "": it can, or need not */
    char outbox[SOURCE_OUTBOX_BYTES]; /* source_owned's */
};

struct my_rival {
    struct my_job job;
    bool there;
};

/* Asks for the ownership. */
struct my_own {
    struct my_job job;
    bool yields; /* to a relay that works the outbox through another server */
    bool fit;
    bool waits; /* until the lock is free, for a second at most */
    bool owned;
    int64_t now_us; /* the server's clock, since 1970 */
};

#define MY_REASON_BYTES 400
/* For each held message that cannot be read: its id, and the reason in hex. */
#define MY_UNREAD_BYTES (FETCH_PLAN_UNREAD_MAX * (40 + 2 * FETCH_PLAN_REASON_BYTES) + 2)

/* FETCH_NEXT and FETCH_HEADS: what the present statement asks for, according to the plan. */
struct my_fetch {
    struct my_job job;
    struct fetch_plan plan; /* used by the pipeline's thread */
    enum fetch_kind kind;
    bool exact;
    bool bare;
    uint64_t patience; /* the leases that it may take; 0: as usual */
    int64_t after_id;
    int64_t end_id;
    uint32_t rows; /* the most to deliver */
    int64_t limit; /* the most to ask for */
    int64_t bytes;
    /* A copy: the ids that are left out (FETCH_HEADS: asked for), then the unreadable ones. */
    int64_t *ids;
    size_t id_count;     /* of the former */
    size_t unread_count; /* of the latter */
    char why[FETCH_PLAN_REASON_BYTES];
    char unread[MY_UNREAD_BYTES];
    struct my_hash hash; /* of keys; used by the link's thread */
    struct batch *batch; /* the result */
};

struct my_present {
    struct my_job job;
    bool dense; /* the ids are dense, so the whole range is read */
    int64_t *asked;
    size_t asked_count;
    int64_t *ids; /* those that exist */
    size_t count;
    size_t room;
};

struct my_settle {
    struct my_job job;
    const int64_t *ids; /* the caller's */
    size_t count;
    struct source_failures failures;
    struct error unrecorded; /* as in struct my_setup */
    bool wait_told;          /* a notice said that it waits for the table */
};

struct my_forget {
    struct my_job job;
    bool out;
    bool more; /* there may be more to forget */
    uint64_t not_before_us;
    struct error unrecorded; /* as in struct my_setup */
};

struct my_status {
    struct my_job job;
    bool out;
    struct source_status what; /* the texts are copied into these: */
    char paused_reason[MY_REASON_BYTES];
    char reads_reason[MY_REASON_BYTES];
    char host[256];
    int64_t started_at_us;
    int64_t owned_since_us;
    bool written; /* in this ownership */
    bool foreign; /* another relay has written since */
};

struct source_mysql {
    struct source source;
    const struct source_config *config;
    struct random random;
    struct backoff backoff;        /* for lost or refused connections */
    struct backoff backoff_config; /* for errors that an operator must mend */
    struct my_link *link;          /* NULL: no connection */
    enum my_state state;
    bool is_mariadb;
    bool others_write; /* other servers do, whose rows come with ids of theirs */
    bool yields;       /* another relay was seen that works the outbox through another server */
    bool fit;          /* as the worker says */
    bool standby_told;
    bool owned_told;
    uint64_t retry_us;       /* DOWN: when to connect; STANDBY: when to ask again */
    uint64_t asked_us;       /* when the last job was added */
    uint64_t heard_us;       /* when the last bytes from the server came, as far as is known */
    uint64_t lease_until_us; /* 0: not owned */
    uint64_t lease_told_us;  /* the lease in the last event */
    uint64_t began_us;       /* when the session began to own the outbox, or to stand by */
    uint64_t created_us;     /* monotonic */
    int64_t started_at_us;   /* when this relay started, since 1970 by the server's clock */
    int64_t owned_since_us;  /* when it came to own the outbox, by the same clock */
    struct my_setup setup;
    struct my_own own;
    struct my_rival rival;
    struct my_job ping;
    bool ping_out;
    struct my_held held;
    struct my_fetch fetch;
    struct my_present present;
    struct my_settle settle;
    struct my_forget forget;
    bool unrecorded_told;
    struct my_status status;
    struct my_watermark watermark;
    struct my_tail tail;
    struct source_events events;
};

/* source.c */
/* Adds an event to be filled in; its type and the lease are set. */
struct source_event *my_event_push(struct source_mysql *self, enum source_event_type type);
/* Adds a SOURCE_NOTICE. */
void my_notice(struct source_mysql *self, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Adds a job to the link. */
void my_ask(struct source_mysql *self, struct my_job *job, uint64_t now_us);

/* source_session.c */
void my_source_connect(struct source_mysql *self, uint64_t now_us);
void my_source_own(struct source_mysql *self, uint64_t now_us);
void my_source_ping(struct source_mysql *self, uint64_t now_us);
/* Asks whether a fit relay stands by. */
void my_source_rival(struct source_mysql *self, uint64_t now_us);
/* Closes the connection, adds SOURCE_YIELDED, and stands by with a new one. */
void my_source_yield(struct source_mysql *self, uint64_t now_us);
/* Closes the connection, adds SOURCE_LOST, and sets the time of the next try. */
void my_source_lost(struct source_mysql *self, const struct error *error, uint64_t now_us);
/* The same for an error number of the server or the client library, which shows whether the server announced the
 * end. */
void my_source_ended(struct source_mysql *self, unsigned code, const struct error *error,
                     uint64_t now_us);
/* The next three run on the link's thread or in the foreground. True if the server is new enough; false: see the
 * session. */
bool my_source_check_server(struct my_session *session) MUST_CHECK;
/* Sets the variables of session.sql. */
bool my_source_set_variables(struct my_session *session) MUST_CHECK;
/* True if this session owns the outbox and has the variables that were set. False with the reason in the session, also
 * if the server did not answer. Called about once a second. */
bool my_source_still_owns(struct my_session *session) MUST_CHECK;

/* source_fetch.c */
void my_fetch_ask(struct source_mysql *self, const struct fetch *fetch, uint64_t now_us);
/* `announced`: the server announced the end of the session. */
void my_fetch_lost(struct source_mysql *self, const struct error *error, bool announced,
                   uint64_t now_us);
void my_present_clear(struct my_present *present);

/* source_rows.c */
/* Turns a result into a batch: its rows up to the first that was cut, at most rows_max. The batch is complete if
 * neither limit was reached. It owns the result. NULL, with the result freed, if a column is not as expected. `hash` is
 * for keys that come without their hash. On any thread. */
struct batch *my_rows_decode_take(MYSQL_RES *result, uint32_t rows_max, struct my_hash *hash,
                                  struct error *reterr);

/* source_settle.c */
void my_settle_ask(struct source_mysql *self, const int64_t *ids, size_t count, uint64_t now_us);
/* Says once why what is sent is not recorded; nothing if the text is "". */
void my_settle_unrecorded(struct source_mysql *self, const struct error *why);
/* Forgets what was sent too long ago, or is too much; does nothing while a statement for it is out. */
void my_settle_forget(struct source_mysql *self, uint64_t now_us);
void my_settle_lost(struct source_mysql *self);

/* source_status.c */
void my_status_ask(struct source_mysql *self, const struct source_status *status, uint64_t now_us);

/* source_watermark.c: the first answer becomes SOURCE_OWNED, the others SOURCE_FINAL. */
void my_watermark_ask(struct source_mysql *self, uint64_t now_us);
void my_watermark_lost(struct source_mysql *self);
/* True if the last id is lower than before. Then the ownership was ended. */
bool my_watermark_ids_anew(struct source_mysql *self, int64_t last_id, uint64_t now_us);
/* What an administrator can do so that the server lists the writers. */
const char *my_watermark_remedy(const struct source_mysql *self);

#endif
