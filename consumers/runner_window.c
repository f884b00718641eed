#include "consumers/runner_window.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

bool
runner_window_init(struct runner_window *window, const struct runner_limits *limits,
                   void *const *items, uint64_t seed)
{
    assert(limits->prefetch > 0 && limits->batch_max > 0 && limits->batch_max <= limits->prefetch);
    assert(limits->attempts_max > 0);
    uint32_t prefetch = limits->prefetch;
    *window = (struct runner_window){.limits = *limits};
    window->entries = calloc(prefetch, sizeof(*window->entries));
    window->batch = calloc(limits->batch_max, sizeof(*window->batch));
    window->blocked = calloc(prefetch, sizeof(*window->blocked));
    window->settlements = calloc(prefetch, sizeof(*window->settlements));
    if (window->entries == NULL || window->batch == NULL || window->blocked == NULL ||
        window->settlements == NULL) {
        runner_window_done(window);
        return false;
    }
    for (uint32_t i = 0; i < prefetch; i++) {
        window->entries[i].item = items[i];
    }
    window->room = prefetch;
    random_seed(&window->random, seed);
    backoff_init(&window->outage, limits->retry_initial_us, limits->retry_max_us);
    return true;
}

void
runner_window_done(struct runner_window *window)
{
    free(window->entries);
    free(window->batch);
    free(window->blocked);
    free(window->settlements);
    *window = (struct runner_window){0};
}

struct runner_entry *
runner_window_add(struct runner_window *window, uint64_t tag, uint64_t key, uint64_t now_us)
{
    assert(window->count == 0 || tag > window->entries[window->count - 1].tag);
    if (window->count == window->limits.prefetch) {
        return NULL;
    }
    struct runner_entry *entry = &window->entries[window->count++];
    *entry = (struct runner_entry){
        .tag = tag, .key = key, .arrived_us = now_us, .state = RUNNER_WAITING, .item = entry->item};
    backoff_init(&entry->backoff, window->limits.retry_initial_us, window->limits.retry_max_us);
    return entry;
}

bool
runner_window_add_refused(struct runner_window *window, uint64_t tag)
{
    struct runner_entry *entry = runner_window_add(window, tag, 0, 0);
    if (entry != NULL) {
        entry->state = RUNNER_REFUSED;
    }
    return entry != NULL;
}

static bool
key_is_blocked(const struct runner_window *window, uint64_t key)
{
    for (uint32_t i = 0; key != 0 && i < window->blocked_count; i++) {
        if (window->blocked[i] == key) {
            return true;
        }
    }
    return false;
}

static void
block_key(struct runner_window *window, uint64_t key)
{
    if (key != 0) {
        window->blocked[window->blocked_count++] = key;
    }
}

/* Fills the batch. True if waiting for more messages is useless. */
static bool
pick_entries(struct runner_window *window, uint64_t now_us, uint64_t *wait_until_us)
{
    window->batch_count = 0;
    window->blocked_count = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct runner_entry *entry = &window->entries[i];
        if (entry->state != RUNNER_WAITING || key_is_blocked(window, entry->key)) {
            continue;
        }
        if (entry->due_us > now_us) {
            block_key(window, entry->key);
            *wait_until_us = entry->due_us < *wait_until_us ? entry->due_us : *wait_until_us;
            continue;
        }
        if (entry->alone && window->batch_count > 0) {
            return true; /* earlier messages go first */
        }
        window->batch[window->batch_count++] = i;
        if (entry->alone || window->batch_count == window->limits.batch_max) {
            return true;
        }
    }
    return window->hurried || window->count >= window->room; /* nothing more can come */
}

uint32_t
runner_window_pick(struct runner_window *window, uint64_t now_us, uint64_t *ret_until_us)
{
    assert(window->batch_count == 0);
    uint64_t until_us = CLOCK_NEVER_US;
    if (now_us < window->outage_until_us) {
        *ret_until_us = window->outage_until_us;
        return 0;
    }
    bool ready = pick_entries(window, now_us, &until_us);
    if (window->batch_count > 0 && !ready) {
        uint64_t ready_us =
            runner_window_picked(window, 0)->arrived_us + window->limits.batch_wait_us;
        if (now_us < ready_us) {
            until_us = ready_us < until_us ? ready_us : until_us;
            window->batch_count = 0;
        }
    }
    *ret_until_us = until_us;
    return window->batch_count;
}

static void
set_alone(struct runner_window *window)
{
    for (uint32_t i = 0; i < window->batch_count; i++) {
        runner_window_picked(window, i)->alone = true;
    }
    window->batch_count = 0;
}

static void
outage_over(struct runner_window *window)
{
    backoff_reset(&window->outage);
    window->outage_until_us = 0;
}

void
runner_window_committed(struct runner_window *window)
{
    assert(window->batch_count > 0);
    for (uint32_t i = 0; i < window->batch_count; i++) {
        runner_window_picked(window, i)->state = RUNNER_APPLIED;
    }
    window->batch_count = 0;
    window->commits++;
    outage_over(window);
}

/* Counts a failed attempt of a message that ran alone. */
static enum runner_verdict
charge(struct runner_window *window, struct runner_entry *entry, uint64_t now_us)
{
    window->batch_count = 0;
    entry->alone = true;
    entry->attempts++;
    if (entry->attempts >= window->limits.attempts_max) {
        entry->state = RUNNER_REFUSED;
        return RUNNER_DEAD;
    }
    entry->due_us = now_us + backoff_next_us(&entry->backoff, &window->random);
    return RUNNER_AGAIN;
}

enum runner_verdict
runner_window_failed(struct runner_window *window, uint64_t now_us)
{
    assert(window->batch_count > 0);
    outage_over(window); /* the database answered */
    if (window->batch_count > 1) {
        set_alone(window);
        return RUNNER_SPLIT;
    }
    return charge(window, runner_window_picked(window, 0), now_us);
}

enum runner_verdict
runner_window_refused(struct runner_window *window)
{
    assert(window->batch_count > 0);
    outage_over(window);
    if (window->batch_count > 1) {
        set_alone(window);
        return RUNNER_SPLIT;
    }
    runner_window_picked(window, 0)->state = RUNNER_REFUSED;
    window->batch_count = 0;
    return RUNNER_DEAD;
}

enum runner_verdict
runner_window_contended(struct runner_window *window, uint64_t now_us)
{
    assert(window->batch_count > 0);
    outage_over(window);
    if (window->batch_count > 1) {
        set_alone(window);
        return RUNNER_SPLIT;
    }
    struct runner_entry *entry = runner_window_picked(window, 0);
    window->batch_count = 0;
    entry->contentions++;
    entry->due_us = now_us + backoff_next_us(&entry->backoff, &window->random);
    return RUNNER_AGAIN;
}

uint64_t
runner_window_wait(struct runner_window *window, uint64_t now_us)
{
    window->outage_until_us = now_us + backoff_next_us(&window->outage, &window->random);
    return window->outage_until_us;
}

/* A message has met an outage alone. The first time does not count, because the database may just have come back when
 * others are committed. Once the message is known as the cause, no more commits of others are needed, until others meet
 * an outage too. */
static bool
is_its_doing(struct runner_window *window, struct runner_entry *entry)
{
    const bool others_work = entry->outages > 0 && window->commits > entry->commits;
    const bool others_fail = window->failures > entry->failures;
    entry->culprit = others_work || (entry->culprit && !others_fail);
    entry->outages++;
    entry->commits = window->commits;
    entry->failures = ++window->failures;
    return entry->culprit;
}

enum runner_verdict
runner_window_outage(struct runner_window *window, bool inside, uint64_t now_us)
{
    assert(window->batch_count > 0);
    struct runner_entry *entry = runner_window_picked(window, 0);
    if (inside && window->batch_count == 1 && is_its_doing(window, entry)) {
        return charge(window, entry, now_us);
    }
    const uint64_t until_us = runner_window_wait(window, now_us);
    if (inside && window->batch_count == 1) {
        entry->due_us = until_us + backoff_next_us(&entry->backoff, &window->random);
    }
    if (inside) {
        set_alone(window);
    }
    window->batch_count = 0;
    return RUNNER_OUTAGE;
}

uint32_t
runner_window_open(const struct runner_window *window)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        open += window->entries[i].state == RUNNER_WAITING;
    }
    return open;
}

/* Deadlocks and lock timeouts pass. But a message that meets one after the other may do so for ever, as it costs no
 * attempt; then it must stop only its own key. */
enum { CONTENTIONS_USUAL = 3 };

bool
runner_window_needs_others(const struct runner_window *window)
{
    return window->count == 1 && window->room == 1 && window->entries[0].state == RUNNER_WAITING &&
           (window->entries[0].outages > 1 || window->entries[0].contentions > CONTENTIONS_USUAL);
}

/* Removes the settled entries and keeps the order of the others; the free items go behind them. */
static void
compact(struct runner_window *window, bool refusals)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        const enum runner_state state = window->entries[i].state;
        if (state == RUNNER_WAITING || (refusals && state == RUNNER_APPLIED)) {
            void *free_item = window->entries[kept].item;
            window->entries[kept++] = window->entries[i];
            window->entries[i].item = free_item;
        }
    }
    window->count = kept;
}

size_t
runner_window_settle(struct runner_window *window, bool refusals,
                     const struct runner_settlement **ret_settlements)
{
    assert(window->batch_count == 0);
    size_t settlements = 0;
    uint32_t prefix = 0;
    /* The last applied one before the first that is still to be applied. */
    const struct runner_entry *last = NULL;
    while (prefix < window->count && window->entries[prefix].state != RUNNER_WAITING) {
        last = window->entries[prefix].state == RUNNER_APPLIED ? &window->entries[prefix] : last;
        prefix++;
    }
    /* Refusals come first, because the multiple ack would acknowledge them. It must name a tag that is still open, or
     * RabbitMQ closes the channel with "unknown delivery tag" (rabbit_channel.erl, collect_acks); hence the last
     * applied one. */
    for (uint32_t i = 0; i < window->count; i++) {
        const struct runner_entry *entry = &window->entries[i];
        if (entry->state == RUNNER_REFUSED) {
            window->settlements[settlements++] =
                (struct runner_settlement){.tag = entry->tag, .refuse = true};
        } else if (entry->state == RUNNER_APPLIED && i >= prefix && !refusals) {
            window->settlements[settlements++] = (struct runner_settlement){.tag = entry->tag};
        }
    }
    if (last != NULL && !refusals) {
        window->settlements[settlements++] =
            (struct runner_settlement){.tag = last->tag, .multiple = true};
    }
    compact(window, refusals);
    *ret_settlements = window->settlements;
    return settlements;
}

void
runner_window_clear(struct runner_window *window)
{
    window->count = 0;
    window->batch_count = 0;
}
