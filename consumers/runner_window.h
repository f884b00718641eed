/* runner_window.h - the decisions of the runner, without I/O: which of the messages in hand go into the next
 * transaction, what follows from its outcome, and what is acknowledged.
 *
 * The window holds every message that the broker has delivered and that is not settled, in the order of the tags; the
 * broker's prefetch limits their number. Its rules:
 *   - messages run in the order in which they came, up to batch_max in one transaction; a message that was
 *     delivered before, by a queue that counts returns, has a transaction of its own, because it may have ended
 *     the process;
 *   - when a transaction of several fails, each of them runs in one of its own from then on, in order;
 *   - a message that fails alone waits and is retried in its place; messages of its key wait behind it, others
 *     go on; after attempts_max it is refused, which hands it to the dead-letter exchange of the queue;
 *   - an outage stops everything for a while and costs no attempt; but if a message, alone, meets it again
 *     while others are committed, that message is the cause, and it costs it an attempt;
 *   - messages that are done, up to the first that is not, are acknowledged with one multiple ack; messages
 *     behind such a gap one by one.
 * Nothing is allocated after runner_window_init. One thread at a time. */
#ifndef CONSUMERS_RUNNER_WINDOW_H
#define CONSUMERS_RUNNER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/error.h"
#include "base/random.h"

struct runner_limits {
    uint32_t prefetch;      /* most messages in hand */
    uint32_t batch_max;     /* most messages in one transaction; <= prefetch */
    uint32_t attempts_max;  /* failures of one message, alone, until it is refused; >= 1 */
    uint64_t batch_wait_us; /* how long the first message of a batch waits for more */
    uint64_t retry_initial_us;
    uint64_t retry_max_us;
};

enum runner_state {
    RUNNER_WAITING, /* to be applied */
    RUNNER_APPLIED, /* committed, or a duplicate: to be acknowledged */
    RUNNER_REFUSED, /* to be dead-lettered */
};

struct runner_entry {
    uint64_t tag;
    uint64_t key; /* hash of its ordering key; 0: it has none, and no message waits for it */
    uint64_t arrived_us;
    uint64_t due_us; /* it is not tried before */
    struct backoff backoff;
    uint32_t attempts;    /* failed attempts, alone */
    uint32_t contentions; /* conflicts with other transactions, alone; they cost no attempt */
    uint32_t outages;     /* outages in its own transaction */
    uint64_t commits;     /* the window's counts at the last outage */
    uint64_t failures;
    bool culprit; /* it met an outage again while others were committed */
    enum runner_state state;
    bool alone;   /* a transaction with it and others has failed, or it was redelivered */
    bool counted; /* the broker counts returns, and it was returned */
    void *item;   /* the message itself; the owner's */
};

/* One AMQP method to send. */
struct runner_settlement {
    uint64_t tag;
    bool refuse;   /* basic.nack without requeue; otherwise basic.ack */
    bool multiple; /* only with ack: this tag and all before it */
};

/* What follows for the messages of a transaction that failed. */
enum runner_verdict {
    RUNNER_SPLIT,  /* each will run alone */
    RUNNER_AGAIN,  /* the message waits until entry.due_us */
    RUNNER_DEAD,   /* the message is refused */
    RUNNER_OUTAGE, /* all wait until outage_until_us */
};

struct runner_window {
    struct runner_limits limits;
    struct random random;
    /* `count` in use, in the order of tags; the rest hold free items */
    struct runner_entry *entries;
    uint32_t count;
    uint32_t room;     /* the present prefetch: no more come before some are settled */
    bool hurried;      /* do not wait for more messages */
    uint64_t commits;  /* transactions */
    uint64_t failures; /* outages in transactions of single messages */
    uint32_t *batch;   /* indices of the entries that run now */
    uint32_t batch_count;
    uint64_t *blocked; /* keys whose first message waits; used while a batch is picked */
    uint32_t blocked_count;
    struct runner_settlement *settlements;
    struct backoff outage;
    uint64_t outage_until_us;
};

/* items: limits->prefetch pointers of the owner's; each message gets one. False: no memory. */
bool runner_window_init(struct runner_window *window, const struct runner_limits *limits,
                        void *const *items, uint64_t seed) MUST_CHECK;
void runner_window_done(struct runner_window *window);

/* Adds a message. NULL if the window is full (the broker then sent more than the prefetch), else the entry, whose item,
 * key and `counted` the owner fills in. Tags must ascend. */
struct runner_entry *runner_window_add(struct runner_window *window, uint64_t tag, uint64_t key,
                                       uint64_t now_us);

/* Marks a message that was returned to the queue before, if the queue counts that. */
static inline void
runner_window_count(struct runner_entry *entry)
{
    entry->counted = true;
    entry->alone = true;
}

/* Like runner_window_add, for a message that must not be applied: it is refused with the next settlement. False if the
 * window is full. */
bool runner_window_add_refused(struct runner_window *window, uint64_t tag) MUST_CHECK;

/* Picks the messages that run now, in one transaction, into window->batch, and returns how many. 0: none before
 * *ret_until_us (CLOCK_NEVER_US: not until another message comes). Each picked batch needs one of the calls below
 * before the next pick. */
uint32_t runner_window_pick(struct runner_window *window, uint64_t now_us, uint64_t *ret_until_us);

static inline struct runner_entry *
runner_window_picked(struct runner_window *window, uint32_t position)
{
    return &window->entries[window->batch[position]];
}

/* The transaction is committed. */
void runner_window_committed(struct runner_window *window);

/* It failed, and one of its messages may be the reason. */
enum runner_verdict runner_window_failed(struct runner_window *window, uint64_t now_us);

/* The application wants one of its messages dead-lettered. */
enum runner_verdict runner_window_refused(struct runner_window *window);

/* It failed because of other transactions (a deadlock, a serialization failure): costs no attempt. */
enum runner_verdict runner_window_contended(struct runner_window *window, uint64_t now_us);

/* It failed for a reason that does not seem to be a message; `inside`: after the transaction had begun. Several
 * messages then get a transaction each, and a single one lets the others go first. */
enum runner_verdict runner_window_outage(struct runner_window *window, bool inside,
                                         uint64_t now_us);

/* The database cannot be reached, and there is no batch. Returns the time of the next try. */
uint64_t runner_window_wait(struct runner_window *window, uint64_t now_us);

/* How many messages are still to be applied. */
uint32_t runner_window_open(const struct runner_window *window);

/* True if the only message in hand keeps meeting outages or conflicts: others are needed to find out whether it is the
 * cause, and they should not wait for it. */
bool runner_window_needs_others(const struct runner_window *window);

/* Gives what to send to the broker now, in this order, and forgets these messages; their items become free. To be
 * called until it returns 0. `refusals`: only refusals; applied messages stay. Valid until the next call. */
size_t runner_window_settle(struct runner_window *window, bool refusals,
                            const struct runner_settlement **ret_settlements);

/* The channel is gone: its tags are invalid, and the broker will deliver the messages again. */
void runner_window_clear(struct runner_window *window);

#endif
