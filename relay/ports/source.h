/* relay/ports/source.h - one outbox in one database, as the pipeline sees it: requests (fetch, settle, …) are answered
 * by events. It has its own database connection: by itself it connects, wins the ownership or waits as a standby, and
 * comes back after a loss.
 *
 * Threads. A source never blocks, and one thread makes all calls: the pipeline's. Only source_new is called by the main
 * thread, and `free` if the pipeline's thread could not be started. Sources of one kind run beside each other, so what a
 * kind sets up for the whole process is set up once (pthread_once). A client library that can only block gets a thread
 * of its own, and a descriptor for `polls` (relay/mysql/link.h).
 *
 * The lease. While it owns the outbox it holds a lease as long as takeover: when the server has heard nothing for that
 * time, it ends the session and with it the ownership. No other relay can own the outbox before lease_until_us, which
 * every event carries; after that time nothing may be published. (A relay that was stopped and continued must not
 * publish beside its successor.) Only the end of the session itself (a restart, a failover, an administrator) ends the
 * ownership earlier. So a source
 * - has its server end a session that is silent for takeover (idle_session_timeout, wait_timeout);
 * - sends something when it has sent nothing for a third of takeover (source_ping_after_us);
 * - counts the lease from when a request was sent that has been answered since: an answer shows that the server heard
 *   it, but not when. */
#ifndef RELAY_PORTS_SOURCE_H
#define RELAY_PORTS_SOURCE_H

#include <stddef.h>

#include "base/error.h"
#include "relay/ports/log_position.h"
#include "relay/ports/row.h"

/* A message with more payload and headers does not fit into a lane's output buffer (amqp/connection.c), so they are not
 * even read. */
#define SOURCE_MESSAGE_BYTES_MAX (INT64_C(192) << 20)

/* Rows that arrived together. The batch and its rows are each from malloc; the spans point into memory of `owner`.
 * Whoever takes the batch from an event frees it. */
struct batch {
    /* Ascending by id (FETCH_HEADS: by time, then id; of the log: as they were committed). */
    struct row *rows;
    size_t count;
    size_t in_use; /* rows not yet released; used by the worker */
    bool complete; /* there were no more rows that match; if false, count > 0 */
    void *owner;   /* owns the memory of the spans */
    void (*free_owner)(void *owner);
};

/* Frees the rows and what they point into. Takes NULL. */
void batch_free(struct batch *batch);

enum fetch_kind {
    /* Rows of the outbox with id > after_id, except `ids`. Scheduled rows are among them, whether they are due or not. */
    FETCH_NEXT,
    FETCH_HEADS,   /* held messages in state retrying whose next attempt is due, except `ids` */
    FETCH_PRESENT, /* which of `ids` are in the outbox; the answer is SOURCE_PRESENT */
};

struct fetch {
    enum fetch_kind kind;
    int64_t after_id; /* FETCH_NEXT */
    /* FETCH_PRESENT: ascending, at least one. Otherwise in any order; NULL is possible if there are none. */
    const int64_t *ids;
    size_t id_count;
    uint32_t rows_max;
    /* Limit on payloads and headers. Only the last row may exceed it, as one row is always read. */
    uint64_t bytes_max;
};

/* The states of held messages. In the tables, and for operators, they are called scheduled, retrying, waiting, dead. */
enum held_state {
    HELD_SCHEDULED = 1, /* its time is to come */
    HELD_RETRYING,      /* it was refused, and is tried again at its time */
    HELD_WAITING,       /* behind a message of its key that is retrying or dead */
    HELD_DEAD,          /* not tried again unless an operator says so */
};

/* One message to be set aside: moved from the outbox, or, if it is held already, given another state. */
struct hold {
    int64_t id;
    enum held_state state;
    bool skipped;            /* HELD_DEAD: its key goes on without it */
    uint32_t attempts;       /* RETRYING, DEAD */
    uint64_t retry_after_us; /* RETRYING: the next attempt, from now */
    const char *reason;      /* RETRYING, DEAD: the last error, NULL: as it was; else NULL */
};

/* Held messages that were sent, and keys whose waiting messages move back. */
struct release {
    const int64_t *ids; /* confirmed messages: they are deleted */
    size_t id_count;
    /* Key hashes: their waiting messages move back to the outbox, with the ids that they had. */
    const int64_t *keys;
    size_t key_count;
    uint32_t rows_max; /* at most so many move, those with the lowest ids first */
};

/* A held message that holds its key back, or, if it has no key, only itself. */
struct head {
    int64_t id; /* orphans: id of the first waiting message */
    int64_t key_hash;
    bool ordered; /* has a key, and was not skipped */
    bool dead;
    bool orphans; /* messages of the key are waiting, but there is no head */
    uint32_t attempts;
    uint64_t retry_in_us; /* not dead, no orphans */
};

/* The relay's status for people who look into the database (table outbox_relay). */
struct source_status {
    uint64_t in_flight;
    uint64_t in_flight_for_us; /* age of the oldest; 0 if none */
    int64_t read_up_to;        /* INT64_MIN: nothing yet */
    int64_t published_up_to;   /* likewise */
    uint64_t confirmed;
    double rate;
    const char *paused_reason; /* NULL: it works */
    uint64_t paused_for_us;
    bool tailing;                   /* reads the log, not the table */
    const char *not_tailing_reason; /* why not, although it is configured to; else NULL */
    uint64_t swept;                 /* rows that the log missed and the sweep found */
};

/* A message that a statement could not move or delete, while it could process others. */
struct source_failure {
    int64_t id;
    int64_t key_hash; /* in SOURCE_RELEASED, for a message with a key */
    char reason[240];
};

/* All messages of a request that could not be moved or deleted. */
struct source_failures {
    struct source_failure *items; /* from malloc; NULL if there are none */
    size_t count;
    size_t capacity;
};

/* The reason is copied, and cut to the room that there is. */
void source_failures_add(struct source_failures *failures, int64_t id, int64_t key_hash,
                         const char *reason);
/* Frees them; the list is empty afterwards. */
void source_failures_clear(struct source_failures *failures);
/* Moves them all to the result; the list is empty afterwards. */
struct source_failures source_failures_take(struct source_failures *failures);

enum source_event_type {
    /* This relay owns the outbox now: all requests are allowed. Knowledge of an earlier ownership is not valid: after a
     * crash or a failover a server may give out the same ids again, and final ids and positions of the log start anew.
     * (The core does not need it, but a kind had better look for the watermark before it says this: up to a final id
     * fetch_plan.h reads in pieces, so that passing over many dead rows takes no statement longer than the lease.) */
    SOURCE_OWNED,
    /* Another relay owns it; the source retries from time to time. Sent once for each connection. */
    SOURCE_STANDBY,
    /* Connection and ownership are gone, or another attempt to connect has failed. Requests that are out get no answer. */
    SOURCE_LOST,
    SOURCE_YIELDED,  /* answer to yield: the same, but another relay works the outbox now */
    SOURCE_RIVAL,    /* answer to rival */
    SOURCE_ALIVE,    /* the lease was renewed, as by a ping; nothing else happened */
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
    /* The log could not be opened, or is not read any more. tail_begin may be called again. */
    SOURCE_NOT_TAILING,
    SOURCE_NOTICE, /* something is wrong and is being repaired: for the operator */
};

/* The longest name of an outbox, with the zero byte. */
#define SOURCE_OUTBOX_BYTES 80

struct source_owned {
    /* Which outbox it is: the same for every relay of it, another for every other outbox, of whatever server. Letters, digits
     * and dots. "": the server does not say what it would take. */
    char outbox[SOURCE_OUTBOX_BYTES];
};

struct source_present {
    /* The requested ids that are in the outbox, ascending; from malloc; NULL if there are none. */
    int64_t *ids;
    size_t count;
};

struct source_settled {
    struct source_failures failures; /* these are still in the outbox */
};

struct source_final {
    /* Every row with an id up to this one that will ever be committed is visible. */
    int64_t id;
    /* Everything committed before this position of the log is visible. 0: there is no log. */
    log_position position;
    /* Where the log ended when the request was carried out. 0: there is no log. */
    log_position log_end;
};

struct source_held {
    /* Ids that are in neither table any more, and scheduled ones that could not be moved now. From malloc; NULL if
     * there are none. */
    int64_t *missing;
    size_t missing_count;
    struct source_failures failures; /* these did not change */
};

struct source_released {
    size_t count; /* rows that moved to the outbox */
    /* The lowest and the highest id of them. No message of these keys up to last_id is still waiting. */
    int64_t first_id;
    int64_t last_id;
    bool complete; /* no message of these keys is still waiting */
    /* At most one: the lowest waiting message, if it cannot move back. */
    struct source_failures failures;
};

struct source_heads {
    struct head *items; /* all heads, ascending by key_hash, id; from malloc; NULL if none */
    size_t count;
};

struct source_woken {
    size_t count; /* rows that moved to the outbox */
    /* Time until the next scheduled message is due; CLOCK_NEVER_US: none is known. */
    uint64_t next_in_us;
    /* Since it was last said, operators changed held messages, or one that was due could not move and was set aside: ask
     * for the heads. */
    bool acts;
};

struct source_log {
    struct batch *batch; /* as in SOURCE_ROWS; may have no rows */
    /* Everything committed before it was delivered. (Rows of a transaction that is delivered in part lie at or behind
     * it.) */
    log_position position;
};

struct source_notice {
    struct error error; /* the problem; class ERROR_CONFIG: an operator must act */
    bool harmless;      /* normal at a first start */
};

/* One event. Whoever takes it from `next` owns what its members point to, and frees it by source_event_done. The member
 * of the union with the name of the type is valid; SOURCE_STANDBY, SOURCE_YIELDED and SOURCE_ALIVE have none. */
struct source_event {
    enum source_event_type type;
    uint64_t lease_until_us; /* monotonic; 0 when not owned */
    union {
        /* The reason. Class ERROR_CONFIG: an operator must act (wrong schema version, refused password, missing
         * privilege); the source still retries, but seldom. */
        struct error lost;
        struct error not_tailing; /* likewise */
        struct source_owned owned;
        struct batch *rows;
        struct source_present present;
        struct source_settled settled;
        struct source_final final;
        struct source_held held;
        struct source_released released;
        struct source_heads heads;
        struct source_woken woken;
        log_position tailing; /* the log delivers what is committed from here on */
        struct source_log log;
        bool rival; /* another relay waits for the ownership, and reaches its broker */
        struct source_notice notice;
    };
};

/* Frees what the event points to. To keep something, set its pointer to NULL first. */
void source_event_done(struct source_event *event);

/* The most connections that a source waits for at a time: one to the table, one to the log. */
#define SOURCE_POLLS_MAX 2

struct source; /* the first member of each kind's source */
struct pollfd;

struct source_ops {
    /* Gives up the ownership if the connection allows that at once. */
    void (*free)(struct source *source);

    /* The worker's turn: `process`; `next` until it is false; then any requests; then it sleeps, until one of `polls` is
     * ready or `deadline_us` has come. Times are of the monotonic clock.
     *
     * Fills in all SOURCE_POLLS_MAX entries for poll(2), with -1 for unused ones. */
    void (*polls)(const struct source *source, struct pollfd *ret_polls);
    /* CLOCK_NEVER_US: none. A time in the past: do not sleep. It is that while `next` has an event, because a request may
     * push one before it returns. */
    uint64_t (*deadline_us)(const struct source *source);
    /* Takes the entries back with their revents. In the first call they are all zero, the descriptors too; and any call
     * may come with nothing ready and before the deadline, as others wake the worker too. */
    void (*process)(struct source *source, const struct pollfd *polls, uint64_t now_us);
    /* The oldest event; false: there is none. */
    bool (*next)(struct source *source, struct source_event *ret_event);

    /* The requests. Each may be outstanding once, and only while the outbox is owned; between a loss and the taking of
     * its event they do nothing. Different requests may be outstanding together. They are carried out in the order in
     * which they were made, so a fetch does not see rows that an earlier settle deleted. An exception: a request that
     * meets a row which it cannot read, move or delete, or which is too large, is carried out again in parts, and
     * answered after later requests; so may be one that a deadlock has undone.
     *
     * The arrays of settle, hold (with the reasons) and release stay valid until the answer, or until the event of the
     * loss is taken; everything else is read before the call returns. Ids, keys and holds come in any order, but for the
     * ids of FETCH_PRESENT. */
    void (*fetch)(struct source *source, const struct fetch *fetch, uint64_t now_us);
    /* Deletes rows of the outbox; an id that is not there is no failure. With keep_sent those that were there are recorded in
     * outbox_sent_batch, from which the source deletes old ones by itself. */
    void (*settle)(struct source *source, const int64_t *ids, size_t count, uint64_t now_us);
    /* Looks once (watermark.h), and says what is final by now. */
    void (*watermark)(struct source *source, uint64_t now_us);
    /* A message moves in one transaction, here and below: it is never in both tables. */
    void (*hold)(struct source *source, const struct hold *holds, size_t count, uint64_t now_us);
    /* Deletes the ids from outbox_held, as settle does from the outbox, in transactions apart from the move: where only the
     * delete is done when the relay ends, the next heads tell the messages that waited as orphans. An id that cannot be
     * deleted becomes dead and skipped, so that it is not sent again. */
    void (*release)(struct source *source, const struct release *release, uint64_t now_us);
    /* All of them, in one snapshot. */
    void (*heads)(struct source *source, uint64_t now_us);
    /* Moves scheduled messages that are due to the outbox, at most rows_max, in the order of their times, under new
     * ids. From then on these ids give their place in the order of their key. Also marks as seen what operators did. */
    void (*wake)(struct source *source, uint32_t rows_max, uint64_t now_us);
    /* No event answers. A call while one is outstanding does nothing. */
    void (*status)(struct source *source, const struct source_status *status, uint64_t now_us);

    /* Who is fit for the ownership. A relay that reaches its broker is; each tells its source when that changes, at first it
     * is not. While it stands by, the source lets the owner know that it is fit, and leaves the ownership to a fit one
     * while it is not. Any time, owned or not; nothing answers. */
    void (*fit)(struct source *source, bool fit);
    /* Asks whether a fit relay waits for the ownership. */
    void (*rival)(struct source *source, uint64_t now_us);
    /* Gives the ownership up, for a fit relay that waits: the session ends, and the source stands by with a new one. */
    void (*yield)(struct source *source, uint64_t now_us);

    /* The log: committed rows, in the order of the commits, as soon as they are committed. It is only a faster way: the
     * table stays the truth, and the core may go back to it at any time. These four are never NULL: a source without a log,
     * at the moment or ever, says 0 in source_final, and answers tail_begin by SOURCE_NOT_TAILING of class ERROR_CONFIG.
     * So whoever wants its log read is told why it is not.
     *
     * tail_begin reads from `position` on, or from a later one if the server does not keep the log so far back.
     * SOURCE_TAILING says from where, SOURCE_NOT_TAILING why not. Only while owned; ends with the ownership, without an
     * event of its own. */
    void (*tail_begin)(struct source *source, log_position position, uint64_t now_us);
    /* Stops reading. An outstanding tail_more gets no answer. */
    void (*tail_end)(struct source *source, uint64_t now_us);
    /* Asks for the next rows, as soon as there are any: at most rows_max, and no more bytes than FETCH_NEXT would read.
     * At most once outstanding. */
    void (*tail_more)(struct source *source, uint32_t rows_max, uint64_t bytes_max,
                      uint64_t now_us);
    /* Everything committed before `position` is confirmed and deleted, or held: the server need not keep the log before
     * it. Does nothing where the server itself decides how long it keeps its log. */
    void (*tail_safe)(struct source *source, log_position position, uint64_t now_us);
};

struct source {
    const struct source_ops *ops;
};

/* After how long without a request a source sends something, so that its lease does not end: about a third of takeover. */
uint64_t source_ping_after_us(uint64_t takeover_us);

#endif
