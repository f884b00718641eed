#include <criterion/criterion.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "relay/daemon/notify.h"

/* The service manager: a real socket. */
static int manager = -1;
static char directory[] = "/tmp/notify.XXXXXX";
static char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];

/* In the file system, with a name of this length below `directory`. */
static void
listen_at_path(size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cr_assert_not_null(mkdtemp(directory));
    memset(name, 0, sizeof(name));
    memset(name, 's', length);
    memcpy(name, directory, strlen(directory));
    name[strlen(directory)] = '/';
    memcpy(address.sun_path, name, length);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
listen_at_abstract_name(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, sizeof(address.sun_family)), 0);
    cr_assert_eq(getsockname(manager, (struct sockaddr *)&address, &size), 0);
    memset(name, 0, sizeof(name));
    memcpy(name, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
    name[0] = '@';
    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
leave(void)
{
    if (manager >= 0) {
        (void)close(manager); /* whatever the test found */
    }
    (void)unlink(name); /* likewise */
    (void)rmdir(directory);
}

TestSuite(notify, .fini = leave);

/* What came; "" if nothing did. */
static const char *
told(void)
{
    static char text[2048];
    const ssize_t size = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[size < 0 ? 0 : size] = '\0';
    return text;
}

Test(notify, each_message_is_a_datagram)
{
    struct notify notify;
    listen_at_path(40);
    notify_open(&notify);
    notify_ready(&notify, "relaying 2 sources", 5);
    notify_stopping(&notify, "draining");
    cr_assert_str_eq(told(), "READY=1\nSTATUS=relaying 2 sources");
    cr_assert_str_eq(told(), "STOPPING=1\nSTATUS=draining");
    notify_close(&notify);
}

Test(notify, longest_path)
{
    struct notify notify;
    listen_at_path(sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    notify_open(&notify);
    notify_ready(&notify, "", 5);
    cr_assert_str_eq(told(), "READY=1\nSTATUS=");
    notify_close(&notify);
}

Test(notify, abstract_name)
{
    struct notify notify;
    listen_at_abstract_name();
    notify_open(&notify);
    notify_ready(&notify, "relaying 1 source", 5);
    cr_assert_str_eq(told(), "READY=1\nSTATUS=relaying 1 source");
    notify_close(&notify);
}

/* systemd compares this with the time at which it asked for it, by CLOCK_MONOTONIC. */
Test(notify, reloading_says_when)
{
    struct notify notify;
    struct timespec before;
    uint64_t when_us;
    listen_at_abstract_name();
    notify_open(&notify);
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    notify_reloading(&notify);
    cr_assert_eq(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &when_us), 1);
    const uint64_t before_us =
        (uint64_t)before.tv_sec * CLOCK_S_US + (uint64_t)before.tv_nsec / 1000;
    cr_assert_geq(when_us, before_us);
    cr_assert_lt(when_us, before_us + 60 * CLOCK_S_US);
    notify_close(&notify);
}

Test(notify, watchdog_hears_at_half_of_its_time)
{
    struct notify notify;
    listen_at_abstract_name();
    cr_assert_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    notify_open(&notify);
    cr_assert_eq(notify_alive_due_us(&notify), CLOCK_NEVER_US, "not before it is ready");
    notify_alive(&notify, true, 50);
    cr_assert_str_eq(told(), "");
    notify_ready(&notify, "", 100);
    cr_assert_eq(notify_alive_due_us(&notify), 100);
    cr_assert_eq(notify_patience_us(&notify), 15 * CLOCK_S_US);
    cr_assert_str_eq(told(), "READY=1\nSTATUS=");
    notify_alive(&notify, true, 200);
    cr_assert_str_eq(told(), "WATCHDOG=1");
    cr_assert_eq(notify_alive_due_us(&notify), 200 + 15 * CLOCK_S_US);
    notify_alive(&notify, false, 16 * CLOCK_S_US);
    cr_assert_str_eq(told(), "");
    cr_assert_lt(notify_alive_due_us(&notify), 18 * CLOCK_S_US,
                 "soon again, in case it lives then");
    notify_close(&notify);
}

Test(notify, watchdog_of_another_process_is_none)
{
    struct notify notify;
    char pid[24];
    listen_at_abstract_name();
    cr_assert_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    cr_assert_eq(setenv("WATCHDOG_PID", "1", 1), 0);
    notify_open(&notify);
    notify_ready(&notify, "", 5);
    cr_assert_eq(notify_alive_due_us(&notify), CLOCK_NEVER_US);
    notify_close(&notify);
    (void)snprintf(pid, sizeof(pid), "%d", getpid()); /* fits */
    cr_assert_eq(setenv("WATCHDOG_PID", pid, 1), 0);
    notify_open(&notify);
    notify_ready(&notify, "", 5);
    cr_assert_eq(notify_alive_due_us(&notify), 5);
    notify_close(&notify);
}

Test(notify, without_a_manager_nothing_happens)
{
    static const char *const names[] = {NULL, "", "relative", "vsock:2:1", "/no/such/socket"};
    cr_assert_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct notify notify;
        cr_assert_eq(
            names[i] == NULL ? unsetenv("NOTIFY_SOCKET") : setenv("NOTIFY_SOCKET", names[i], 1), 0);
        notify_open(&notify);
        notify_ready(&notify, "", 5);
        notify_reloading(&notify);
        notify_alive(&notify, true, 5);
        notify_stopping(&notify, "");
        notify_close(&notify);
    }
}

Test(notify, path_that_is_too_long_is_refused)
{
    struct notify notify;
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    notify_open(&notify);
    notify_ready(&notify, "", 5);
    notify_close(&notify);
}

/* Promise: a manager that does not read delays nothing for long. */
Test(notify, manager_that_does_not_read, .timeout = 60)
{
    struct notify notify;
    listen_at_abstract_name();
    notify_open(&notify);
    const uint64_t begun_us = clock_monotonic_us();
    /* A socket keeps some datagrams (net.unix.max_dgram_qlen, 512 at most by default); more would wait for ever. */
    while (clock_monotonic_us() - begun_us < NOTIFY_WAIT_US / 2) {
        notify_ready(&notify, "", 5);
    }
    cr_assert_geq(clock_monotonic_us() - begun_us, NOTIFY_WAIT_US, "it was not full");
    notify_close(&notify);
}
