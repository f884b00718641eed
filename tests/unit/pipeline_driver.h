/* tests/unit/pipeline_driver.h - drives a core through one scene: it records the actions of the core, and answers from
 * a table of a few messages and a broker that the test can make worse. Statements are executed when the core asks; the
 * test decides when the answer comes.
 *
 * It checks all the time that nothing is deleted that the broker did not take, that nothing is published while an
 * earlier message of its key is known to be refused, that every row is returned, and that no position of the log is
 * called safe while something committed before it is in the outbox. */
#ifndef TESTS_PIPELINE_DRIVER_H
#define TESTS_PIPELINE_DRIVER_H

#include "base/clock.h"
#include "relay/core/pipeline.h"

#define DRIVER_IDS 1600

enum place { NOWHERE, IN_OUTBOX, IN_HELD };

/* A message that left the outbox, of which the core does not know yet. */
enum leaving { STAYS, IS_SETTLED, IS_HELD };

/* A message in either table; its index in the driver's array is its id. */
struct message {
    enum place place;
    enum leaving leaving;
    uint64_t position; /* position in the log of its last insert into the outbox */
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
    bool refused;   /* the core knows that it was refused, and it was not taken since */
    unsigned sent;  /* how often it was published */
    unsigned taken; /* how often the broker took it */
};

/* What a broker does with a message. CLOSES: it closes the channel without naming an exchange; CLOSES_NAMED: with its
 * name. */
enum verdict { TAKES, RETURNS, NACKS, CLOSES, CLOSES_NAMED, IS_SILENT };

/* An action of the core; what it points to is a copy. */
struct note {
    struct pipeline_action action;
    int64_t id; /* of the row: PUBLISH, DROP */
    bool probe; /* PUBLISH: on the probe lane */
};

struct driver {
    struct pipeline *pipeline;
    struct pipeline_options options; /* to be set before start() */
    uint64_t now_us;
    struct message messages[DRIVER_IDS];
    int64_t highest_id;
    int64_t created_us; /* when all messages were written, by the wall clock; 0: not known */
    /* The final id that the source reports; 0: no late row can come. */
    int64_t final_id;
    int64_t locked_id;                   /* a scheduled message that cannot be moved now */
    int64_t unreleasable_id;             /* a message that cannot move back to the outbox */
    int64_t unmovable_id;                /* a message that cannot be set aside */
    int64_t undeletable_id;              /* a message that cannot be deleted */
    bool acts;                           /* an operator has acted */
    uint64_t log_end;                    /* position of the next commit */
    uint64_t log_from;                   /* the log is kept from here on */
    uint64_t log_stops_at;               /* the log is read only up to here; 0: no lag */
    const char *log_refusal;             /* why the log cannot be read; NULL: it can */
    bool log_stuck;                      /* it does not answer */
    bool no_positions;                   /* the source has no log */
    enum verdict (*broker)(int64_t id);  /* NULL: it does not answer */
    bool mended;                         /* brokers such as returns_all now take everything */
    bool closes_connections;             /* instead of a channel the broker closes the connection */
    bool cuts_connections;               /* or something between cuts the connection */
    bool confirms_late;                  /* a closed channel loses its confirms */
    const char *unpublishable;           /* why no message can be encoded */
    bool lane_stuck[PIPELINE_LANES_MAX]; /* it does not answer */
    bool lease_runs_out;
    bool drained;
    size_t rows_out; /* lent to the core and not returned */
    unsigned closes; /* how often `broker` has closed something */
};

extern struct driver driver;

void driver_init(void); /* to be called by each test: default options, empty tables */
void driver_done(void);
/* The core owns the source and works: lanes ready, heads known, the first fetch out. */
void start(void);
/* The same; everything that was put is sent, and new rows come from the log. */
void start_live(void);
/* The same; held message 1 of key 1 is in flight again, without an answer yet. */
void start_with_1_tried(void);
/* The same; messages 1 to `last` are in flight, of two keys alternately. */
void start_with(int64_t last);
/* The same; message 1 of key 1 was refused and set aside. */
void start_with_1_held(void);

/* Inserts rows into the outbox, each in a transaction. */
void put(int64_t id, int64_t key);
void put_unseen(int64_t id, int64_t key);                    /* not visible yet, only in the log */
void put_together(int64_t first, int64_t last, int64_t key); /* in one transaction */
void put_unordered(int64_t id);
void begin_log(uint64_t position); /* begins another log at this position */
void put_range(int64_t first, int64_t last, int64_t key);
void put_each(int64_t first, int64_t last); /* each with a key of its own */
/* A held message. */
void put_held(int64_t id, int64_t key, enum held_state state, uint32_t attempts);
size_t count_in(enum place place);
struct message *message_of(int64_t id);

/* Carries out the core's actions until it has none; forgets the earlier ones. */
void turn(void);
void later(uint64_t us); /* the same, after this time */
/* Lets time pass; source, lanes and broker answer at once. Keeps a record of the core's actions. */
void run(uint64_t us);
/* The same until this action or report comes, and nothing else is new; it is not answered. NULL: it did not come in
 * this time. */
const struct note *await_within(enum pipeline_action_type type, uint64_t us);
const struct note *await(enum pipeline_action_type type); /* fails the test if it does not come */
const struct note *await_fetch(enum fetch_kind kind);
const struct pipeline_report *await_report(enum pipeline_report_type type);

/* Of the recorded actions: how many there are of a type, one of them, the only one. */
size_t noted(enum pipeline_action_type type);
const struct note *note_at(enum pipeline_action_type type, size_t index);
const struct note *only(enum pipeline_action_type type);
size_t reported(enum pipeline_report_type type);
const struct pipeline_report *report_of(enum pipeline_report_type type); /* the first */
bool was_published(int64_t id);
bool leaves_out(const struct note *fetch, int64_t id);
/* Checks that exactly these messages of the key were published, in this order. */
void check_published(int64_t key, const int64_t *ids, size_t count);
#define CHECK_PUBLISHED(key, ...)                          \
    check_published((key), (const int64_t[]){__VA_ARGS__}, \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
/* Checks that the recorded actions published these, all of them and in their order. */
void check_ascending(int64_t first, int64_t last);
bool has_id(const int64_t *ids, size_t count, int64_t id);
const struct hold *hold_of(const struct note *note, int64_t id); /* NULL: not among them */

/* The source answers the request of this kind, if it is out, and the core acts. */
void answer_fetch(void);
void answer_fetch_with(struct row *rows, size_t count); /* with rows that are in no table */
void answer_settle(void);
void answer_hold(void);
void answer_release(void);
void answer_heads(void);
void answer_wake(void);
void answer_watermark(void);
void answer_log(void); /* if the log has anything new */
void answer_all(void); /* also the lanes */
bool log_is_asked(void);
bool fetch_is_out(void);
/* Executes the outstanding fetch again, with the present tables. */
void carry_out_fetch_again(void);

/* What the broker does with a message in flight. The core acts only with the next turn(). */
void take(int64_t id);
void take_all(void);        /* all messages on all lanes */
void give_back(int64_t id); /* basic.return, then the confirm */
void nack(int64_t id);
void close_for(int64_t id, bool named); /* closes the message's channel */
void lose_lane(uint32_t lane);
void cut_lane(uint32_t lane);
void lose_log(void);
void refuse_log(void); /* the log cannot be read until an operator acts */
void lose_source(void);
void own_source(void);

struct pipeline_counts counts(void);
struct source_status status(void);
uint64_t safe_position(void); /* reported in this ownership; 0: none */

enum verdict takes_all(int64_t id);
enum verdict returns_all(int64_t id);
enum verdict nacks_all(int64_t id);
enum verdict returns_1(int64_t id); /* takes all except message 1 */

#endif
