/* tests/sim/world.h - the world the core is put into: the tables of an outbox with the transactions
 * and operators that change them (world_table.c, world_writers.c), the log of what was committed
 * (world_log.c), and a broker with its connections (world_broker.c). It knows everything, and ends
 * the run when a promise is broken. Nothing in it takes time by itself: the simulation decides what
 * happens next.
 *
 * A message is what an application wrote; an id is where it stands in the tables. They are apart:
 * a scheduled message gets another id when its time has come, and after a crash of the database an
 * id may go to another message. */
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
#define APPLICATION_MAX 600 /* ids and messages that applications make; wakes take more ids */
#define KEYS_MAX 12
#define OPEN_MAX 200
#define CHANGES_MAX 4096
#define LOG_COMMITS_MAX 2048
#define LOG_ROWS_MAX 4096
#define LOG_STEP 10   /* of positions, from one commit to the next */
#define LOG_FILE 1000 /* of positions, where a log that consists of files begins the next one */
/* Of applications, each with one transaction after another; more come when they are not enough. */
#define SESSIONS 6
#define TRANSACTION_IDS_MAX 6
#define LOOK_WRITERS_MAX OPEN_MAX
#define EXCHANGES_GOOD 3
#define EXCHANGES_MAX 5 /* the last ones are missing until somebody declares them */
#define PIPES_MAX 256
#define PIPE_IN 256
#define PIPE_OUT 1024
#define BLAMED_MIN 16 /* of so many one sees that it is not they */
#define CHARGED_MAX 4 /* attempts of one message while the route takes nothing */
#define NOBODY (-1)

/* What became of a message. */
enum fate {
    FATE_NONE,
    FATE_OPEN, /* its transaction is */
    FATE_ROLLED_BACK,
    FATE_LIVE,      /* committed; in one of the two tables */
    FATE_DELETED,   /* by the relay, as confirmed */
    FATE_DISCARDED, /* by an operator */
    FATE_CANCELLED,
    FATE_FORGOTTEN, /* the database crashed, and its transaction is gone */
};

/* What the broker does with a message while the world is not yet mended. */
enum poison {
    POISON_NONE,
    POISON_RETURN,      /* no queue for its routing key */
    POISON_MISSING,     /* its exchange is missing: the channel closes, and the broker names it */
    POISON_OVERSIZED,   /* the channel closes, and the broker's words name nothing */
    POISON_CUTTING,     /* something before the broker cuts the connection */
    POISON_UNENCODABLE, /* the publisher itself refuses it */
};

/* What a statement may change of a message, and a crash takes back. */
struct stored {
    enum fate fate;
    int64_t id;
    uint64_t due_us;   /* deliver_after; 0: none */
    uint64_t visible;  /* how many became visible before it did under its id */
    uint64_t position; /* in the log, where that was committed; 0: it was not */
    bool scheduled;    /* was written for a later time, and has not got its place yet */
};

struct message {
    struct stored stored;
    enum poison poison;
    int64_t key; /* 0: unordered */
    uint32_t exchange;
    uint32_t bytes;
    uint32_t accepted; /* times the broker put it into its queue */
    uint32_t safe; /* times it is there for good: confirmed, or read before its connection ended */
    uint32_t refused;      /* times it was refused in a way that counts; a nack does not */
    uint32_t cuts;         /* times that a connection was lost while it alone was on its way */
    uint32_t holds;        /* times it was set aside as refused */
    uint32_t probe_closes; /* times it closed the probe lane's channel */
    uint32_t closes;       /* times it closed a main lane's channel for what it is */
    uint32_t charged;      /* attempts in the route's outage */
    uint32_t outage;
    uint32_t resets_before; /* of the world, when it was committed */
    uint32_t sent_faults;   /* of the world, when it was published last */
    bool sent;              /* it was published */
    bool may_repeat;        /* and what came back was not a confirm */
    bool aside;             /* no order is promised for it (any more) */
    bool stuck;             /* its row could not be moved or deleted once */
};

/* What stands under an id. */
enum place { PLACE_NONE, PLACE_OPEN, PLACE_OUTBOX, PLACE_HELD, PLACE_GONE };

struct slot {
    enum place place;
    uint32_t message;
    enum held_state state; /* PLACE_HELD, as the rest */
    bool skipped;
    uint32_t attempts;
    /* PLACE_OUTBOX: in the log, where it came to be there; PLACE_OPEN: where it will have; 0: it is not committed. */
    uint64_t position;
    bool missed;      /* the log does not have that, or it came too late for the table */
    bool retried;     /* an operator said so, and no relay took note yet */
    uint64_t next_us; /* RETRYING: the next attempt; SCHEDULED: when its time has come */
};

/* What stood there before. */
struct change {
    uint64_t transaction;
    int64_t id;
    struct slot slot;
    struct stored stored;
};

struct transaction {
    uint64_t session;
    uint64_t name; /* no other has it */
    bool prepared; /* it belongs to nobody, and outlives a crash */
    int64_t ids[TRANSACTION_IDS_MAX];
    size_t count;
    int64_t key;
    uint64_t number;   /* of its commit */
    uint64_t position; /* in the log; 0: it is not committed. Else it is, and not visible yet */
};

/* What one kind of database does in its own way. */
struct dialect {
    const char *name;
    /* Who writes is named by the session, which goes on to the next transaction. */
    bool by_session;
    /* Who has prepared is not among them any more, but on a second list. */
    bool has_orphans;
    /* Nobody may know who writes. */
    bool listless;
    /* Heads are deleted in a transaction of their own, before their followers move. */
    bool moves_apart;
    /* The log is kept for its reader, until that calls it safe; else for a while, whoever reads. */
    bool keeps_log;
    /* Positions that a crash took back come again. */
    bool reuses_positions;
};

#define DIALECTS 4
extern const struct dialect world_dialects[DIALECTS];

/* A relay looks at those who write: one question after another, and they go on meanwhile. */
struct look {
    unsigned asked;
    log_position log_end;
    int64_t last_id;
    struct watermark_writer writers[LOOK_WRITERS_MAX];
    size_t writer_count;
};

/* The log of what was put into the outbox. A commit is in it, and may be read, before statements see
 * what was committed. */
struct log_row {
    int64_t id;
    uint32_t message;
    bool scheduled;
};

struct log_commit {
    uint64_t position;
    uint64_t end; /* and what comes next is there or behind it */
    uint64_t transaction;
    size_t first_row;
    size_t row_count;
};

/* From where on the server keeps the log. */
struct log_slot {
    bool there;
    uint64_t position;
    uint64_t persisted; /* after a crash it is here again */
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
    FRAME_CUT, /* none came: the connection is over */
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
    uint64_t place; /* in the queues; 0: none has it */
};

struct frame {
    enum frame_type type;
    uint64_t tag;
    bool multiple;
    int64_t id;
    bool connection;   /* a close of the whole connection */
    bool named;        /* a close that tells which exchange is missing, */
    uint32_t exchange; /* this one */
};

/* One channel of one connection: publishes on their way in, frames on their way back. After the
 * relay is gone the broker may still read what stood in the pipe. */
struct pipe {
    bool used;
    bool closed;    /* the broker closed the channel: the rest of what is in the pipe is ignored */
    bool connected; /* the relay still listens */
    bool probe;     /* a probe lane's */
    struct sent in[PIPE_IN];
    size_t in_head, in_count;
    uint64_t next_tag; /* of the next publish that the broker reads */
    struct unconfirmed unconfirmed[PIPE_IN];
    size_t unconfirmed_count;
    struct frame out[PIPE_OUT];
    size_t out_head, out_count;
};

/* A route that takes nothing, whatever the message. */
enum trouble { TROUBLE_NONE, TROUBLE_RETURNS, TROUBLE_NACKS, TROUBLE_CLOSES };

struct route {
    enum trouble trouble;
    bool everywhere; /* else: one exchange */
    uint32_t exchange;
    uint64_t until_us;
    uint32_t number;
    uint32_t blamed; /* messages that are not to blame */
    uint32_t resets_before;
};

/* What the configuration says; the same for all relays of an outbox. */
struct rules {
    bool strict;
    bool skip_dead;
    uint32_t max_attempts;
    uint32_t held_max;
};

/* What happened, over all runs: shows that a run looks at what it should. */
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
    EVENTS,
};

struct world {
    struct random random;
    uint64_t now_us;
    struct rules rules;
    const struct dialect *dialect;
    uint64_t *tally; /* EVENTS of them */

    struct message messages[MESSAGES_MAX]; /* the first is none */
    uint32_t message_count;
    uint32_t key_messages[KEYS_MAX][MESSAGES_MAX];
    uint32_t key_count[KEYS_MAX];
    uint32_t live;                   /* messages */
    struct slot slots[IDS_MAX];      /* by id */
    uint32_t stamps[IDS_MAX], stamp; /* marks the ids of a list */
    int64_t next_id;
    int64_t final_told;
    uint64_t names; /* of transactions, given out */
    uint64_t transactions;
    uint64_t writing; /* the transaction whose changes are being written down */
    uint64_t visible; /* transactions that became so */
    struct log log;
    struct change changes[CHANGES_MAX];
    size_t change_count;
    struct transaction open[OPEN_MAX];
    size_t open_count;
    bool key_locked[KEYS_MAX];
    bool acts_unseen;
    bool suspicious;       /* one was alone on a connection that was lost, and more than twice */
    uint32_t brought_back; /* times that an operator made a skipped message a head again */
    bool acted;            /* an operator did something in this run */

    int owner;       /* the relay whose session holds the lock */
    uint32_t resets; /* events after which a relay knows nothing of what is wrong with messages */
    uint32_t faults; /* events after which messages may be published once more */

    bool mended;
    bool blocked;
    struct route route;
    bool missing[EXCHANGES_MAX];
    struct pipe pipes[PIPES_MAX];
    size_t pipe_end;
    uint64_t queue_end;  /* places given out */
    uint64_t queue_safe; /* a confirm for a place makes all before it safe */

    /* What kind of run it is. */
    unsigned confirm_percent; /* in each step, of each channel */
    unsigned nack_percent;
    unsigned poison_percent;
    unsigned scheduled_percent;
    unsigned hard_percent;   /* of closes that blame nothing: they close the connection */
    unsigned locked_percent; /* of rows that a statement passes over since somebody locked them */
    unsigned outage_percent; /* in each step, that the route breaks */
    uint32_t exchanges;      /* that are not missing */
    bool tailing;            /* relays may read the log */
    unsigned log_percent;    /* in each step, that it has something to tell */
    unsigned cut_percent;    /* in each step, that something happens to it */
    unsigned missed_percent; /* of rows that it misses */
    unsigned unseen_percent; /* of commits that are in it before they are visible */
    bool late_rows;  /* rows appear below an id that was called final: only the sweep finds them */
    bool stuck_rows; /* some could not be moved or deleted once */
    bool punctual;   /* the core is not asked before the time that it named */
    bool flickers;   /* ownerships end and begin again while confirms are late */
    bool only_route; /* breaks, and nothing else does */
    bool refusing;   /* some messages may be refused; if not, the queue's order must be perfect */
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

/* Of two messages of a key: `earlier` must reach the queue first. */
bool world_precedes(const struct message *earlier, const struct message *later);
const char *world_exchange_name(uint32_t exchange);
/* As the database makes it: any number, and two of the keys have the same. */
int64_t world_key_hash(int64_t key);

/* Applications: world_writers.c. */
void world_begin(struct world *world); /* a transaction takes ids and a key's lock */
/* One of the open ones takes another id, or prepares to commit. */
void world_go_on(struct world *world);
/* One of the open ones commits or rolls back, in any order. */
void world_end_some(struct world *world);
void world_end_all(struct world *world);

/* Operators, likewise: retry, discard, cancel some message. */
void world_operate(struct world *world);
void world_retry_dead(struct world *world); /* all of them */

/* The database crashes: the latest transactions are undone, and their ids may go to other
 * messages. */
void world_database_crash(struct world *world);

/* The database, executing a statement of a relay: world_table.c. What they give is from malloc. */
struct row world_row(const struct world *world, int64_t id, uint32_t message);
void world_fetch(struct world *world, const struct fetch *fetch, struct row *ret_rows,
                 size_t *ret_count, bool *ret_complete);
void world_settle(struct world *world, const int64_t *ids, size_t count);
/* Which of the ids are in the outbox. */
struct source_present world_present(struct world *world, const int64_t *ids, size_t count);
struct source_held world_hold(struct world *world, const struct hold *holds, size_t count);
/* The lowest that waits behind one of these keys; false: none does. */
bool world_lowest_waiting(const struct world *world, const struct release *release, int64_t *ret_id,
                          int64_t *ret_key_hash);
/* The heads that have gone; release, in a transaction of its own or not: what waited behind them. */
void world_delete_heads(struct world *world, const struct release *release);
struct source_released world_release(struct world *world, const struct release *release);
struct source_heads world_heads(struct world *world);
struct source_woken world_wake(struct world *world, size_t rows_max);

/* Who writes: world_look.c. The next question of a look; true: it was the last one. */
bool world_look(const struct world *world, struct look *look);
void world_final_is_told(struct world *world, const struct source_final *final);

/* The log: world_log.c. */
void world_log_commit(struct world *world);          /* of the transaction that is being written */
void world_log_row(struct world *world, int64_t id); /* put into the outbox by it */
void world_log_other(struct world *world);           /* somebody else writes */
/* What was committed by a later transaction is lost. */
void world_log_lose(struct world *world, uint64_t last);
/* The first that was committed there or behind it; log.commit_count: none. */
size_t world_log_find(const struct world *world, uint64_t position);
struct row world_log_read(const struct world *world, const struct log_commit *commit, size_t row);
void world_log_safe(struct world *world, uint64_t position);
void world_log_lose_slot(struct world *world);

/* How transactions are written down so that a crash can undo them. */
uint64_t world_transaction(struct world *world);
struct slot *world_change(struct world *world, int64_t id); /* before each change */
void world_delete(struct world *world, int64_t id, enum fate fate);
struct message *world_message_at(struct world *world, int64_t id); /* or NULL */

/* The broker. */
struct pipe *world_connect(struct world *world, bool probe);
void world_publish(struct world *world, struct pipe *pipe, struct sent sent);
void world_broker_reads(struct world *world, struct pipe *pipe); /* one publish */
/* Some of what it has, in any order. */
void world_broker_confirms(struct world *world, struct pipe *pipe);
void world_cut(struct world *world, struct pipe *pipe); /* the connection ends */
/* What was not confirmed may be gone, the latest first. */
void world_broker_crash(struct world *world);
void world_set_blocked(struct world *world, bool blocked);
void world_route_breaks(struct world *world);
void world_route_mends(struct world *world);

#endif
