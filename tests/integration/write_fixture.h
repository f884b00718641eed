/* tests/integration/write_fixture.h - an application that writes by the library for its kind of database. */
#ifndef TESTS_INTEGRATION_WRITE_FIXTURE_H
#define TESTS_INTEGRATION_WRITE_FIXTURE_H

#include <outbox/outbox.h>

#include "tests/integration/db_fixture.h"

/* One message, by liboutbox-pg or liboutbox-mysql, within the transaction that is open. */
outbox_result write_fixture_message(struct db *tx, const struct outbox_message *message,
                                    struct outbox_error *reterr);

/* The kind's: `conn` is a PGconn or a MYSQL. */
outbox_result write_fixture_postgres(void *conn, const struct outbox_message *message,
                                     struct outbox_error *reterr);
outbox_result write_fixture_mysql(void *conn, const struct outbox_message *message,
                                  struct outbox_error *reterr);

#endif
