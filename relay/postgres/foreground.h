/* relay/postgres/foreground.h - a connection to a source's database for `check` and `init`: they run in the foreground
 * and may block, unlike the source itself (source.h). */
#ifndef RELAY_POSTGRES_FOREGROUND_H
#define RELAY_POSTGRES_FOREGROUND_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/postgres/names.h"

/* The versions that this relay knows: of the outbox, and of the tables that only relays use. */
extern const int postgres_schema_version;
extern const int postgres_relay_schema_version;
extern const int postgres_relay_schema_revision;

/* Waits at most 10 s for each host, unless the dsn says otherwise. Afterwards the search_path has only pg_catalog;
 * statements name the outbox's tables as sql.h says. NULL with *reterr; else for PQfinish. */
PGconn *postgres_connect(const struct source_config *source, struct error *reterr);

/* The same, but sends nothing to the server yet: for statements that need no schema and qualify all names. */
PGconn *postgres_connect_only(const struct source_config *source, struct error *reterr);

/* The schema of the outbox, or the one where new tables would be created. `connection` is from postgres_connect, and
 * owns the string. */
const char *postgres_schema(const PGconn *connection);

/* True if that schema exists. */
bool postgres_schema_there(const PGconn *connection);

/* Sets *reterr to the reason why there is no outbox; returns false. */
bool postgres_refuse_tables(const PGconn *connection, struct error *reterr);

/* Runs one statement, or several without parameters. NULL with *reterr; else for PQclear. */
PGresult *postgres_query(PGconn *connection, const char *sql, struct error *reterr);

/* One statement with `count` parameters as text. */
PGresult *postgres_query_with(PGconn *connection, const char *sql, int count,
                              const char *const *values, struct error *reterr);

/* The same, but the caller checks the result. If the server did not answer, it has no SQLSTATE. */
PGresult *postgres_ask(PGconn *connection, const char *sql, int count, const char *const *values);

/* Like postgres_query, for a statement without a result. */
bool postgres_run(PGconn *connection, const char *sql, struct error *reterr) MUST_CHECK;

/* After PQsendQuery: waits until PQgetResult would not block. False at the deadline, or if the connection broke. */
bool postgres_await(PGconn *connection, uint64_t deadline_us) MUST_CHECK;

enum postgres_tables {
    POSTGRES_TABLES_ABSENT,  /* neither outbox nor outbox_schema */
    POSTGRES_TABLES_THERE,   /* there is a version: *ret_version */
    POSTGRES_TABLES_FOREIGN, /* an outbox without a version, so `init` did not create it */
};

/* What the search_path finds. False with *reterr if the server did not answer. */
bool postgres_tables(PGconn *connection, enum postgres_tables *ret_tables, int *ret_version,
                     struct error *reterr) MUST_CHECK;

/* The names of the replication slot and the publication; they need not exist. False with *reterr if there is no outbox. */
bool postgres_tail_names(PGconn *connection, const struct source_config *source,
                         char ret_slot[POSTGRES_NAME_BYTES],
                         char ret_publication[POSTGRES_NAME_BYTES],
                         struct error *reterr) MUST_CHECK;

/* The tables that only relays use. */
struct postgres_version {
    int version;  /* 0: there are no such tables */
    int revision; /* later additions; a relay that does not know them still works */
};

bool postgres_relay_tables(PGconn *connection, struct postgres_version *ret_version,
                           struct error *reterr) MUST_CHECK;

#endif
