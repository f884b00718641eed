#include "relay/daemon/notify.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "relay/daemon/log.h"

static void
complain(struct notify *notify, const char *error)
{
    if (!notify->complained) {
        notify->complained = true;
        log_warning("not_notified",
                    LOG_WORDS("the service manager cannot be told how the relay is; it may end it"),
                    LOG_STR("error", error));
    }
}

static void
send_text(struct notify *notify, const char *text)
{
    if (notify->fd >= 0 &&
        sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL,
               (const struct sockaddr *)&notify->address, notify->address_size) < 0) {
        complain(notify, strerror(errno));
    }
}

/* A path, or, with @ in place of its first byte, a name in Linux' abstract name space, which has no zero at its end. */
static bool
take_address(struct notify *notify, const char *name)
{
    const size_t size = strlen(name);
    const bool abstract = name[0] == '@';
    if ((name[0] != '/' && !abstract) || size >= sizeof(notify->address.sun_path)) {
        return false;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, name, size + 1);
    if (abstract) {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
    return true;
}

static bool
parse_number(const char *text, uint64_t *ret_number)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* $WATCHDOG_PID is there so that a child that inherits the variables does not speak for its parent. */
static uint64_t
read_watchdog_us(void)
{
    const char *const pid_text = getenv("WATCHDOG_PID");
    uint64_t pid;
    uint64_t watchdog_us;
    const bool ours =
        pid_text == NULL || (parse_number(pid_text, &pid) && pid == (uint64_t)getpid());
    return ours && parse_number(getenv("WATCHDOG_USEC"), &watchdog_us) ? watchdog_us : 0;
}

void
notify_open(struct notify *ret_notify)
{
    const char *const name = getenv("NOTIFY_SOCKET");
    const struct timeval wait = {.tv_sec = NOTIFY_WAIT_US / CLOCK_S_US};
    *ret_notify = (struct notify){.fd = -1, .alive_due_us = CLOCK_NEVER_US};
    if (name == NULL || name[0] == '\0') {
        return;
    }
    if (!take_address(ret_notify, name)) {
        complain(ret_notify, "NOTIFY_SOCKET is no path, and no abstract name that begins with @");
        return;
    }
    ret_notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ret_notify->fd < 0 ||
        setsockopt(ret_notify->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0) {
        complain(ret_notify, strerror(errno));
    }
    ret_notify->watchdog_us = read_watchdog_us();
}

void
notify_close(struct notify *notify)
{
    if (notify->fd >= 0) {
        (void)close(notify->fd); /* nothing is left to be written */
    }
    notify->fd = -1;
    notify->alive_due_us = CLOCK_NEVER_US;
}

/* The longest of the texts, with what people may read in one line. */
#define TEXT_BYTES 512

void
notify_ready(struct notify *notify, const char *status, uint64_t now_us)
{
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status); /* cut, if it must be */
    send_text(notify, text);
    if (notify->fd >= 0 && notify->watchdog_us > 0) {
        notify->alive_due_us = now_us;
    }
}

/* The manager wants the time of CLOCK_MONOTONIC, which base/clock.h does not use. */
void
notify_reloading(struct notify *notify)
{
    char text[TEXT_BYTES];
    struct timespec now;
    const int failure = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failure == 0);
    (void)failure; /* only asserted */
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * CLOCK_S_US + (uint64_t)now.tv_nsec / 1000); /* fits */
    send_text(notify, text);
}

void
notify_stopping(struct notify *notify, const char *status)
{
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "STOPPING=1\nSTATUS=%s", status); /* cut, if it must be */
    send_text(notify, text);
}

uint64_t
notify_alive_due_us(const struct notify *notify)
{
    return notify->alive_due_us;
}

uint64_t
notify_patience_us(const struct notify *notify)
{
    return notify->watchdog_us / 2;
}

void
notify_alive(struct notify *notify, bool alive, uint64_t now_us)
{
    if (notify->alive_due_us == CLOCK_NEVER_US) {
        return;
    }
    if (alive) {
        send_text(notify, "WATCHDOG=1");
    }
    /* Half of the time is what sd_watchdog_enabled(3) recommends. */
    notify->alive_due_us = now_us + notify->watchdog_us / (alive ? 2 : 16);
}
