#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/log.h"
#include "relay/daemon/supervisor.h"
#include "relay/daemon/worker.h"

/* Workers with a given behaviour, in place of relay/daemon/worker.c. */
enum behaviour {
    DRAINS,       /* ends when it must drain */
    DRAINS_DIRTY, /* the same, but reports that messages were left */
    NEVER_ENDS,   /* never finishes draining */
    ENDS_AT_ONCE, /* ends by itself at once */
    CANNOT_START,
};

struct worker {
    enum behaviour behaviour;
    int fd;
    atomic_bool finished;
};

/* To tell the parent that signals are handled now, and that the first one was. */
static int started_fd = -1;
static int draining_fd = -1;

/* In the order of the sources. */
static const enum behaviour *behaviours;
static char orders[] = "orders";
static char invoices[] = "invoices";
static struct source_config sources[] = {{.name = orders}, {.name = invoices}};
static int joined;

static void
finish(struct worker *worker)
{
    atomic_store(&worker->finished, true);
    cr_assert_eq(eventfd_write(worker->fd, 1), 0);
}

struct worker *
worker_start(const struct source_config *config, struct board *board, struct error *reterr)
{
    (void)board; /* nobody looks at it */
    const enum behaviour behaviour = behaviours[config - sources];
    cr_assert_eq(eventfd_write(started_fd, 1), 0);
    if (behaviour == CANNOT_START) {
        (void)error_set(reterr, ERROR_CONFIG, "no thread to be had"); /* always false */
        return NULL;
    }
    struct worker *const worker = calloc(1, sizeof(*worker));
    cr_assert_not_null(worker);
    worker->behaviour = behaviour;
    worker->fd = eventfd(0, EFD_CLOEXEC);
    if (behaviour == ENDS_AT_ONCE) {
        finish(worker);
    }
    return worker;
}

void
worker_drain(struct worker *worker)
{
    cr_assert_eq(eventfd_write(draining_fd, 1), 0);
    if (worker->behaviour == DRAINS || worker->behaviour == DRAINS_DIRTY) {
        finish(worker);
    }
}

bool
worker_finished(const struct worker *worker)
{
    return atomic_load(&worker->finished);
}

int
worker_fd(const struct worker *worker)
{
    return worker->fd;
}

bool
worker_join(struct worker *worker)
{
    const bool clean = worker->behaviour == DRAINS;
    cr_assert(worker_finished(worker));
    cr_assert_eq(close(worker->fd), 0);
    free(worker);
    joined++;
    return clean;
}

/* The log of the supervising process; -1: stderr. */
static int log_to = -1;

static void
start_log(void)
{
    struct error error;
    if (log_to >= 0 && dup2(log_to, STDERR_FILENO) < 0) {
        _exit(99);
    }
    if (!log_start(&error)) {
        _exit(98);
    }
}

static void
await(int fd)
{
    eventfd_t times;
    cr_assert_eq(eventfd_read(fd, &times), 0);
}

/* Returns the exit status of a process that supervises two such workers and gets these signals: the second ending one
 * half a second after the first was handled, or, if the number is negative, right after the first was sent. */
static int
exit_of(const enum behaviour of_workers[2], uint64_t shutdown_timeout_us, const int *signals)
{
    started_fd = eventfd(0, EFD_CLOEXEC);
    draining_fd = eventfd(0, EFD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        const struct config config = {
            .shutdown_timeout_us = shutdown_timeout_us, .sources = sources, .source_count = 2};
        behaviours = of_workers;
        start_log();
        const bool drained = supervisor_run(&config, NULL);
        log_stop();
        _exit(drained ? 10 + joined : 20 + joined);
    }
    cr_assert_gt(child, 0);
    await(started_fd);
    for (bool draining = false; *signals != 0; signals++) {
        if (draining && *signals > 0) {
            await(draining_fd);
            /* Longer than the time within which two signals count as one. */
            cr_assert_eq(usleep(500000), 0);
        }
        cr_assert_eq(kill(child, abs(*signals)), 0);
        draining = *signals == SIGTERM || *signals == SIGINT;
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "ended by a signal");
    return WEXITSTATUS(status);
}

#define MINUTE_US UINT64_C(60000000)
#define EXIT_OF(first, second, timeout_us, ...) \
    exit_of((const enum behaviour[]){first, second}, timeout_us, (const int[]){__VA_ARGS__, 0})

Test(supervisor, first_signal_drains)
{
    cr_assert_eq(EXIT_OF(DRAINS, DRAINS, MINUTE_US, SIGTERM), 12);
    cr_assert_eq(EXIT_OF(DRAINS, DRAINS, MINUTE_US, SIGINT), 12);
}

Test(supervisor, what_was_left_is_a_failure)
{
    cr_assert_eq(EXIT_OF(DRAINS, DRAINS_DIRTY, MINUTE_US, SIGTERM), 22);
}

Test(supervisor, second_signal_leaves_at_once)
{
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, MINUTE_US, SIGTERM, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, MINUTE_US, SIGINT, SIGTERM), 1);
}

Test(supervisor, signals_within_a_moment_are_one)
{
    const uint64_t began_us = clock_monotonic_us();
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, 2000000, SIGTERM, -SIGINT), 1);
    cr_assert_geq(clock_monotonic_us() - began_us, 2000000, "it did not wait for the drain");
}

Test(supervisor, drain_has_an_end)
{
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, 100000, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(NEVER_ENDS, DRAINS, 0, SIGTERM), 1);
}

Test(supervisor, hang_up_and_broken_pipe_change_nothing)
{
    cr_assert_eq(EXIT_OF(DRAINS, DRAINS, MINUTE_US, SIGHUP, SIGPIPE, SIGTERM), 12);
}

Test(supervisor, worker_that_ends_by_itself_ends_the_others)
{
    cr_assert_eq(EXIT_OF(DRAINS, ENDS_AT_ONCE, MINUTE_US, 0), 22);
}

Test(supervisor, worker_that_cannot_start_ends_the_others)
{
    cr_assert_eq(EXIT_OF(DRAINS, CANNOT_START, MINUTE_US, 0), 21);
}

/* Promise: whether somebody reads the log has no influence. */
Test(supervisor, full_pipe_on_stderr_stops_no_stop)
{
    int ends[2];
    static const char bytes[4096];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, sizeof(bytes)), (int)sizeof(bytes));
    cr_assert_eq(write(ends[1], bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    log_to = ends[1];
    cr_assert_eq(EXIT_OF(DRAINS, DRAINS, MINUTE_US, SIGTERM), 12);
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, MINUTE_US, SIGTERM, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(DRAINS, NEVER_ENDS, 100000, SIGTERM), 1);
    cr_assert_eq(close(ends[0]) + close(ends[1]), 0);
}
