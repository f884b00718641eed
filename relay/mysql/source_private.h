/* relay/mysql/source_private.h - what the files of the MySQL source share.
 *
 *   source.c          the state machine and its events
 *   source_session.c  the session: set up, owning, lost
 *   source_fetch.c    fetch, by the plan of relay/ports/fetch_plan.h
 *   source_rows.c     a result as rows
 *   source_settle.c   settle, and what cannot be deleted; forgetting what was sent long ago
 *   source_status.c   status
 *   source_watermark.c  which ids are final
 *   source_tail*.c    the second session, which reads the log (source_tail.h)
 *   source_held.c     hold, release, heads and wake (source_held.h)
 *
 * Each thing that is asked is a job (link.h): its struct begins with a struct my_job, of which `run` is called on the link's
 * thread and may touch nothing but that struct and its session, and `done` on the pipeline's. When the session is lost, the
 * link is stopped first; then the function of each file that ends in _lost frees what its jobs have. */
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
    MY_SETTING_UP, /* session and contract */
    MY_STANDBY,    /* asks for the ownership from time to time */
    MY_OWNED,
};

/* Sets up the session, and looks which tables there are. */
struct my_setup {
    struct my_job job;
    bool is_mariadb;
};

/* Asks for the ownership. */
struct my_own {
    struct my_job job;
    bool owned;
    bool shared;    /* somebody else uses this session */
    int64_t now_us; /* the server's clock, since 1970 */
};

#define MY_REASON_BYTES 400
/* Of each of the unread: its id, and in hexadecimal digits why. */
#define MY_UNREAD_BYTES (FETCH_PLAN_UNREAD_MAX * (40 + 2 * FETCH_PLAN_REASON_BYTES) + 2)
/* One statement forgets so many: about 10 ms. */
#define MY_FORGET_ROWS 2000

/* FETCH_NEXT and FETCH_HEADS: what the statement that is out asks for, by the plan. */
struct my_fetch {
    struct my_job job;
    struct fetch_plan plan; /* the pipeline's */
    enum fetch_kind kind;
    bool exact;
    bool bare;
    uint64_t patience; /* leases that it may take; 0: as usual */
    int64_t after_id;
    int64_t end_id;
    uint32_t rows; /* that are given */
    int64_t limit; /* that are asked for */
    int64_t bytes;
    int64_t *ids;        /* a copy of those that are left out, */
    size_t id_count;     /* so many, */
    size_t unread_count; /* and then those that cannot be read */
    char why[FETCH_PLAN_REASON_BYTES];
    char unread[MY_UNREAD_BYTES];
    struct my_hash hash; /* of keys; the link's thread */
    struct batch *batch; /* what came */
};

struct my_present {
    struct my_job job;
    bool dense; /* all of the range is read */
    int64_t *asked;
    size_t asked_count;
    int64_t *ids; /* that are there */
    size_t count;
    size_t room;
};

struct my_settle {
    struct my_job job;
    const int64_t *ids; /* the caller's */
    size_t count;
    struct source_failures failures;
    bool wait_told; /* that it waits for the table */
};

struct my_forget {
    struct my_job job;
    bool out;
    uint64_t count; /* that were forgotten */
};

struct my_status {
    struct my_job job;
    bool out;
    struct source_status what; /* its texts are copied: */
    char paused_reason[MY_REASON_BYTES];
    char reads_reason[MY_REASON_BYTES];
    char host[256];
    int64_t started_at_us;
    int64_t owned_since_us;
};

struct source_mysql {
    struct source source;
    const struct source_config *config;
    struct random random;
    struct backoff backoff;        /* connections that are lost or refused */
    struct backoff backoff_config; /* those that need an operator */
    struct my_link *link;          /* NULL: there is none */
    enum my_state state;
    bool is_mariadb;
    bool standby_told;
    bool owned_told;
    uint64_t retry_us;       /* DOWN: connect; STANDBY: ask again */
    uint64_t asked_us;       /* the last job was put in */
    uint64_t heard_us;       /* bytes of the server came last, as far as was looked */
    uint64_t lease_until_us; /* 0: not owned */
    uint64_t lease_told_us;  /* the lease that was told last */
    uint64_t began_us;       /* when the session began to own the outbox, or to stand by */
    uint64_t created_us;     /* monotonic */
    int64_t started_at_us;   /* since 1970, by the server's clock: when this relay was started, */
    int64_t owned_since_us;  /* and when it came to own the outbox */
    struct my_setup setup;
    struct my_own own;
    struct my_job ping;
    bool ping_out;
    struct my_held held;
    struct my_fetch fetch;
    struct my_present present;
    struct my_settle settle;
    struct my_forget forget;
    struct my_status status;
    struct my_watermark watermark;
    struct my_tail tail;
    struct source_events events;
};

/* source.c */
/* The event, to be filled in; it has its type and the lease. */
struct source_event *my_event_push(struct source_mysql *self, enum source_event_type type);
/* Tells SOURCE_NOTICE. */
void my_notice(struct source_mysql *self, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Puts a job to the others. */
void my_ask(struct source_mysql *self, struct my_job *job, uint64_t now_us);

/* source_session.c */
void my_source_connect(struct source_mysql *self, uint64_t now_us);
void my_source_own(struct source_mysql *self, uint64_t now_us);
void my_source_ping(struct source_mysql *self, uint64_t now_us);
/* Closes the connection, tells SOURCE_LOST, and sets the time of the next try. */
void my_source_lost(struct source_mysql *self, const struct error *error, uint64_t now_us);
/* The same; the server has said with this number why it ends the session. */
void my_source_ended(struct source_mysql *self, unsigned code, const struct error *error,
                     uint64_t now_us);
/* On the link's thread, as all three: whether the server is one that is new enough. */
bool my_source_check_server(struct my_session *session) MUST_CHECK;
/* As session.sql says. */
bool my_source_set_variables(struct my_session *session) MUST_CHECK;
/* Whether this session is the owner's, and as it was set up; false with the reason in the session, also when it was not found
 * out. On the link's thread, about once a second. */
bool my_source_still_owns(struct my_session *session) MUST_CHECK;

/* source_fetch.c */
void my_fetch_ask(struct source_mysql *self, const struct fetch *fetch, uint64_t now_us);
/* `announced`: by the server. */
void my_fetch_lost(struct source_mysql *self, const struct error *error, bool announced,
                   uint64_t now_us);
void my_present_clear(struct my_present *present);

/* source_rows.c */
/* Takes the result: a batch of its rows up to the first that was cut, at most rows_max. complete: neither limit was met. NULL,
 * and the result freed, if a column is not what was asked for. `hash` is for keys that come without theirs. Any thread. */
struct batch *my_rows_decode_take(MYSQL_RES *result, uint32_t rows_max, struct my_hash *hash,
                                  struct error *reterr);

/* source_settle.c */
void my_settle_ask(struct source_mysql *self, const int64_t *ids, size_t count, uint64_t now_us);
/* What was sent longer than keep_sent ago; does nothing while one is out. */
void my_settle_forget(struct source_mysql *self, uint64_t now_us);
void my_settle_lost(struct source_mysql *self);

/* source_status.c */
void my_status_ask(struct source_mysql *self, const struct source_status *status, uint64_t now_us);

/* source_watermark.c: the first answer is told as SOURCE_OWNED. */
void my_watermark_ask(struct source_mysql *self, uint64_t now_us);
void my_watermark_lost(struct source_mysql *self);
/* Whether the last id is lower than it was: then the ownership is lost. */
bool my_watermark_ids_anew(struct source_mysql *self, int64_t last_id, uint64_t now_us);
/* What gives the list of who writes, for an administrator. */
const char *my_watermark_remedy(const struct source_mysql *self);

#endif
