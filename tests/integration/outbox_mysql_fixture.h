/* tests/integration/outbox_mysql_fixture.h - the outbox tables in a database of mysql_fixture.h. */
#ifndef TESTS_INTEGRATION_OUTBOX_MYSQL_FIXTURE_H
#define TESTS_INTEGRATION_OUTBOX_MYSQL_FIXTURE_H

#include <mysql.h>

/* Makes what an application needs to write, in the default database of `conn`; aborts where that fails. */
void outbox_mysql_fixture_load(MYSQL *conn);

/* Makes what a relay has beside it, and outbox_cancel. */
void outbox_mysql_fixture_load_relay(MYSQL *conn);

#endif
