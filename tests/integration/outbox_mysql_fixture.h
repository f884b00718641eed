/* tests/integration/outbox_mysql_fixture.h - the outbox tables in a database of mysql_fixture.h. */
#ifndef TESTS_INTEGRATION_OUTBOX_MYSQL_FIXTURE_H
#define TESTS_INTEGRATION_OUTBOX_MYSQL_FIXTURE_H

#include <mysql.h>

/* Creates the tables that an application needs for writing, in the default database of `conn`; aborts if that fails. */
void outbox_mysql_fixture_load(MYSQL *conn);

/* Creates the relay's tables, and outbox_cancel. */
void outbox_mysql_fixture_load_relay(MYSQL *conn);

#endif
