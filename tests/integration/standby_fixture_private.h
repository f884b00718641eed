/* tests/integration/standby_fixture_private.h - the functions of a kind of database for standby_fixture.c. */
#ifndef TESTS_INTEGRATION_STANDBY_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_STANDBY_FIXTURE_PRIVATE_H

#include <stdbool.h>

struct standby_ways {
    void (*follow)(bool with_place);
    void (*promote)(void);
    void (*restore)(void);
    void (*hold_commits)(void);
    void (*let_commits_go)(void);
    bool (*knows_place)(void);
    void (*await_place)(void);
    /* The relay's notices, in this order, before a NULL; the second one only where the replica does not know the place. */
    const char *promoted[3];
    const char *restored[3];
};

extern const struct standby_ways standby_ways_mysql;
extern const struct standby_ways standby_ways_postgres;

#endif
