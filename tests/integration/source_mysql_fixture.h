/* tests/integration/source_mysql_fixture.h - what source_fixture.h needs of MariaDB or MySQL: a database with the outbox in it, and
 * the section of a configuration that leads there. */
#ifndef TESTS_INTEGRATION_SOURCE_MYSQL_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_MYSQL_FIXTURE_H

#include <mysql.h>

#include "tests/integration/source_fixture.h"

/* Creates the database of mysql_fixture.h, with all tables, and connects to it. */
MYSQL *source_mysql_fixture_create(void);

/* A session more there, whose socket mysql_proxy_fixture.h can use: what goes over it is not encrypted, whatever the library would
 * like best. */
MYSQL *source_mysql_fixture_connect_without_tls(void);

/* Writes so many rows by one statement, with ids that have no gap between them; routing keys k1, k2, … */
void source_mysql_fixture_insert(MYSQL *conn, int count);

/* A source "orders" there; freed by source_fixture_close. `more`: what comes at the end of the dsn. */
struct source_config source_mysql_fixture_config(uint64_t takeover_us);
struct source_config source_mysql_fixture_config_with(const char *more, uint64_t takeover_us);

/* The same, as the user of mysql_fixture_grant. */
struct source_config source_mysql_fixture_config_as_user(uint64_t takeover_us);

/* The id of the session that owns the outbox; 0: none does. */
unsigned long source_mysql_fixture_owner(MYSQL *conn);

/* Takes the checks away from the outbox, and what says that a value must be there. */
void source_mysql_fixture_drop_checks(MYSQL *conn);

#endif
