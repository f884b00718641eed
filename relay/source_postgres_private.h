/* relay/source_postgres_private.h - what the files of the PostgreSQL source share.
 *
 *   source_postgres.c             the state machine and its events
 *   source_postgres_hosts.c       the addresses that a dsn names
 *   source_postgres_connect.c     a connection: made
 *   source_postgres_session.c     a connection: set up, owning, lost
 *   source_postgres_request.c     what is sent, in what order answers come
 *   source_postgres_fetch.c       fetch: which statement, and when it must be asked again
 *   source_postgres_rows.c        a result as rows
 *   source_postgres_parameters.c  binary parameters
 *   source_postgres_watermark.c   which ids are final
 *   source_postgres_error.c       what went wrong, in words */
#ifndef RELAY_SOURCE_POSTGRES_PRIVATE_H
#define RELAY_SOURCE_POSTGRES_PRIVATE_H

#include <libpq-fe.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/random.h"
#include "relay/source_postgres.h"
#include "relay/source_postgres_hosts.h"
#include "relay/source_postgres_watermark.h"

/* Per connection: session, contract, own; then fetch, settle, watermark, ping at most once each. */
#define PG_REQUESTS_MAX 8
#define PG_EVENTS_MAX 16
#define PG_SCHEMA_VERSION 1

enum pg_statement {
    PG_OWN,
    PG_FETCH_NEXT,
    PG_FETCH_NEXT_EXACT,
    PG_FETCH_DUE,
    PG_FETCH_IDS,
    PG_SETTLE,
    PG_SEQUENCE_LAST,
    PG_WRITERS,
    PG_STATEMENTS,
};

enum pg_state {
    PG_DOWN,       /* no connection; the next try is at retry_us */
    PG_LOOKING_UP, /* the name of a host */
    PG_CONNECTING,
    PG_SETTING_UP, /* session, contract and statements are under way */
    PG_STANDBY,    /* asks for the ownership from time to time */
    PG_OWNED,
};

enum pg_request_kind {
    PG_REQUEST_SESSION,
    PG_REQUEST_CONTRACT,
    PG_REQUEST_OWN,
    PG_REQUEST_FETCH,
    PG_REQUEST_SETTLE,
    PG_REQUEST_WATERMARK,
    PG_REQUEST_PING,
};

/* One or more statements up to a sync. */
struct pg_request {
    enum pg_request_kind kind;
    uint32_t answers; /* results that came */
    uint64_t sent_us;
};

/* The fetch that is out, kept until its answer: it may have to be asked again. */
struct pg_fetch {
    bool outstanding;
    bool exact;          /* the statement that was sent counts bytes */
    uint32_t exact_left; /* so many more fetches are sent as exact: large rows are about */
    enum fetch_kind kind;
    int64_t after_id;
    int64_t up_to_id;    /* FETCH_DUE */
    int64_t stretch_end; /* FETCH_NEXT: the statement that was sent looks no further */
    uint32_t rows_max;
    uint64_t bytes_max;
    struct buffer ids; /* as binary parameters */
    struct buffer keys;
};

struct source_postgres {
    struct source source;
    const struct source_config *config;
    struct random random;
    struct backoff backoff;        /* connections that are lost or refused */
    struct backoff backoff_config; /* those that need an operator */
    struct pg_hosts hosts;
    struct error connect_error; /* the last address's trouble */
    PGconn *connection;
    PostgresPollingStatusType polling;
    enum pg_state state;
    bool standby_told;
    bool owned_told;
    bool wants_write;
    uint64_t connect_deadline_us;
    uint64_t retry_us;       /* DOWN: connect; STANDBY: ask again */
    uint64_t sent_us;        /* the last request */
    uint64_t lease_until_us; /* 0: not owned */
    uint32_t outbox_oid;
    uint32_t sequence_oid;
    int64_t sequence_last; /* the first half of the watermark's answer */
    struct pg_fetch fetch;
    struct buffer settle_ids;
    struct pg_watermark watermark;
    struct pg_request requests[PG_REQUESTS_MAX]; /* a ring, in the order of their answers */
    uint32_t request_first;
    uint32_t request_count;
    struct source_event events[PG_EVENTS_MAX]; /* a ring */
    uint32_t event_first;
    uint32_t event_count;
    char fatal_sqlstate
        [6]; /* the last words of a server that ended the connection: they come as a notice */
    char fatal_text[256];
};

/* source_postgres.c */
void pg_event_push(struct source_postgres *self, enum source_event_type type, struct batch *batch,
                   int64_t final_id, const struct error *error);

/* source_postgres_connect.c */
void pg_connect_start(struct source_postgres *self, uint64_t now_us);
void pg_connect_look_up(struct source_postgres *self, short revents, uint64_t now_us);
void pg_connect_poll(struct source_postgres *self, short revents, uint64_t now_us);
short pg_connect_poll_events(const struct source_postgres *self);

/* source_postgres_session.c */
void pg_session_set_up(struct source_postgres *self, uint64_t now_us);
void pg_session_own(struct source_postgres *self, uint64_t now_us);
void pg_session_watermark(struct source_postgres *self, uint64_t now_us);
void pg_session_answer(struct source_postgres *self, struct pg_request *request, PGresult *result,
                       uint64_t now_us);
/* Closes the connection, tells SOURCE_LOST, and sets the time of the next try. */
void pg_session_lost(struct source_postgres *self, const struct error *error, uint64_t now_us);
/* The same, the words being libpq's or the server's last. */
void pg_session_broken(struct source_postgres *self, uint64_t now_us);

/* source_postgres_request.c: false if the connection was lost over it. */
struct pg_parameters;
bool pg_request_send(struct source_postgres *self, enum pg_statement statement,
                     const struct pg_parameters *parameters, uint64_t now_us) MUST_CHECK;
bool pg_request_prepare_all(struct source_postgres *self, uint64_t now_us) MUST_CHECK;
bool pg_request_end(struct source_postgres *self, enum pg_request_kind kind, uint64_t now_us);
bool pg_request_flush(struct source_postgres *self, uint64_t now_us) MUST_CHECK;
/* Reads what has come and handles the answers. */
void pg_request_receive(struct source_postgres *self, uint64_t now_us);
/* When the oldest unanswered request is given up. */
uint64_t pg_request_deadline_us(const struct source_postgres *self);

/* source_postgres_fetch.c */
void pg_fetch_ask(struct source_postgres *self, const struct fetch *fetch, uint64_t now_us);
/* Takes the result. */
void pg_fetch_answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us);

/* source_postgres_rows.c */
/* Takes the result: a batch of its rows up to the first that came without payload, at most
 * rows_max. complete: neither limit was met. NULL, and the result cleared, if a column is not
 * what was asked for. */
struct batch *pg_rows_decode_take(PGresult *result, uint32_t rows_max, struct error *reterr);
int64_t pg_rows_int8(const PGresult *result, int row, int column);
int32_t pg_rows_int4(const PGresult *result, int row, int column);
bool pg_rows_bool(const PGresult *result, int row, int column);
/* Microseconds since 1970 of a binary timestamptz; ±infinity as INT64_MAX and INT64_MIN. */
int64_t pg_rows_time_us(int64_t value);

/* source_postgres_parameters.c */
#define PG_PARAMETERS_MAX 6
struct pg_parameters {
    int count;
    const char *values[PG_PARAMETERS_MAX];
    int lengths[PG_PARAMETERS_MAX];
    int formats[PG_PARAMETERS_MAX];
    uint64_t numbers[PG_PARAMETERS_MAX]; /* what values of numbers point to */
};
void pg_parameters_int8(struct pg_parameters *parameters, int64_t value);
void pg_parameters_oid(struct pg_parameters *parameters, uint32_t value);
/* `array` stays the caller's and must live until the statement is sent. */
void pg_parameters_array(struct pg_parameters *parameters, const struct buffer *array);
/* Replaces the content of `buffer` by a binary int8[]. */
void pg_parameters_encode(struct buffer *buffer, const int64_t *values, size_t count);

/* source_postgres_error.c */
void pg_error_from_result(const PGresult *result, struct error *reterr);
void pg_error_from_connect(PGconn *connection, struct error *reterr);
/* The message of a connection that was refused, in libpq's verbose form. */
void pg_error_from_message(const char *message, const char *user, struct error *reterr);
/* How a working connection ended: the server's last words if it had any, else libpq's. */
void pg_error_from_loss(const struct source_postgres *self, struct error *reterr);
void pg_error_receive_notice(void *self, const PGresult *notice); /* a PQnoticeReceiver */

#endif
