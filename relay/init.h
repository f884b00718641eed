/* relay/init.h - creates the outbox tables, for `outbox-relay init`. Foreground; may block. */
#ifndef RELAY_INIT_H
#define RELAY_INIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config.h"

/* In each source's database, one line about each to `out`. True if all have the tables of our version now. */
bool init_run(const struct config *config, FILE *out) MUST_CHECK;

/* The SQL that init runs where there is nothing yet, a transaction around it; it says which part migrates. */
void init_print(FILE *out);

enum init_outcome {
    INIT_CREATED,
    INIT_MIGRATED, /* the outbox was there; the tables that only relays use were added */
    INIT_ALREADY_THERE,
};

/* init_postgres.c: one database. False with *reterr, and nothing changed. */
bool init_postgres(const struct source_config *source, enum init_outcome *ret_outcome,
                   struct error *reterr) MUST_CHECK;
void init_postgres_print(FILE *out);

#endif
