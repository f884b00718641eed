/* relay/postgres/schema.h - finds the limits, triggers, functions and views that are missing in the schema of an
 * outbox, or differ from what this version's scripts create. `check` reports them and `init` restores them. Foreground;
 * may block. */
#ifndef RELAY_POSTGRES_SCHEMA_H
#define RELAY_POSTGRES_SCHEMA_H

#include <libpq-fe.h>
#include <stddef.h>

#include "base/error.h"

/* One missing or altered object; its texts belong to the result. */
struct postgres_lack {
    const char *what;  /* for people: "the limit outbox_key_1024_bytes on public.outbox" */
    const char *state; /* "missing", "altered" or "disabled" */
    /* SQL to run before schema_functions.sql and schema_writing.sql are run again; "": none. */
    const char *before;
};

/* There must be an outbox of our version, and the tables for held messages. NULL with *reterr if the server did not
 * answer; else for PQclear, with one row for each lack. */
PGresult *postgres_schema_look(PGconn *connection, struct error *reterr);
struct postgres_lack postgres_schema_lack(const PGresult *lacks, int index);

/* Conditions of the table that limit the size of a row, as a text[] for tail_look.sql and tail_facts.sql. libpq holds
 * each message of the log as a whole, so without these limits it could be of any size. */
extern const char postgres_schema_limits[];

#endif
