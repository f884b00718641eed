/* relay/init.h - creates the outbox tables and the publication, for `outbox-relay init`. Foreground; may block.
 *
 * It does not create the replication slot. Whoever may read a slot may create it, so the relay does, and it must be able to
 * in any case, for slots get lost. What a slot that nobody reads keeps of the log, only a relay that runs can bound
 * (wal_retain_max). */
#ifndef RELAY_INIT_H
#define RELAY_INIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config.h"
#include "relay/postgres_names.h"

/* In each source's database, its lines to `out`, and then on each broker what the configuration wants there (relay/topology.h).
 * True if all have the tables of our version now, those with mode "tail" all that a relay needs for it, and the brokers what
 * is wanted. */
bool init_run(const struct config *config, FILE *out) MUST_CHECK;

/* The SQL that init runs where there is nothing yet, a transaction around it; it says which part migrates. */
void init_print(FILE *out, const char *schema);

enum init_outcome {
    INIT_CREATED,
    INIT_MIGRATED, /* the outbox was there; the tables that only relays use were added */
    INIT_EXTENDED, /* these were there as well; they got new columns */
    INIT_REPAIRED, /* all were there, but limits, triggers, functions or views of them were not */
    INIT_ALREADY_THERE,
};

/* init_postgres.c: one database. INIT_REPAIRED: `tell` was called for each thing that was put back, after it was. False with
 * *reterr, and nothing changed. */
bool init_postgres(const struct source_config *source,
                   void (*tell)(void *context, const char *words), void *context,
                   enum init_outcome *ret_outcome, struct error *reterr) MUST_CHECK;
void init_postgres_print(FILE *out, const char *schema);

/* init_broker.c: the exchanges, queues and bindings of one broker, a line for each. False if one of them is not as configured. */
bool init_broker(const struct config *config, const struct broker_config *broker,
                 FILE *out) MUST_CHECK;

/* What keeps the log from being read. That the one who runs init may not read it is nothing of the kind: he need not be the
 * relay. */
struct init_log {
    size_t lacks;
    bool may_read;                            /* the relay's role; if that is not known, ours */
    char relay_role[2 * POSTGRES_NAME_BYTES]; /* as it stands in SQL; "": not known */
};

/* init_postgres_tail.c: the publication. `tell` is called for each thing that is lacking, with what to do about it. False
 * with *reterr if the server did not do as it was told. */
bool init_postgres_tail(const struct source_config *source,
                        void (*tell)(void *context, const char *words), void *context,
                        struct init_log *ret_log, struct error *reterr) MUST_CHECK;

/* One line: "ok       source "orders": words". Servers' words may be among them: nothing of them reaches the terminal as it
 * is. The caller looks at the stream. */
void init_say(FILE *out, const char *word, const char *scope, const char *name, const char *words);

#endif
