#include "relay/daemon/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/log.h"
#include "relay/daemon/supervisor_private.h"

/* timeout(1) and others signal a process and then its group, to which it belongs: two signals within a moment, meant as
 * one. */
#define SAME_SIGNAL_US (250 * CLOCK_MS_US)

#define STATUS_BYTES 100

/* Signals are blocked before other threads exist, which inherit the mask: so signals come only through the descriptor. */
static int
take_signals(struct error *reterr)
{
    sigset_t signals;
    (void)sigemptyset(&signals); /* these cannot fail with valid numbers */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    /* A closed connection must be an error of the write, not end the process. */
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail with a valid number */
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0) {
        (void)error_set(reterr, ERROR_CONFIG, "cannot block signals");
        return -1;
    }
    const int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        (void)error_set(reterr, ERROR_CONFIG, "signalfd: %s", strerror(errno));
    }
    return fd;
}

/* The usual soft limit of 1024 descriptors exists for select(2), which is not used here. Files that the relay creates
 * are private. */
static void
set_limits(void)
{
    struct rlimit limit;
    (void)umask(077); /* returns the one before */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* the present limit is enough for a few sources */
    }
}

static void
tell_draining(struct supervisor *self)
{
    char status[STATUS_BYTES];
    self->told = roster_unfinished(self->roster);
    (void)snprintf(status, sizeof(status), "draining: %zu of %zu sources to go", self->told,
                   self->drains); /* fits */
    notify_stopping(&self->notify, status);
}

/* The service manager's watchdog restarts a relay of which a thread is stuck, although this one does not: it hears of the relay
 * only while all of them turn. After a stop of the whole process all are late for a moment, so the second look counts. */
static void
tell_alive(struct supervisor *self, uint64_t now_us)
{
    if (now_us < notify_alive_due_us(&self->notify)) {
        return;
    }
    char source[BOARD_NAME_BYTES];
    const bool stuck =
        board_find_stuck(self->board, now_us, notify_patience_us(&self->notify), source);
    self->stuck_for = stuck ? self->stuck_for + 1 : 0;
    if (self->stuck_for == 2) {
        log_error("source_stuck",
                  LOG_WORDS("a thread does not go on; the watchdog of the service manager is not "
                            "told that the relay is alive, and restarts it"),
                  LOG_STR("source", source));
    }
    notify_alive(&self->notify, !stuck, now_us);
}

static void
begin_drain(struct supervisor *self)
{
    if (self->draining) {
        return;
    }
    self->draining = true;
    self->drain_begun_us = clock_monotonic_us();
    self->deadline_us = self->drain_begun_us + self->config->shutdown_timeout_us;
    control_tell(self->control, CONTROL_ASKING, CONTROL_STOPPING, "");
    control_tell(self->control, CONTROL_WAITING, CONTROL_STOPPING, "");
    self->drains = roster_running(self->roster);
    discovering_stop(self->discovering);
    roster_drain(self->roster);
    tell_draining(self);
}

static void
log_not_drained(void *context, const char *source)
{
    (void)context; /* none needed */
    log_error("not_drained",
              LOG_WORDS("unconfirmed messages stay in the outbox and are sent again"),
              LOG_STR("source", source));
}

/* Threads may be in any state, so nothing is cleaned up. Unconfirmed messages are still in the outbox. */
static _Noreturn void
leave_now(struct supervisor *self, const char *event, const char *words)
{
    log_error(event, LOG_WORDS(words),
              LOG_UINT("sources_not_drained", roster_unfinished(self->roster)));
    roster_each_running(self->roster, log_not_drained, NULL);
    log_flush();
    _exit(1);
}

static void
on_stop_signal(struct supervisor *self, const char *name)
{
    if (self->draining && clock_monotonic_us() - self->drain_begun_us < SAME_SIGNAL_US) {
        return;
    }
    if (self->draining) {
        leave_now(self, "left", "second signal: leaving at once");
    }
    log_info("draining", LOG_WORDS("finishing what is in flight; a second signal leaves at once"),
             LOG_STR("signal", name), LOG_MS("timeout_ms", self->config->shutdown_timeout_us));
    begin_drain(self);
}

static void
on_hang_up(struct supervisor *self)
{
    if (self->draining) {
        log_info("signal_ignored", LOG_WORDS("the relay ends; it reads no configuration"),
                 LOG_STR("signal", "SIGHUP"));
    } else {
        self->reload_asked = true;
    }
}

static void
read_signals(struct supervisor *self)
{
    struct signalfd_siginfo info;
    while (read(self->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            on_hang_up(self);
        } else {
            on_stop_signal(self, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
    }
}

static void
hear_control(struct supervisor *self, const struct pollfd *polls)
{
    if (!control_work(self->control, polls)) {
        return;
    }
    if (self->draining) {
        control_tell(self->control, CONTROL_ASKING, CONTROL_STOPPING, "");
    } else {
        self->reload_asked = true;
    }
}

static uint64_t
next_deadline_us(const struct supervisor *self)
{
    const uint64_t drain_us = self->draining ? self->deadline_us : CLOCK_NEVER_US;
    return clock_earlier_us(clock_earlier_us(drain_us, notify_alive_due_us(&self->notify)),
                            supervisor_settle_due_us(self));
}

enum { POLL_SIGNALS, POLL_WAKE, POLL_CONTROL };

static void
wait_once(struct supervisor *self)
{
    const uint64_t now_us = clock_monotonic_us();
    struct pollfd polls[POLL_CONTROL + CONTROL_POLLS_MAX] = {
        [POLL_SIGNALS] = {.fd = self->signal_fd, .events = POLLIN},
        [POLL_WAKE] = {.fd = self->wake_fd, .events = POLLIN},
    };
    control_polls(self->control, &polls[POLL_CONTROL]);
    if (self->draining && now_us >= self->deadline_us) {
        leave_now(self, "drain_timeout", "not drained within shutdown_timeout: leaving");
    }
    tell_alive(self, now_us);
    if (poll(polls, POLL_CONTROL + CONTROL_POLLS_MAX,
             clock_poll_timeout_ms(now_us, next_deadline_us(self))) <= 0) {
        return;
    }
    eventfd_t times;
    (void)eventfd_read(self->wake_fd, &times); /* only to make it quiet again */
    read_signals(self);
    hear_control(self, &polls[POLL_CONTROL]);
}

static bool
supervise(struct supervisor *self, struct config *config)
{
    log_info("started", LOG_WORDS("outbox-relay " RELAY_VERSION),
             LOG_UINT("sources", config->source_count), LOG_INT("pid", getpid()));
    supervisor_follow(self, config);
    do {
        supervisor_settle(self, clock_monotonic_us());
        if (self->draining && roster_running(self->roster) == 0) {
            break;
        }
        if (self->draining && self->told != roster_unfinished(self->roster)) {
            tell_draining(self);
        }
        wait_once(self);
        if (self->reload_asked && !self->draining) {
            supervisor_reload(self);
        }
    } while (true);
    if (roster_is_clean(self->roster)) {
        log_info("stopped", LOG_WORDS("drained: nothing is in flight"));
    } else {
        log_error("stopped", LOG_WORDS("not all was drained; it stays in the outbox"));
    }
    return roster_is_clean(self->roster);
}

/* A thread that waits for the database of a template which hangs uses what would be freed: then the process ends here. */
static void
end(struct supervisor *self, bool drained)
{
    control_close(self->control);
    declaring_free(self->declaring);
    if (!discovering_free(self->discovering)) {
        log_flush();
        _exit(drained ? 0 : 1);
    }
    roster_free(self->roster);
    config_free(self->config);
    (void)close(self->wake_fd);   /* only an eventfd */
    (void)close(self->signal_fd); /* was only read */
}

bool
supervisor_run(struct config *config, struct board *board, supervisor_load *load, void *context)
{
    struct error error;
    set_limits();
    const int signals = take_signals(&error);
    const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals < 0 || wake < 0) {
        log_error("start_failed", LOG_STR("error", signals < 0 ? error.text : "eventfd"));
        return false;
    }
    struct supervisor self = {
        .board = board,
        .load = load,
        .load_context = context,
        .signal_fd = signals,
        .wake_fd = wake,
        .roster = roster_new(wake, board),
        .declaring = declaring_new(wake),
        .discovering = discovering_new(wake, board),
    };
    notify_open(&self.notify);
    const bool drained = supervise(&self, config);
    notify_close(&self.notify);
    end(&self, drained);
    return drained;
}
