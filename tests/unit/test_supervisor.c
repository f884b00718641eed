#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
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
#include "tests/unit/fake_worker.h"

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

/* What a reload gives, and how many sources start then; "": a configuration that is bad. */
static const char *next_letters = "";
static int reload_starts = -1;

static struct config *
load(void *context, void (*report)(void *context, const char *problem), void *report_context)
{
    const uint64_t *const shutdown_timeout_us = context;
    if (next_letters[0] == '\0') {
        report(report_context, "relay.conf:7: all is bad");
        return NULL;
    }
    return fake_config(next_letters, *shutdown_timeout_us);
}

static int
joined(void)
{
    int count = 0;
    for (const char *at = fake_acts; (at = strchr(at, '_')) != NULL; at++) {
        count++;
    }
    return count;
}

static _Noreturn void
supervise(uint64_t shutdown_timeout_us)
{
    struct config *const config = fake_config("bc", shutdown_timeout_us);
    struct board *const board = board_new();
    start_log();
    const bool drained = supervisor_run(config, board, load, &shutdown_timeout_us);
    board_free(board);
    config_free(config);
    log_stop();
    _exit((drained ? 10 : 30) + joined());
}

/* Starts a process that supervises two such workers; returns when it handles signals. */
static pid_t
start(enum fake_behaviour of_b, enum fake_behaviour of_c, uint64_t shutdown_timeout_us)
{
    fake_behaviours['b'] = of_b;
    fake_behaviours['c'] = of_c;
    fake_started_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    fake_draining_fd = eventfd(0, EFD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it never outlives a test that fails */
        supervise(shutdown_timeout_us);
    }
    cr_assert_gt(child, 0);
    await(fake_started_fd);
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
 * half a second after the first was handled, or, if the number is negative, right after the first was sent. It is 10, or
 * 30 if something was left, plus the number of workers that were joined. */
static int
exit_of(enum fake_behaviour of_b, enum fake_behaviour of_c, uint64_t shutdown_timeout_us,
        const int *signals)
{
    const pid_t child = start(of_b, of_c, shutdown_timeout_us);
    for (bool draining = false; *signals != 0; signals++) {
        if (draining && *signals > 0) {
            await(fake_draining_fd);
            /* Longer than the time within which two signals count as one. */
            cr_assert_eq(usleep(500000), 0);
        }
        cr_assert_eq(kill(child, abs(*signals)), 0);
        for (int i = 0; *signals == SIGHUP && i < reload_starts + 1; i++) {
            await(fake_started_fd); /* and one of those that started before */
        }
        draining = *signals == SIGTERM || *signals == SIGINT;
    }
    return exit_status(child);
}

#define MINUTE_US UINT64_C(60000000)
#define EXIT_OF(first, second, timeout_us, ...) \
    exit_of(first, second, timeout_us, (const int[]){__VA_ARGS__, 0})

Test(supervisor, first_signal_drains)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US, SIGTERM), 12);
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US, SIGINT), 12);
}

Test(supervisor, what_was_left_is_a_failure)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS_DIRTY, MINUTE_US, SIGTERM), 32);
}

Test(supervisor, second_signal_leaves_at_once)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, MINUTE_US, SIGTERM, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, MINUTE_US, SIGINT, SIGTERM), 1);
}

Test(supervisor, signals_within_a_moment_are_one)
{
    const uint64_t began_us = clock_monotonic_us();
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, 2000000, SIGTERM, -SIGINT), 1);
    cr_assert_geq(clock_monotonic_us() - began_us, 2000000, "it did not wait for the drain");
}

Test(supervisor, drain_has_an_end)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, 100000, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(FAKE_NEVER_ENDS, FAKE_DRAINS, 0, SIGTERM), 1);
}

/* Sources do not concern each other: those that run end only at the signal. */
Test(supervisor, worker_that_ends_by_itself_leaves_the_others)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_ENDS_AT_ONCE, MINUTE_US, SIGTERM), 12);
}

Test(supervisor, worker_that_cannot_start_leaves_the_others)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_CANNOT_START, MINUTE_US, SIGTERM), 11);
    cr_assert_eq(EXIT_OF(FAKE_CANNOT_START, FAKE_CANNOT_START, MINUTE_US, SIGTERM), 10);
}

Test(supervisor, broken_pipe_and_bad_configuration_change_nothing)
{
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US, SIGHUP, SIGPIPE, SIGTERM), 12);
}

/* b ends, c stays, d and e are new. */
Test(supervisor, hang_up_brings_the_new_configuration)
{
    next_letters = "cde";
    reload_starts = 2;
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US, SIGHUP, SIGTERM), 14);
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
    const int manager = listen_as_manager();
    const pid_t child = start(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    cr_assert_eq(kill(child, SIGTERM), 0);
    expect_told(manager, "STOPPING=1\nSTATUS=draining: 0 of 2 sources to go");
    cr_assert_eq(exit_status(child), 12);
    cr_assert_eq(close(manager), 0);
}

Test(supervisor, tells_the_watchdog_again_and_again)
{
    const int manager = listen_as_manager();
    cr_assert_eq(setenv("WATCHDOG_USEC", "200000", 1), 0);
    const pid_t child = start(FAKE_DRAINS, FAKE_NEVER_ENDS, 2 * MINUTE_US);
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
    static char line[4096];
    int log[2];
    const int manager = listen_as_manager();
    cr_assert_eq(pipe2(log, O_CLOEXEC), 0);
    log_to = log[1];
    cr_assert_eq(setenv("WATCHDOG_USEC", "200000", 1), 0);
    const pid_t child = start(FAKE_DRAINS, FAKE_STUCK, MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    do {
        const ssize_t size = read(log[0], line, sizeof(line) - 1);
        cr_assert_gt(size, 0);
        line[size] = '\0';
    } while (strstr(line, "event=source_stuck") == NULL);
    cr_assert_not_null(strstr(line, "source=c"), "%s", line);
    cr_assert_eq(recv(manager, text, sizeof(text), MSG_DONTWAIT), -1, "it was told: %s", text);
    cr_assert_eq(kill(child, SIGTERM), 0);
    cr_assert_eq(exit_status(child), 32, "the one that was stuck ended");
    cr_assert_eq(close(manager) + close(log[0]) + close(log[1]), 0);
}

/* RELOADING has a time with it. */
Test(supervisor, tells_of_a_reload)
{
    const int manager = listen_as_manager();
    const pid_t child = start(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    cr_assert_eq(kill(child, SIGHUP), 0);
    hear(manager, "RELOADING=1");
    cr_assert_eq(strncmp(text, "RELOADING=1\n", 12), 0, "%s", text);
    expect_told(manager, "READY=1\nSTATUS=relaying 2 sources");
    cr_assert_eq(kill(child, SIGTERM), 0);
    cr_assert_eq(exit_status(child), 12);
    cr_assert_eq(close(manager), 0);
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
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_DRAINS, MINUTE_US, SIGTERM), 12);
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, MINUTE_US, SIGTERM, SIGTERM), 1);
    cr_assert_eq(EXIT_OF(FAKE_DRAINS, FAKE_NEVER_ENDS, 100000, SIGTERM), 1);
    cr_assert_eq(close(ends[0]) + close(ends[1]), 0);
}
