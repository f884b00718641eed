/* tests/integration/init_fixture_private.h - what a server has for init_fixture.c. */
#ifndef TESTS_INTEGRATION_INIT_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_INIT_FIXTURE_PRIVATE_H

#include "tests/integration/init_fixture.h"

struct init_kind {
    void (*run_printed)(const char *sql);
    const char *words[INIT_WORDS_COUNT];
};

extern const struct init_kind init_mariadb;
extern const struct init_kind init_mysql_server;
extern const struct init_kind init_postgresql;

#endif
