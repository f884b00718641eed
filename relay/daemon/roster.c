#include "relay/daemon/roster.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "relay/config/same.h"
#include "relay/daemon/log.h"
#include "relay/daemon/outage.h"
#include "relay/daemon/worker.h"

#define START_AGAIN_INITIAL_US CLOCK_S_US
#define START_AGAIN_MAX_US (30 * CLOCK_S_US)
/* A worker that ran for this long ended for a new reason. */
#define STEADY_US (60 * CLOCK_S_US)

/* One source. */
struct member {
    char *name;
    struct config *config;              /* of `source`; a reference */
    const struct source_config *source; /* how it is to run; NULL: it is to end */
    struct worker *worker;              /* NULL: none */
    bool draining;
    bool awaits_broker;        /* until start_at_us, or roster_release */
    bool failing;              /* it could not start, or ended by itself; outage.reason says why */
    struct board_entry *entry; /* while it fails */
    uint64_t started_us;
    uint64_t start_at_us;
    uint64_t leave_at_us; /* when its drain is cut short */
    struct backoff backoff;
    struct outage outage;
};

struct roster {
    int wake_fd;
    struct board *board;
    struct member **members;
    size_t count;
    size_t room;
    struct random random;
    bool draining;
    bool clean;
};

struct roster *
roster_new(int wake_fd, struct board *board)
{
    struct roster *const roster = memory_array(1, sizeof(*roster));
    *roster = (struct roster){.wake_fd = wake_fd, .board = board, .clean = true};
    random_seed(&roster->random, random_fresh_seed());
    return roster;
}

/* Before anything else of its name is on the board. */
static void
forget_failure(struct roster *roster, struct member *member)
{
    if (member->entry != NULL) {
        board_remove(roster->board, member->entry);
    }
    member->entry = NULL;
    member->failing = false;
}

static void
member_free(struct member *member)
{
    assert(member->worker == NULL);
    config_free(member->config);
    memory_free(member->name);
    memory_free(member);
}

void
roster_free(struct roster *roster)
{
    for (size_t i = 0; roster != NULL && i < roster->count; i++) {
        forget_failure(roster, roster->members[i]);
        member_free(roster->members[i]);
    }
    if (roster != NULL) {
        memory_free(roster->members);
    }
    memory_free(roster);
}

/* ---- following a configuration -------------------------------------------------------------------------- */

static void
set_target(struct member *member, struct config *config, const struct source_config *source)
{
    struct config *const before = member->config;
    member->config = source == NULL ? NULL : config_ref(config);
    member->source = source;
    config_free(before);
}

static void
drain(struct member *member, uint64_t leave_at_us)
{
    if (member->worker != NULL && !member->draining) {
        member->draining = true;
        member->leave_at_us = leave_at_us;
        worker_drain(member->worker);
    }
}

/* It starts with settings that have not failed yet. */
static void
plan_start(struct roster *roster, struct member *member, uint64_t start_by_us)
{
    forget_failure(roster, member);
    member->awaits_broker = true;
    member->start_at_us = start_by_us;
    backoff_init(&member->backoff, START_AGAIN_INITIAL_US, START_AGAIN_MAX_US);
    outage_init(&member->outage);
}

static struct member *
find_member(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->members[i]->name, name) == 0) {
            return roster->members[i];
        }
    }
    return NULL;
}

static const struct source_config *
find_source(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            return &config->sources[i];
        }
    }
    return NULL;
}

static struct member *
add_member(struct roster *roster, const char *name)
{
    if (roster->count == roster->room) {
        roster->room = 2 * roster->room + 8;
        struct member **const members = memory_array(roster->room, sizeof(*members));
        for (size_t i = 0; i < roster->count; i++) {
            members[i] = roster->members[i];
        }
        memory_free(roster->members);
        roster->members = members;
    }
    struct member *const member = memory_array(1, sizeof(*member));
    member->name = memory_string(name);
    roster->members[roster->count++] = member;
    return member;
}

static void
remove_member(struct roster *roster, size_t index)
{
    member_free(roster->members[index]);
    roster->members[index] = roster->members[--roster->count];
}

/* It was there before. Settings that were tried in vain are tried again at once: what is wrong may lie outside of them. */
static void
follow(struct roster *roster, struct member *member, struct config *config,
       const struct source_config *wanted, uint64_t start_by_us, struct roster_change *change)
{
    if (member->source != NULL && config_same_source(member->source, wanted)) {
        change->kept++;
        member->start_at_us = member->failing ? 0 : member->start_at_us;
        return;
    }
    log_info("source_changed", LOG_WORDS("it is drained and starts anew with its new settings"),
             LOG_STR("source", member->name));
    set_target(member, config, wanted);
    plan_start(roster, member, start_by_us);
    change->changed++;
}

static void
dismiss(struct roster *roster, struct member *member, struct roster_change *change)
{
    if (member->source != NULL) {
        log_info("source_removed", LOG_WORDS("it is drained and ends"),
                 LOG_STR("source", member->name));
        set_target(member, NULL, NULL);
        forget_failure(roster, member);
        change->removed++;
    }
}

void
roster_follow(struct roster *roster, struct config *config, uint64_t now_us, uint64_t start_by_us,
              struct roster_change *ret_change)
{
    const size_t present = roster->count;
    *ret_change = (struct roster_change){0};
    for (size_t i = 0; i < present; i++) {
        struct member *const member = roster->members[i];
        const struct source_config *const wanted = find_source(config, member->name);
        const size_t kept = ret_change->kept;
        if (wanted == NULL) {
            dismiss(roster, member, ret_change);
        } else {
            follow(roster, member, config, wanted, start_by_us, ret_change);
        }
        if (ret_change->kept == kept) {
            drain(member, now_us + config->shutdown_timeout_us);
        }
    }
    for (size_t i = 0; i < config->source_count; i++) {
        if (find_member(roster, config->sources[i].name) == NULL) {
            struct member *const member = add_member(roster, config->sources[i].name);
            set_target(member, config, &config->sources[i]);
            plan_start(roster, member, start_by_us);
            ret_change->added++;
        }
    }
}

void
roster_release(struct roster *roster, const char *broker)
{
    for (size_t i = 0; i < roster->count; i++) {
        struct member *const member = roster->members[i];
        if (member->awaits_broker && member->source != NULL &&
            strcmp(member->source->broker->name, broker) == 0) {
            member->awaits_broker = false;
            member->start_at_us = 0;
        }
    }
}

void
roster_drain(struct roster *roster)
{
    roster->draining = true;
    for (size_t i = 0; i < roster->count; i++) {
        drain(roster->members[i], CLOCK_NEVER_US); /* the end of the process bounds it */
    }
}

/* ---- the workers ---------------------------------------------------------------------------------------- */

static void
fail(struct roster *roster, struct member *member, const char *why, uint64_t now_us)
{
    struct board_view view = {.told_us = now_us, .state = BOARD_STARTING, .state_since_us = now_us};
    (void)snprintf(view.state_reason, sizeof(view.state_reason), "%s", why); /* cut is fine */
    member->failing = true;
    member->start_at_us = now_us + backoff_next_us(&member->backoff, &roster->random);
    if (member->entry == NULL) {
        member->entry = board_add(roster->board, member->source);
    }
    board_show(roster->board, member->entry, &view);
}

static void
try_again_later(struct roster *roster, struct member *member, const char *why, uint64_t now_us)
{
    fail(roster, member, why, now_us);
    if (outage_is_news(&member->outage, why, now_us)) {
        log_error("start_failed",
                  LOG_WORDS("a source cannot be started; the others run, it is tried again"),
                  LOG_STR("source", member->name), LOG_STR("error", why));
    }
}

static void
start(struct roster *roster, struct member *member, uint64_t now_us)
{
    struct error error;
    member->awaits_broker = false;
    member->worker =
        worker_start(member->source, member->config, roster->board, roster->wake_fd, &error);
    if (member->worker == NULL) {
        try_again_later(roster, member, error.text, now_us);
        return;
    }
    forget_failure(roster, member);
    member->draining = false;
    member->started_us = now_us;
}

static void
join(struct roster *roster, struct member *member, uint64_t now_us)
{
    const bool clean = worker_join(member->worker);
    member->worker = NULL;
    if (roster->draining) {
        roster->clean &= clean;
    } else if (!member->draining) {
        if (now_us >= member->started_us + STEADY_US) {
            backoff_reset(&member->backoff);
        }
        log_error("worker_ended", LOG_WORDS("a source stopped by itself; it is started again"),
                  LOG_STR("source", member->name));
        fail(roster, member, "it stopped by itself", now_us);
        (void)outage_is_news(&member->outage, "it stopped by itself", now_us); /* was just told */
    }
    member->draining = false;
}

static void
work(struct roster *roster, struct member *member, uint64_t now_us)
{
    if (member->worker != NULL && worker_finished(member->worker)) {
        join(roster, member, now_us);
    }
    if (member->worker != NULL && member->draining && now_us >= member->leave_at_us) {
        member->leave_at_us = CLOCK_NEVER_US;
        worker_leave(member->worker);
    }
    if (member->worker == NULL && member->source != NULL && !roster->draining &&
        now_us >= member->start_at_us) {
        start(roster, member, now_us);
    }
}

void
roster_work(struct roster *roster, uint64_t now_us)
{
    for (size_t i = roster->count; i > 0;
         i--) { /* backwards: the last one takes the place of a removed one */
        struct member *const member = roster->members[i - 1];
        work(roster, member, now_us);
        if (member->worker == NULL && member->source == NULL) {
            remove_member(roster, i - 1);
        }
    }
}

uint64_t
roster_deadline_us(const struct roster *roster)
{
    uint64_t deadline_us = CLOCK_NEVER_US;
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *const member = roster->members[i];
        if (member->worker != NULL && member->draining) {
            deadline_us = clock_earlier_us(deadline_us, member->leave_at_us);
        } else if (member->worker == NULL && !roster->draining) {
            deadline_us = clock_earlier_us(deadline_us, member->start_at_us);
        }
    }
    return deadline_us;
}

size_t
roster_running(const struct roster *roster)
{
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        count += roster->members[i]->worker != NULL ? 1 : 0;
    }
    return count;
}

static bool
is_unfinished(const struct member *member)
{
    return member->worker != NULL && !worker_finished(member->worker);
}

size_t
roster_unfinished(const struct roster *roster)
{
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        count += is_unfinished(roster->members[i]) ? 1 : 0;
    }
    return count;
}

bool
roster_is_settled(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *const member = roster->members[i];
        if (member->worker != NULL ? member->draining : !member->failing) {
            return false;
        }
    }
    return true;
}

bool
roster_is_clean(const struct roster *roster)
{
    return roster->clean;
}

void
roster_each_running(const struct roster *roster, void (*visit)(void *context, const char *source),
                    void *context)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (is_unfinished(roster->members[i])) {
            visit(context, roster->members[i]->name);
        }
    }
}

void
roster_each_failing(const struct roster *roster,
                    void (*visit)(void *context, const char *source, const char *why),
                    void *context)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *const member = roster->members[i];
        if (member->failing && member->worker == NULL) {
            visit(context, member->name, member->outage.reason);
        }
    }
}
