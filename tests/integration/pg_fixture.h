/* tests/integration/pg_fixture.h - a private PostgreSQL database, for Criterion tests and for plain programs: any
 * failure here prints the reason and aborts. The server is named by OUTBOX_TEST_PG_DSN, a superuser's connection to
 * database postgres; `tests/services/services DIR env` prints it. */
#ifndef TESTS_INTEGRATION_PG_FIXTURE_H
#define TESTS_INTEGRATION_PG_FIXTURE_H

#include <libpq-fe.h>
#include <stdint.h>

/* Creates a database (encoding UTF8) and connects to it. One at a time in a process; its name contains the process id,
 * so processes do not collide. */
PGconn *pg_fixture_create(void);

/* Closes `conn`, the connection from pg_fixture_create, if it is not NULL; ends all other sessions and drops the
 * database. */
void pg_fixture_drop(PGconn *conn);

/* A database with a slot cannot be dropped. So this ends all readers of the database's slots, also those that are still
 * creating one although their client is gone, and drops all slots. */
void pg_fixture_drop_slots(PGconn *conn);

/* Its name. Static. */
const char *pg_fixture_database(void);

/* A libpq connection string for the created database. Static. */
const char *pg_fixture_dsn(void);

/* Another connection to it; close it with PQfinish. */
PGconn *pg_fixture_connect(void);

/* Gives `rights`, such as "select, insert", on a table to a role of the database, which the first call creates; a
 * connection of that role has no other rights. */
void pg_fixture_grant(PGconn *conn, const char *rights, const char *table);
PGconn *pg_fixture_connect_as_user(void);

/* Runs a file, given relative to the source's root, such as "outbox-sql/postgres/schema.sql", for the schema in which
 * new tables are created. */
void pg_fixture_load(PGconn *conn, const char *path);

/* Creates the tables of the outbox, including the relay's. */
void pg_fixture_load_outbox(PGconn *conn);

/* The same tables as relays before version 0.2 created them (tests/integration/older). */
void pg_fixture_load_older(PGconn *conn);

/* Prepares the statement of a file. */
void pg_fixture_prepare(PGconn *conn, const char *name, const char *path);

/* Runs SQL, one or more statements. */
void pg_exec(PGconn *conn, const char *sql);

/* The first column of the first row; NULL is 0 or "". The text is valid until the next call in the thread. */
int64_t pg_query_int(PGconn *conn, const char *sql);
const char *pg_query_text(PGconn *conn, const char *sql);

/* Returns once the backend with this process id (PQbackendPID) waits for a lock; aborts after 30 s. */
void pg_wait_blocked(PGconn *conn, int pid);

/* The same for any backend in this database. */
void pg_wait_any_blocked(PGconn *conn);

#endif
