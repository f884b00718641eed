/* tests/integration/source_mysql_fixture.h - a source in the database of mysql_fixture.h. */
#ifndef TESTS_INTEGRATION_SOURCE_MYSQL_FIXTURE_H
#define TESTS_INTEGRATION_SOURCE_MYSQL_FIXTURE_H

#include "tests/integration/source_fixture.h"

/* A source "orders". Freed by source_fixture_close. */
struct source_config source_mysql_fixture_config(uint64_t takeover_us);

/* The same, as the user of mysql_fixture_grant. */
struct source_config source_mysql_fixture_config_as_user(uint64_t takeover_us);

#endif
