/* tests/integration/check_fixture_private.h - what a kind of database has for check_fixture.c. */
#ifndef TESTS_INTEGRATION_CHECK_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_CHECK_FIXTURE_PRIVATE_H

#include "tests/integration/check_fixture.h"

/* SQL, in which %1$s is the role. */
struct check_kind {
    const char *close;    /* nobody but the owner may create anything beside the tables */
    const char *see;      /* it sees who writes the outbox, and where the log ends */
    const char *read_log; /* it may read the log */
    const char *words[CHECK_WORDS_COUNT];
};

extern const struct check_kind check_mysql_kind;
extern const struct check_kind check_postgres_kind;

#endif
