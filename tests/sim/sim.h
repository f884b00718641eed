/* tests/sim/sim.h - the relays in the world: each is a core with the parts of a worker around it. They act in
 * sim_relay.c (sim_requests.c, sim_tail.c), sim_checks.c watches them, and sim.c decides what happens to them. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "relay/core/bucket.h"
#include "relay/core/cuts.h"
#include "relay/core/pipeline.h"
#include "tests/sim/world.h"

#define RELAYS_MAX 2
#define TAKEOVER_US (3 * CLOCK_S_US)
#define TAGS_MAX 8192     /* most publishes of one channel */
#define ACTIONS_MAX 10000 /* most actions at a time */
#define QUIET_US (3 * CLOCK_S_US)
#define QUIET_REQUESTS_MAX 40 /* most requests of a kind in that time, without those of sweeps */
/* Most closed channels until a culprit is found: a window of 64 is halved six times, and may double again after each
 * close. */
#define CLOSES_MAX 20
/* eight refused messages show a bad route; two keys with the same hash count as one */
#define MANY_RETRYING 9

enum request_type {
    REQUEST_FETCH,
    REQUEST_SETTLE,
    REQUEST_WATERMARK,
    REQUEST_HOLD,
    REQUEST_RELEASE,
    REQUEST_HEADS,
    REQUEST_WAKE,
    REQUEST_TYPES,
};

/* Rows lent to the core. Returned rows are overwritten, so that a later use is noticed. */
struct loan {
    struct batch batch;
    struct loan *next;
};

/* The connection over which a relay reads the log. */
enum tail_link_state { TAIL_LINK_CLOSED, TAIL_LINK_ASKED, TAIL_LINK_OPEN };

struct tail_link {
    enum tail_link_state state;
    bool cut; /* the server has ended the connection, and the relay has not noticed yet */
    /* Everything committed before this position has come; TAIL_LINK_ASKED: where reading is to begin. */
    uint64_t next;
    size_t rows_done; /* rows delivered of the first commit that has not come completely */
    uint64_t told;    /* the position up to which the core was told that it has everything */
    bool asked;       /* the core asked for more: */
    uint32_t rows_max;
    uint64_t bytes_max;
};

/* A request to the database, and, once it was executed, its answer. Arrays are from malloc. */
struct request {
    enum request_type type;
    bool executed;
    uint64_t sent_us;
    struct fetch fetch;
    struct release release;
    struct hold *holds;
    int64_t *ids;  /* of a settle or a release; of a fetch: to leave out */
    int64_t *keys; /* of a release */
    size_t count;
    struct loan *loan;
    struct look look;
    struct source_final final;
    struct source_present present;
    struct source_settled settled;
    struct source_held held;
    struct source_released released;
    struct source_heads heads;
    struct source_woken woken;
};

struct link {
    struct pipe *pipe;
    bool connecting;
    bool channel_wanted;
    bool leaving; /* another connection waits to take its place */
    bool blocked; /* the core was told that the broker blocks publishers */
    /* By tag; id 0: nothing more will come; negative: from an earlier ownership. */
    struct sent sent[TAGS_MAX];
    bool doubtful[TAGS_MAX]; /* by tag; a return may belong to it or to an earlier copy */
    uint64_t sent_count;
};

struct relay {
    int index;
    struct pipeline *pipeline;
    struct pipeline_options options;
    bool session;               /* connected to the database */
    bool shut_out;              /* no connection to the broker comes about */
    bool fit;                   /* the database knows that it waits and reaches its broker */
    bool rival_asked;           /* the core wants to know whether another one does */
    struct watermark watermark; /* what this session knows about the writers */
    bool owned_told;            /* the core knows that it owns */
    bool frozen;
    bool unaware;       /* the server ended the session, and the relay does not know yet */
    bool degraded;      /* as it reported */
    uint32_t bad_route; /* the number of the broken route that it reported; 0: none */
    int64_t charged_id; /* a message that lost an attempt meanwhile; 0: none */
    bool draining;
    bool drained;
    bool heads_told; /* since the ownership began */
    /* Something has happened, or there is more to do, since the core was last asked. */
    bool stirred;
    uint64_t next_us; /* the deadline that the core last named */
    bool acts_told;   /* operators have acted, and the heads were not asked for since */
    uint64_t wake_asked_us;
    uint64_t heard_us;                      /* when the server last heard from this session */
    uint64_t asked[REQUEST_TYPES];          /* number of requests of each kind */
    struct request requests[REQUEST_TYPES]; /* in the order in which they were sent */
    size_t request_count;
    struct link links[PIPELINE_LANES_MAX];
    struct loan *loans;
    struct tail_link tail;
    uint64_t safe_told; /* since the ownership began */
    /* What this process knows about each row: in flight on the present channel and not known to be refused; on which
     * lane; confirmed. */
    bool in_flight[IDS_MAX];
    uint32_t row_lane[IDS_MAX];
    bool confirmed[IDS_MAX];
    bool probe[IDS_MAX]; /* it was last read from the held table */
    /* What it has published beyond rate_max, in millionths of a message, and when. */
    uint64_t ahead;
    uint64_t ahead_us;
};

extern struct world world;
extern struct relay relays[RELAYS_MAX];

/* sim_relay.c */
void relay_start(struct relay *relay);
void relay_stop(struct relay *relay);
void relay_kill(struct relay *relay);
void relay_cut_lane(struct relay *relay, uint32_t lane);
void relay_cut_session(struct relay *relay);
void relay_lose_lane(struct relay *relay, uint32_t lane);
void relay_leave_lane(struct relay *relay, uint32_t lane);
/* Loses all of them, and cannot connect again for some time. */
void relay_shut_out(struct relay *relay);
void relay_steps(struct relay *relay);

/* sim_requests.c */
void request_send(struct relay *relay, enum request_type type,
                  const struct pipeline_action *action);
bool request_is_out(const struct relay *relay, enum request_type type);
void requests_drop(struct relay *relay);
void request_execute(struct relay *relay);
void request_answer(struct relay *relay);
struct loan *loan_new(uint32_t rows_max);
void loan_free(struct loan *loan);
void loan_lend(struct relay *relay, struct loan *loan);
void loan_return(struct relay *relay, const struct row *row);
void loans_drop(struct relay *relay);

/* sim_tail.c */
void tail_begin(struct relay *relay, uint64_t position);
void tail_end(struct relay *relay);
void tail_more(struct relay *relay, uint32_t rows_max, uint64_t bytes_max);
void tail_safe(struct relay *relay, uint64_t position);
void tail_close(struct relay *relay);
/* The server ends the connection of the log; the relay notices later. */
void tail_cut(struct relay *relay);
void tail_steps(struct relay *relay);

/* sim_checks.c */
void check_move(const struct relay *relay, uint32_t lane);
void check_publish(const struct relay *relay, const struct row *row, uint32_t lane);
/* One that cannot be encoded is not counted, and so not given to this. */
void check_rate(struct relay *relay);
void check_hold(struct relay *relay, const struct pipeline_action *action);
void check_report(struct relay *relay, const struct pipeline_report *report);
/* to be called when the core says that there is nothing to do now */
void check_idle(const struct relay *relay);
void check_drained(const struct relay *relay);
/* to be called when it leaves the outbox to another relay */
void check_yield(const struct relay *relay);
void check_world(void); /* to be called regularly */
bool is_settled_down(void);
/* to be called after everything was repaired: only messages that wait for an operator may be left */
void check_settled_down(void);
void check_end(void);
bool is_up_to_date(const struct relay *relay);
void check_up_to_date(void);
void check_quiet(void);

#endif
