/* tests/integration/db_fixture_pg.h - for what is PostgreSQL's alone: the connection behind one of db_fixture.h. */
#ifndef TESTS_INTEGRATION_DB_FIXTURE_PG_H
#define TESTS_INTEGRATION_DB_FIXTURE_PG_H

#include <libpq-fe.h>

#include "tests/integration/db_fixture.h"

PGconn *db_pg(struct db *db);

/* A connection to another database, with the dialect, behind one that db_close closes. */
struct db *db_of_pg(PGconn *conn);

#endif
