/* tests/integration/source_fixture_private.h - the kinds of database of source_fixture.c. */
#ifndef TESTS_INTEGRATION_SOURCE_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_SOURCE_FIXTURE_PRIVATE_H

#include "tests/integration/source_fixture.h"

extern const struct source_fixture_kind source_fixture_postgres;
extern const struct source_fixture_kind source_fixture_mysql;

#endif
