/* tests/unit/pipeline_driver.h - drives a core through one scene: takes down what it wants, and
 * answers out of a table of some messages and a broker that the test can make worse. Statements are
 * carried out when they are asked; when the answer comes is the test's to say.
 *
 * It watches all the while that nothing is deleted that the broker did not take, that nothing is
 * published while an earlier message of its key is known to be refused, that every row is given back,
 * and that no position of the log is called safe while something committed before it is in the outbox. */
#ifndef TESTS_PIPELINE_DRIVER_H
#define TESTS_PIPELINE_DRIVER_H

#include "base/clock.h"
#include "relay/core/pipeline.h"

#define DRIVER_IDS 1600

enum place { NOWHERE, IN_OUTBOX, IN_HELD };

/* It is leaving the outbox: the core was not told yet that it is gone. */
enum leaving { STAYS, IS_SETTLED, IS_HELD };

/* A message of either table; its place in the driver's array is its id. */
struct message {
    enum place place;
    enum leaving leaving;
    uint64_t position; /* in the log, where it was put into the outbox last */
    bool unseen;       /* committed, and not visible yet */
    enum held_state state;
    bool skipped;
    bool ordered;
    int64_t key;
    const char *exchange;
    uint32_t bytes;
    uint64_t deliver_after_us;
    uint64_t retry_at_us;
    uint32_t attempts;
    char reason[240];
    bool refused;   /* the core was told so, and it was not taken since */
    unsigned sent;  /* how often it was published, */
    unsigned taken; /* and how often the broker took it */
};

/* What a broker makes of a message. Closes: the channel, with words that name no exchange, or its. */
enum verdict { TAKES, RETURNS, NACKS, CLOSES, CLOSES_NAMED, IS_SILENT };

/* An action as it came; what it points to is a copy. */
struct note {
    struct pipeline_action action;
    int64_t id; /* of the row: PUBLISH, DROP */
    bool probe; /* PUBLISH: on the lane for them */
};

struct driver {
    struct pipeline *pipeline;
    struct pipeline_options options; /* to be set before start() */
    uint64_t now_us;
    struct message messages[DRIVER_IDS];
    int64_t highest_id;
    int64_t final_id;                   /* what the source says of late rows; 0: none can come */
    int64_t locked_id;                  /* of a scheduled message that cannot be moved now */
    int64_t unreleasable_id;            /* of one that cannot go back to the outbox */
    int64_t unmovable_id;               /* of one that cannot be set aside */
    int64_t undeletable_id;             /* of one that cannot be deleted */
    bool acts;                          /* an operator did something */
    uint64_t log_end;                   /* the next commit is there */
    uint64_t log_from;                  /* it is not kept further back */
    uint64_t log_stops_at;              /* it lags: nothing from there on is read; 0: it does not */
    const char *log_refusal;            /* it cannot be read; NULL: it can */
    bool log_stuck;                     /* no answer comes to what is asked of it */
    bool no_positions;                  /* the source knows of no log */
    enum verdict (*broker)(int64_t id); /* NULL: it says nothing */
    bool mended;                        /* what returns_all and its like refuse is taken */
    bool closes_connections;            /* where the broker would close a channel; */
    bool cuts_connections;              /* or something between cuts the connection */
    bool confirms_late;                 /* a channel that closes takes the confirms with it */
    const char *unpublishable;          /* no message can be encoded */
    bool lane_stuck[PIPELINE_LANES_MAX]; /* no answer comes to what is asked of it */
    bool lease_runs_out;
    bool drained;
    size_t rows_out; /* given to the core, and not given back */
    unsigned closes; /* by `broker` */
};

extern struct driver driver;

void driver_init(void); /* of each test: options are the defaults, tables are empty */
void driver_done(void);
/* The core owns the source and is up: lanes ready, heads known, the first fetch out. */
void start(void);
/* Likewise, and all that was put so far is sent; the rest comes from the log. */
void start_live(void);
/* Likewise, and held message 1 of key 1 is in flight once more, with no answer yet. */
void start_with_1_tried(void);
/* Likewise, and messages 1 to `last` are in flight, of two keys in turns. */
void start_with(int64_t last);
/* Message 1 of key 1 was refused, and moved aside. */
void start_with_1_held(void);

/* Rows of the outbox, each a transaction. */
void put(int64_t id, int64_t key);
void put_unseen(int64_t id, int64_t key);                    /* it is in the log only */
void put_together(int64_t first, int64_t last, int64_t key); /* in one transaction */
void put_unordered(int64_t id);
void begin_log(uint64_t position); /* another, from there on */
void put_range(int64_t first, int64_t last, int64_t key);
void put_each(int64_t first, int64_t last); /* a key each */
/* A held message. */
void put_held(int64_t id, int64_t key, enum held_state state, uint32_t attempts);
size_t count_in(enum place place);
struct message *message_of(int64_t id);

/* Does what the core wants until it wants nothing; what it wanted before is forgotten. */
void turn(void);
void later(uint64_t us); /* likewise, after so long */
/* Time goes by; source, lanes and broker answer at once. What it wanted meanwhile is kept. */
void run(uint64_t us);
/* Likewise until it wants this or has this to report, and that is all that is new: it is not
 * answered. NULL: not within so long. */
const struct note *await_within(enum pipeline_action_type type, uint64_t us);
const struct note *await(enum pipeline_action_type type); /* fails the test if it does not come */
const struct note *await_fetch(enum fetch_kind kind);
const struct pipeline_report *await_report(enum pipeline_report_type type);

/* Of what it wanted: how many of a type, each, the only one. */
size_t noted(enum pipeline_action_type type);
const struct note *note_at(enum pipeline_action_type type, size_t index);
const struct note *only(enum pipeline_action_type type);
size_t reported(enum pipeline_report_type type);
const struct pipeline_report *report_of(enum pipeline_report_type type); /* the first */
bool was_published(int64_t id);
bool leaves_out(const struct note *fetch, int64_t id);
/* What was published of the key, all of it in this order. */
void check_published(int64_t key, const int64_t *ids, size_t count);
#define CHECK_PUBLISHED(key, ...)                          \
    check_published((key), (const int64_t[]){__VA_ARGS__}, \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
/* Of what it wanted: it published these, all of them and in their order. */
void check_ascending(int64_t first, int64_t last);
bool has_id(const int64_t *ids, size_t count, int64_t id);
const struct hold *hold_of(const struct note *note, int64_t id); /* NULL: it is not among them */

/* The source answers what is out, if it is, and the core does what it wants. */
void answer_fetch(void);
void answer_fetch_with(struct row *rows, size_t count); /* that are in no table */
void answer_settle(void);
void answer_hold(void);
void answer_release(void);
void answer_heads(void);
void answer_wake(void);
void answer_watermark(void);
void answer_log(void); /* if there is anything new */
void answer_all(void); /* and the lanes */
bool log_is_asked(void);
bool fetch_is_out(void);
/* The fetch that is out sees the tables as they are now. */
void carry_out_fetch_again(void);

/* The broker and a message that is in flight. The core does not go on before the next turn(). */
void take(int64_t id);
void take_all(void);        /* all lanes */
void give_back(int64_t id); /* basic.return, then the confirm */
void nack(int64_t id);
void close_for(int64_t id, bool named); /* closes its channel */
void lose_lane(uint32_t lane);
void cut_lane(uint32_t lane);
void lose_log(void);
void refuse_log(void); /* an operator must act first */
void lose_source(void);
void own_source(void);

struct pipeline_counts counts(void);
struct source_status status(void);
uint64_t safe_position(void); /* told in this ownership; 0: none was */

enum verdict takes_all(int64_t id);
enum verdict returns_all(int64_t id);
enum verdict nacks_all(int64_t id);
enum verdict returns_1(int64_t id); /* all but message 1 are taken */

#endif
