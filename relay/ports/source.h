/* relay/ports/source.h - one outbox in one database, as the pipeline sees it: asked to fetch and to
 * settle, it answers by events. It owns its database connection: it connects, wins the ownership,
 * waits as a standby, and comes back after a loss by itself. Never blocks. One thread (the
 * pipeline's).
 *
 * While it owns the outbox it holds a lease: the server ends this session, and with it the
 * ownership, when it has heard nothing for the lease's length. Nobody else can own the outbox
 * before lease_until_us, which every event carries; after that time nothing may be published. (A
 * relay that was stopped and continued must not publish beside its successor.) Only the end of the
 * session itself (a restart, a failover, an administrator) gives the ownership away earlier. */
#ifndef RELAY_PORTS_SOURCE_H
#define RELAY_PORTS_SOURCE_H

#include <stddef.h>

#include "base/error.h"
#include "relay/ports/log_position.h"
#include "relay/ports/row.h"

/* Payload and headers of a larger message do not fit into what a lane can have to write
 * (amqp/connection.c), so they are not even read. */
#define SOURCE_MESSAGE_BYTES_MAX (INT64_C(192) << 20)

/* Rows that arrived together. The batch and its rows are each from malloc; what the spans point
 * into is the owner's. Whoever takes it from an event frees it. */
struct batch {
    /* Ascending by id (FETCH_HEADS: by time, then id; of the log: as they were committed). */
    struct row *rows;
    size_t count;
    size_t in_use; /* rows not yet released; the worker's */
    bool complete; /* there was no more to be had under the same conditions; if not, count > 0 */
    void *owner;   /* what the spans point into */
    void (*free_owner)(void *owner);
};

/* Frees the rows and what they point into. Takes NULL. */
void batch_free(struct batch *batch);

enum fetch_kind {
    /* rows of the outbox with id > after_id, except `ids`; those that are scheduled among them, whether their time has come or
     * not. */
    FETCH_NEXT,
    FETCH_HEADS,   /* held messages in state retrying whose next attempt is due, except `ids` */
    FETCH_PRESENT, /* which of `ids`, ascending, are in the outbox; the answer is SOURCE_PRESENT */
};

struct fetch {
    enum fetch_kind kind;
    int64_t after_id; /* FETCH_NEXT */
    const int64_t *ids;
    size_t id_count;
    uint32_t rows_max;
    /* Of payloads and headers; passed by the last row at most, for one is read in any case. */
    uint64_t bytes_max;
};

/* The states of held messages; outbox-sql/postgres/schema_relay.sql says what each means. */
enum held_state { HELD_SCHEDULED = 1, HELD_RETRYING, HELD_WAITING, HELD_DEAD };

/* One message to be set aside: moved from the outbox, or given another state if it is held already. */
struct hold {
    int64_t id;
    enum held_state state;
    bool skipped;            /* HELD_DEAD: its key goes on without it */
    uint32_t attempts;       /* RETRYING, DEAD */
    uint64_t retry_after_us; /* RETRYING: the next attempt, from now */
    const char *reason;      /* RETRYING, DEAD: the last error, NULL: as it was; else NULL */
};

/* Held messages that go back. */
struct release {
    const int64_t *ids; /* these are confirmed: they are deleted */
    size_t id_count;
    const int64_t *keys; /* key hashes: their messages in state waiting move back to the outbox, */
    size_t key_count;    /* those with the lowest ids first, */
    uint32_t rows_max;   /* at most so many */
};

/* A held message that keeps its key (or, without one, itself) back. */
struct head {
    int64_t id; /* orphans: the first message waiting */
    int64_t key_hash;
    bool ordered; /* has a key, and was not skipped */
    bool dead;
    bool orphans; /* there are messages waiting behind none that is held */
    uint32_t attempts;
    uint64_t retry_in_us; /* not dead, no orphans */
};

/* What the relay tells of itself, for those who look at the database (table outbox_relay). */
struct source_status {
    uint64_t in_flight;
    uint64_t in_flight_for_us; /* the oldest of them; 0 if none */
    int64_t read_up_to;        /* INT64_MIN: nothing yet */
    int64_t published_up_to;   /* likewise */
    uint64_t confirmed;
    double rate;
    const char *paused_reason; /* NULL: it works */
    uint64_t paused_for_us;
    bool tailing;                   /* reads the log, not the table */
    const char *not_tailing_reason; /* why not, although it should; NULL: as it was told */
    uint64_t swept;                 /* rows that the log did not deliver and the sweep found */
};

/* A message that a statement could not move, or delete, while it could others. */
struct source_failure {
    int64_t id;
    int64_t key_hash; /* RELEASED, of a message that has a key */
    char reason[240];
};

/* Those of what was asked that a statement could not move or delete. */
struct source_failures {
    struct source_failure *items; /* from malloc; NULL if there are none */
    size_t count;
    size_t capacity;
};

/* The reason is copied, and cut to what there is room for. */
void source_failures_add(struct source_failures *failures, int64_t id, int64_t key_hash,
                         const char *reason);
/* Frees them; none are left. */
void source_failures_clear(struct source_failures *failures);
/* Gives them all; none are left. */
struct source_failures source_failures_take(struct source_failures *failures);

enum source_event_type {
    /* This relay owns the outbox now: all may be asked. What was learned under an earlier ownership
     * does not hold any more: after a crash or a failover a server may give out ids again, final ids
     * start anew, and so do positions of the log. */
    SOURCE_OWNED,
    /* Another relay owns it; tried again from time to time. Told once per connection. */
    SOURCE_STANDBY,
    /* Connection and ownership are gone, or one more attempt to connect has failed. What was asked
     * gets no answer. */
    SOURCE_LOST,
    SOURCE_ALIVE,    /* the lease was renewed by a ping */
    SOURCE_ROWS,     /* answer to fetch */
    SOURCE_PRESENT,  /* answer to fetch, FETCH_PRESENT */
    SOURCE_SETTLED,  /* answer to settle */
    SOURCE_FINAL,    /* answer to watermark */
    SOURCE_HELD,     /* answer to hold */
    SOURCE_RELEASED, /* answer to release */
    SOURCE_HEADS,    /* answer to heads */
    SOURCE_WOKEN,    /* answer to wake */
    SOURCE_TAILING,  /* answer to tail_begin: the log is read */
    SOURCE_LOG,      /* answer to tail_more */
    /* The log is not read, or not any more. It may be begun again. */
    SOURCE_NOT_TAILING,
    SOURCE_NOTICE, /* something was found wrong and is being mended: for the operator */
};

struct source_present {
    int64_t *ids; /* those that are in the outbox, ascending; from malloc; NULL if there are none */
    size_t count;
};

struct source_settled {
    struct source_failures failures; /* these are still there */
};

struct source_final {
    /* Every row with an id up to this one that will ever be committed is visible; */
    int64_t id;
    /* and so is all that was committed before this position of the log. 0: there is no log. */
    log_position position;
    /* Where the log ended when this was asked. 0: there is no log. */
    log_position log_end;
};

struct source_held {
    /* Those that are in neither table any more, and scheduled ones that could not be moved now. From
     * malloc; NULL if there are none. */
    int64_t *missing;
    size_t missing_count;
    struct source_failures failures; /* these are as they were */
};

struct source_released {
    size_t count; /* rows that moved to the outbox */
    /* The lowest and the highest id of them. Up to last_id no message of these keys is left waiting. */
    int64_t first_id;
    int64_t last_id;
    bool complete; /* no message of these keys is left waiting at all */
    /* At most one: the lowest that waits, and cannot go back. */
    struct source_failures failures;
};

struct source_heads {
    struct head *items; /* all there are, ascending by key_hash, id; from malloc; NULL if none */
    size_t count;
};

struct source_woken {
    size_t count; /* rows that moved to the outbox */
    /* Until the next scheduled message is due; CLOCK_NEVER_US: none is known. */
    uint64_t next_in_us;
    bool acts; /* operators did something to held messages: the heads are to be asked for */
};

struct source_log {
    struct batch *batch; /* as in SOURCE_ROWS; perhaps without rows */
    /* All that was committed before has been delivered. (What is delivered of a transaction that has not come
     * to its end yet lies at or behind it.) */
    log_position position;
};

struct source_notice {
    struct error error; /* what it is; class ERROR_CONFIG: an operator must act */
    bool harmless;      /* so it is at every first start */
};

/* One thing that happened. What a member points to belongs to whoever takes the event from `next`: a batch is
 * freed by batch_free, an array by free. Of the union the member holds that has the name of the type; SOURCE_OWNED,
 * SOURCE_STANDBY and SOURCE_ALIVE have none. */
struct source_event {
    enum source_event_type type;
    uint64_t lease_until_us; /* monotonic; 0 when not owned */
    union {
        /* Why. Class ERROR_CONFIG: an operator must act (wrong schema version, refused password, missing
         * privilege); tried again all the same, but seldom. */
        struct error lost;
        struct error not_tailing; /* likewise */
        struct batch *rows;
        struct source_present present;
        struct source_settled settled;
        struct source_final final;
        struct source_held held;
        struct source_released released;
        struct source_heads heads;
        struct source_woken woken;
        log_position tailing; /* the log delivers all that is committed from here on */
        struct source_log log;
        struct source_notice notice;
    };
};

/* Frees what it points to; what somebody keeps was set to NULL. */
void source_event_done(struct source_event *event);

/* Connections that a source waits for at a time: to the table, and to the log. */
#define SOURCE_POLLS_MAX 2

struct source; /* each kind of source embeds it first */
struct pollfd;

struct source_ops {
    const char *name; /* "postgres" */
    /* Gives the ownership back if the connection allows it at once. */
    void (*free)(struct source *source);

    /* For poll(2): fills in all SOURCE_POLLS_MAX, with -1 for those that are not needed, and takes them
     * back with their revents. */
    void (*polls)(const struct source *source, struct pollfd *ret_polls);
    uint64_t (*deadline_us)(const struct source *source);
    void (*process)(struct source *source, const struct pollfd *polls, uint64_t now_us);
    bool (*next)(struct source *source, struct source_event *ret_event);

    /* Each at most once outstanding, only while owned (between a loss and the taking of its event
     * they do nothing). All may be outstanding together. They are carried out in the order they
     * were asked, so a fetch does not see what an earlier settle deleted; only what meets a row that it
     * cannot read, move or delete, or is too large, is carried out again, in parts, and answered after what
     * was asked later. Arrays are read before the call returns, but those of settle, hold and release must
     * stay until the answer, or the loss. */
    void (*fetch)(struct source *source, const struct fetch *fetch, uint64_t now_us);
    void (*settle)(struct source *source, const int64_t *ids, size_t count, uint64_t now_us);
    void (*watermark)(struct source *source, uint64_t now_us);
    void (*hold)(struct source *source, const struct hold *holds, size_t count, uint64_t now_us);
    void (*release)(struct source *source, const struct release *release, uint64_t now_us);
    void (*heads)(struct source *source, uint64_t now_us);
    /* Scheduled messages whose time has come move to the outbox, at most rows_max, in the order of
     * their times, under new ids: from then on they stand in the order of their key. */
    void (*wake)(struct source *source, uint32_t rows_max, uint64_t now_us);
    /* No event answers; asked again while one is outstanding, it does nothing. */
    void (*status)(struct source *source, const struct source_status *status, uint64_t now_us);

    /* The log: what is committed, in the order of the commits, as soon as it is. It only makes the way
     * shorter: the table stays the truth, and whoever reads the log may at any time go back to it. The
     * four are NULL in a source that never has a log; one that happens to have none says 0 in source_final.
     *
     * Reads it from `position` on, or from a later one if it is not kept so far back; SOURCE_TAILING says
     * from where, or SOURCE_NOT_TAILING why not. Only while owned; ends with the ownership, without an
     * event of its own. */
    void (*tail_begin)(struct source *source, log_position position, uint64_t now_us);
    /* Lets go of it. What was asked is not answered. */
    void (*tail_end)(struct source *source, uint64_t now_us);
    /* The next of it, as soon as there is anything: at most rows_max rows, and no more bytes than FETCH_NEXT
     * would read. At most once outstanding. */
    void (*tail_more)(struct source *source, uint32_t rows_max, uint64_t bytes_max,
                      uint64_t now_us);
    /* What was committed before `position` is confirmed and deleted, or held: the server need not keep the log
     * of it. */
    void (*tail_safe)(struct source *source, log_position position, uint64_t now_us);
};

struct source {
    const struct source_ops *ops;
};

#endif
