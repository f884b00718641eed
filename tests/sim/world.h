/* tests/sim/world.h - the world around the core: the tables of an outbox with the transactions and operators that
 * change them (world_table.c, world_writers.c), the log of the commits (world_log.c), and a broker with its connections
 * (world_broker.c). It knows everything, and ends the run when a promise is broken. Nothing in it happens by itself:
 * the simulation decides what happens next.
 *
 * A message is what an application wrote; an id is its place in the tables. They differ, because a scheduled message
 * gets another id when it becomes due, and after a crash of the database an id may be given to another message. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "relay/ports/source.h"
#include "relay/ports/watermark.h"

#define IDS_MAX 1200
#define MESSAGES_MAX 1200
#define APPLICATION_MAX 600 /* most ids and messages of applications; wakes take more ids */
#define KEYS_MAX 12
#define OPEN_MAX 200
#define CHANGES_MAX 4096
#define LOG_COMMITS_MAX 2048
#define LOG_ROWS_MAX 4096
#define LOG_STEP 10   /* positions from one commit to the next */
#define LOG_FILE 1000 /* positions in each file, if the log consists of files */
/* Sessions of applications, each with one transaction after another; more are added when all are busy. */
#define SESSIONS 6
#define TRANSACTION_IDS_MAX 6
#define LOOK_WRITERS_MAX OPEN_MAX
#define EXCHANGES_GOOD 3
#define EXCHANGES_MAX 5 /* the last ones do not exist until somebody declares them */
#define PIPES_MAX 256
#define PIPE_IN 256
#define PIPE_OUT 1024
#define BLAMED_MIN 16 /* with so many refused messages it is visible that they are not to blame */
#define CHARGED_MAX 4 /* most attempts that a message may lose while the route takes nothing */
#define NOBODY (-1)

/* The fate of a message. */
enum fate {
    FATE_NONE,
    FATE_OPEN, /* its transaction is open */
    FATE_ROLLED_BACK,
    FATE_LIVE,      /* committed; in one of the two tables */
    FATE_DELETED,   /* by the relay, as confirmed */
    FATE_DISCARDED, /* by an operator */
    FATE_CANCELLED,
    FATE_FORGOTTEN, /* a crash of the database has undone its transaction */
};

/* What the broker does with a message before everything is repaired. */
enum poison {
    POISON_NONE,
    POISON_RETURN,      /* there is no queue for its routing key */
    POISON_MISSING,     /* its exchange is missing: the channel closes, and the broker names it */
    POISON_OVERSIZED,   /* the channel closes, and the broker's message names nothing */
    POISON_CUTTING,     /* something in front of the broker cuts the connection */
    POISON_UNENCODABLE, /* the publisher itself refuses it */
};

/* The parts of a message that statements change and a crash undoes. */
struct stored {
    enum fate fate;
    int64_t id;
    uint64_t due_us;   /* deliver_after; 0: none */
    uint64_t visible;  /* how many messages became visible before it, under its id */
    uint64_t position; /* position in the log of that commit; 0: it was not committed */
    bool scheduled;    /* it was written for a later time, and does not have its place yet */
};

struct message {
    struct stored stored;
    enum poison poison;
    int64_t key; /* 0: unordered */
    uint32_t exchange;
    uint32_t bytes;
    uint32_t accepted; /* how often the broker put it into its queue */
    /* How often it is in the queue permanently: confirmed, or read before its connection ended. */
    uint32_t safe;
    uint32_t refused;      /* how often it was refused in a way that counts (a nack does not) */
    uint32_t cuts;         /* how often a connection was lost while it alone was in flight */
    uint32_t holds;        /* how often it was set aside as refused */
    uint32_t probe_closes; /* how often it closed the probe lane's channel */
    uint32_t closes;       /* how often it closed a main lane's channel because of its content */
    uint32_t charged;      /* attempts that it lost while the route was bad */
    uint32_t outage;
    uint32_t resets_before; /* the world's number when it was committed */
    uint32_t sent_faults;   /* the world's number when it was last published */
    bool sent;              /* it was published */
    bool may_repeat;        /* it may be published again: the answer was not a confirm */
    bool aside;             /* no order is promised for it, or no longer */
    bool stuck;             /* its row could not be moved or deleted at some time */
};

/* What has a given id. */
enum place { PLACE_NONE, PLACE_OPEN, PLACE_OUTBOX, PLACE_HELD, PLACE_GONE };

struct slot {
    enum place place;
    uint32_t message;
    enum held_state state; /* PLACE_HELD, like the members below */
    bool skipped;
    uint32_t attempts;
    /* PLACE_OUTBOX: the position in the log of its insert; PLACE_OPEN: the position that it will have; 0: it is not
     * committed. */
    uint64_t position;
    bool missed;      /* the log does not have it, or had it too late for the table */
    bool retried;     /* an operator retried it, and no relay has noticed yet */
    uint64_t next_us; /* RETRYING: the time of the next attempt; SCHEDULED: when it is due */
};

/* What a transaction changed: the state before. */
struct change {
    uint64_t transaction;
    int64_t id;
    struct slot slot;
    struct stored stored;
};

struct transaction {
    uint64_t session;
    uint64_t name; /* unique */
    bool prepared; /* it belongs to no session, and survives a crash */
    int64_t ids[TRANSACTION_IDS_MAX];
    size_t count;
    int64_t key;
    uint64_t number; /* number of its commit */
    /* Position in the log; 0: it is not committed. Otherwise it is committed, but not visible yet. */
    uint64_t position;
};

/* The differences between the kinds of database. */
struct dialect {
    const char *name;
    /* Writers are listed by their sessions, which go on to the next transaction. */
    bool by_session;
    /* Prepared transactions are not on that list, but on a second one. */
    bool has_orphans;
    /* There is no list of writers. */
    bool listless;
    /* Heads are deleted in a transaction of their own, before the messages behind them move. */
    bool moves_apart;
    /* The log is kept until its reader has reported it as safe; else for some time, whoever reads it. */
    bool keeps_log;
    /* Positions that a crash has undone are used again. */
    bool reuses_positions;
};

/* A run has the first in half of all cases, else one of the others. */
extern const struct dialect world_dialects[];
extern const size_t world_dialect_count;

/* A relay's look at the writers: one query after another, while the writers go on. */
struct look {
    unsigned asked;
    log_position log_end;
    int64_t last_id;
    struct watermark_writer writers[LOOK_WRITERS_MAX];
    size_t writer_count;
};

/* The log of the inserts into the outbox. A commit is in it, and may be read, before statements see its rows. */
struct log_row {
    int64_t id;
    uint32_t message;
    bool scheduled;
};

struct log_commit {
    uint64_t position;
    uint64_t end; /* the next commit is at this position or later */
    uint64_t transaction;
    size_t first_row;
    size_t row_count;
};

/* The position from which on the server keeps the log. */
struct log_slot {
    bool there;
    uint64_t position;
    uint64_t persisted; /* the position after a crash */
};

struct log {
    struct log_commit commits[LOG_COMMITS_MAX];
    size_t commit_count;
    struct log_row rows[LOG_ROWS_MAX];
    size_t row_count;
    uint64_t end;
    struct log_slot slot;
};

enum frame_type {
    FRAME_ACK,
    FRAME_NACK,
    FRAME_RETURN,
    FRAME_CLOSE,
    FRAME_CUT, /* no frame: the connection is over */
    FRAME_BLOCKED,
    FRAME_UNBLOCKED
};

struct sent {
    int64_t id;
    uint32_t message;
};

struct unconfirmed {
    uint64_t tag;
    struct sent sent;
    bool nack;
    uint64_t place; /* place in the queue; 0: no queue has it */
};

struct frame {
    enum frame_type type;
    uint64_t tag;
    bool multiple;
    int64_t id;
    bool connection;   /* it closes the whole connection */
    bool named;        /* it names the missing exchange */
    uint32_t exchange; /* the missing exchange */
};

/* One channel of one connection: publishes on the way to the broker, and frames on the way back. After the relay has
 * ended, the broker may still read what is in the pipe. */
struct pipe {
    bool used;
    bool closed;    /* the broker closed the channel, so the rest of the pipe is ignored */
    bool connected; /* the relay still listens */
    bool probe;     /* it belongs to a probe lane */
    struct sent in[PIPE_IN];
    size_t in_head, in_count;
    uint64_t next_tag; /* tag of the next publish that the broker reads */
    struct unconfirmed unconfirmed[PIPE_IN];
    size_t unconfirmed_count;
    struct frame out[PIPE_OUT];
    size_t out_head, out_count;
};

/* A route that takes no message at all. */
enum trouble { TROUBLE_NONE, TROUBLE_RETURNS, TROUBLE_NACKS, TROUBLE_CLOSES };

struct route {
    enum trouble trouble;
    bool everywhere; /* false: one exchange */
    uint32_t exchange;
    uint64_t until_us;
    uint32_t number;
    uint32_t blamed; /* refused messages that are not to blame */
    uint32_t resets_before;
};

/* The configuration, which is the same for all relays of an outbox. */
struct rules {
    bool strict;
    bool skip_dead;
    uint32_t max_attempts;
    uint32_t held_max;
};

/* What happened, counted over all runs, which shows that the runs test what they should. */
enum event {
    EVENT_DUPLICATE,
    EVENT_RETURN,
    EVENT_NACK,
    EVENT_CLOSE_MAIN,
    EVENT_CLOSE_PROBE,
    EVENT_OUTAGE,
    EVENT_HOLD,
    EVENT_HOLD_GOOD,
    EVENT_DEAD,
    EVENT_DEAD_GOOD,
    EVENT_SKIPPED,
    EVENT_SCHEDULED,
    EVENT_WAITING,
    EVENT_RELEASED,
    EVENT_FAILED_MOVE,
    EVENT_WOKEN,
    EVENT_OVERDUE,
    EVENT_ACT,
    EVENT_CANCEL,
    EVENT_CRASH,
    EVENT_UNDONE,
    EVENT_TAKEOVER,
    EVENT_REPEATED_FETCH,
    EVENT_DEGRADED,
    EVENT_FULL,
    EVENT_DRAINED,
    EVENT_UNSEEN,
    EVENT_MISSED,
    EVENT_TAILING,
    EVENT_POLLING,
    EVENT_LOGGED,
    EVENT_PRESENT,
    EVENT_NOT_PRESENT,
    EVENT_SAFE,
    EVENT_SLOT_LOST,
    EVENT_SWEPT,
    EVENT_PREPARED,
    EVENT_FINAL,
    EVENT_YIELDED,
    EVENT_MOVED,
    EVENTS,
};

struct world {
    struct random random;
    uint64_t now_us;
    struct rules rules;
    const struct dialect *dialect;
    uint64_t *tally; /* EVENTS counters */

    struct message messages[MESSAGES_MAX]; /* the first one is not used */
    uint32_t message_count;
    uint32_t key_messages[KEYS_MAX][MESSAGES_MAX];
    uint32_t key_count[KEYS_MAX];
    uint32_t live;                   /* messages */
    struct slot slots[IDS_MAX];      /* by id */
    uint32_t stamps[IDS_MAX], stamp; /* to mark the ids of a list */
    int64_t next_id;
    int64_t final_told;
    uint64_t names; /* names of transactions that were used */
    uint64_t transactions;
    uint64_t writing; /* the transaction whose changes are being recorded */
    uint64_t visible; /* number of transactions that became visible */
    struct log log;
    struct change changes[CHANGES_MAX];
    size_t change_count;
    struct transaction open[OPEN_MAX];
    size_t open_count;
    bool key_locked[KEYS_MAX];
    bool acts_unseen;
    bool suspicious;       /* a message was more than twice alone on a connection that was lost */
    uint32_t brought_back; /* how often an operator made a skipped message a head again */
    bool acted;            /* an operator did something in this run */

    int owner; /* the relay whose session holds the lock */
    /* Number of events after which a relay does not know what is wrong with messages. */
    uint32_t resets;
    uint32_t faults; /* number of events after which messages may be published again */

    bool mended;
    bool blocked;
    struct route route;
    bool missing[EXCHANGES_MAX];
    struct pipe pipes[PIPES_MAX];
    size_t pipe_end;
    uint64_t queue_end;  /* places that were used */
    uint64_t queue_safe; /* a confirm for a place makes all before it safe */

    /* The kind of the run. */
    unsigned confirm_percent; /* in each step, for each channel */
    unsigned nack_percent;
    unsigned poison_percent;
    unsigned scheduled_percent;
    unsigned hard_percent;   /* of the closes that blame no message: they close the connection */
    unsigned locked_percent; /* of rows that a statement skips because they are locked */
    unsigned outage_percent; /* in each step: the route breaks */
    uint32_t exchanges;      /* number of existing exchanges */
    bool tailing;            /* relays may read the log */
    unsigned log_percent;    /* in each step: the log delivers something */
    unsigned cut_percent;    /* in each step: something happens to the log */
    unsigned missed_percent; /* of rows that the log lacks */
    unsigned unseen_percent; /* of commits that are in the log before they are visible */
    bool late_rows;          /* rows appear below an id that was final: only the sweep finds them */
    bool stuck_rows;         /* some cannot be moved or deleted at some time */
    bool punctual;           /* the core is not asked before the time that it named */
    bool flickers;           /* ownerships end and begin again while confirms are late */
    bool only_route;         /* only the route breaks, nothing else */
    bool refusing; /* some messages may be refused; if not, the queue's order must be perfect */
    bool trace;
};

void world_init(struct world *world, uint64_t seed);
void world_note(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *world, unsigned percent);
void world_count(struct world *world, enum event event);
#define PROMISE(condition, ...) ((condition) ? (void)0 : promise_broken(#condition, __VA_ARGS__))
_Noreturn void promise_broken(const char *condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True if, of two messages of a key, `earlier` must reach the queue first. */
bool world_precedes(const struct message *earlier, const struct message *later);
const char *world_exchange_name(uint32_t exchange);
/* The hash of a key, as the database computes it: any number, and two of the keys have the same. */
int64_t world_key_hash(int64_t key);

/* Applications: world_writers.c. */
/* a transaction begins, and takes ids and the lock of a key */
void world_begin(struct world *world);
/* An open transaction takes another id, or is prepared. */
void world_go_on(struct world *world);
/* An open transaction commits or rolls back, in any order. */
void world_end_some(struct world *world);
void world_end_all(struct world *world);

/* Operators, also in world_writers.c: they retry, discard or cancel some message. */
void world_operate(struct world *world);
void world_retry_dead(struct world *world); /* all dead messages */

/* The database crashes: the latest transactions are undone, and their ids may go to other
 * messages. */
void world_database_crash(struct world *world);

/* The database executes a statement of a relay: world_table.c. Results are from malloc. */
struct row world_row(const struct world *world, int64_t id, uint32_t message);
void world_fetch(struct world *world, const struct fetch *fetch, struct row *ret_rows,
                 size_t *ret_count, bool *ret_complete);
void world_settle(struct world *world, const int64_t *ids, size_t count);
/* Which of the ids are in the outbox. */
struct source_present world_present(struct world *world, const int64_t *ids, size_t count);
struct source_held world_hold(struct world *world, const struct hold *holds, size_t count);
/* The lowest id that waits for one of these keys; false: none waits. */
bool world_lowest_waiting(const struct world *world, const struct release *release, int64_t *ret_id,
                          int64_t *ret_key_hash);
/* Deletes the published heads; the next one moves what waited behind them, in the same transaction or its own. */
void world_delete_heads(struct world *world, const struct release *release);
struct source_released world_release(struct world *world, const struct release *release);
struct source_heads world_heads(struct world *world);
struct source_woken world_wake(struct world *world, size_t rows_max);

/* The writers: world_look.c. The next query of a look; true: it was the last one. */
bool world_look(const struct world *world, struct look *look);
void world_final_is_told(struct world *world, const struct source_final *final);

/* The log: world_log.c. */
void world_log_commit(struct world *world);          /* of the transaction that is being recorded */
void world_log_row(struct world *world, int64_t id); /* a row that it inserted into the outbox */
void world_log_other(struct world *world);           /* a commit of others */
/* The commits of later transactions are lost. */
void world_log_lose(struct world *world, uint64_t last);
/* The index of the first commit at this position or later; log.commit_count: none. */
size_t world_log_find(const struct world *world, uint64_t position);
struct row world_log_read(const struct world *world, const struct log_commit *commit, size_t row);
void world_log_safe(struct world *world, uint64_t position);
void world_log_lose_slot(struct world *world);

/* How transactions are recorded, so that a crash can undo them. */
uint64_t world_transaction(struct world *world);
struct slot *world_change(struct world *world, int64_t id); /* must precede each change */
void world_delete(struct world *world, int64_t id, enum fate fate);
struct message *world_message_at(struct world *world, int64_t id); /* may be NULL */

/* The broker. */
struct pipe *world_connect(struct world *world, bool probe);
void world_publish(struct world *world, struct pipe *pipe, struct sent sent);
void world_broker_reads(struct world *world, struct pipe *pipe); /* the broker reads one publish */
/* It confirms some of its messages, in any order. */
void world_broker_confirms(struct world *world, struct pipe *pipe);
void world_cut(struct world *world, struct pipe *pipe); /* the connection ends */
/* Messages that were not confirmed may be lost, the latest first. */
void world_broker_crash(struct world *world);
void world_set_blocked(struct world *world, bool blocked);
void world_route_breaks(struct world *world);
void world_route_mends(struct world *world);

#endif
