/* tests/integration/standby_fixture_private.h - what a kind of database does for standby_fixture.c. */
#ifndef TESTS_INTEGRATION_STANDBY_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_STANDBY_FIXTURE_PRIVATE_H

struct standby_ways {
    void (*follow)(void);
    void (*promote)(void);
    void (*restore)(void);
    void (*hold_commits)(void);
    void (*let_commits_go)(void);
    /* Notices, in this order; NULL: there is none. */
    const char *promoted[2];
    const char *restored[2];
};

extern const struct standby_ways standby_ways_mysql;
extern const struct standby_ways standby_ways_postgres;

#endif
