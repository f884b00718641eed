/* relay/daemon/supervisor_private.h - the supervisor's state, shared by its files: supervisor.c (signals, waiting, the
 * end) and supervisor_reload.c (which configuration is followed). */
#ifndef RELAY_DAEMON_SUPERVISOR_PRIVATE_H
#define RELAY_DAEMON_SUPERVISOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/daemon/control.h"
#include "relay/daemon/declaring.h"
#include "relay/daemon/discovering.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/roster.h"
#include "relay/daemon/supervisor.h"

struct supervisor {
    struct config *config; /* the one that is followed, with its tenants; a reference */
    struct board *board;
    supervisor_load *load;
    void *load_context;
    int signal_fd;
    int wake_fd; /* raised by workers, declarers and discoverers */
    struct roster *roster;
    struct declaring *declaring;
    struct discovering *discovering;
    struct control *control; /* NULL: none */
    bool draining;
    uint64_t drain_begun_us;
    size_t drains; /* sources that ran when it began */
    size_t told;   /* of those, how many the service manager knows to be left */
    struct notify notify;
    unsigned stuck_for;   /* looks in a row that found a worker that is stuck */
    uint64_t deadline_us; /* of the drain */

    bool reload_asked;
    /* The configuration is followed, and not wholly in force. */
    bool settling;
    bool reloaded; /* it is not the first one */
    struct roster_change change;
    uint64_t followed_us;
    uint64_t declare_until_us; /* then sources do not wait any more for what is to be declared */
};

/* Follows a configuration that was loaded. */
void supervisor_follow(struct supervisor *self, struct config *loaded);

/* Loads the configuration anew, and follows it if it is good. */
void supervisor_reload(struct supervisor *self);

/* Does what is due of a configuration that is followed, and tells when all of it is in force. */
void supervisor_settle(struct supervisor *self, uint64_t now_us);

/* When that is due without a wake-up. */
uint64_t supervisor_settle_due_us(const struct supervisor *self);

#endif
