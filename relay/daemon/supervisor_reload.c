#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/config/same.h"
#include "relay/daemon/log.h"
#include "relay/daemon/supervisor_private.h"

/* If a source published before its exchange and queues are declared, its messages would be refused, and retried later.
 * So sources wait for that, but not longer than this for a broker that does not answer. */
#define DECLARE_US (10 * CLOCK_S_US)

static void
log_warnings(const struct config_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        log_warning("config_warning", LOG_WORDS(warnings->texts[i]));
    }
}

/* A relay without the socket still does its work, and hears SIGHUP. */
static void
follow_control(struct supervisor *self, const char *path)
{
    struct error error;
    if (self->control != NULL && path != NULL && strcmp(control_path(self->control), path) == 0) {
        return;
    }
    control_close(self->control);
    self->control = path == NULL ? NULL : control_open(path, &error);
    if (path != NULL && self->control == NULL) {
        log_error("control_failed",
                  LOG_WORDS("`outbox-relay reload` cannot reach this relay; SIGHUP can"),
                  LOG_CAUSE(&error));
    }
}

void
supervisor_follow(struct supervisor *self, struct config *loaded)
{
    struct config *const before = self->config;
    discovering_follow(self->discovering, loaded);
    struct config *const config = discovering_config(self->discovering);
    self->config = config;
    log_change(config->log_format, config->log_level);
    board_set_config(self->board, config);
    if (before != NULL && !config_same_http(before, config)) {
        log_warning("config_warning",
                    LOG_WORDS("the section `http` has changed: that counts at the next start"));
    }
    log_warnings(&loaded->warnings);
    log_warnings(&loaded->advice);
    follow_control(self, config->control);
    self->followed_us = clock_monotonic_us();
    self->declare_until_us = self->followed_us + DECLARE_US;
    roster_follow(self->roster, config, self->followed_us, self->declare_until_us, &self->change);
    declaring_follow(self->declaring, config);
    self->settling = true;
    self->reloaded = before != NULL;
    config_free(before);
}

/* Tenants have come or gone: all other sources run on untouched, and nothing is declared anew. */
static void
follow_tenants(struct supervisor *self, uint64_t now_us)
{
    struct roster_change change;
    struct config *const before = self->config;
    const uint64_t start_by_us = declaring_is_settled(self->declaring) ? 0 : self->declare_until_us;
    self->config = discovering_config(self->discovering);
    board_set_config(self->board, self->config);
    roster_follow(self->roster, self->config, now_us, start_by_us, &change);
    for (size_t i = 0; i < self->config->broker_count; i++) {
        if (declaring_has_told(self->declaring, self->config->brokers[i].name)) {
            roster_release(self->roster, self->config->brokers[i].name);
        }
    }
    self->change.added += change.added;
    self->change.changed += change.changed;
    self->change.removed += change.removed;
    if (!self->settling) {
        self->settling = true; /* the service manager is told of the new number */
        self->reloaded = false;
    }
    config_free(before);
}

static void
tell_ready(struct supervisor *self, uint64_t now_us)
{
    char status[100];
    const size_t count = roster_running(self->roster);
    (void)snprintf(status, sizeof(status), "relaying %zu %s", count,
                   count == 1 ? "source" : "sources"); /* fits */
    notify_ready(&self->notify, status, now_us);
}

/* A new configuration may move the socket: whoever asked over the present one hears of the problems there. */
static void
on_problem(void *context, const char *problem)
{
    struct supervisor *const self = context;
    log_error("reload_refused", LOG_WORDS(problem));
    control_tell(self->control, CONTROL_ASKING, CONTROL_PROBLEM, problem);
}

void
supervisor_reload(struct supervisor *self)
{
    self->reload_asked = false;
    log_info("reloading", LOG_WORDS("reading the configuration again"));
    notify_reloading(&self->notify);
    struct config *const config = self->load(self->load_context, on_problem, self);
    if (config == NULL) {
        control_tell(self->control, CONTROL_ASKING, CONTROL_REFUSED, "");
        tell_ready(self, clock_monotonic_us());
        return;
    }
    control_accept(self->control);
    supervisor_follow(self, config);
    config_free(config);
}

struct failures {
    struct supervisor *supervisor;
    size_t count;
};

static void
tell_failing(void *context, const char *source, const char *why)
{
    struct failures *const failures = context;
    char text[600];
    (void)snprintf(text, sizeof(text), "source \"%s\" cannot be started, it is tried again: %s",
                   source, why); /* cut is fine */
    control_tell(failures->supervisor->control, CONTROL_WAITING, CONTROL_PROBLEM, text);
    failures->count++;
}

static void
tell_in_force(struct supervisor *self, uint64_t now_us)
{
    const struct roster_change *const change = &self->change;
    struct failures failures = {.supervisor = self};
    char text[200];
    (void)snprintf(text, sizeof(text), "%zu added, %zu changed, %zu removed, %zu untouched",
                   change->added, change->changed, change->removed, change->kept); /* fits */
    roster_each_failing(self->roster, tell_failing, &failures);
    control_tell(self->control, CONTROL_WAITING,
                 failures.count == 0 ? CONTROL_IN_FORCE : CONTROL_FAILED, text);
    log_info("reloaded", LOG_WORDS("the new configuration is in force"),
             LOG_UINT("added", change->added), LOG_UINT("changed", change->changed),
             LOG_UINT("removed", change->removed), LOG_UINT("untouched", change->kept),
             LOG_UINT("failing", failures.count), LOG_MS("took_ms", now_us - self->followed_us));
    /* What drained sources had is scattered over the heap, and would stay there beside what the new ones take: with 200
     * changed sources 340 MiB instead of 140. */
    (void)malloc_trim(0); /* how much it was does not matter */
}

void
supervisor_settle(struct supervisor *self, uint64_t now_us)
{
    if (discovering_work(self->discovering) && !self->draining) {
        follow_tenants(self, now_us);
    }
    declaring_work(self->declaring);
    for (const char *broker; (broker = declaring_next(self->declaring)) != NULL;) {
        roster_release(self->roster, broker);
    }
    roster_work(self->roster, now_us);
    const bool known =
        (declaring_is_settled(self->declaring) && discovering_is_settled(self->discovering)) ||
        now_us >= self->declare_until_us;
    if (self->settling && !self->draining && known && roster_is_settled(self->roster)) {
        self->settling = false;
        tell_ready(self, now_us);
        if (self->reloaded) {
            tell_in_force(self, now_us);
        }
    }
}

uint64_t
supervisor_settle_due_us(const struct supervisor *self)
{
    const uint64_t roster_us = roster_deadline_us(self->roster);
    const bool waits =
        !declaring_is_settled(self->declaring) || !discovering_is_settled(self->discovering);
    return self->settling && waits && clock_monotonic_us() < self->declare_until_us
               ? clock_earlier_us(roster_us, self->declare_until_us)
               : roster_us;
}
