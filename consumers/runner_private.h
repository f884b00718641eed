/* runner_private.h - the parts of the runner, shared by runner.c (life and loop), runner_broker.c (the queue),
 * runner_apply.c (the transaction) and runner_options.c, none of which knows a database. inbox_runner.c and
 * inbox_runner_mysql.c give it a session with a database, and are what applications call. A runner is one object with
 * one session. Nothing is global, so there can be several, each in a thread of its own. */
#ifndef CONSUMERS_RUNNER_PRIVATE_H
#define CONSUMERS_RUNNER_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include <inbox/inbox_delivery.h>

#include "amqp/session.h"
#include "consumers/runner_delivery.h"
#include "consumers/runner_options.h"
#include "consumers/runner_owed.h"
#include "consumers/runner_pump.h"
#include "consumers/runner_session.h"
#include "consumers/runner_window.h"

enum runner_counter {
    COUNT_DELIVERED,
    COUNT_APPLIED,
    COUNT_DUPLICATES,
    COUNT_HINTED,
    COUNT_REJECTED,
    COUNT_RETRIED,
    COUNT_TRANSACTIONS,
    COUNT_DATABASE_OUTAGES,
    COUNT_BROKER_OUTAGES,
    COUNTERS
};

enum broker_state {
    BROKER_DOWN, /* until retry_us, and until the database answers */
    BROKER_OPENING,
    BROKER_CONSUMING, /* or about to */
    BROKER_REOPENING, /* the channel is being closed, and will be opened again */
    BROKER_CLOSING,
};

/* A consumer begins with one message in hand, and takes `prefetch` of them once the queue gives new ones: see
 * runner_broker.c. */
struct runner_broker {
    struct session *session;
    struct runner_pump *pump;
    enum broker_state state;
    bool wide;  /* `prefetch` messages in hand, not one */
    bool widen; /* become wide when the messages in hand are applied */
    /* Nothing has come since the wide consumer was registered: another one may be active. */
    bool waiting;
    bool told;        /* a report said that it consumes */
    uint64_t wide_us; /* when the wide consumer was registered */
    uint64_t new_us;  /* when the last message came that had not been returned; 0: never */
    struct backoff backoff;
    uint64_t retry_us;
};

/* One message of the batch that runs. */
struct runner_claim {
    struct runner_delivery *delivery;
    bool hinted; /* the hint knows it: no transaction needed */
    bool first;  /* the table did not know it */
};

struct runner {
    struct runner_options options; /* it owns its texts */
    struct amqp_endpoint endpoint;
    struct runner_delivery *deliveries; /* runner_capacity() of them, the items of the window */
    struct runner_window window;
    struct runner_broker broker;
    struct runner_session *session;
    /* The database has answered since the connection to the broker was last down. */
    bool ready;
    uint64_t outage_us; /* since when the database does not answer; 0: it does */
    struct runner_owed owed;
    struct runner_claim *claims; /* options.batch_max of them, like the next four */
    struct inbox_id *ids;
    const char **texts;
    bool *seen;
    inbox_verdict *verdicts;
    int stop; /* eventfd: wakes the loop when `stopping` is set */
    _Atomic bool stopping;
    _Atomic uint64_t stop_us; /* when `stopping` was set */
    _Atomic pid_t pid;        /* the process of the runner: a child made by fork shares `stop` */
    _Atomic uint64_t counters[COUNTERS];
};

#define CHANNEL 1

/* Two more may be in hand when the consumer becomes wide: the narrow one's, and one that the nudge was given. */
static inline uint32_t
runner_capacity(const struct runner_options *options)
{
    return options->prefetch + 2;
}

/* runner_apply.c: runs the batch that the window has picked, and tells the window its outcome. */
void runner_apply_batch(struct runner *runner);
/* Checks that the database can be reached, before anything is taken from the queue. */
void runner_apply_prepare(struct runner *runner);

/* runner_broker.c. */
bool runner_broker_init(struct runner *runner, struct error *reterr) MUST_CHECK;
void runner_broker_done(struct runner_broker *broker);
/* Opens the connection when it is time, puts what has arrived into the window, and sends acknowledgements. */
void runner_broker_turn(struct runner *runner, uint64_t now_us);
/* When the next turn is due even if nothing arrives. */
uint64_t runner_broker_due_us(const struct runner *runner);
/* Waits for the broker, for `stop` (if heed_stop) or until `until_us`, and reads and writes bytes. */
void runner_broker_wait(struct runner *runner, bool heed_stop, uint64_t until_us);
/* The turn of a runner that stops: applied messages are not acknowledged yet, so that the queue gives no more. */
void runner_broker_last_turn(struct runner *runner, uint64_t now_us);
/* Acknowledges what is applied, returns the rest, and closes the connection, until the deadline. */
void runner_broker_leave(struct runner *runner, uint64_t deadline_us);
/* Returns the messages in hand because the database is not available, unless that would change the order. */
void runner_broker_give_back(struct runner *runner, uint64_t now_us);

/* runner.c. The functions that applications call only give the runner a session, which its kind makes from the copy of
 * the options. The runner must be all zero before runner_init. runner_done ends it, also if runner_init or
 * runner_set_session has failed. */
inbox_result runner_init(struct runner *runner, const struct runner_options *options,
                         const struct runner_application *application, struct inbox_error *reterr);
/* The runner owns the session. NULL means no memory. */
inbox_result runner_set_session(struct runner *runner, struct runner_session *session,
                                struct inbox_error *reterr);
inbox_result runner_run(struct runner *runner, struct inbox_error *reterr);
void runner_stop(struct runner *runner);
void runner_done(struct runner *runner);
void runner_counters(const struct runner *runner, struct inbox_runner_counters *ret_counters,
                     size_t counters_size);

/* runner.c: fills *reterr, which may be NULL, and returns the code. */
inbox_result runner_fail(struct inbox_error *reterr, inbox_result code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* When a runner that stops must have ended; CLOCK_NEVER_US: it does not stop. Any thread. */
uint64_t runner_stop_deadline_us(struct runner *runner);
void runner_report(struct runner *runner, inbox_report_level level, const char *event,
                   const char *format, ...) PRINTF_LIKE(4, 5);

static inline void
runner_count(struct runner *runner, enum runner_counter counter, uint64_t number)
{
    atomic_fetch_add_explicit(&runner->counters[counter], number, memory_order_relaxed);
}

#endif
