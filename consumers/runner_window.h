/* runner_window.h - what the runner decides, without any I/O: which of the messages in hand go
 * into the next transaction, what follows from its outcome, and what is to be acknowledged.
 *
 * The window holds every message that the broker has delivered and that is not settled, in the
 * order of the tags; the broker's prefetch bounds it. Its rules:
 *   - messages run in the order in which they came, up to batch_max in one transaction; one that was delivered
 *     before and counts its returns has one of its own, since it may be what ended the process;
 *   - when a transaction of several fails, each of them runs in one of its own from then on, in
 *     order;
 *   - a message that fails alone waits and is tried again, in place; those of its key wait behind
 *     it, others go on; after attempts_max it is refused, which hands it to the dead-letter
 *     exchange of the queue;
 *   - an outage stops everything for a while and costs nobody an attempt; but where others are committed
 *     and one message, alone, meets it again, it is that message's doing, and costs it one;
 *   - what is done up to some tag is acknowledged with one multiple ack, what is done beyond a gap
 *     one by one.
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
    uint32_t prefetch;      /* messages in hand at most */
    uint32_t batch_max;     /* messages in one transaction at most; <= prefetch */
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
    uint64_t key; /* hash of its ordering key; 0: none, nothing waits for it */
    uint64_t arrived_us;
    uint64_t due_us; /* not to be tried before */
    struct backoff backoff;
    uint32_t attempts;    /* that failed, alone */
    uint32_t contentions; /* with other transactions, that it met alone; they cost it nothing */
    uint32_t outages;     /* that it met alone, in its own transaction */
    uint64_t commits;     /* the window's counts at the last of these */
    uint64_t failures;
    bool culprit; /* it met one again while others were committed */
    enum runner_state state;
    bool alone;   /* a transaction with it and others has failed, or it comes again */
    bool counted; /* the broker counts how often it was returned, and it was */
    void *item;   /* the owner's: the message itself */
};

/* One method for the broker. */
struct runner_settlement {
    uint64_t tag;
    bool refuse;   /* basic.nack without requeue; otherwise basic.ack */
    bool multiple; /* ack: this tag and all before it */
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
    struct runner_entry *entries; /* `count` in use, by rising tag; the rest hold free items */
    uint32_t count;
    uint32_t room;     /* the broker's prefetch now: more do not come before some are settled */
    bool hurried;      /* no waiting for more messages */
    uint64_t commits;  /* transactions */
    uint64_t failures; /* outages that single messages met within a transaction */
    uint32_t *batch;   /* indices of the entries that run now */
    uint32_t batch_count;
    uint64_t *blocked; /* keys whose first message waits: used while a batch is picked */
    uint32_t blocked_count;
    struct runner_settlement *settlements;
    struct backoff outage;
    uint64_t outage_until_us;
};

/* items: limits->prefetch pointers of the owner's, one of which goes with each message. False: no
 * memory. */
bool runner_window_init(struct runner_window *window, const struct runner_limits *limits,
                        void *const *items, uint64_t seed) MUST_CHECK;
void runner_window_done(struct runner_window *window);

/* A message has come. NULL if the window is full (the broker then sent more than the prefetch),
 * else the entry, whose item, key and `counted` the owner fills. Tags rise. */
struct runner_entry *runner_window_add(struct runner_window *window, uint64_t tag, uint64_t key,
                                       uint64_t now_us);

/* The message was returned to the queue before, and the queue counts that. */
static inline void
runner_window_count(struct runner_entry *entry)
{
    entry->counted = true;
    entry->alone = true;
}

/* Like runner_window_add for a message that must not be applied: it goes out with the next
 * settlement. */
bool runner_window_add_refused(struct runner_window *window, uint64_t tag) MUST_CHECK;

/* Picks the messages that run now, in one transaction, into window->batch and returns how many; 0:
 * none before *ret_until_us (CLOCK_NEVER_US: not until another message comes). A batch that was
 * picked must be answered by one of the calls below before the next is picked. */
uint32_t runner_window_pick(struct runner_window *window, uint64_t now_us, uint64_t *ret_until_us);

static inline struct runner_entry *
runner_window_picked(struct runner_window *window, uint32_t position)
{
    return &window->entries[window->batch[position]];
}

/* The transaction is committed. */
void runner_window_committed(struct runner_window *window);

/* It failed, and something in it may be the reason. */
enum runner_verdict runner_window_failed(struct runner_window *window, uint64_t now_us);

/* The application wants one of its messages dead-lettered. */
enum runner_verdict runner_window_refused(struct runner_window *window);

/* It failed because of other transactions (a deadlock, a serialization failure): costs no attempt. */
enum runner_verdict runner_window_contended(struct runner_window *window, uint64_t now_us);

/* It failed for a reason that has nothing to do with messages, as far as one can see; `inside`: it was
 * met within the transaction, which had begun. Several messages then get a transaction each, and one
 * alone lets the others go first. */
enum runner_verdict runner_window_outage(struct runner_window *window, bool inside,
                                         uint64_t now_us);

/* The database cannot be reached at all, and there is no batch. Returns when the next try is. */
uint64_t runner_window_wait(struct runner_window *window, uint64_t now_us);

/* How many messages are still to be applied. */
uint32_t runner_window_open(const struct runner_window *window);

/* A message that keeps meeting an outage, or other transactions, is all there is in hand: others are needed, to tell
 * whether it is the reason, and not to wait for it. */
bool runner_window_needs_others(const struct runner_window *window);

/* What to tell the broker now, in this order, until nothing is left: forgets the messages, whose
 * items become free. `refusals`: only these, what is applied stays. Good until the next call. */
size_t runner_window_settle(struct runner_window *window, bool refusals,
                            const struct runner_settlement **ret_settlements);

/* The channel is gone: its tags mean nothing any more, and the broker will deliver again. */
void runner_window_clear(struct runner_window *window);

#endif
