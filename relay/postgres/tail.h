/* relay/postgres/tail.h - whether the log of a server can be read, for `check` and `init`: what is set up, and what an
 * administrator has to run for the rest. Foreground; may block. (A running relay finds out itself, source.h.) */
#ifndef RELAY_POSTGRES_TAIL_H
#define RELAY_POSTGRES_TAIL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/postgres/names.h"

/* Who runs the server: managed services have other ways to change settings and privileges. */
enum postgres_service {
    POSTGRES_SERVICE_NONE,
    POSTGRES_SERVICE_RDS,
    POSTGRES_SERVICE_CLOUD_SQL,
    POSTGRES_SERVICE_AZURE,
};

struct postgres_tail {
    enum postgres_service service;
    char slot[POSTGRES_NAME_BYTES];
    const char *role; /* this and the next two are quoted for SQL */
    const char *outbox;
    const char *publication;
    const char *wal_level;
    const char *encoding; /* encoding of the database */
    bool may_read;        /* the role may read the log */
    bool publication_there;
    bool has_outbox;
    bool inserts;  /* the publication has inserts */
    bool narrowed; /* but not of all rows, or not with all columns */
    /* The outbox is partitioned, and the inserts are published as those of its partitions. */
    bool in_parts;
    bool slot_there;
    bool slot_foreign; /* it belongs to another database, or has another plugin */
    bool slot_active;
    bool slot_lost;    /* the server has removed log that it needs */
    uint64_t retained; /* bytes of the log that the slot keeps */
    unsigned slots_max;
    unsigned slots_used;
    unsigned senders_max;
    unsigned senders_used;
    const char *unlimited; /* columns whose size the table does not limit; "" or NULL: none */
    const char *keep_size; /* max_slot_wal_keep_size; "-1": no limit */
    /* The only role besides the owner that may remove messages, quoted for SQL; "": none, or several. */
    const char *relay_role;
    bool relay_may_read; /* relay_role may read the log */
    PGresult *owner;     /* owns the texts */
};

/* There must be an outbox. False with *reterr if the server did not answer. */
bool postgres_tail_look(PGconn *connection, const struct source_config *source,
                        struct postgres_tail *ret_tail, struct error *reterr) MUST_CHECK;
void postgres_tail_free(struct postgres_tail *tail);

/* Calls tell() once for each reason why the log can't be read, with the problem and what to do. Returns how many there
 * are. */
size_t postgres_tail_lacks(const struct postgres_tail *tail,
                           void (*tell)(void *context, const char *words), void *context);

#endif
