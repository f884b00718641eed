/* relay/ports/init.h - what `init` has made or found in a database. */
#ifndef RELAY_PORTS_INIT_H
#define RELAY_PORTS_INIT_H

#include <stdbool.h>
#include <stddef.h>

enum init_outcome {
    INIT_CREATED,
    INIT_MIGRATED, /* the outbox was there; the tables that only relays use were added */
    INIT_EXTENDED, /* these were there as well; they got new columns */
    INIT_REPAIRED, /* all were there, but limits, triggers, functions or views of them were not */
    INIT_ALREADY_THERE,
};

/* A role's name as it stands in SQL: 63 bytes, of which each may be a quote. */
#define INIT_ROLE_BYTES 128

/* What keeps the log from being read. That the one who runs init may not read it is nothing of the kind: he need not be the
 * relay. */
struct init_log {
    size_t lacks;
    bool may_read;                    /* the relay's role; if that is not known, ours */
    char relay_role[INIT_ROLE_BYTES]; /* "": not known */
};

#endif
