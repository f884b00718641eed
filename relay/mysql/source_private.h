/* relay/mysql/source_private.h - what the files of the MySQL source share.
 *
 *   source.c          the state machine and its events
 *   source_session.c  the session: set up, owning, lost
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
#include "relay/mysql/link.h"
#include "relay/mysql/names.h"
#include "relay/mysql/session.h"
#include "relay/mysql/source.h"
#include "relay/mysql/source_held.h"
#include "relay/ports/events.h"

#define MY_SCHEMA_VERSION 1       /* the outbox, which writers use too */
#define MY_RELAY_SCHEMA_VERSION 1 /* the tables that only the relay uses */

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
};

/* Asks for the ownership. */
struct my_own {
    struct my_job job;
    bool owned;
    bool shared;    /* somebody else uses this session */
    int64_t now_us; /* the server's clock, since 1970 */
};

struct source_mysql {
    struct source source;
    const struct source_config *config;
    struct random random;
    struct backoff backoff;        /* connections that are lost or refused */
    struct backoff backoff_config; /* those that need an operator */
    struct my_link *link;          /* NULL: there is none */
    enum my_state state;
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
    struct source_events events;
};

/* source.c */
/* The event, to be filled in; it has its type and the lease. */
struct source_event *my_event_push(struct source_mysql *self, enum source_event_type type);
/* Puts a job to the others. */
void my_ask(struct source_mysql *self, struct my_job *job, uint64_t now_us);

/* source_session.c */
void my_source_connect(struct source_mysql *self, uint64_t now_us);
void my_source_own(struct source_mysql *self, uint64_t now_us);
void my_source_ping(struct source_mysql *self, uint64_t now_us);
/* Closes the connection, tells SOURCE_LOST, and sets the time of the next try. */
void my_source_lost(struct source_mysql *self, const struct error *error, uint64_t now_us);
/* Whether this session is the owner's, and as it was set up; false with the reason in the session, also when it was not found
 * out. On the link's thread, about once a second. */
bool my_source_still_owns(struct my_session *session) MUST_CHECK;

#endif
