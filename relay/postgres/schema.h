/* relay/postgres/schema.h - what of the limits, triggers, functions and views that today's scripts make is missing, or
 * is not as they make it, in the schema of an outbox: for `check`, which says it, and `init`, which puts it back.
 * Foreground; may block. */
#ifndef RELAY_POSTGRES_SCHEMA_H
#define RELAY_POSTGRES_SCHEMA_H

#include <libpq-fe.h>
#include <stddef.h>

#include "base/error.h"

/* One of them; borrowed from the result that it came with. */
struct postgres_lack {
    const char *what;  /* for people: "the limit outbox_key_1024_bytes on public.outbox" */
    const char *state; /* "missing", "altered" or "disabled" */
    /* To be run before schema_functions.sql and schema_writing.sql are run again; "": nothing. */
    const char *before;
};

/* There must be an outbox of our version, and the tables for held messages. NULL with *reterr if the server did not say; else
 * PQntuples are lacking, and it is for PQclear. */
PGresult *postgres_schema_look(PGconn *connection, struct error *reterr);
struct postgres_lack postgres_schema_lack(const PGresult *lacks, int index);

/* The limits without which what the server's log brings, which libpq holds as a whole, may be of any size: conditions of the
 * table, as a text[] for tail_look.sql and tail_facts.sql. */
extern const char postgres_schema_limits[];

#endif
