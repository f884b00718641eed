/* relay/postgres/tail.h - whether the log of a server can be read, for `check` and `init`: what is
 * there, and of what is not what an administrator has to run. Foreground; may block. (A relay that runs
 * asks for itself, source.h.) */
#ifndef RELAY_POSTGRES_TAIL_H
#define RELAY_POSTGRES_TAIL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/postgres/names.h"

/* Who runs the server: settings and privileges are given in other ways there. */
enum postgres_service {
    POSTGRES_SERVICE_NONE,
    POSTGRES_SERVICE_RDS,
    POSTGRES_SERVICE_CLOUD_SQL,
    POSTGRES_SERVICE_AZURE,
};

struct postgres_tail {
    enum postgres_service service;
    char slot[POSTGRES_NAME_BYTES];
    const char *role; /* this and the next two as they stand in SQL */
    const char *outbox;
    const char *publication;
    const char *wal_level;
    const char *encoding; /* of the database */
    bool may_read;        /* the role may */
    bool publication_there;
    bool has_outbox;
    bool inserts;  /* it publishes them */
    bool narrowed; /* but not all rows, or not all columns */
    bool in_parts; /* the outbox is partitioned, and they come as those of its partitions */
    bool slot_there;
    bool slot_foreign; /* another database's, or for another plugin */
    bool slot_active;
    bool slot_lost;    /* the server has dropped what it needs */
    uint64_t retained; /* bytes of the log that the slot keeps */
    unsigned slots_max;
    unsigned slots_used;
    unsigned senders_max;
    unsigned senders_used;
    const char *unlimited; /* the columns for which the table lacks a limit; "" or NULL: none */
    const char *keep_size; /* max_slot_wal_keep_size; "-1": no limit */
    /* Who but the owner may take messages out, as it stands in SQL; "": not one alone. */
    const char *relay_role;
    bool relay_may_read; /* that one may read the log */
    PGresult *owner;     /* of the texts */
};

/* There must be an outbox. False with *reterr if the server did not say. */
bool postgres_tail_look(PGconn *connection, const struct source_config *source,
                        struct postgres_tail *ret_tail, struct error *reterr) MUST_CHECK;
void postgres_tail_free(struct postgres_tail *tail);

/* Tells of everything for which the log can't be read, what it is and what to do about it: one call
 * each. Returns how many. */
size_t postgres_tail_lacks(const struct postgres_tail *tail,
                           void (*tell)(void *context, const char *words), void *context);

#endif
