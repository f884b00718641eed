/* relay/source.h - one outbox in one database, as the pipeline sees it: asked to fetch and to
 * settle, it answers by events. It owns its database connection: it connects, wins the ownership,
 * waits as a standby, and comes back after a loss by itself. Never blocks. One thread (the
 * pipeline's).
 *
 * While it owns the outbox it holds a lease: the server ends this session, and with it the
 * ownership, when it has heard nothing for the lease's length. Nobody else can own the outbox
 * before lease_until_us, which every event carries; after that time nothing may be published. (A
 * relay that was stopped and continued must not publish beside its successor.) Only the end of the
 * session itself (a restart, a failover, an administrator) gives the ownership away earlier. */
#ifndef RELAY_SOURCE_H
#define RELAY_SOURCE_H

#include <stddef.h>

#include "base/error.h"
#include "relay/row.h"

/* Rows that arrived together. The batch and its rows are each from malloc; what the spans point
 * into is the owner's. Whoever takes it from an event frees it. */
struct batch {
    struct row *rows; /* ascending by id (FETCH_DUE: by time, then id) */
    size_t count;
    size_t in_use; /* rows not yet released; the worker's */
    bool complete; /* there was no more to be had under the same conditions; if not, count > 0 */
    void *owner;   /* what the spans point into */
    void (*free_owner)(void *owner);
};

/* Frees the rows and what they point into. Takes NULL. */
void batch_free(struct batch *batch);

enum fetch_kind {
    FETCH_NEXT, /* rows with id > after_id that are due, except `ids` and except those whose key is
                   in `keys` */
    FETCH_DUE, /* rows with id <= up_to_id whose deliver_after has come, with the same exceptions */
    FETCH_IDS, /* the rows with these `ids` that still exist and are due */
};

struct fetch {
    enum fetch_kind kind;
    int64_t after_id; /* FETCH_NEXT */
    int64_t up_to_id; /* FETCH_DUE */
    const int64_t *ids;
    size_t id_count;
    const int64_t *keys; /* key hashes */
    size_t key_count;
    uint32_t rows_max;
    uint64_t bytes_max; /* of payloads and headers; passed by the last row at most, for one is read
                           in any case */
};

enum source_event_type {
    /* This relay owns the outbox now: fetch, settle and watermark may be called. What was learned
     * under an earlier ownership does not hold any more. After a crash or a failover a server may
     * give out ids again: final_id starts anew, and a row that was read before must be read again
     * (FETCH_IDS) and its message_id compared before it is settled. */
    SOURCE_OWNED,
    /* Another relay owns it; tried again from time to time. Told once per connection. */
    SOURCE_STANDBY,
    /* Connection and ownership are gone, or one more attempt to connect has failed (error says
     * why). What was asked gets no answer. */
    SOURCE_LOST,
    SOURCE_ROWS,    /* answer to fetch: batch */
    SOURCE_SETTLED, /* answer to settle */
    SOURCE_FINAL,   /* answer to watermark: final_id */
    SOURCE_ALIVE,   /* the lease was renewed by a ping */
};

struct source_event {
    enum source_event_type type;
    uint64_t lease_until_us; /* monotonic; 0 when not owned */
    struct batch *batch;     /* SOURCE_ROWS: the receiver's now, freed by batch_free */
    int64_t final_id;        /* SOURCE_FINAL: every row with an id up to this one that will ever be
                                committed is visible */
    /* SOURCE_LOST. Class ERROR_CONFIG: an operator must act (wrong schema version, refused
     * password, missing privilege); retried all the same, but seldom. */
    struct error error;
};

struct source; /* each kind of source embeds it first */

struct source_ops {
    const char *name; /* "postgres/poll" */
    /* Gives the ownership back if the connection allows it at once. */
    void (*free)(struct source *source);

    /* For poll(2), as in amqp/session.h. */
    int (*fd)(const struct source *source);
    short (*poll_events)(const struct source *source);
    uint64_t (*deadline_us)(const struct source *source);
    void (*process)(struct source *source, short revents, uint64_t now_us);
    bool (*next)(struct source *source, struct source_event *ret_event);

    /* Each at most once outstanding, only while owned (between a loss and the taking of its event
     * they do nothing). All may be outstanding together. They are carried out in the order they
     * were asked, so a fetch does not see what an earlier settle deleted; only a fetch that meets a
     * large row may be carried out again, and answered, after what was asked later. Arrays are read
     * before the call returns. */
    void (*fetch)(struct source *source, const struct fetch *fetch, uint64_t now_us);
    void (*settle)(struct source *source, const int64_t *ids, size_t count, uint64_t now_us);
    void (*watermark)(struct source *source, uint64_t now_us);
};

struct source {
    const struct source_ops *ops;
};

#endif
