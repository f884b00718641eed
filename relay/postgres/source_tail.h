/* relay/postgres/source_tail.h - the PostgreSQL source's second connection, which reads the log. It goes to the same
 * server as the owning session, and ends with the ownership.
 *
 *   source_tail.c         the state machine
 *   source_tail_look.c looks by the session: problems, the slot, how much log it retains
 *   source_tail_open.c    from connect to a stream
 *   source_tail_stream.c  rows in, positions out
 *   source_tail_emitted.c emitted messages of a tableless source: into the outbox
 *
 * Statements that can fail would end the ownership, so the session runs none of them: slots are created, dropped and
 * read over the second connection. */
#ifndef RELAY_POSTGRES_SOURCE_TAIL_H
#define RELAY_POSTGRES_SOURCE_TAIL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/error.h"
#include "relay/config/password.h"
#include "relay/ports/halving.h"
#include "relay/postgres/names.h"
#include "relay/postgres/pgoutput.h"

struct pg_request;
struct source_notice;
struct pollfd;
struct source_postgres;

enum pg_tail_state {
    PG_TAIL_OFF,
    /* The session looks at server and slot, again and again while an earlier reader ends. */
    PG_TAIL_LOOKING,
    PG_TAIL_ASKING,     /* for the password */
    PG_TAIL_CONNECTING, /* from this state on there is a connection */
    PG_TAIL_OPENING,    /* checks that it is the same server */
    PG_TAIL_DROPPING,   /* dropping the slot */
    PG_TAIL_CREATING,   /* creating the slot */
    PG_TAIL_MARKING,    /* telling the server that standbys copy it */
    PG_TAIL_STARTING,
    PG_TAIL_STREAMING,
};

struct pg_stream {
    struct pgoutput decoder;
    bool asked;  /* the core wants rows */
    bool unread; /* libpq may hold more messages, for which poll does not wake us */
    uint32_t rows_max;
    uint64_t bytes_max;
    /* Everything committed before it was delivered, or comes with the next SOURCE_LOG. */
    uint64_t position;
    uint64_t read; /* ahead of `position` while emitted messages are not in the outbox yet */
    uint64_t told_position; /* position in the last SOURCE_LOG */
    uint64_t told_us;
    uint64_t safe; /* the server need not keep the log before it */
    uint64_t safe_sent;
    uint64_t status_us; /* when the last status was sent */
    uint64_t status_interval_us;
    bool reply_wanted;
};

/* Messages that were emitted without a table, on their way into the outbox. */
struct pg_emitted {
    struct buffer contents; /* as a binary parameter */
    size_t count;           /* messages collected; 0 while the statement is out */
    bool out;               /* a statement is writing them */
    struct halving parts;   /* how many are written at a time */
    char trouble[450];      /* why the current part cannot be written; "": it can */
    char problem[450];      /* the first reason why one was set aside; "": none */
    /* Position of the present or last write: everything committed before is part of it. */
    uint64_t position;
    uint64_t written; /* everything emitted and committed before is in the outbox; 0: not known */
};

struct pg_tail {
    enum pg_tail_state state;
    char slot[POSTGRES_NAME_BYTES];
    char publication[POSTGRES_NAME_BYTES];
    struct password password;
    PGconn *connection;
    PostgresPollingStatusType polling;
    bool wants_write;
    bool drop_slot; /* drop it once connected */
    bool make_slot;
    bool mark_slot;    /* as one that standbys copy */
    bool read_slot;    /* false: only drop the slot */
    uint64_t position; /* where reading of the log starts */
    uint64_t begun_us;
    uint64_t deadline_us; /* deadline of each state from CONNECTING to STARTING */
    uint64_t waits_us;    /* CREATING: when to report that it waits */

    bool look_outstanding;
    /* The look that is out was sent before tail_begin: ignore its answer. */
    bool look_stale;
    uint64_t look_us;        /* the next one */
    char server[64];         /* the session's server, from the last look */
    char system[24];         /* identifier of its cluster */
    char timeline[12];       /* changes when a standby is promoted */
    bool was_read;           /* this process has read it */
    char spoiled[200];       /* why the slot can't be read; "": as far as known it can */
    char skipped[200];       /* the server's message that it skips changes; "": none */
    unsigned skips;          /* how often it said so in this stream */
    unsigned skips_met;      /* how often in the last stream that ended because of it */
    uint64_t skips_position; /* position at which that stream ended */
    bool heartbeat_outstanding;
    uint64_t heartbeat_us; /* time of the next heartbeat */
    struct backoff budget; /* waits after the slot was dropped because it retained too much */
    uint64_t not_before_us;

    struct pg_stream stream;
    struct pg_emitted emitted;
    char prefix[POSTGRES_NAME_BYTES + 8]; /* prefix of this source's emitted messages */
    /* It was reported that messages without a schema's name are left. */
    bool left_told;
    /* It was reported that a tableless source's slot retains too much. */
    bool excess_told;
};

void pg_tail_init(struct source_postgres *self);
/* Sets the names of slot and publication; the session is connected, and the outbox is in this schema. */
void pg_tail_name(struct source_postgres *self, const char *schema);
/* Closes everything, without an event: the ownership or the source has ended. */
void pg_tail_stop(struct source_postgres *self);

/* source_ops */
void pg_tail_begin(struct source_postgres *self, uint64_t position, uint64_t now_us);
void pg_tail_end(struct source_postgres *self);
void pg_tail_more(struct source_postgres *self, uint32_t rows_max, uint64_t bytes_max);
void pg_tail_safe(struct source_postgres *self, uint64_t position);

/* Only while owned. */
void pg_tail_poll(const struct source_postgres *self, struct pollfd *ret_poll);
uint64_t pg_tail_deadline_us(const struct source_postgres *self);
void pg_tail_process(struct source_postgres *self, short revents, uint64_t now_us);

/* Handles the session's answer to a request of these files. */
void pg_tail_answer(struct source_postgres *self, const struct pg_request *request,
                    const PGresult *result, uint64_t now_us);

/* Shared by these files. */
/* The connection can't be used any more: closes it, and pushes SOURCE_NOT_TAILING. */
void pg_tail_failed(struct source_postgres *self, const struct error *error);
struct source_notice *pg_tail_notice(struct source_postgres *self, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* Flushes libpq's output. False if that failed, which was reported. */
bool pg_tail_flush(struct source_postgres *self);
/* The server's error when the slot is read. If the slot is the cause, it is created anew at the next tail_begin. */
void pg_tail_refused(struct source_postgres *self, const PGresult *result, struct error *reterr);
/* Says how the connection ended. */
void pg_tail_why(const struct source_postgres *self, struct error *reterr);

uint64_t pg_tail_look_deadline_us(const struct source_postgres *self);
/* Sends the requests to the session that are due. */
void pg_tail_look(struct source_postgres *self, uint64_t now_us);

void pg_tail_open(struct source_postgres *self, uint64_t now_us);
void pg_tail_open_ask(struct source_postgres *self, short revents, uint64_t now_us);
void pg_tail_open_process(struct source_postgres *self, short revents, uint64_t now_us);

void pg_stream_begin(struct source_postgres *self, uint64_t now_us);
/* True if the log is to be read now. */
bool pg_stream_reads(const struct source_postgres *self);
uint64_t pg_stream_deadline_us(const struct source_postgres *self);
void pg_stream_process(struct source_postgres *self, short revents, uint64_t now_us);
/* Tells the server the safe position, if that is possible at once; to be called before the connection is closed. */
void pg_stream_end(struct source_postgres *self);

/* Keeps the content of the event if it is an emitted message. */
void pg_emitted_take(struct source_postgres *self, const struct pgoutput_event *event);
/* True if as much is collected as one SOURCE_LOG may have. */
bool pg_emitted_is_full(const struct source_postgres *self);
/* True if some messages are not in the outbox yet, as far as known. */
bool pg_emitted_is_pending(const struct source_postgres *self);
void pg_emitted_write(struct source_postgres *self, uint64_t now_us);
void pg_emitted_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us);
/* Like pg_fetch_refused. */
bool pg_emitted_refused(struct source_postgres *self, const PGresult *result,
                        uint64_t now_us) MUST_CHECK;

#endif
