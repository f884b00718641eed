#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/log.h"
#include "relay/daemon/supervisor.h"
#include "relay/daemon/worker.h"

#define MINUTE_US UINT64_C(60000000)

/* Workers with a given behaviour, in place of relay/daemon/worker.c. */
enum behaviour {
    DRAINS,       /* ends when it must drain */
    DRAINS_DIRTY, /* the same, but reports that messages were left */
    NEVER_ENDS,   /* never finishes draining */
    ENDS_AT_ONCE, /* ends by itself at once */
    CANNOT_START,
    STUCK, /* its loop does not turn */
};

struct worker {
    enum behaviour behaviour;
    int fd;
    struct board *board;
    struct board_entry *entry;
    atomic_bool finished;
};

/* To tell the parent that signals are handled now, and that the first one was. */
static int started_fd = -1;
static int draining_fd = -1;

/* In the order of the sources. */
static const enum behaviour *behaviours;
static char orders[] = "orders";
static char invoices[] = "invoices";
static const struct database_kind kind = {.name = "fruit"};
static struct broker_config broker;
static struct source_config sources[] = {
    {.name = orders, .kind = &kind, .broker = &broker},
    {.name = invoices, .kind = &kind, .broker = &broker},
};
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
    worker->board = board;
    worker->entry = board_add(board, config);
    board_turn(worker->entry, behaviour == STUCK ? 1 : clock_monotonic_us() + MINUTE_US);
    if (behaviour == ENDS_AT_ONCE) {
        finish(worker);
    }
    return worker;
}

void
worker_drain(struct worker *worker)
{
    cr_assert_eq(eventfd_write(draining_fd, 1), 0);
    if (worker->behaviour != NEVER_ENDS) {
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
    board_remove(worker->board, worker->entry);
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

/* Starts a process that supervises two such workers; returns when it handles signals. */
static pid_t
start(const enum behaviour of_workers[2], uint64_t shutdown_timeout_us)
{
    started_fd = eventfd(0, EFD_CLOEXEC);
    draining_fd = eventfd(0, EFD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it never outlives a test that fails */
        const struct config config = {
            .shutdown_timeout_us = shutdown_timeout_us, .sources = sources, .source_count = 2};
        behaviours = of_workers;
        start_log();
        const bool drained = supervisor_run(&config, board_new());
        log_stop();
        _exit(drained ? 10 + joined : 20 + joined);
    }
    cr_assert_gt(child, 0);
    await(started_fd);
    return child;
}

static int
exit_status(pid_t child)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "ended by a signal");
    return WEXITSTATUS(status);
}

/* Returns the exit status of a process that supervises two such workers and gets these signals: the second ending one
 * half a second after the first was handled, or, if the number is negative, right after the first was sent. */
static int
exit_of(const enum behaviour of_workers[2], uint64_t shutdown_timeout_us, const int *signals)
{
    const pid_t child = start(of_workers, shutdown_timeout_us);
    for (bool draining = false; *signals != 0; signals++) {
        if (draining && *signals > 0) {
            await(draining_fd);
            /* Longer than the time within which two signals count as one. */
            cr_assert_eq(usleep(500000), 0);
        }
        cr_assert_eq(kill(child, abs(*signals)), 0);
        draining = *signals == SIGTERM || *signals == SIGINT;
    }
    return exit_status(child);
}

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

/* A service manager: a socket with an abstract name, that the kernel chooses. */
static int
listen_as_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 60};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    char name[sizeof(address.sun_path) + 1] = {0};
    memcpy(name, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
    name[0] = '@';
    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static char text[512];

static void
hear(int manager, const char *expected)
{
    const ssize_t size = recv(manager, text, sizeof(text) - 1, 0);
    cr_assert_gt(size, 0, "nothing came instead of \"%s\"", expected);
    text[size] = '\0';
}

static void
expect_told(int manager, const char *expected)
{
    hear(manager, expected);
    cr_assert_str_eq(text, expected);
}

static void
skip_until_told(int manager, const char *expected)
{
    do {
        hear(manager, expected);
    } while (strcmp(text, expected) != 0);
}

Test(supervisor, tells_the_service_manager)
{
    static const enum behaviour workers[] = {DRAINS, DRAINS};
    const int manager = listen_as_manager();
    const pid_t child = start(workers, MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    cr_assert_eq(kill(child, SIGTERM), 0);
    expect_told(manager, "STOPPING=1\nSTATUS=draining: 0 of 2 sources to go");
    cr_assert_eq(exit_status(child), 12);
    cr_assert_eq(close(manager), 0);
}

Test(supervisor, tells_the_watchdog_again_and_again)
{
    static const enum behaviour workers[] = {DRAINS, NEVER_ENDS};
    const int manager = listen_as_manager();
    cr_assert_eq(setenv("WATCHDOG_USEC", "200000", 1), 0);
    const pid_t child = start(workers, 2 * MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    for (unsigned i = 0; i < 5; i++) {
        expect_told(manager, "WATCHDOG=1");
    }
    cr_assert_eq(kill(child, SIGTERM), 0);
    skip_until_told(manager, "STOPPING=1\nSTATUS=draining: 1 of 2 sources to go");
    skip_until_told(manager, "WATCHDOG=1"); /* while it drains, too */
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(close(manager), 0);
}

/* Promise: a thread that is stuck does not hide behind this one. */
Test(supervisor, source_that_is_stuck_is_seen_by_the_watchdog)
{
    static const enum behaviour workers[] = {DRAINS, STUCK};
    static char line[4096];
    int log[2];
    const int manager = listen_as_manager();
    cr_assert_eq(pipe2(log, O_CLOEXEC), 0);
    log_to = log[1];
    cr_assert_eq(setenv("WATCHDOG_USEC", "200000", 1), 0);
    const pid_t child = start(workers, MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    do {
        const ssize_t size = read(log[0], line, sizeof(line) - 1);
        cr_assert_gt(size, 0);
        line[size] = '\0';
    } while (strstr(line, "event=source_stuck") == NULL);
    cr_assert_not_null(strstr(line, "source=invoices"), "%s", line);
    cr_assert_eq(recv(manager, text, sizeof(text), MSG_DONTWAIT), -1, "it was told: %s", text);
    cr_assert_eq(kill(child, SIGTERM), 0);
    cr_assert_eq(exit_status(child), 22, "the one that was stuck ended");
    cr_assert_eq(close(manager) + close(log[0]) + close(log[1]), 0);
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
