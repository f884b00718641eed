/* tests/integration/pg_fixture.h - a PostgreSQL database of the test's own. Used by Criterion tests and by plain programs:
 * whatever goes wrong here prints why and aborts. The server is named by OUTBOX_TEST_PG_DSN, a superuser's connection to
 * database postgres; `tests/services/services DIR env` prints it. */
#ifndef TESTS_INTEGRATION_PG_FIXTURE_H
#define TESTS_INTEGRATION_PG_FIXTURE_H

#include <libpq-fe.h>
#include <stdint.h>

/* Creates a database (encoding UTF8) and connects to it. One at a time in a process; its name holds the process id, so
 * processes do not meet. */
PGconn *pg_fixture_create(void);

/* Closes `conn`, the connection from pg_fixture_create, if it is not NULL; throws out everybody else and drops the
 * database. */
void pg_fixture_drop(PGconn *conn);

/* A database with a slot cannot be dropped: ends whoever reads a slot of this database, or is about to make the one that it
 * was asked for, though its client is gone, and drops them all. */
void pg_fixture_drop_slots(PGconn *conn);

/* Its name. Static. */
const char *pg_fixture_database(void);

/* How to reach the database that was created: a libpq connection string. Static. */
const char *pg_fixture_dsn(void);

/* One more connection to it; close it with PQfinish. */
PGconn *pg_fixture_connect(void);

/* Gives `rights`, such as "select, insert", on a table to a role of the database's own, which the first call makes; a connection
 * as that role has no others. */
void pg_fixture_grant(PGconn *conn, const char *rights, const char *table);
PGconn *pg_fixture_connect_as_user(void);

/* Runs a file, given from the root of the source: "outbox-sql/postgres/schema.sql", for the schema that new tables go to. */
void pg_fixture_load(PGconn *conn, const char *path);

/* The tables of the outbox, those of the relay among them. */
void pg_fixture_load_outbox(PGconn *conn);

/* The same as relays before version 0.2 made them (tests/integration/older). */
void pg_fixture_load_older(PGconn *conn);

/* Prepares the statement of a file. */
void pg_fixture_prepare(PGconn *conn, const char *name, const char *path);

/* Runs SQL, one or more statements. */
void pg_exec(PGconn *conn, const char *sql);

/* The first column of the first row: NULL as 0 and as "". The text lives until the next call in the thread. */
int64_t pg_query_int(PGconn *conn, const char *sql);
const char *pg_query_text(PGconn *conn, const char *sql);

/* Returns once the backend with this process id (PQbackendPID) waits for a lock; aborts after 30 s without. */
void pg_wait_blocked(PGconn *conn, int pid);

/* The same for any backend in this database. */
void pg_wait_any_blocked(PGconn *conn);

#endif
