/* relay/postgres/source_private.h - what the files of the PostgreSQL source share.
 *
 *   source.c             the state machine and its events
 *   source_hosts.c       the addresses that a dsn names
 *   source_connect.c making a connection
 *   source_session.c setting a session up, owning, losing it
 *   source_pool.c whether a connection pool gives the relay a server session of its own
 *   source_request.c sending requests, and their answers in order
 *   source_fetch.c fetch, by the plan of relay/ports/fetch_plan.h
 *   source_settle.c settle, and rows that cannot be deleted
 *   source_held.c        hold, release, heads, wake
 *   source_sent.c        the record of what was sent
 *   source_status.c status
 *   source_rows.c from a result to rows
 *   source_parameters.c  binary parameters
 *   source_watermark.c holders of the table's lock, for the watermark
 *   source_tail*.c       the second connection, which reads the log
 *   source_error.c messages for errors */
#ifndef RELAY_POSTGRES_SOURCE_PRIVATE_H
#define RELAY_POSTGRES_SOURCE_PRIVATE_H

#include <libpq-fe.h>
#include <poll.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/random.h"
#include "relay/config/password.h"
#include "relay/ports/events.h"
#include "relay/ports/fetch_plan.h"
#include "relay/ports/halving.h"
#include "relay/postgres/names.h"
#include "relay/postgres/source.h"
#include "relay/postgres/source_hosts.h"
#include "relay/postgres/source_tail.h"
#include "relay/postgres/source_watermark.h"

/* On one connection: session, contract, own; then each of the other kinds at most once, and pings. */
#define PG_REQUESTS_MAX 64
/* Pings are also sent while answers are awaited, as long as there is room for all other kinds of requests. */
#define PG_REQUESTS_PINGED 40
#define PG_SCHEMA_VERSION 1               /* version of the outbox, which writers use too */
#define PG_RELAY_SCHEMA_VERSION 3         /* version of the tables that only the relay uses */
#define PG_RELAY_SCHEMA_REVISION 3        /* later additions to those, as `init` makes them */
#define PG_RELAY_SCHEMA_REVISION_NEEDED 2 /* without the last, nothing is recorded as sent */

enum pg_statement {
    PG_OWN,
    PG_RIVAL,
    PG_FETCH_NEXT,
    PG_FETCH_NEXT_EXACT,
    PG_FETCH_HEADS,
    PG_PATIENCE,
    PG_HURRY,
    PG_PRESENT,
    PG_PRESENT_RANGE,
    PG_SETTLE,
    PG_SETTLE_KEEP,
    PG_SETTLE_HELD,
    PG_SETTLE_HELD_KEEP,
    PG_FORGET_SENT,
    PG_HOLD,
    PG_RELEASE,
    PG_RELEASE_FIRST,
    PG_HEADS,
    PG_WAKE,
    PG_WAKE_STUCK,
    PG_ACTS,
    PG_STATUS,
    PG_SEQUENCE_LAST,
    PG_WRITERS,
    PG_TAIL_LOOK,
    PG_TAIL_END_READER,
    PG_TAIL_HEARTBEAT,
    PG_EMITTED,
    PG_STATEMENTS,
};

enum pg_state {
    PG_DOWN,       /* no connection; the next attempt is at retry_us */
    PG_ASKING,     /* for the password */
    PG_LOOKING_UP, /* the name of a host */
    PG_CONNECTING,
    PG_SETTING_UP, /* sending session, contract and statements */
    PG_STANDBY,    /* asks for the ownership from time to time */
    PG_OWNED,
};

enum pg_request_kind {
    PG_REQUEST_SESSION,
    PG_REQUEST_CONTRACT,
    PG_REQUEST_POOL,
    PG_REQUEST_SERVER,
    PG_REQUEST_OWN,
    PG_REQUEST_LISTEN,
    PG_REQUEST_RIVAL,
    PG_REQUEST_FETCH,
    PG_REQUEST_PRESENT,
    PG_REQUEST_SETTLE,
    PG_REQUEST_SETTLE_LOOK,
    PG_REQUEST_WATERMARK,
    PG_REQUEST_HOLD,
    PG_REQUEST_SETTLE_HELD,
    PG_REQUEST_RELEASE,
    PG_REQUEST_RELEASE_FIRST,
    PG_REQUEST_HEADS,
    PG_REQUEST_WAKE,
    PG_REQUEST_WAKE_STUCK,
    PG_REQUEST_STATUS,
    PG_REQUEST_FORGET,
    PG_REQUEST_TAIL_LOOK,
    PG_REQUEST_TAIL_END_READER,
    PG_REQUEST_TAIL_HEARTBEAT,
    PG_REQUEST_EMITTED,
    PG_REQUEST_PING,
};

/* hold.sql: ids, states, skipped, attempts, retry_after, reasons */
#define PG_HOLD_ARRAYS 6

/* One or more statements and a sync. */
struct pg_request {
    enum pg_request_kind kind;
    uint32_t answers; /* results received so far */
    uint32_t leading; /* results yet to come of statements whose answers nobody needs */
    uint64_t sent_us;
};

/* The fetch that is out, kept until its answer, as it may have to be sent again. */
struct pg_fetch {
    struct fetch_plan plan;
    struct buffer ids; /* this and the next two: binary parameters */
    struct buffer unread_ids;
    struct buffer unread_reasons;
};

/* Whether the statement that is out records what it deletes. If it fails, it is tried without that. */
struct pg_recording {
    bool on;
    bool failed;
    struct error error; /* failed: why */
};

/* The settle that is out. If deleting a single row fails, it is tried whether deleting no row works (probing); if that
 * fails too, the row is not to blame. The structs below do the same. */
struct pg_settle {
    const int64_t *ids; /* the caller's */
    struct halving parts;
    bool probing;
    struct error error; /* probing: the error of the row */
    struct pg_recording recording;
    struct buffer parameter;
    struct source_failures failures;
};

struct pg_hold {
    const struct hold *holds; /* the caller's */
    struct halving parts;
    bool probing;
    struct error error;
    struct buffer arrays[PG_HOLD_ARRAYS];
    int64_t *missing; /* so far */
    size_t missing_count;
    struct source_failures failures;
};

struct pg_release {
    struct release asked;     /* its arrays are the caller's */
    struct halving confirmed; /* its ids */
    /* Rows at a time: `count` is rows_max, `at` is how many rows have moved. */
    struct halving limit;
    bool confirmed_out; /* `confirmed` is not all deleted yet */
    bool confirmed_probing;
    struct pg_recording recording; /* of `confirmed` */
    bool burying;
    bool out; /* the move is not over yet */
    bool probing;
    bool complete;
    struct error error;
    struct buffer ids;
    struct buffer keys;
    int64_t first_id;
    int64_t last_id;
    struct source_failures failures;
};

/* Finds out whether a pool gives each transaction another session. */
struct pg_pool {
    /* The server process is not the one that the connection was told: there is a pool. */
    bool is_pooled;
    bool is_session; /* each connection has its own session; remembered once known */
    PGconn *second;  /* NULL: not looking now */
    PostgresPollingStatusType polling;
    uint64_t deadline_us;
    uint32_t asked;
    int32_t pids[2]; /* server process of our session and of the second one; 0: not known yet */
};

/* The record of what was sent. */
struct pg_sent {
    bool there;  /* the table */
    bool usable; /* so are the privileges */
    bool empty;  /* nothing is wanted, and what there was is forgotten */
    bool told;   /* a notice said that nothing is recorded */
    bool forget_out;
    uint64_t forget_at_us;    /* not before */
    uint64_t paused_until_us; /* after a failure */
};

struct source_postgres {
    struct source source;
    const struct source_config *config;
    struct random random;
    struct backoff backoff;        /* for connections that are lost or refused */
    struct backoff backoff_config; /* for errors that need an operator */
    struct pg_hosts hosts;
    struct password password;
    char *secret;               /* the password, until the session is ready; NULL: the dsn's */
    struct error connect_error; /* the error of the last address */
    PGconn *connection;
    struct pg_pool pool;
    PostgresPollingStatusType polling;
    enum pg_state state;
    bool fit; /* as the worker says */
    bool standby_told;
    bool owned_told;
    bool wants_write;
    uint64_t connect_deadline_us;
    uint64_t retry_us;                /* DOWN: connect; STANDBY: ask again */
    uint64_t sent_us;                 /* the last request */
    uint64_t heard_us;                /* when the server last sent or accepted bytes */
    uint64_t lease_until_us;          /* 0: not owned */
    uint64_t began_us;                /* when the session became owner or standby */
    char schema[POSTGRES_NAME_BYTES]; /* of the outbox */
    char outbox[SOURCE_OUTBOX_BYTES]; /* source_owned's */
    uint32_t outbox_oid;
    uint32_t sequence_oid;
    int64_t sequence_last;    /* first half of the watermark's answer */
    log_position log_flushed; /* the same; 0: there is no log */
    log_position log_end;     /* the same */
    struct pg_fetch fetch;
    struct buffer present_ids;
    /* A range was read, and only these ids were asked for; NULL: the answer has no others. */
    int64_t *present_asked;
    size_t present_asked_count;
    struct pg_settle settle;
    struct pg_hold hold;
    struct pg_release release;
    uint32_t wake_rows_max; /* rows that the core asked for in the wake that is out */
    uint32_t wake_rows;     /* rows that the statement asks for */
    bool wake_probing;
    bool stuck; /* a message could not be woken: heads may have changed */
    char wake_trouble[500];
    struct source_woken woken; /* from the first of the two answers to wake */
    bool wake_in_full;         /* the wake that is out looks at all scheduled messages */
    /* No scheduled message is due before this time (the server's clock); INT64_MIN: not known. */
    int64_t wake_from_us;
    uint64_t wake_full_us;  /* when to look at all of them again, as others may have changed them */
    uint64_t created_us;    /* monotonic */
    int64_t started_at_us;  /* start of this relay; since 1970, by the server's clock */
    int64_t owned_since_us; /* start of this ownership, likewise */
    bool status_outstanding;
    struct pg_sent sent;
    struct watermark watermark;
    struct pg_tail tail;
    uint32_t leading; /* of the request that is being sent, as in struct pg_request */
    struct pg_request requests[PG_REQUESTS_MAX]; /* a ring, in the order of their answers */
    uint32_t request_first;
    uint32_t request_count;
    struct source_events events;
    char fatal_sqlstate
        [6]; /* The last message of a server that ended the connection; it comes as a notice. */
    char fatal_text[256];
};

/* source.c */
/* Appends an event with its type and the lease, to be filled in. */
struct source_event *pg_event_push(struct source_postgres *self, enum source_event_type type);
/* Pushes SOURCE_ALIVE, unless the last event is one. */
void pg_event_alive(struct source_postgres *self);

/* source_connect.c */
/* Does not wait. `password` may be NULL: the dsn's. NULL with *reterr if a TLS file can't be read, or out of memory. */
PGconn *pg_connect_begin(const struct source_config *config, const struct pg_target *target,
                         bool replication, const char *password, struct error *reterr);
void pg_connect_start(struct source_postgres *self, uint64_t now_us);
/* Wipes the password, or stops asking for it. */
void pg_connect_forget(struct source_postgres *self);
void pg_connect_ask(struct source_postgres *self, short revents, uint64_t now_us);
void pg_connect_look_up(struct source_postgres *self, short revents, uint64_t now_us);
void pg_connect_poll(struct source_postgres *self, short revents, uint64_t now_us);
short pg_connect_poll_events(const struct source_postgres *self);

/* source_session.c */
void pg_session_set_up(struct source_postgres *self, uint64_t now_us);
void pg_session_own(struct source_postgres *self, uint64_t now_us);
/* Asks whether a fit relay stands by. */
void pg_session_rival(struct source_postgres *self, uint64_t now_us);
/* Ends the ownership at once, and wakes those who wait for it; the session must be closed then. */
void pg_session_hand_over(struct source_postgres *self);
/* The same for another relay's sake: closes the connection, pushes SOURCE_YIELDED. */
void pg_session_yield(struct source_postgres *self, uint64_t now_us);
/* The session is the relay's own: prepares all statements, and asks for the ownership. */
void pg_session_ready(struct source_postgres *self, uint64_t now_us);
void pg_session_watermark(struct source_postgres *self, uint64_t now_us);
void pg_session_answer(struct source_postgres *self, struct pg_request *request, PGresult *result,
                       uint64_t now_us);
/* Closes the connection, pushes SOURCE_LOST, and sets the time of the next attempt. */
void pg_session_lost(struct source_postgres *self, const struct error *error, uint64_t now_us);
/* The same, with the last message of the server or libpq. */
void pg_session_broken(struct source_postgres *self, uint64_t now_us);

/* source_pool.c */
/* False: there is nothing to find out. Else pg_session_ready is called at the end, or the session is lost. */
bool pg_pool_begin(struct source_postgres *self, uint64_t now_us) MUST_CHECK;
void pg_pool_end(struct source_postgres *self);
void pg_pool_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us);
void pg_pool_process(struct source_postgres *self, short revents, uint64_t now_us);
void pg_pool_poll(const struct source_postgres *self, struct pollfd *ret_poll);

/* source_request.c: false if the connection was lost. */
struct pg_parameters;
bool pg_request_send(struct source_postgres *self, enum pg_statement statement,
                     const struct pg_parameters *parameters, uint64_t now_us) MUST_CHECK;
/* The same, before the statement that it prepares the ground for: its answer is dropped. */
bool pg_request_lead(struct source_postgres *self, enum pg_statement statement,
                     const struct pg_parameters *parameters, uint64_t now_us) MUST_CHECK;
bool pg_request_prepare_all(struct source_postgres *self, uint64_t now_us) MUST_CHECK;
bool pg_request_end(struct source_postgres *self, enum pg_request_kind kind, uint64_t now_us);
bool pg_request_flush(struct source_postgres *self, uint64_t now_us) MUST_CHECK;
/* Reads available data and handles the answers in it. */
void pg_request_receive(struct source_postgres *self, uint64_t now_us);
/* Reads all that the socket has. False if the connection is gone; data read before can still be used. */
bool pg_request_consume(PGconn *connection);
/* When the oldest unanswered request is given up. */
uint64_t pg_request_deadline_us(const struct source_postgres *self);

/* source_fetch.c */
void pg_fetch_ask(struct source_postgres *self, const struct fetch *fetch, uint64_t now_us);
/* To be called when the session is lost; `error` says why. */
void pg_fetch_lost(struct source_postgres *self, const struct error *error, uint64_t now_us);
/* The server refused the statement. True: a smaller one was sent instead. False: no row can be the cause. */
bool pg_fetch_refused(struct source_postgres *self, const PGresult *result,
                      uint64_t now_us) MUST_CHECK;
/* Messages that could not be read are tried again. */
void pg_fetch_forget_unread(struct source_postgres *self);
/* Takes the result. */
void pg_fetch_answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us);
void pg_fetch_present_answer(struct source_postgres *self, const PGresult *result);
void pg_fetch_present_done(struct source_postgres *self);

/* source_sent.c */
/* `lacking`: the grants that the role needs for it, or "". Says so once if what is to be recorded cannot be. */
void pg_sent_learn(struct source_postgres *self, const char *lacking);
/* Sends `plain`, or `keep` if it is to be recorded. False if the connection was lost. */
bool pg_recording_send(struct source_postgres *self, const struct pg_recording *recording,
                       enum pg_statement plain, enum pg_statement keep,
                       const struct pg_parameters *parameters, uint64_t now_us) MUST_CHECK;
/* Before a part is sent for the first time. */
void pg_recording_begin(const struct source_postgres *self, struct pg_recording *recording,
                        uint64_t now_us);
/* The server refused the statement. True: to be sent again, now without the record. */
bool pg_recording_refused(struct pg_recording *recording, const PGresult *result) MUST_CHECK;
/* The part is deleted. */
void pg_recording_done(struct source_postgres *self, struct pg_recording *recording,
                       uint64_t now_us);
/* Forgets what is too old or too much; does nothing while a statement for it is out. */
void pg_sent_forget(struct source_postgres *self, uint64_t now_us);
void pg_sent_forgotten(struct source_postgres *self, PGresult *result, uint64_t now_us);
void pg_sent_unforgotten(struct source_postgres *self, const PGresult *result, uint64_t now_us);

/* source_settle.c */
void pg_settle_ask(struct source_postgres *self, const int64_t *ids, size_t count, uint64_t now_us);
void pg_settle_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us);
void pg_settle_look_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us);
/* Like pg_fetch_refused. */
bool pg_settle_refused(struct source_postgres *self, const PGresult *result,
                       uint64_t now_us) MUST_CHECK;

/* source_held.c */
/* Like pg_fetch_refused, for hold, release and wake. */
bool pg_held_refused(struct source_postgres *self, const struct pg_request *request,
                     const PGresult *result, uint64_t now_us) MUST_CHECK;
/* To be called when the session is lost. */
void pg_held_lost(struct source_postgres *self);
void pg_held_hold(struct source_postgres *self, const struct hold *holds, size_t count,
                  uint64_t now_us);
void pg_held_release(struct source_postgres *self, const struct release *release, uint64_t now_us);
void pg_held_heads(struct source_postgres *self, uint64_t now_us);
void pg_held_wake(struct source_postgres *self, uint32_t rows_max, uint64_t now_us);
/* Handles an answer to one of these. */
void pg_held_answer(struct source_postgres *self, const struct pg_request *request,
                    const PGresult *result, uint64_t now_us);

/* source_status.c */
void pg_status_ask(struct source_postgres *self, const struct source_status *status,
                   uint64_t now_us);

/* source_rows.c */
/* Takes the result over. A batch of its rows up to the first one that was cut, at most rows_max; complete: neither
 * limit was reached. NULL, with the result cleared, if a column is not as expected. */
struct batch *pg_rows_decode_take(PGresult *result, uint32_t rows_max, struct error *reterr);
int64_t pg_rows_int8(const PGresult *result, int row, int column);
int32_t pg_rows_int4(const PGresult *result, int row, int column);
bool pg_rows_bool(const PGresult *result, int row, int column);
/* A binary timestamptz in microseconds since 1970; ±infinity as INT64_MAX and INT64_MIN. */
int64_t pg_rows_time_us(int64_t value);

/* source_parameters.c */
#define PG_PARAMETERS_MAX 18
struct pg_parameters {
    int count;
    const char *values[PG_PARAMETERS_MAX];
    int lengths[PG_PARAMETERS_MAX];
    int formats[PG_PARAMETERS_MAX];
    uint64_t numbers[PG_PARAMETERS_MAX]; /* storage for values that are numbers */
};
void pg_parameters_int8(struct pg_parameters *parameters, int64_t value);
/* Limits a duration so that the server can add it to a time: at most a hundred years. */
int64_t pg_parameters_span_us(uint64_t span_us);
void pg_parameters_bool(struct pg_parameters *parameters, bool value);
void pg_parameters_null(struct pg_parameters *parameters);
void pg_parameters_oid(struct pg_parameters *parameters, uint32_t value);
void pg_parameters_double(struct pg_parameters *parameters, double value);
/* NULL is NULL; other texts must be clean (pg_text_clean). The caller keeps the text, as with arrays. */
void pg_parameters_text(struct pg_parameters *parameters, const char *text);
/* The caller keeps `array`, which must live until the statement is sent. */
void pg_parameters_array(struct pg_parameters *parameters, const struct buffer *array);
/* Replaces the content of `buffer` by a binary int8[]. */
void pg_parameters_encode(struct buffer *buffer, const int64_t *values, size_t count);
/* Begins an array that is written element by element: `count` elements must follow. */
void pg_array_begin_int8(struct buffer *buffer, size_t count);
void pg_array_put_int8(struct buffer *buffer, int64_t value);
void pg_array_begin_text(struct buffer *buffer, size_t count);
/* NULL is NULL; the text is cleaned by pg_text_clean. */
void pg_array_put_text(struct buffer *buffer, const char *text, bool utf8);
/* An array whose number of elements (at least one) is set by pg_array_end. */
void pg_array_begin_bytea(struct buffer *buffer);
void pg_array_put_bytes(struct buffer *buffer, const void *bytes, size_t size);
void pg_array_end(struct buffer *buffer, size_t count);
/* Replaces bytes that the server would refuse, which would end the session: those that are not UTF-8. If the database
 * is not in UTF-8 (so that a character may have no counterpart), all bytes that are not ASCII. */
void pg_text_clean(char *text, size_t size, bool utf8);
bool pg_request_takes_utf8(const struct source_postgres *self);

/* source_error.c */
void pg_error_from_result(const PGresult *result, struct error *reterr);
/* True if the content of a row can be the cause of this error. `moves`: the statement moves or deletes the row, and so
 * runs triggers, rules, constraints and policies that others put on the tables. */
bool pg_error_may_be_of_row(const PGresult *result, bool moves);
/* True if somebody locks rows in another order, and the server has undone our statement for it: the same again will do. */
bool pg_error_is_deadlock(const PGresult *result);
/* error: the session is not this connection's own. */
void pg_error_set_pooled(struct error *reterr);
/* The error that the oldest request was not answered in time: which one it is, since when it waits, and how much data
 * came meanwhile. */
void pg_error_set_silent(const struct source_postgres *self, uint64_t now_us, struct error *reterr);
void pg_error_from_connect(PGconn *connection, struct error *reterr);
/* True if a connection's message is about certificates and the like, where a person must act. */
bool pg_error_is_tls(const char *message) MUST_CHECK;
/* From the message of a refused connection, in libpq's verbose form. */
void pg_error_from_message(const char *message, const char *user, struct error *reterr);
/* How a working connection ended: the server's last message if there was one, else libpq's. */
void pg_error_from_loss(const struct source_postgres *self, struct error *reterr);
void pg_error_receive_notice(void *self, const PGresult *notice); /* a PQnoticeReceiver */

#endif
