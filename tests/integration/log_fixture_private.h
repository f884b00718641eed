/* tests/integration/log_fixture_private.h - the functions of a kind of database for log_fixture.c. */
#ifndef TESTS_INTEGRATION_LOG_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_LOG_FIXTURE_PRIVATE_H

#include <stdbool.h>

#include "tests/integration/log_fixture.h"

struct log_ways {
    void (*harm)(void);
    void (*mend)(void); /* NULL: the relay repairs it itself */
    const char *event;
    const char *words;
    unsigned rounds;
    bool repeats;
};

/* Indexed by enum log_trouble. */
extern const struct log_ways log_ways_mysql[];
extern const struct log_ways log_ways_postgres[];

#endif
