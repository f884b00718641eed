#include "relay/daemon/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/daemon/declarer.h"
#include "relay/daemon/log.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/worker.h"
#include "relay/rabbit/topology.h"

/* timeout(1) and others signal a process and then its group, to which it belongs: two signals within a moment, meant as
 * one. */
#define SAME_SIGNAL_US (250 * CLOCK_MS_US)

/* If a source published before its exchange and queues are declared, its messages would be refused, and retried later.
 * So sources wait for that, but not longer than this for a broker that does not answer. */
#define DECLARE_US (10 * CLOCK_S_US)

struct supervisor {
    const struct config *config;
    struct board *board;
    struct declarer **declarers; /* one for each broker on which something is to be declared */
    size_t declarer_count;
    struct worker **workers;
    size_t count;         /* started */
    struct pollfd *polls; /* [0] signals, then the workers; fd -1 once a worker has finished */
    bool draining;
    bool failed; /* a worker could not start, or ended unasked */
    uint64_t drain_begun_us;
    uint64_t deadline_us; /* of the drain */
    struct notify notify;
    unsigned stuck_for; /* looks in a row that found a worker that is stuck */
};

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

static size_t
unfinished(const struct supervisor *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        count += worker_finished(self->workers[i]) ? 0 : 1;
    }
    return count;
}

#define STATUS_BYTES 128

static void
tell_ready(struct supervisor *self)
{
    char status[STATUS_BYTES];
    (void)snprintf(status, sizeof(status), "relaying %zu %s", self->count,
                   self->count == 1 ? "source" : "sources"); /* fits */
    notify_ready(&self->notify, status, clock_monotonic_us());
}

static void
tell_draining(struct supervisor *self)
{
    char status[STATUS_BYTES];
    (void)snprintf(status, sizeof(status), "draining: %zu of %zu sources to go", unfinished(self),
                   self->count); /* fits */
    notify_stopping(&self->notify, status);
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
    for (size_t i = 0; i < self->count; i++) {
        worker_drain(self->workers[i]);
    }
    tell_draining(self);
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

/* Threads may be in any state, so nothing is cleaned up. Unconfirmed messages are still in the outbox. */
static _Noreturn void
leave_now(struct supervisor *self, const char *event, const char *words)
{
    log_error(event, LOG_WORDS(words), LOG_UINT("sources_not_drained", unfinished(self)));
    for (size_t i = 0; i < self->count; i++) {
        if (!worker_finished(self->workers[i])) {
            log_error("not_drained",
                      LOG_WORDS("unconfirmed messages stay in the outbox and are sent again"),
                      LOG_STR("source", self->config->sources[i].name));
        }
    }
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
read_signals(struct supervisor *self)
{
    struct signalfd_siginfo info;
    while (read(self->polls[0].fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            log_info("signal_ignored", LOG_WORDS("the configuration is read at start only"),
                     LOG_STR("signal", "SIGHUP"));
        } else {
            on_stop_signal(self, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
    }
}

static void
note_finished(struct supervisor *self, size_t worker)
{
    self->polls[worker + 1].fd = -1;
    if (!self->draining) {
        self->failed = true;
        log_error("worker_ended", LOG_WORDS("a source stopped by itself: draining the others"),
                  LOG_STR("source", self->config->sources[worker].name));
        begin_drain(self);
    } else {
        tell_draining(self);
    }
}

static void
wait_once(struct supervisor *self)
{
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t deadline_us = self->draining ? self->deadline_us : CLOCK_NEVER_US;
    if (now_us >= deadline_us) {
        leave_now(self, "drain_timeout", "not drained within shutdown_timeout: leaving");
    }
    tell_alive(self, now_us);
    const uint64_t until_us = clock_earlier_us(deadline_us, notify_alive_due_us(&self->notify));
    if (poll(self->polls, self->count + 1, clock_poll_timeout_ms(now_us, until_us)) <= 0) {
        return;
    }
    if (self->polls[0].revents != 0) {
        read_signals(self);
    }
    for (size_t i = 0; i < self->count; i++) {
        if (self->polls[i + 1].fd >= 0 && worker_finished(self->workers[i])) {
            note_finished(self, i);
        }
    }
}

static void
start_declarers(struct supervisor *self)
{
    for (size_t i = 0; i < self->config->broker_count; i++) {
        const struct broker_config *const broker = &self->config->brokers[i];
        struct error error;
        if (!topology_any(self->config, broker)) {
            continue;
        }
        struct declarer *const declarer = declarer_start(self->config, broker, &error);
        if (declarer == NULL) {
            log_error("topology_failed", LOG_WORDS("exchanges and queues cannot be declared"),
                      LOG_STR("broker", broker->name), LOG_CAUSE(&error));
        } else {
            self->declarers[self->declarer_count++] = declarer;
        }
    }
}

/* Waits until everything was tried, the time is over, or a signal says to end. */
static void
await_declarers(struct supervisor *self)
{
    const uint64_t until_us = clock_monotonic_us() + DECLARE_US;
    for (size_t i = 0; i < self->declarer_count && !self->draining;) {
        const uint64_t now_us = clock_monotonic_us();
        struct pollfd waits[] = {
            self->polls[0],
            {.fd = declarer_fd(self->declarers[i]), .events = POLLIN},
        };
        if (now_us >= until_us) {
            return;
        }
        if (poll(waits, 2, clock_poll_timeout_ms(now_us, until_us)) <= 0) {
            continue;
        }
        if (waits[0].revents != 0) {
            read_signals(self);
        }
        i += waits[1].revents != 0 ? 1 : 0;
    }
}

static void
stop_declarers(struct supervisor *self)
{
    for (size_t i = 0; i < self->declarer_count; i++) {
        declarer_stop(self->declarers[i]);
    }
}

static bool
start_workers(struct supervisor *self)
{
    for (size_t i = 0; i < self->config->source_count; i++) {
        struct error error;
        struct worker *const worker = worker_start(&self->config->sources[i], self->board, &error);
        if (worker == NULL) {
            log_error("start_failed", LOG_WORDS("a source cannot be started"),
                      LOG_STR("source", self->config->sources[i].name), LOG_CAUSE(&error));
            return false;
        }
        self->workers[i] = worker;
        self->polls[i + 1] = (struct pollfd){.fd = worker_fd(worker), .events = POLLIN};
        self->count = i + 1;
    }
    return true;
}

/* Joins them all. */
static bool
end_workers(struct supervisor *self)
{
    bool clean = true;
    for (size_t i = 0; i < self->count; i++) {
        clean &= worker_join(self->workers[i]);
    }
    return clean;
}

static bool
supervise(struct supervisor *self)
{
    log_info("started", LOG_WORDS("outbox-relay " RELAY_VERSION),
             LOG_UINT("sources", self->config->source_count), LOG_INT("pid", getpid()));
    start_declarers(self);
    await_declarers(self);
    if (!self->draining && !start_workers(self)) {
        self->failed = true;
        begin_drain(self);
    } else if (!self->draining) {
        tell_ready(self);
    }
    while (unfinished(self) > 0) {
        wait_once(self);
    }
    const bool drained = end_workers(self) && !self->failed;
    stop_declarers(self);
    if (drained) {
        log_info("stopped", LOG_WORDS("drained: nothing is in flight"));
    } else {
        log_error("stopped", LOG_WORDS("not all was drained; it stays in the outbox"));
    }
    return drained;
}

bool
supervisor_run(const struct config *config, struct board *board)
{
    struct error error;
    set_limits();
    const int signals = take_signals(&error);
    if (signals < 0) {
        log_error("start_failed", LOG_CAUSE(&error));
        return false;
    }
    struct supervisor self = {
        .config = config,
        .board = board,
        .declarers = memory_array(config->broker_count, sizeof(struct declarer *)),
        .workers = memory_array(config->source_count, sizeof(struct worker *)),
        .polls = memory_array(config->source_count + 1, sizeof(struct pollfd)),
    };
    self.polls[0] = (struct pollfd){.fd = signals, .events = POLLIN};
    notify_open(&self.notify);
    const bool drained = supervise(&self);
    notify_close(&self.notify);
    (void)close(signals); /* was only read */
    memory_free(self.polls);
    memory_free(self.workers);
    memory_free(self.declarers);
    return drained;
}
