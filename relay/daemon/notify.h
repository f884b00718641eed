/* relay/daemon/notify.h - tells the service manager how the process is, as sd_notify(3) of systemd describes it: datagrams
 * of lines NAME=VALUE to the socket that $NOTIFY_SOCKET names. Without a manager nothing is sent.
 *
 * Main thread only. No call waits longer than NOTIFY_WAIT_US for a manager that does not read. What cannot be sent is logged
 * once; the relay works on. */
#ifndef RELAY_DAEMON_NOTIFY_H
#define RELAY_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"

#define NOTIFY_WAIT_US CLOCK_S_US

/* Members are for notify.c alone. */
struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_size;
    /* The manager ends a process that is silent for this long; 0: it does not. */
    uint64_t watchdog_us;
    uint64_t alive_due_us;
    bool complained;
};

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. */
void notify_open(struct notify *ret_notify);
void notify_close(struct notify *notify);

/* The start, or a change of the configuration, is over. `status` is one line for people, here and below. From now_us on the
 * manager wants to hear that the process is alive. */
void notify_ready(struct notify *notify, const char *status, uint64_t now_us);

/* The configuration is being read again; notify_ready ends it. */
void notify_reloading(struct notify *notify);

void notify_stopping(struct notify *notify, const char *status);

/* When notify_alive is to be called. Without a watchdog: CLOCK_NEVER_US. */
uint64_t notify_alive_due_us(const struct notify *notify);

/* A thread that does not go on for this long is not alive. */
uint64_t notify_patience_us(const struct notify *notify);

/* alive false: the manager is told nothing, so that it acts if that lasts; and one asks again soon. */
void notify_alive(struct notify *notify, bool alive, uint64_t now_us);

#endif
