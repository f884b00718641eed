/* tests/sim/world.h - the world the core is put into: an outbox table with its transactions, and a
 * broker with its connections. It knows everything, and ends the run when a promise is broken.
 * Nothing in it takes time by itself: the simulation decides what happens next. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "relay/source.h"

#define ROWS_MAX 600
#define KEYS_MAX 12
#define PIPES_MAX 256
#define RELAYS_MAX 2
#define NOBODY (-1)

enum row_state { ROW_NONE, ROW_OPEN, ROW_ROLLED_BACK, ROW_COMMITTED, ROW_DELETED };

/* What the broker does with a message while the world is not yet mended. */
enum poison { POISON_NONE, POISON_RETURN, POISON_CLOSE, POISON_UNENCODABLE };

struct world_row {
    enum row_state state;
    enum poison poison;
    int64_t key;       /* 0: unordered */
    uint64_t due_us;   /* deliver_after; 0: none */
    uint32_t accepted; /* times the broker put it into its queue */
    uint32_t safe; /* times it is there for good: confirmed, or read before its connection ended */
    uint32_t
        version;     /* which message has this id: a crash of the database may give it to another */
    uint64_t commit; /* its place in the order of commits */
    uint32_t key_hold; /* transaction that holds the key's lock, while open */
};

enum frame_type {
    FRAME_ACK,
    FRAME_NACK,
    FRAME_RETURN,
    FRAME_CLOSE,
    FRAME_BLOCKED,
    FRAME_UNBLOCKED
};

struct unconfirmed {
    uint64_t tag;
    int64_t id;
    uint32_t version;
    uint64_t place; /* in the broker's log; 0: it was returned, no queue has it */
};

struct frame {
    enum frame_type type;
    uint64_t tag;
    bool multiple;
    int64_t id;
};

struct sent {
    int64_t id;
    uint32_t version;
};

/* One channel of one connection: publishes on their way in, frames on their way back. After the
 * relay is gone the broker may still read what stood in the pipe. */
struct pipe {
    bool used;
    bool closed;    /* the broker closed the channel: the rest of what is in the pipe is ignored */
    bool connected; /* the relay still listens */
    struct sent in[8192];
    size_t in_head, in_count;
    uint64_t next_tag; /* of the next publish that the broker reads */
    struct unconfirmed unconfirmed[8192];
    size_t unconfirmed_count;
    struct frame out[16384];
    size_t out_head, out_count;
};

struct world {
    struct random random;
    uint64_t now_us;
    struct world_row rows[ROWS_MAX]; /* index = id */
    int64_t next_id;
    int64_t final_floor;
    uint64_t commits;
    int owner; /* the relay whose session holds the lock */
    bool mended;
    bool blocked;
    unsigned nack_percent;
    struct pipe pipes[PIPES_MAX];
    int64_t key_accepted[KEYS_MAX]; /* the highest id of the key that the queue has */
    bool late_rows; /* rows appear below an id that was called final: only the sweep finds them */
    bool strict_order; /* nothing is refused in this run: the queue's order must be perfect */
    uint64_t log_end;  /* places given out */
    uint64_t log_safe; /* a confirm for a place makes all before it safe */
    uint64_t duplicates;
    bool trace;
};

void world_init(struct world *world, uint64_t seed);
void world_note(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define PROMISE(condition, ...) ((condition) ? (void)0 : promise_broken(#condition, __VA_ARGS__))
_Noreturn void promise_broken(const char *condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Applications. */
void world_begin(struct world *world); /* a transaction takes ids and a key's lock */
void
world_end_some(struct world *world); /* one of the open ones commits or rolls back, in any order */
void world_end_all(struct world *world);
size_t world_left(const struct world *world); /* rows committed and not deleted */

/* The database crashes: the latest commits are lost, and their ids go to other messages; some of the
 * latest deletes are undone. */
void world_database_crash(struct world *world);

/* The database, executing a statement of a relay. */
void world_fetch(struct world *world, const struct fetch *fetch, const int64_t *ids,
                 const int64_t *keys, struct row *ret_rows, size_t *ret_count, bool *ret_complete);
void world_settle(struct world *world, const int64_t *ids, size_t count);
int64_t world_final(const struct world *world);

/* The broker. */
struct pipe *world_connect(struct world *world);
void world_publish(struct world *world, struct pipe *pipe, struct sent sent);
void world_broker_reads(struct world *world, struct pipe *pipe); /* one publish */
void world_broker_confirms(struct world *world,
                           struct pipe *pipe);          /* some of what it has, in any order */
void world_cut(struct world *world, struct pipe *pipe); /* the connection ends */
void
world_broker_crash(struct world *world); /* what was not confirmed may be gone, the latest first */
void world_set_blocked(struct world *world, bool blocked);

#endif
