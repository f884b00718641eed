/* tests/sim/sim.h - the relays in the world: each a core with what a worker has around it. They act
 * by sim_relay.c (sim_requests.c, sim_tail.c), are watched by sim_checks.c, and live through what sim.c makes happen. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "relay/core/cuts.h"
#include "relay/core/pipeline.h"
#include "tests/sim/world.h"

#define RELAYS_MAX 2
#define TAKEOVER_US (3 * CLOCK_S_US)
#define TAGS_MAX 8192     /* publishes of one channel */
#define ACTIONS_MAX 10000 /* nothing takes more at a time */
#define QUIET_US (3 * CLOCK_S_US)
#define QUIET_REQUESTS_MAX 40 /* of a kind in that time, beside those of sweeps */
/* To find one culprit: a window of 64 is halved six times, and may double again after each. */
#define CLOSES_MAX 20
#define MANY_RETRYING 9 /* eight messages say something of a route; and two keys are one for it */

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

/* Rows lent to the core. What is given back is wiped, so that nobody reads it any more. */
struct loan {
    struct batch batch;
    struct loan *next;
};

/* The connection over which a relay reads the log. */
enum tail_link_state { TAIL_LINK_CLOSED, TAIL_LINK_ASKED, TAIL_LINK_OPEN };

struct tail_link {
    enum tail_link_state state;
    bool cut;         /* the server has gone, and the relay has yet to notice */
    uint64_t next;    /* what was committed before has come; asked: wanted from here on */
    size_t rows_done; /* of the first that has not */
    uint64_t told;    /* up to where the core was told that it has all */
    bool asked;       /* for more: */
    uint32_t rows_max;
    uint64_t bytes_max;
};

/* What was asked of the database, and once it was carried out, the answer. Arrays are from malloc. */
struct request {
    enum request_type type;
    bool executed;
    uint64_t sent_us;
    struct fetch fetch;
    struct release release;
    struct hold *holds;
    int64_t *ids;  /* of a settle, of a fetch to leave out, of a release */
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
    bool blocked; /* the core was told */
    /* By tag; id 0: nothing more to come, negative: of an earlier ownership. */
    struct sent sent[TAGS_MAX];
    bool doubtful[TAGS_MAX]; /* by tag; a return may have been for it or for an earlier copy */
    uint64_t sent_count;
};

struct relay {
    int index;
    struct pipeline *pipeline;
    struct pipeline_options options;
    bool session;               /* connected to the database */
    struct watermark watermark; /* what is known of it by this session */
    bool owned_told;            /* the core knows that it owns */
    bool frozen;
    bool unaware;       /* the server ended the session and no word of it got through yet */
    bool degraded;      /* by its own report */
    uint32_t bad_route; /* the number of the broken one that it means; 0: of none */
    int64_t charged_id; /* meanwhile; 0: none */
    bool draining;
    bool drained;
    bool heads_told; /* since the ownership began */
    bool stirred;    /* something happened, or there is more to do, since the core was asked last */
    uint64_t next_us; /* the deadline that the core named when it was asked last */
    bool acts_told;   /* operators did something, and the heads were not asked since */
    uint64_t wake_asked_us;
    uint64_t heard_us;                      /* when the server last heard of this session */
    uint64_t asked[REQUEST_TYPES];          /* how many requests of each kind */
    struct request requests[REQUEST_TYPES]; /* in the order they were sent */
    size_t request_count;
    struct link links[PIPELINE_LANES_MAX];
    struct loan *loans;
    struct tail_link tail;
    uint64_t safe_told; /* since the ownership began */
    /* What this incarnation knows of each row: in flight on the present channel, and not known to
     * be refused; where; confirmed. */
    bool in_flight[IDS_MAX];
    uint32_t row_lane[IDS_MAX];
    bool confirmed[IDS_MAX];
    bool probe[IDS_MAX]; /* it was read from the held table last */
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
/* The server of its log has gone; the relay notices later. */
void tail_cut(struct relay *relay);
void tail_steps(struct relay *relay);

/* sim_checks.c */
void check_publish(const struct relay *relay, const struct row *row, uint32_t lane);
void check_hold(struct relay *relay, const struct pipeline_action *action);
void check_report(struct relay *relay, const struct pipeline_report *report);
void check_idle(const struct relay *relay); /* it says that there is nothing to do now */
void check_drained(const struct relay *relay);
void check_world(void); /* now and then */
bool is_settled_down(void);
void check_settled_down(void); /* all is mended: only what waits for an operator may be left */
void check_end(void);
bool is_up_to_date(const struct relay *relay);
void check_up_to_date(void);
void check_quiet(void);

#endif
