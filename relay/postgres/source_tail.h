/* relay/postgres/source_tail.h - the PostgreSQL source's second connection, which reads the log. It goes
 * to the very server that the owning session is connected to, and never outlives the ownership.
 *
 *   source_tail.c         the state machine
 *   source_tail_look.c    what the session says: troubles, the slot, what it holds back
 *   source_tail_open.c    from connect to a stream
 *   source_tail_stream.c  rows in, positions out
 *   source_tail_emitted.c  what no table has yet: into the outbox
 *
 * What is asked of the session can't fail, since a failure would end the ownership; what can (a slot
 * created, dropped, read) is done by the second connection. */
#ifndef RELAY_POSTGRES_SOURCE_TAIL_H
#define RELAY_POSTGRES_SOURCE_TAIL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/error.h"
#include "relay/ports/halving.h"
#include "relay/postgres/names.h"
#include "relay/postgres/pgoutput.h"

struct pg_request;
struct source_notice;
struct pollfd;
struct source_postgres;

enum pg_tail_state {
    PG_TAIL_OFF,
    PG_TAIL_LOOKING, /* at what there is, by the session; again and again while an earlier reader ends */
    PG_TAIL_CONNECTING, /* from here on there is a connection */
    PG_TAIL_OPENING,    /* is it the same server? */
    PG_TAIL_DROPPING,   /* the slot */
    PG_TAIL_CREATING,   /* likewise */
    PG_TAIL_STARTING,
    PG_TAIL_STREAMING,
};

struct pg_stream {
    struct pgoutput decoder;
    bool asked;  /* rows are wanted: */
    bool unread; /* libpq may hold more of them, of which no poll tells */
    uint32_t rows_max;
    uint64_t bytes_max;
    uint64_t position; /* all that was committed before has been delivered, or is with `told` */
    uint64_t read;     /* ahead of it while what was emitted is not in the outbox yet */
    uint64_t told_position; /* as the last SOURCE_LOG said */
    uint64_t told_us;
    uint64_t safe; /* what the server need not keep */
    uint64_t safe_sent;
    uint64_t status_us; /* when the server heard the last status */
    uint64_t status_interval_us;
    bool reply_wanted;
};

/* What was emitted without a table, on its way into the outbox. */
struct pg_emitted {
    struct buffer contents; /* as a binary parameter */
    size_t count;           /* collected; none while the statement is out */
    bool out;               /* is being written: */
    struct halving parts;   /* so much at a time */
    char trouble[450];      /* why the part that is out cannot be written; "": it can */
    char problem[450];      /* of what was set aside of it, the first; "": none */
    uint64_t position; /* of what is out, or was last: all that was committed before is among it */
    uint64_t written;  /* all that was committed before is in the outbox; 0: not known */
};

struct pg_tail {
    enum pg_tail_state state;
    char slot[POSTGRES_NAME_BYTES];
    char publication[POSTGRES_NAME_BYTES];
    PGconn *connection;
    PostgresPollingStatusType polling;
    bool wants_write;
    bool drop_slot; /* once connected */
    bool make_slot;
    bool read_slot;    /* false: nothing but the dropping is wanted */
    uint64_t position; /* from where the log is read */
    uint64_t begun_us;
    uint64_t deadline_us; /* of the state, from CONNECTING to STARTING */
    uint64_t waits_us;    /* CREATING: when to say that it waits */

    bool look_outstanding;
    bool look_stale;         /* the one that is out was asked before the log was to be read */
    uint64_t look_us;        /* the next one */
    char server[64];         /* that the session is connected to, as the last look said */
    char system[24];         /* its cluster, */
    char timeline[12];       /* which changes when a standby is promoted */
    bool was_read;           /* by this process, since it was started */
    char spoiled[200];       /* why the slot can't be read; "": it can, as far as is known */
    char skipped[200];       /* what the server has just said that it leaves out; "": nothing */
    unsigned skips;          /* how often it has said so in this stream, */
    unsigned skips_met;      /* and in the one that ended by it: so many, */
    uint64_t skips_position; /* up to here */
    bool heartbeat_outstanding;
    uint64_t heartbeat_us; /* the next one */
    struct backoff budget; /* after the slot was dropped for what it held back: */
    uint64_t not_before_us;

    struct pg_stream stream;
    struct pg_emitted emitted;
    char prefix[POSTGRES_NAME_BYTES + 8]; /* of emitted messages that are this source's */
    bool left_told;                       /* that some which name no schema were left */
    bool excess_told;                     /* the slot of a tableless source holds back too much */
};

void pg_tail_init(struct source_postgres *self);
/* Finds the names: the session is connected, the outbox is in this schema. */
void pg_tail_name(struct source_postgres *self, const char *schema);
/* Lets go of everything, with no event: the ownership is gone, or the source. */
void pg_tail_stop(struct source_postgres *self);

/* source_ops */
void pg_tail_begin(struct source_postgres *self, uint64_t position, uint64_t now_us);
void pg_tail_end(struct source_postgres *self);
void pg_tail_more(struct source_postgres *self, uint32_t rows_max, uint64_t bytes_max);
void pg_tail_safe(struct source_postgres *self, uint64_t position);

/* While owned. */
void pg_tail_poll(const struct source_postgres *self, struct pollfd *ret_poll);
uint64_t pg_tail_deadline_us(const struct source_postgres *self);
void pg_tail_process(struct source_postgres *self, short revents, uint64_t now_us);

/* The answer of the session to what these files asked. */
void pg_tail_answer(struct source_postgres *self, const struct pg_request *request,
                    const PGresult *result, uint64_t now_us);

/* Among these files. */
/* The connection is of no use any more: closes it, and tells SOURCE_NOT_TAILING. */
void pg_tail_failed(struct source_postgres *self, const struct error *error);
struct source_notice *pg_tail_notice(struct source_postgres *self, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* Hands over to libpq's socket what waits. False if that failed, and was told. */
bool pg_tail_flush(struct source_postgres *self);
/* What the server says to reading the slot. If that is the slot's fault, it is made anew at the next
 * beginning. */
void pg_tail_refused(struct source_postgres *self, const PGresult *result, struct error *reterr);
/* In words, how the connection ended. */
void pg_tail_why(const struct source_postgres *self, struct error *reterr);

uint64_t pg_tail_look_deadline_us(const struct source_postgres *self);
/* Asks the session for what is due. */
void pg_tail_look(struct source_postgres *self, uint64_t now_us);

void pg_tail_open(struct source_postgres *self, uint64_t now_us);
void pg_tail_open_process(struct source_postgres *self, short revents, uint64_t now_us);

void pg_stream_begin(struct source_postgres *self, uint64_t now_us);
/* Whether the log is wanted now. */
bool pg_stream_reads(const struct source_postgres *self);
uint64_t pg_stream_deadline_us(const struct source_postgres *self);
void pg_stream_process(struct source_postgres *self, short revents, uint64_t now_us);
/* Tells the server how far it is safe, if that can be done at once: before the connection is closed. */
void pg_stream_end(struct source_postgres *self);

/* Keeps the content of the event if that was emitted as a message. */
void pg_emitted_take(struct source_postgres *self, const struct pgoutput_event *event);
/* As much as one SOURCE_LOG may have. */
bool pg_emitted_is_full(const struct source_postgres *self);
/* There is some that is not known to be in the outbox. */
bool pg_emitted_is_pending(const struct source_postgres *self);
void pg_emitted_write(struct source_postgres *self, uint64_t now_us);
void pg_emitted_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us);
/* As pg_fetch_refused. */
bool pg_emitted_refused(struct source_postgres *self, const PGresult *result,
                        uint64_t now_us) MUST_CHECK;

#endif
