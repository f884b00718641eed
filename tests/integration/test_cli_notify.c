/* The relay under a service manager that it tells how it is, and whose watchdog it must convince. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"

/* The service manager. */
static int manager;

static void
enter(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "notify"};
    const struct timeval patience = {.tv_sec = 60};
    char directory[280];
    char path[300];
    cli_enter();
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_not_null(getcwd(directory, sizeof(directory)));
    (void)snprintf(path, sizeof(path), "%s/notify", directory); /* fits */
    cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    cr_assert_eq(setenv("WATCHDOG_USEC", "1000000", 1), 0);
}

static void
leave(void)
{
    cr_assert_eq(close(manager), 0);
    cli_leave();
}

TestSuite(cli_notify, .init = enter, .fini = leave);

/* The next message, waited for if `flags` is 0; "" if there is none. */
static const char *
told(int flags)
{
    static char text[512];
    const ssize_t size = recv(manager, text, sizeof(text) - 1, flags);
    text[size < 0 ? 0 : size] = '\0';
    return text;
}

static void
expect_told(const char *expected)
{
    cr_assert_str_eq(told(0), expected);
}

/* The watchdog is told at half of its time: this lasts for as many halves of a second. */
static void
expect_alive(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        expect_told("WATCHDOG=1");
    }
}

static void
drain(pid_t relay)
{
    const char *text;
    cr_assert_eq(kill(relay, SIGTERM), 0);
    do {
        text = told(0);
    } while (strcmp(text, "WATCHDOG=1") == 0);
    cr_assert_eq(strncmp(text, "STOPPING=1\nSTATUS=draining: ", 28), 0, "%s", text);
    cr_assert_eq(cli_wait(relay), 0);
}

static pid_t
start(struct db **ret_db)
{
    const char *const uri = getenv("OUTBOX_TEST_AMQP_URI");
    cr_assert_not_null(uri, "OUTBOX_TEST_AMQP_URI is not set; see tests/services");
    *ret_db = db_create();
    db_load_outbox(*ret_db);
    cli_write("relay.conf",
              "broker main { uri = \"%s\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              uri, db_kind(), db_dsn());
    const pid_t relay = cli_start("run -c relay.conf");
    expect_told("READY=1\nSTATUS=relaying 1 source");
    return relay;
}

Test(cli_notify, ready_alive_and_stopping)
{
    struct db *db;
    const pid_t relay = start(&db);
    cli_wait_for_log("event=source_owned");
    expect_alive(4);
    drain(relay);
    db_drop(db);
}

/* Promise: an outage does not keep the relay from starting, and is nothing that a watchdog ends. */
Test(cli_notify, outage_is_not_being_stuck)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://u@127.0.0.1:1/\" }\n"
              "source orders { kind = %s broker = main\n"
              "  dsn = \"host=127.0.0.1 port=1 dbname=shop user=shop\" }\n",
              db_kind());
    const pid_t relay = cli_start("run -c relay.conf");
    expect_told("READY=1\nSTATUS=relaying 1 source");
    expect_alive(4);
    drain(relay);
}

/* The threads of the process, but for those that it starts first: the main thread and the one that writes the log. */
static size_t
list_workers(pid_t process, pid_t *ret_threads, size_t size)
{
    char path[64];
    size_t count = 0;
    pid_t writer = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", process); /* fits */
    DIR *const directory = opendir(path);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0 && thread != process) { /* in the order in which they were started */
            cr_assert_lt(count, size);
            if (writer == 0) {
                writer = thread;
            } else {
                ret_threads[count++] = thread;
            }
        }
    }
    cr_assert_eq(closedir(directory), 0);
    return count;
}

/* False if this user may not: the relay hides its memory, from a debugger as well. */
static bool
stop_thread(pid_t thread)
{
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) {
        cr_assert_eq(errno, EPERM, "%s", strerror(errno));
        return false;
    }
    cr_assert_eq(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
    cr_assert_eq(waitpid(thread, NULL, __WALL), thread);
    return true;
}

/* Promise: a worker that is stuck does not hide behind a main thread that is not. */
Test(cli_notify, worker_that_is_stuck_is_not_alive)
{
    struct db *db;
    pid_t threads[8];
    const pid_t relay = start(&db);
    cli_wait_for_log("event=source_owned");
    const size_t count = list_workers(relay, threads, sizeof(threads) / sizeof(threads[0]));
    cr_assert_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        if (!stop_thread(threads[i])) {
            drain(relay);
            db_drop(db);
            cr_skip_test("only root may stop a thread of the relay");
        }
    }
    while (told(MSG_DONTWAIT)[0] != '\0') { /* what came before the thread was late */
    }
    cli_wait_for_log("event=source_stuck");
    while (told(MSG_DONTWAIT)[0] != '\0') { /* once or twice, until it was */
    }
    struct pollfd wait = {.fd = manager, .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, 1500), 0, "the watchdog was told: %s", told(MSG_DONTWAIT));
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(ptrace(PTRACE_DETACH, threads[i], NULL, NULL), 0);
    }
    expect_alive(2);
    drain(relay);
    db_drop(db);
}
